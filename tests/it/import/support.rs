//! The take-over of document 001: odd data, a second time, and the server that goes on from there.

use bson::{Document, doc};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Move, at, hex, id, says};
use crate::harness::DEADLINE;
use crate::harness::script::Body;
use crate::harness::shop::Shop;

/// Kinds of ids.
const AGENT: u8 = 1;
const SESSION: u8 = 2;
const MESSAGE: u8 = 3;

fn session(n: u32, user: &str, status: &str, agent: Option<u32>) -> Document {
    doc! {
        "_id": id(SESSION, n), "userId": user, "userType": "user", "agentId": agent.map(|a| hex(AGENT, a)), "status": status,
        "createdAt": at(i64::from(n)), "updatedAt": at(500), "__v": 0,
    }
}

/// A message of a user, so many seconds after the beginning.
fn message(n: u32, of: u32, seconds: i64, text: &str) -> Document {
    doc! {
        "_id": id(MESSAGE, n), "sessionId": id(SESSION, of), "senderId": format!("u{of}"), "senderType": "user", "message": text,
        "timestamp": at(seconds), "createdAt": at(seconds), "__v": 0,
    }
}

/// A document with other fields in place of its own; null takes one away.
fn with(mut document: Document, fields: Document) -> Document {
    for (name, value) in fields {
        match value {
            bson::Bson::Null => drop(document.remove(name)),
            value => drop(document.insert(name, value)),
        }
    }
    document
}

/// A database as document 001 leaves it, with whatever may be odd in it.
async fn fixture(moved: &Move) {
    moved
        .fill(
            "agents",
            [
                doc! { "_id": id(AGENT, 1), "name": "Ann", "maxUsers": 2, "activeUsers": ["u1"], "isOnline": true },
                doc! { "_id": id(AGENT, 2), "name": "Bob", "maxUsers": 99, "activeUsers": [], "isOnline": false },
                doc! { "_id": id(AGENT, 3), "isOnline": false },
            ],
        )
        .await;
    let mut sessions = vec![
        session(1, "u1", "active", Some(1)),
        session(2, "u2", "waiting", None),
        with(session(3, "u3", "ended", Some(1)), doc! { "endedAt": at(40), "endReason": "done" }),
        session(4, "u4", "paused", None),
        session(5, "u5", "ended", None),
        session(6, "u6", "active", None),
        session(7, "u1", "active", Some(2)),
        with(session(8, "", "ended", None), doc! { "userId": null, "endedAt": at(9) }),
        session(9, "u9", "waiting", None),
        session(10, "u10", "active", Some(77)),
        with(session(11, "u11", "ended", None), doc! { "_id": "not-hex", "userType": "robot", "endedAt": at(9), "createdAt": null }),
    ];
    sessions.reverse();
    moved.fill("sessions", sessions).await;
    let mut messages = vec![
        message(3, 1, 20, "second of its moment"),
        message(2, 1, 20, "first of its moment"),
        message(9, 1, 10, "first of all"),
        with(message(10, 1, 30, "answer"), doc! { "senderId": hex(AGENT, 1), "senderType": "agent" }),
        message(20, 2, 5, "waits"),
        message(30, 3, 35, "before the end"),
        message(31, 3, 45, "after the end"),
        message(40, 4, 5, "paused"),
        with(message(41, 4, 0, "without a time"), doc! { "timestamp": null }),
        with(message(42, 4, 6, "of a robot"), doc! { "senderType": "robot", "senderId": hex(AGENT, 1) }),
        with(message(43, 4, 7, "of nobody"), doc! { "senderId": null }),
        with(message(44, 4, 8, ""), doc! { "message": null }),
        with(message(45, 4, 9, "an id of its own"), doc! { "_id": "own id" }),
        with(message(50, 5, 5, "by text"), doc! { "sessionId": hex(SESSION, 5) }),
        message(70, 7, 5, "another session of u1"),
        message(100, 10, 5, "to an agent who is gone"),
        message(990, 99, 5, "of no session"),
        with(message(991, 1, 5, "of none at all"), doc! { "sessionId": null }),
    ];
    messages.reverse();
    moved.fill("messages", messages).await;
}

/// The texts of a session's messages in the order of its log, and the kinds of its entries.
fn told(exported: &Value) -> (Vec<&str>, Vec<&str>) {
    let entries = exported["entries"].as_array().unwrap();
    assert!(entries.iter().map(|e| e["seq"].as_u64().unwrap()).eq(1..=entries.len() as u64));
    let texts = entries.iter().filter_map(|e| e["body"].as_str()).collect();
    (texts, entries.iter().map(|e| e["kind"].as_str().unwrap()).collect())
}

fn names_what_is_odd(report: &str) {
    for (what, ids) in [
        ("odd: agents whose maxUsers is not 1 to 10: take 2 sessions: 1:", vec![hex(AGENT, 2)]),
        ("odd: agents without a name: named by their ids: 1:", vec![hex(AGENT, 3)]),
        (
            "odd: sessions with an unknown status: over if they have an end, else their agent's if they have one, else waiting: 1:",
            vec![hex(SESSION, 4)],
        ),
        ("odd: ended sessions without endedAt: ended when they last changed: 1:", vec![hex(SESSION, 5)]),
        ("odd: active sessions without an agent: they wait: 1:", vec![hex(SESSION, 6)]),
        ("odd: sessions without a userId: their own id is their visitor's: 1:", vec![hex(SESSION, 8)]),
        ("odd: sessions of an agent who is not there: they stay his: 1:", vec![hex(SESSION, 10)]),
        ("odd: sessions whose id is neither 24 hex digits nor a UUID: given another: 1:", vec!["not-hex".into()]),
        ("odd: sessions with an unknown userType: a user's: 1:", vec!["not-hex".into()]),
        ("odd: sessions that do not say when they began: in 1970: 1:", vec!["not-hex".into()]),
        ("odd: messages of the same moment as the one before: in the order of their ids, or of the file: 1:", vec![hex(MESSAGE, 3)]),
        ("odd: messages of a session that is not there: left out: 2:", vec![hex(MESSAGE, 990), hex(MESSAGE, 991)]),
        ("odd: messages without a time: first in their session", vec![hex(MESSAGE, 41)]),
        ("odd: messages with an unknown senderType:", vec![hex(MESSAGE, 42)]),
        ("odd: messages without a senderId:", vec![hex(MESSAGE, 43)]),
        ("odd: messages without a text: left out: 1:", vec![hex(MESSAGE, 44)]),
        ("odd: messages whose id is neither 24 hex digits nor a UUID: given another: 1:", vec!["own id".into()]),
    ] {
        says(report, what, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert!(!report.contains("first of all") && !report.contains("Ann"), "neither texts nor names:\n{report}");
}

async fn is_as_it_was(moved: &Move) {
    let first = moved.export(&hex(SESSION, 1)).await;
    let (texts, kinds) = told(&first);
    assert_eq!(texts, ["first of all", "first of its moment", "second of its moment", "answer"]);
    assert_eq!(kinds, ["assigned", "message", "message", "message", "message"]);
    assert_eq!((&first["session"]["status"], &first["session"]["agent"]["name"]), (&json!("active"), &json!("Ann")));
    let entries = first["entries"].as_array().unwrap();
    assert_eq!((&entries[1]["id"], &entries[1]["at"]), (&json!(hex(MESSAGE, 9)), &json!("2023-11-14T22:13:30.000Z")));
    assert_eq!((&entries[1]["author"]["role"], &entries[4]["author"]["role"]), (&json!("visitor"), &json!("agent")));
    assert_eq!((&entries[4]["author"]["id"], &entries[4]["author"]["name"]), (&json!(hex(AGENT, 1)), &json!("Ann")));
    let ended = moved.export(&hex(SESSION, 3)).await;
    assert_eq!(told(&ended), (vec!["before the end", "after the end"], vec!["assigned", "message", "message", "ended"]));
    assert_eq!((&ended["entries"][3]["reason"], &ended["entries"][3]["at"]), (&json!("done"), &json!("2023-11-14T22:14:00.000Z")));
    assert_eq!(
        (&ended["session"]["endedAt"], &ended["session"]["createdAt"]),
        (&ended["entries"][3]["at"], &json!("2023-11-14T22:13:23.000Z"))
    );
    let odd = moved.export(&hex(SESSION, 4)).await;
    assert_eq!(told(&odd).0, ["without a time", "paused", "of a robot", "of nobody", "an id of its own"]);
    assert_eq!((&odd["entries"][2]["author"]["role"], &odd["entries"][3]["author"]["id"]), (&json!("agent"), &json!("u4")));
    let status = async |n| moved.export(&hex(SESSION, n)).await["session"]["status"].as_str().unwrap().to_owned();
    for (n, expected) in
        [(2, "waiting"), (4, "waiting"), (5, "ended"), (6, "waiting"), (7, "active"), (8, "ended"), (9, "waiting"), (10, "active")]
    {
        assert_eq!(status(n).await, expected, "session {n}");
    }
    assert_eq!(told(&moved.export(&hex(SESSION, 5)).await).0, ["by text"]);
}

pub(super) async fn an_original_goes_on(moved: Move) {
    fixture(&moved).await;
    let dry = moved.import(&["--dry-run"]).await;
    names_what_is_odd(&dry);
    assert!(dry.ends_with("nothing was written\n") && !moved.folder.path().join("data").exists(), "{dry}");
    let report = moved.import(&[]).await;
    names_what_is_odd(&report);
    for line in [
        "sessions to read: 11",
        "messages to read: 18",
        "sessions here before: 0",
        "sessions here after: 11",
        "open sessions here after: 7",
    ] {
        assert!(report.lines().any(|l| l == line), "{line} is missing in:\n{report}");
    }
    assert!(report.contains("messages here after: 15\n"), "18 and 2 without a session and 1 without a text:\n{report}");
    says(&report, "odd: open sessions of somebody with another open one:", &[&hex(SESSION, 7)]);
    is_as_it_was(&moved).await;
    let before = moved.export(&hex(SESSION, 1)).await;
    let again = moved.import(&[]).await;
    for line in [
        "sessions here before: 11",
        "sessions here after: 11",
        "messages here before: 15",
        "messages here after: 15",
        "agents here after: 3",
    ] {
        assert!(again.lines().any(|l| l == line), "{line} is missing in:\n{again}");
    }
    is_as_it_was(&moved).await;
    assert_eq!(moved.export(&hex(SESSION, 1)).await, before);
    serves(&moved).await;
    moved.end().await;
}

/// Waits until the agent has the session.
async fn comes_to(shop: &Shop, session: u32, agent: &str) {
    let is_there = async {
        let path = format!("/api/chat/session/{}", hex(SESSION, session));
        while shop.call(Method::GET, &path, Body::None).await.1["data"]["agent"]["id"] != *agent {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, is_there).await.unwrap_or_else(|_| panic!("session {session} does not come to its agent"));
}

/// A server on the imported data goes on where the original was.
async fn serves(moved: &Move) {
    let env = moved.env();
    let shop = Shop::open(&env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>()).await;
    let (one, ann) = (hex(SESSION, 1), hex(AGENT, 1));
    assert_eq!(shop.session("u1").await.id, one, "the first of two open sessions is found again");
    let history = shop.history(&one).await;
    assert_eq!(history.iter().map(|m| m["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let (mut visitor, mut agent) = (shop.join(&one, "u1", "user").await, shop.join(&one, &ann, "agent").await);
    assert_eq!(visitor.event().await.unwrap().name, "user_joined");
    let ack = visitor.call("send_message", json!({"sessionId": one, "message": "goes on"})).await.unwrap();
    assert_eq!((&ack["ok"], &ack["seq"]), (&json!(true), &json!(6)));
    let heard = agent.event().await.unwrap();
    assert_eq!((heard.name.as_str(), &heard.args[0]["message"], &heard.args[0]["seq"]), ("new_message", &json!("goes on"), &json!(6)));
    // Ann has room for two: the session that has waited longest came to her when the server started, and when that ends the next one.
    comes_to(&shop, 2, &ann).await;
    let stats = shop.call(Method::GET, "/api/chat/stats", Body::None).await.1;
    let agents: Vec<(&Value, &Value, &Value)> =
        stats["data"]["agents"].as_array().unwrap().iter().map(|a| (&a["id"], &a["activeUsers"], &a["maxUsers"])).collect();
    let (bob, nameless) = (hex(AGENT, 2), hex(AGENT, 3));
    assert_eq!(
        agents,
        [(&json!(ann), &json!(2), &json!(2)), (&json!(bob), &json!(1), &json!(2)), (&json!(nameless), &json!(0), &json!(2))]
    );
    shop.post(&format!("/api/chat/end-session/{one}"), json!({"reason": "done"})).await;
    comes_to(&shop, 4, &ann).await;
    let refused =
        shop.call(Method::POST, &format!("/api/chat/send-message/{}", hex(SESSION, 3)), Body::Json(json!({"message": "more"}))).await;
    assert_eq!(refused.0, 409, "{refused:?}");
    shop.post(&format!("/api/chat/send-message/{}", hex(SESSION, 10)), json!({"message": "more"})).await;
    assert_eq!(shop.history(&hex(SESSION, 10)).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_of_document_001_goes_on_in_the_embedded_store() {
    an_original_goes_on(Move::new(false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_of_document_001_goes_on_on_mongodb() {
    an_original_goes_on(Move::new(true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_original_has_got_since_comes_with_the_next_import() {
    let moved = Move::new(false).await;
    fixture(&moved).await;
    moved.import(&[]).await;
    moved.fill("messages", [message(11, 1, 60, "said since"), message(32, 3, 60, "to a session that is over")]).await;
    let ended = doc! { "$set": { "status": "ended", "endedAt": at(70), "endReason": "done since" } };
    moved.original.collection::<Document>("sessions").update_one(doc! { "_id": id(SESSION, 1) }, ended).await.unwrap();
    let report = moved.import(&[]).await;
    says(&report, "odd: messages that came to the original when their session was over here: left out: 1:", &[&hex(MESSAGE, 32)]);
    let exported = moved.export(&hex(SESSION, 1)).await;
    let (texts, kinds) = told(&exported);
    assert_eq!((texts.last(), kinds.last()), (Some(&"said since"), Some(&"ended")));
    assert_eq!((&exported["session"]["status"], &exported["session"]["endReason"]), (&json!("ended"), &json!("done since")));
    let again = moved.import(&[]).await;
    assert!(again.contains("messages here before: 16\n") && again.contains("messages here after: 16\n"), "{again}");
    let env = moved.env();
    let shop = Shop::open(&env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>()).await;
    comes_to(&shop, 2, &hex(AGENT, 1)).await;
    comes_to(&shop, 4, &hex(AGENT, 1)).await;
    let stats = shop.call(Method::GET, "/api/chat/stats", Body::None).await.1;
    assert_eq!(stats["data"]["agents"][0]["activeUsers"], 2, "the slot of the ended one is another's: {stats}");
    drop(shop);
    moved.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_frontends_of_document_001_talk_on_in_imported_sessions() {
    for moved in [Move::new(false).await, Move::new(true).await, Move::in_place().await] {
        fixture(&moved).await;
        moved.import(&[]).await;
        moved.play("support").await;
        moved.end().await;
    }
}
