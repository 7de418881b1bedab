//! Fingerprints of secrets that are random themselves: whoever reads one in the store cannot log in with it. Not for passwords.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};

/// Keeps these fingerprints apart from whatever else hashes the same text.
const PURPOSE: &[u8] = b"helpline login 1";

/// HMAC-SHA-256 of the secret under a public key, as text; the same on every node and after every start.
pub(super) fn of(secret: &str) -> String {
    // Signing with a symmetric key has no way to fail; if it ever does, the empty text matches no login.
    crypto::sign(secret.as_bytes(), &EncodingKey::from_secret(PURPOSE), Algorithm::HS256).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_same_for_one_secret_and_tells_nothing_of_it() {
        assert_eq!(of("secret one"), of("secret one"));
        assert_ne!(of("secret one"), of("secret two"));
        assert!(of("secret one").len() == 43 && !of("secret one").contains("secret"));
    }
}
