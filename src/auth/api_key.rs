//! The API key, compared without telling by its time how much of a guess was right. Knows nothing of what a key opens.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use subtle::ConstantTimeEq;

use crate::domain::ids::random_secret;
use crate::secret::Secret;

/// The key as it is kept for comparison: its HMAC-SHA-256 under a key that lives as long as the process. Both sides of a comparison are then of
/// the same length, and unforeseeable.
pub(super) struct ApiKey {
    mac_key: EncodingKey,
    mac: Option<String>,
}

impl ApiKey {
    /// Keeps `key`; where there is none, or an empty one, nothing matches.
    pub(super) fn new(key: Option<&Secret>) -> Self {
        let mac_key = EncodingKey::from_secret(random_secret().as_bytes());
        let mac = key.filter(|k| !k.expose().is_empty()).and_then(|k| mac(&mac_key, k.expose()));
        Self { mac_key, mac }
    }

    /// Whether `guess` is the key. The time depends on the length of the guess alone.
    pub(super) fn matches(&self, guess: &str) -> bool {
        match (&self.mac, mac(&self.mac_key, guess)) {
            (Some(own), Some(other)) => own.as_bytes().ct_eq(other.as_bytes()).into(),
            _ => false,
        }
    }
}

fn mac(key: &EncodingKey, text: &str) -> Option<String> {
    crypto::sign(text.as_bytes(), key, Algorithm::HS256).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_matches() {
        let key = ApiKey::new(Some(&Secret::new("key-of-the-company")));
        assert!(key.matches("key-of-the-company"));
        for wrong in ["", "k", "key-of-the-compan", "key-of-the-companyy", "KEY-of-the-company", "undefined", "***"] {
            assert!(!key.matches(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_is_not_set_matches_nothing() {
        for unset in [None, Some(Secret::new(""))] {
            let key = ApiKey::new(unset.as_ref());
            assert!(!key.matches("") && !key.matches("undefined") && !key.matches("anything"));
        }
    }
}
