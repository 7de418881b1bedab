//! Tests of tokens of `operators` and `widget`, and that no realm's token opens another.

use serde_json::{Value, json};

use super::tests::{LEGACY_UNTIL, NOW, NOW_SECONDS, auth, changed, forged};
use super::*;
use crate::domain::ports::{Authority, Credential};

const WEEK: i64 = 604_800;

fn verify(realm: Realm, token: &str, now: Timestamp) -> Result<Principal, Error> {
    auth().verify(realm, &Credential::Token(token.to_owned()), now)
}

/// The realms that the token opens now.
fn opened(token: &str) -> Vec<Realm> {
    Realm::ALL.into_iter().filter(|realm| verify(*realm, token, NOW).is_ok()).collect()
}

fn admin(id: &str, email: &str) -> Person {
    Person { email: Some(email.into()), ..Person::new(Realm::Widget, id, Role::Agent) }
}

fn until(seconds: i64, person: Person) -> Principal {
    Principal::Person { person, expires: Some(Timestamp(seconds * 1_000)), login: None, peer: Peer::Unknown }
}

/// The claims of a token, in their order.
fn claims_of(token: &str) -> String {
    jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap().claims.to_string()
}

/// The claims of the original of `widget`, with `changes`.
fn legacy(changes: &Value) -> String {
    forged(&changed(json!({"id": "a1", "email": "A@example.com", "iat": NOW_SECONDS - 5, "exp": NOW_SECONDS + 1_000}), changes))
}

/// Our own claims for an admin of `widget`, with `changes`.
fn ours(changes: &Value) -> String {
    let claims = json!({"id": "a1", "email": "A@example.com", "exp": NOW_SECONDS + 100, "aud": "helpline:widget", "iss": "helpline"});
    forged(&changed(claims, changes))
}

#[test]
fn a_token_of_widget_names_the_admin_by_email_for_seven_days() {
    let person = Person { name: Some("Ann".into()), ..admin("a1", "A@example.com") };
    let issued = auth().issue(&person, NOW).unwrap();
    assert_eq!(issued.expires_in_seconds, WEEK);
    let expected = json!({"id": "a1", "email": "A@example.com", "iat": NOW_SECONDS, "exp": NOW_SECONDS + WEEK, "aud": "helpline:widget", "iss": "helpline"});
    assert_eq!(claims_of(&issued.token), expected.to_string());
    assert_eq!(verify(Realm::Widget, &issued.token, NOW).unwrap(), until(NOW_SECONDS + WEEK, admin("a1", "A@example.com")));
    assert!(verify(Realm::Widget, &issued.token, Timestamp((NOW_SECONDS + WEEK) * 1_000)).is_err());
    assert!(verify(Realm::Widget, &issued.token, LEGACY_UNTIL).is_ok(), "the day of the old tokens is not that of ours");
}

#[test]
fn a_token_of_operators_names_the_person_for_thirty_days() {
    for (role, kind) in [(Role::Visitor, "user"), (Role::Agent, "agent"), (Role::System, "system")] {
        let person = Person::new(Realm::Operators, "operator_1_x", role);
        let issued = auth().issue(&person, NOW).unwrap();
        let end = NOW_SECONDS + 2_592_000;
        assert_eq!(issued.expires_in_seconds, 2_592_000);
        let expected =
            json!({"id": "operator_1_x", "type": kind, "iat": NOW_SECONDS, "exp": end, "aud": "helpline:operators", "iss": "helpline"});
        assert_eq!(claims_of(&issued.token), expected.to_string());
        assert_eq!(verify(Realm::Operators, &issued.token, NOW).unwrap(), until(end, person));
    }
}

#[test]
fn our_tokens_open_their_own_realm_alone() {
    for role in [Role::Visitor, Role::Agent, Role::System] {
        for realm in [Realm::Support, Realm::Operators] {
            assert_eq!(opened(&auth().issue(&Person::new(realm, "p1", role), NOW).unwrap().token), [realm]);
        }
    }
    assert_eq!(opened(&auth().issue(&admin("a1", "a@example.com"), NOW).unwrap().token), [Realm::Widget]);
}

#[test]
fn tokens_of_the_originals_open_their_own_realm_alone() {
    let support = |kind: &str| forged(&json!({"id": "u1", "type": kind, "iat": NOW_SECONDS, "exp": NOW_SECONDS + 100}));
    assert_eq!(opened(&support("user")), [Realm::Support]);
    assert_eq!(opened(&support("agent")), []);
    assert_eq!(opened(&legacy(&json!({}))), [Realm::Widget]);
    for kind in ["user", "agent", "admin", ""] {
        let both = opened(&legacy(&json!({"type": kind})));
        assert!(!both.contains(&Realm::Widget) && !both.contains(&Realm::Operators), "{kind}: a type makes it one of support: {both:?}");
    }
    assert_eq!(opened(&legacy(&json!({"email": null}))), []);
}

#[test]
fn admins_of_the_original_are_known_until_the_day() {
    let token = legacy(&json!({}));
    assert_eq!(verify(Realm::Widget, &token, NOW).unwrap(), until(NOW_SECONDS + 1_000, admin("a1", "A@example.com")));
    assert!(verify(Realm::Widget, &token, LEGACY_UNTIL.plus_ms(-1)).is_ok());
    assert!(matches!(verify(Realm::Widget, &token, LEGACY_UNTIL), Err(Error::InvalidToken)));
}

#[test]
fn odd_tokens_of_widget_are_refused() {
    let long = format!("{}@x", "x".repeat(255));
    for odd in [
        json!({"email": null}),
        json!({"email": ""}),
        json!({"email": 1}),
        json!({"email": ["a@example.com"]}),
        json!({"email": "a@example.com\n"}),
        json!({"email": long}),
        json!({"id": null}),
        json!({"id": ""}),
        json!({"id": 7}),
        json!({"type": "agent"}),
        json!({"exp": NOW_SECONDS}),
        json!({"exp": null}),
    ] {
        assert_eq!(opened(&ours(&odd)), [], "{odd}");
        assert!(!opened(&legacy(&odd)).contains(&Realm::Widget), "{odd}");
    }
    assert_eq!(opened(&ours(&json!({}))), [Realm::Widget]);
}

#[test]
fn half_an_origin_makes_neither_our_token_nor_an_old_one() {
    for odd in
        [json!({"aud": null}), json!({"iss": null}), json!({"iss": "somebody"}), json!({"aud": ["helpline:widget"]}), json!({"aud": ""})]
    {
        assert_eq!(opened(&ours(&odd)), [], "{odd}");
    }
    // An audience moved to another realm by hand: the claims of `widget` are none of `operators`.
    assert_eq!(opened(&ours(&json!({"aud": "helpline:operators"}))), []);
    assert_eq!(opened(&ours(&json!({"aud": "helpline:support"}))), []);
}

#[test]
fn only_admins_with_an_address_get_tokens_of_widget() {
    let refused = |person: Person| matches!(auth().issue(&person, NOW), Err(Error::Forbidden));
    for role in [Role::Visitor, Role::System] {
        assert!(refused(Person { role, ..admin("a1", "a@example.com") }));
    }
    for bad in ["", "a\n@example.com", &format!("{}@x", "x".repeat(255))] {
        assert!(refused(admin("a1", bad)), "{bad:?}");
        assert!(refused(admin(bad, "a@example.com")), "{bad:?}");
    }
    assert!(refused(Person::new(Realm::Widget, "a1", Role::Agent)));
}
