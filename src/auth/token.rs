//! Signed tokens: HS256, one audience per realm, and for a while those of the original servers (documents 001 and 004). Time comes from the caller;
//! the system clock is not read here, and whether an account exists is not known.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::domain::error::{Error, StoreError};
use crate::domain::ports::IssuedToken;
use crate::domain::principal::{Peer, Person, Principal, Realm, Role};
use crate::domain::time::Timestamp;
use crate::secret::Secret;

const DAY_SECONDS: i64 = 86_400;
/// Longer tokens are refused unread; ours stay below a quarter of it.
const MAX_TOKEN_BYTES: usize = 4_096;
/// The longest id or e-mail address that a token may name.
const MAX_NAME_BYTES: usize = 256;
const ISSUER: &str = "helpline";

/// What a token says: `widget` names people by id and e-mail address, the other realms by id and type. Unknown claims are ignored.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    id: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
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
        if now >= expires || now < begins || !is_good_name(&claims.id) {
            return None;
        }
        let person = match (&claims.aud, &claims.iss) {
            (Some(aud), Some(iss)) if *aud == audience(realm) && iss == ISSUER => our_person(realm, &claims)?,
            (None, None) if now < self.legacy_until => legacy_person(realm, &claims)?,
            _ => return None,
        };
        Some(Principal::Person { person, expires: Some(expires), login: None, peer: Peer::Unknown })
    }

    /// A token for this person, valid for the realm's time from `now`, cut to whole seconds.
    pub(super) fn issue(&self, person: &Person, now: Timestamp) -> Result<IssuedToken, Error> {
        let (kind, email) = match person.realm {
            Realm::Support | Realm::Operators => (Some(kind_of(person.role).to_owned()), None),
            Realm::Widget if person.role == Role::Agent => (None, person.email.as_deref().map(str::to_owned)),
            Realm::Widget | Realm::Rooms => return Err(Error::Forbidden),
        };
        let names_somebody = kind.is_some() || email.as_deref().is_some_and(is_good_name);
        if !names_somebody || !is_good_name(&person.id) {
            return Err(Error::Forbidden);
        }
        let (iat, lifetime) = (now.0.div_euclid(1_000), lifetime_seconds(person.realm));
        let claims = Claims {
            id: person.id.to_string(),
            kind,
            email,
            iat: Some(iat),
            nbf: None,
            exp: iat.saturating_add(lifetime),
            aud: Some(audience(person.realm)),
            iss: Some(ISSUER.to_owned()),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|e| Error::Internal(StoreError::Corrupt(format!("token not signed: {e}"))))?;
        Ok(IssuedToken { token, expires_in_seconds: lifetime })
    }
}

/// As in documents 001 and 004.
fn lifetime_seconds(realm: Realm) -> i64 {
    match realm {
        Realm::Support | Realm::Operators => 30 * DAY_SECONDS,
        Realm::Widget | Realm::Rooms => 7 * DAY_SECONDS,
    }
}

/// Whom a token of ours names.
fn our_person(realm: Realm, claims: &Claims) -> Option<Person> {
    match realm {
        Realm::Support | Realm::Operators => Some(Person::new(realm, claims.id.as_str(), role_of(claims.kind.as_deref()?)?)),
        Realm::Widget => admin(claims),
        // Its people log in, and have no tokens.
        Realm::Rooms => None,
    }
}

/// Whom a token of the realm's original names. The originals signed with the secret that we took over and said no audience, so the shape alone tells
/// whose a token is: that of `support` has a type, that of `widget` has none and an e-mail address.
fn legacy_person(realm: Realm, claims: &Claims) -> Option<Person> {
    match realm {
        // The original gave tokens of any type to anybody, so only its users are believed.
        Realm::Support => (claims.kind.as_deref() == Some("user")).then(|| Person::new(realm, claims.id.as_str(), Role::Visitor)),
        Realm::Widget => admin(claims),
        // Their originals had no tokens.
        Realm::Operators | Realm::Rooms => None,
    }
}

/// The admin of `widget` whom the claims name; everybody with a token is one. Whether the account is stored is for the desk to find out.
fn admin(claims: &Claims) -> Option<Person> {
    let email = claims.email.as_deref().filter(|email| claims.kind.is_none() && is_good_name(email))?;
    Some(Person { email: Some(email.into()), ..Person::new(Realm::Widget, claims.id.as_str(), Role::Agent) })
}

fn audience(realm: Realm) -> String {
    format!("helpline:{}", realm.name())
}

fn is_good_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// The role as the claim `type` says it.
fn kind_of(role: Role) -> &'static str {
    match role {
        Role::Visitor => "user",
        Role::Agent => "agent",
        Role::Admin => "admin",
        Role::System => "system",
    }
}

fn role_of(kind: &str) -> Option<Role> {
    [Role::Visitor, Role::Agent, Role::System].into_iter().find(|r| kind_of(*r) == kind)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "token_realm_tests.rs"]
mod realm_tests;
