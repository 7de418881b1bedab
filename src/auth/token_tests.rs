//! Tests of tokens of `support`, through the port. What they forge, they sign with the library itself.

use serde_json::{Value, json};

use super::*;
use crate::auth::{Auth, Settings};
use crate::domain::ports::{Authority, Credential, SignUp};

const SECRET: &str = "a secret of the tests, long enough";
pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_500);
pub(super) const NOW_SECONDS: i64 = 1_800_000_000;
pub(super) const LEGACY_UNTIL: Timestamp = Timestamp(1_800_000_100_000);

pub(super) fn auth() -> Auth {
    Auth::new(Settings {
        jwt_secret: Secret::new(SECRET),
        api_key: Some(Secret::new("the key of the company")),
        visitor_tokens_open: true,
        allow_anonymous: false,
        sign_up: SignUp::Closed,
        legacy_tokens_until: LEGACY_UNTIL,
    })
}

fn verify(token: impl Into<String>, now: Timestamp) -> Result<Principal, Error> {
    auth().verify(Realm::Support, &Credential::Token(token.into()), now)
}

fn signed(header: &Header, secret: &str, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

pub(super) fn forged(claims: &Value) -> String {
    signed(&Header::new(Algorithm::HS256), SECRET, claims)
}

/// Our own claims for the user u1, with `changes`; `null` removes one.
fn ours(changes: &Value) -> Value {
    let exp = NOW_SECONDS + 100;
    changed(json!({"id": "u1", "type": "user", "iat": NOW_SECONDS, "exp": exp, "aud": "helpline:support", "iss": "helpline"}), changes)
}

/// The original's claims for the user u1, with `changes`.
fn legacy(changes: &Value) -> Value {
    changed(json!({"id": "u1", "type": "user", "iat": NOW_SECONDS - 5, "exp": NOW_SECONDS + 1_000}), changes)
}

pub(super) fn changed(mut claims: Value, changes: &Value) -> Value {
    let all = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        all.insert(name.clone(), value.clone());
    }
    all.retain(|_, value| !value.is_null());
    claims
}

fn refused(token: impl Into<String>, why: &str) {
    assert!(matches!(verify(token, NOW), Err(Error::InvalidToken)), "{why}");
}

#[test]
fn what_is_issued_names_the_person_for_thirty_days() {
    for (role, kind) in [(Role::Visitor, "user"), (Role::Agent, "agent"), (Role::System, "system")] {
        let person = Person::new(Realm::Support, "ü \"1\"", role);
        let issued = auth().issue(&person, NOW).unwrap();
        assert_eq!(issued.expires_in_seconds, 2_592_000);
        let expires = Timestamp((NOW_SECONDS + 2_592_000) * 1_000);
        assert_eq!(
            verify(&issued.token, NOW).unwrap(),
            Principal::Person { person, expires: Some(expires), login: None, peer: Peer::Unknown }
        );
        assert!(verify(&issued.token, expires.plus_ms(-1)).is_ok());
        assert!(matches!(verify(&issued.token, expires), Err(Error::InvalidToken)));
        let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&issued.token).unwrap().claims;
        assert_eq!((&claims["type"], &claims["aud"], &claims["iss"]), (&json!(kind), &json!("helpline:support"), &json!("helpline")));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW_SECONDS), &json!(NOW_SECONDS + 2_592_000)));
    }
}

#[test]
fn ids_that_could_do_harm_get_no_token() {
    for bad in ["", "a\nb", "a\u{0}", "\u{85}", &"x".repeat(257)] {
        let refusal = auth().issue(&Person::new(Realm::Support, bad, Role::Visitor), NOW);
        assert!(matches!(refusal, Err(Error::Forbidden)), "{bad:?}");
    }
    let longest = auth().issue(&Person::new(Realm::Support, "\"".repeat(256), Role::Visitor), NOW).unwrap();
    assert!(longest.token.len() < MAX_TOKEN_BYTES / 2 && verify(longest.token, NOW).is_ok());
}

#[test]
fn forged_claims_that_are_right_are_accepted() {
    assert!(verify(forged(&ours(&json!({}))), NOW).is_ok());
    assert!(verify(forged(&ours(&json!({"nbf": NOW_SECONDS}))), NOW).is_ok());
}

#[test]
fn another_secret_is_refused() {
    refused(signed(&Header::new(Algorithm::HS256), "another secret, as long as it gets", &ours(&json!({}))), "secret");
    refused(signed(&Header::new(Algorithm::HS256), "", &ours(&json!({}))), "empty secret");
}

#[test]
fn another_algorithm_is_refused() {
    refused(signed(&Header::new(Algorithm::HS384), SECRET, &ours(&json!({}))), "HS384");
    refused(signed(&Header::new(Algorithm::HS512), SECRET, &ours(&json!({}))), "HS512");
    let good = forged(&ours(&json!({})));
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"}, {"alg":"None","typ":"JWT"} and {"alg":"RS256"}
    for head in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJSUzI1NiJ9"] {
        refused(format!("{head}.{payload}."), head);
        refused(format!("{head}.{payload}.{signature}"), head);
    }
}

#[test]
fn key_ids_and_critical_headers_are_refused() {
    let with_key = Header { kid: Some("../../dev/null".to_owned()), ..Header::new(Algorithm::HS256) };
    refused(signed(&with_key, SECRET, &ours(&json!({}))), "kid");
    let critical = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::HS256) };
    refused(signed(&critical, SECRET, &ours(&json!({}))), "crit");
}

#[test]
fn another_audience_or_issuer_is_refused() {
    for wrong in ["helpline:widget", "helpline", "support", ""] {
        refused(forged(&ours(&json!({"aud": wrong}))), wrong);
    }
    refused(forged(&ours(&json!({"aud": ["helpline:support", "helpline:widget"]}))), "two audiences");
    refused(forged(&ours(&json!({"iss": "somebody"}))), "issuer");
    refused(forged(&ours(&json!({"iss": null}))), "audience without issuer");
    refused(forged(&ours(&json!({"aud": null}))), "issuer without audience");
}

#[test]
fn times_are_kept_to_the_millisecond() {
    refused(forged(&ours(&json!({"exp": NOW_SECONDS}))), "expired half a second ago");
    refused(forged(&ours(&json!({"nbf": NOW_SECONDS + 1}))), "begins in half a second");
    refused(forged(&ours(&json!({"exp": null}))), "no end");
    for odd in [json!(i64::MAX), json!(u64::MAX), json!("2027"), json!(1e30), json!(-1)] {
        refused(forged(&ours(&json!({"exp": odd}))), "odd end");
        refused(forged(&ours(&json!({"nbf": i64::MAX}))), "odd beginning");
    }
}

#[test]
fn odd_persons_are_refused() {
    for odd in [json!({"type": "admin"}), json!({"type": "User"}), json!({"type": null}), json!({"id": ""}), json!({"id": null})] {
        refused(forged(&ours(&odd)), "person");
    }
    for odd in [json!({"id": 1}), json!({"id": {"$ne": 1}}), json!({"id": "a\nb"}), json!({"id": "x".repeat(257)})] {
        refused(forged(&ours(&odd)), "id");
    }
}

#[test]
fn users_of_the_original_are_known_until_the_day() {
    let token = forged(&legacy(&json!({})));
    let person = Person::new(Realm::Support, "u1", Role::Visitor);
    let expires = Some(Timestamp((NOW_SECONDS + 1_000) * 1_000));
    assert_eq!(verify(&token, NOW).unwrap(), Principal::Person { person, expires, login: None, peer: Peer::Unknown });
    assert!(verify(&token, LEGACY_UNTIL.plus_ms(-1)).is_ok());
    assert!(matches!(verify(&token, LEGACY_UNTIL), Err(Error::InvalidToken)));
}

#[test]
fn other_tokens_of_the_original_are_refused() {
    for kind in ["agent", "system", "admin", ""] {
        refused(forged(&legacy(&json!({"type": kind}))), kind);
    }
    for odd in [json!({"exp": null}), json!({"exp": NOW_SECONDS}), json!({"id": ""}), json!({"id": 5}), json!({"type": null})] {
        refused(forged(&legacy(&odd)), "shape");
    }
}

#[test]
fn garbage_is_refused() {
    let good = forged(&ours(&json!({})));
    let padded = format!("{good}{}", "A".repeat(10_000));
    let long_id = forged(&ours(&json!({"more": "x".repeat(10_000)})));
    for bad in ["", ".", "..", "...", "null", "undefined", "a.b.c", "\u{0}", "é.é.é", &good[1..], &format!("{good}."), &format!(" {good}")]
    {
        refused(bad, bad);
    }
    for bad in [padded, long_id, "x".repeat(10_240), ".".repeat(10_240), format!("Bearer {good}")] {
        refused(bad, "garbage");
    }
}

#[test]
fn the_api_key_makes_a_delegate() {
    let key = |text: &str| auth().verify(Realm::Support, &Credential::ApiKey(text.to_owned()), NOW);
    assert_eq!(key("the key of the company").unwrap(), Principal::Delegate { realm: Realm::Support, has_key: true });
    for wrong in ["", "the key of the compan", "***"] {
        assert!(matches!(key(wrong), Err(Error::WrongKey)), "{wrong}");
    }
    assert!(auth().visitor_tokens_are_open() && !auth().anonymous_sockets_are_allowed());
}
