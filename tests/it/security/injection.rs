//! Objects, lists and other things where texts are expected: refused by type on every field of every path and every call, never an error of ours.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::script::Body;
use crate::harness::shop::{Opened, Shop, assert_alive};

/// What could mean something to a database.
fn operators() -> Vec<Value> {
    vec![
        json!({"$ne": null}),
        json!({"$gt": ""}),
        json!({"$where": "sleep(1000)"}),
        json!({"$regex": "(a+)+$"}),
        json!({"toString": "x", "length": 1}),
        json!([]),
        json!(["x", {"$ne": 1}]),
        json!([[[]]]),
        json!(true),
        json!(7),
        json!(1e300),
    ]
}

/// What a field answers to a value of the wrong type.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// 400 with this code.
    Refused(&'static str),
    /// As if it were absent: this status.
    Ignored(u16),
}
use Field::{Ignored, Refused};

/// Fields by name.
type Fields = &'static [(&'static str, Field)];

/// A path, a body that is good, and how each field of it takes rubbish. `{s}` is a session.
const PATHS: &[(&str, &str, Fields)] = &[
    ("/api/auth/token", r#"{"userId":"u1"}"#, &[("userId", Refused("INVALID_USER_ID")), ("userType", Refused("INVALID_USER_TYPE"))]),
    (
        "/api/chat/start-session",
        r#"{"userId":"u1"}"#,
        &[
            ("userId", Refused("INVALID_USER_ID")),
            ("userType", Refused("INVALID_USER_TYPE")),
            ("userName", Ignored(201)),
            ("userEmail", Ignored(201)),
        ],
    ),
    (
        "/api/chat/send-message/{s}",
        r#"{"message":"x"}"#,
        &[
            ("message", Refused("INVALID_MESSAGE")),
            ("senderId", Refused("INVALID_SENDER_ID")),
            ("senderType", Refused("INVALID_SENDER_TYPE")),
            ("clientKey", Refused("INVALID_CLIENT_KEY")),
            ("senderName", Ignored(201)),
        ],
    ),
    ("/api/chat/end-session/{s}", "{}", &[("reason", Ignored(200))]),
    ("/api/chat/session/{s}/end", "{}", &[("reason", Ignored(200))]),
];

#[tokio::test]
async fn s23_every_field_of_every_rest_path_takes_its_own_type_alone() {
    let shop = Shop::open(&[]).await;
    let mut sent = 0;
    for (n, (path, good, fields)) in PATHS.iter().enumerate() {
        for (field, expected) in *fields {
            let session = shop.session(&format!("visitor of {n} {field}")).await;
            let path = path.replace("{s}", &session.id);
            for value in operators() {
                let mut body: Value = serde_json::from_str(good).expect("a body");
                body[*field] = value.clone();
                let (status, answer) = shop.call(Method::POST, &path, Body::Json(body)).await;
                match expected {
                    Refused(code) => assert_eq!((status, &answer["code"]), (400, &json!(code)), "{path} {field}={value}: {answer}"),
                    Ignored(fine) => assert_eq!(status, *fine, "{path} {field}={value}: {answer}"),
                }
                assert!(!answer.to_string().contains('$'), "{path} {field}={value}: {answer}");
                sent += 1;
            }
        }
    }
    assert!(sent > 100);
    assert!(!shop.server.log().contains("panic"), "{}", shop.server.log());
}

#[tokio::test]
async fn s23_bodies_paths_and_queries_that_are_no_texts_find_nothing() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    for path in ["/api/auth/token", "/api/chat/start-session"] {
        for body in [json!([]), json!([{"userId": "u1"}]), json!([["userId", "u1"]])] {
            let (status, answer) = shop.call(Method::POST, path, Body::Json(body.clone())).await;
            assert_eq!((status, &answer["code"]), (400, &json!("INVALID_USER_ID")), "{path} {body}");
        }
        for body in [json!("u1"), json!(5), json!(null), json!(true)] {
            // Quirk: a body that is no object answers 500 as malformed JSON does (document 001).
            assert_eq!(shop.call(Method::POST, path, Body::Json(body.clone())).await.0, 500, "{path} {body}");
        }
    }
    for id in ["%7B%22$ne%22:null%7D", "[$ne]", "%5B%5D", "true", "undefined", "..%2f..%2fetc%2fpasswd", "%00", "%FF", "%F0%9F%98%80"] {
        for path in ["session", "messages"] {
            let (status, answer) = shop.call(Method::GET, &format!("/api/chat/{path}/{id}"), Body::None).await;
            let is_empty = status == 200 && answer["data"]["messages"] == json!([]);
            assert!(is_empty || status == 404 || (id == "%FF" && status == 400), "{path}/{id}: {status} {answer}");
        }
    }
    let messages = format!("/api/chat/messages/{}", session.id);
    for query in ["limit[$ne]=1", "limit[]=1", "offset[$gt]=", "$where=1", "__proto__[limit]=5"] {
        assert_eq!(shop.call(Method::GET, &format!("{messages}?{query}"), Body::None).await.0, 200, "{query}");
    }
    for query in ["limit={}", "limit=1e3", "limit=-1", "limit=0", "limit=NaN", "offset=-1", "offset=1e99", "offset=18446744073709551616"] {
        assert_eq!(shop.call(Method::GET, &format!("{messages}?{query}"), Body::None).await.0, 400, "{query}");
    }
    for value in operators() {
        let agent = format!("/api/auth/{}/availability", session.agent);
        let (status, answer) = shop.call(Method::PUT, &agent, Body::Json(json!({"isAvailable": value}))).await;
        let expected = if value.is_boolean() { 200 } else { 400 };
        assert_eq!(status, expected, "{value}: {answer}");
    }
}

#[tokio::test]
async fn s23_every_field_of_every_call_takes_its_own_type_alone() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    let mut agent = shop.join(&session.id, &session.agent, "agent").await;
    for value in operators() {
        let Opened { id, .. } = &session;
        let mut socket = shop.dial().connect().await.expect("a connection");
        let answer = async |socket: &mut crate::harness::client::Client, event: &str, payload: Value| {
            let answer = socket.call(event, payload.clone()).await.expect("an answer");
            assert!(!answer.to_string().contains('$'), "{event} {payload}: {answer}");
            answer["code"].as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(answer(&mut socket, "join_session", json!({"sessionId": value, "userId": "u1"})).await, "SESSION_ID_REQUIRED");
        assert_eq!(answer(&mut socket, "join_session", value.clone()).await, "SESSION_ID_REQUIRED");
        assert_eq!(answer(&mut socket, "resume", json!({"sessionId": value})).await, "SESSION_NOT_FOUND");
        assert_eq!(answer(&mut socket, "join_session", json!({"sessionId": id, "userId": "u1", "lastSeq": 0})).await, "");
        for field in ["sessionId", "message", "clientKey"] {
            let mut said = json!({"sessionId": id, "message": "x", "clientKey": "k"});
            said[field] = value.clone();
            let expected = if field == "clientKey" { "INVALID_CLIENT_KEY" } else { "INVALID_MESSAGE" };
            assert_eq!(answer(&mut socket, "send_message", said).await, expected, "{field}={value}");
        }
        for event in ["typing_start", "typing_stop", "typing", "leave_session"] {
            answer(&mut socket, event, json!({"sessionId": value, "isTyping": value})).await;
            answer(&mut socket, event, value.clone()).await;
        }
        assert_alive(&mut socket).await;
        socket.disconnect().await;
    }
    let heard = agent.leftover().await.expect("a live agent");
    assert!(heard.iter().all(|e| ["user_joined", "user_left"].contains(&e.name.as_str())), "{heard:?}");
    assert!(shop.history(&session.id).await.is_empty());
}

#[tokio::test]
async fn s23_optional_fields_of_a_join_do_not_widen_it() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    for value in operators() {
        let mut socket = shop.dial().connect().await.expect("a connection");
        // As if absent: the visitor's own session, greeted with its history.
        let joined =
            socket.call("join_session", json!({"sessionId": session.id, "userId": "u1", "userType": value, "lastSeq": value})).await;
        assert_eq!(joined.expect("an answer")["ok"], true, "{value}");
        let mut foreign = shop.dial().connect().await.expect("a connection");
        let refused = foreign.call("join_session", json!({"sessionId": session.id, "userId": "u2", "userType": value})).await;
        assert_eq!(refused.expect("an answer")["code"], "FORBIDDEN", "{value}");
    }
}
