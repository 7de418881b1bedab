//! What people say and what opens doors stands in no log, at any level, whatever goes wrong.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::harness::client::Dial;
use crate::harness::http;
use crate::harness::raw::Raw;
use crate::harness::script::Body;
use crate::harness::shop::{JWT_SECRET, KEY, Shop, token};

/// Texts that occur nowhere else, by what they stand for.
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn new() -> Self {
        let kinds = [
            "body",
            "rest body",
            "refused body",
            "long body",
            "client key",
            "name",
            "e-mail",
            "wrong key",
            "wrong token",
            "reason",
            "event",
            "field",
        ];
        Self(kinds.into_iter().map(|kind| (kind, format!("canary{}", Uuid::new_v4().simple()))).collect())
    }

    fn of(&self, kind: &str) -> &str {
        &self.0.iter().find(|(k, _)| *k == kind).expect("a kind").1
    }
}

#[tokio::test]
async fn s38_no_body_token_key_or_name_is_logged_at_debug() {
    assert_silent(&[("LOG_LEVEL", "debug")]).await;
}

#[tokio::test]
async fn s38_no_body_token_key_or_name_is_logged_at_trace() {
    assert_silent(&[("LOG_LEVEL", "trace")]).await;
}

#[tokio::test]
async fn s38_no_body_token_key_or_name_is_logged_as_json() {
    assert_silent(&[("LOG_LEVEL", "trace"), ("LOG_FORMAT", "json")]).await;
}

#[tokio::test]
async fn s38_no_body_token_key_or_name_is_logged_with_mongodb() {
    let uri = std::env::var("HELPLINE_TEST_MONGODB_URI").expect("HELPLINE_TEST_MONGODB_URI is set: run scripts/services.sh up");
    let database = format!("helpline_test_{}", Uuid::new_v4().simple());
    assert_silent(&[("LOG_LEVEL", "trace"), ("MONGODB_URI", &uri), ("MONGODB_DB", &database)]).await;
    let client = mongodb::Client::with_uri_str(&uri).await.expect("the tests' MongoDB");
    client.database(&database).drop().await.expect("a database to drop");
}

/// Does whatever could be logged on a server with these variables, and looks into its log.
async fn assert_silent(env: &[(&str, &str)]) {
    let mut shop = Shop::open(env).await;
    let canaries = Canaries::new();
    let token = token("u1", "user", 600);
    talk(&shop, &canaries, &token).await;
    go_wrong(&shop, &canaries).await;
    shop.server.restart().await;
    let log = shop.server.log();
    assert!(log.contains("helpline"), "nothing at all is logged");
    let secrets = [("the token", token.as_str()), ("the API key", KEY), ("the signing secret", JWT_SECRET)];
    for (kind, text) in canaries.0.iter().map(|(k, t)| (*k, t.as_str())).chain(secrets) {
        let line = log.lines().find(|line| line.contains(text));
        assert_eq!(line, None, "{kind} is in the log");
    }
}

/// An ordinary conversation.
async fn talk(shop: &Shop, canaries: &Canaries, token: &str) {
    let person = json!({"userId": "u1", "userName": canaries.of("name"), "userEmail": format!("{}@example.com", canaries.of("e-mail"))});
    let session = shop.post("/api/chat/start-session", person).await["sessionId"].as_str().expect("an id").to_owned();
    let mut visitor = Dial::to(shop.server.address()).auth(json!({"token": token})).connect().await.expect("a connection");
    let joined = visitor.call("join_session", json!({"sessionId": session, "userName": canaries.of("name")})).await;
    assert_eq!(joined.expect("an answer")["ok"], true);
    let said = json!({"sessionId": session, "message": canaries.of("body"), "clientKey": canaries.of("client key")});
    for _ in 0..2 {
        assert_eq!(visitor.call("send_message", said.clone()).await.expect("an answer")["ok"], true);
    }
    let reused = json!({"sessionId": session, "message": canaries.of("refused body"), "clientKey": canaries.of("client key")});
    assert_eq!(visitor.call("send_message", reused).await.expect("an answer")["code"], "CLIENT_KEY_REUSED");
    let by_rest = json!({"message": canaries.of("rest body"), "senderName": canaries.of("name"), "senderId": "u1"});
    shop.post(&format!("/api/chat/send-message/{session}"), by_rest).await;
    assert_eq!(shop.history(&session).await.len(), 2);
    shop.post(&format!("/api/chat/end-session/{session}"), json!({"reason": canaries.of("reason")})).await;
    visitor.disconnect().await;
}

/// Everything that is refused.
async fn go_wrong(shop: &Shop, canaries: &Canaries) {
    for auth in [
        json!({"apiKey": canaries.of("wrong key")}),
        json!({"token": canaries.of("wrong token")}),
        json!({"token": {"x": canaries.of("field")}}),
    ] {
        assert!(Dial::to(shop.server.address()).auth(auth).connect().await.is_err());
    }
    for raw in [format!("{{\"message\":\"{}", canaries.of("refused body")), format!("[{}]", canaries.of("refused body"))] {
        let headers = [("x-api-key", KEY), ("content-type", "application/json")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let answer = http::request(shop.server.address(), "POST", "/api/chat/start-session", &headers, Body::Raw(raw.into())).await;
        assert_eq!(answer.expect("an answer").status, 500);
    }
    let long = canaries.of("long body").repeat(100);
    let unknown = Uuid::new_v4();
    for body in [json!({"message": long}), json!({"message": canaries.of("refused body")}), json!({"message": [canaries.of("field")]})] {
        shop.call(Method::POST, &format!("/api/chat/send-message/{unknown}"), Body::Json(body)).await;
    }
    let frames = [
        format!("42[\"{}\",{{\"{}\":1}}]", canaries.of("event"), canaries.of("field")),
        format!("42[\"send_message\",{{\"sessionId\":\"{unknown}\",\"message\":\"{}\"}}]", canaries.of("refused body")),
        format!("42[\"send_message\",{{\"message\":\"{}", canaries.of("refused body")),
        format!("42[{{\"{}\":1}}]", canaries.of("event")),
        format!("49{}", canaries.of("event")),
        format!("40/{},{{}}", canaries.of("field")),
        format!("451-[\"{}\",{{\"_placeholder\":true,\"num\":0}}]", canaries.of("event")),
        canaries.of("event").to_owned(),
    ];
    for frame in frames {
        let mut socket = Raw::connect(shop.server.address(), &json!({"apiKey": KEY}), None).await;
        socket.text(&frame).await;
        socket.text("1").await;
        socket.end().await;
    }
}
