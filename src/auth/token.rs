//! Signed tokens: HS256, one audience per realm, and for a while those of the original server (document 001). Time comes from the caller; the
//! system clock is not read here.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::domain::error::{Error, StoreError};
use crate::domain::ports::IssuedToken;
use crate::domain::principal::{Peer, Person, Principal, Realm, Role};
use crate::domain::time::Timestamp;
use crate::secret::Secret;

/// How long a token is valid: 30 days, as in document 001.
const LIFETIME_SECONDS: i64 = 2_592_000;
/// Longer tokens are refused unread; ours stay below a quarter of it.
const MAX_TOKEN_BYTES: usize = 4_096;
/// The longest id that a token may name.
const MAX_ID_BYTES: usize = 256;
const ISSUER: &str = "helpline";

/// What a token says. Unknown claims are ignored.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
}

/// Checks and signs tokens with one secret.
pub(super) struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    legacy_until: Timestamp,
}

impl Tokens {
    /// Prepares the keys. Tokens without an audience are accepted before `legacy_until`.
    pub(super) fn new(secret: &Secret, legacy_until: Timestamp) -> Self {
        let bytes = secret.expose().as_bytes();
        // The library is to check the algorithm and the signature; times, audience and issuer are checked here, by the caller's clock.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.leeway = 0;
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self { signing: EncodingKey::from_secret(bytes), checking: DecodingKey::from_secret(bytes), validation, legacy_until }
    }

    /// Whom the token names in this realm, if it is one of ours and valid at `now`, without any leeway. A key id or a critical header is refused:
    /// there is one key, and no extension is understood.
    pub(super) fn verify(&self, realm: Realm, token: &str, now: Timestamp) -> Option<Principal> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let data = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation).ok()?;
        if data.header.kid.is_some() || data.header.crit.is_some() {
            return None;
        }
        let claims = data.claims;
        let expires = Timestamp(claims.exp.checked_mul(1_000)?);
        let begins = claims.nbf.map_or(Some(now), |nbf| nbf.checked_mul(1_000).map(Timestamp))?;
        if now >= expires || now < begins || !is_good_id(&claims.id) {
            return None;
        }
        let role = self.role(realm, &claims, now)?;
        Some(Principal::Person { person: Person::new(realm, claims.id, role), expires: Some(expires), peer: Peer::Unknown })
    }

    /// The role, by the rules for our own tokens or for those of the original server.
    fn role(&self, realm: Realm, claims: &Claims, now: Timestamp) -> Option<Role> {
        match (&claims.aud, &claims.iss) {
            (Some(aud), Some(iss)) if *aud == audience(realm) && iss == ISSUER => role_of(&claims.kind),
            // The original gave tokens of any type to anybody, so only its users are believed.
            (None, None) if now < self.legacy_until && claims.kind == "user" => Some(Role::Visitor),
            _ => None,
        }
    }

    /// A token for this person, valid for 30 days from `now`, cut to whole seconds.
    pub(super) fn issue(&self, person: &Person, now: Timestamp) -> Result<IssuedToken, Error> {
        if !is_good_id(&person.id) {
            return Err(Error::Forbidden);
        }
        let iat = now.0.div_euclid(1_000);
        let claims = Claims {
            id: person.id.to_string(),
            kind: kind_of(person.role).to_owned(),
            iat: Some(iat),
            nbf: None,
            exp: iat.saturating_add(LIFETIME_SECONDS),
            aud: Some(audience(person.realm)),
            iss: Some(ISSUER.to_owned()),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|e| Error::Internal(StoreError::Corrupt(format!("token not signed: {e}"))))?;
        Ok(IssuedToken { token, expires_in_seconds: LIFETIME_SECONDS })
    }
}

fn audience(realm: Realm) -> String {
    format!("helpline:{}", realm.name())
}

fn is_good_id(id: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// The role as the claim `type` says it.
fn kind_of(role: Role) -> &'static str {
    match role {
        Role::Visitor => "user",
        Role::Agent => "agent",
        Role::System => "system",
    }
}

fn role_of(kind: &str) -> Option<Role> {
    [Role::Visitor, Role::Agent, Role::System].into_iter().find(|r| kind_of(*r) == kind)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
