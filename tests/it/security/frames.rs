//! Frames that break the protocol, are too large, or are rubbish: each has one reaction (the table of docs/dialects/support.md), and nobody else notices.

use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::http;
use crate::harness::raw::Raw;
use crate::harness::script::Body;
use crate::harness::shop::{KEY, Shop, assert_alive};

/// What a frame leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reaction {
    /// Nothing, and the socket lives on.
    Ignored,
    /// This answer, and the socket lives on.
    Answered(&'static str),
    /// The connection is closed.
    Closed,
}
use Reaction::{Answered, Closed, Ignored};

const NO_SESSION: Reaction = Answered(r#"42["error",{"message":"SessionId is required"}]"#);
const NO_MESSAGE: Reaction = Answered(r#"42["error",{"message":"Invalid message data"}]"#);
const UNKNOWN_ACK: Reaction =
    Answered(r#"439223372036854775807[{"ok":false,"code":"UNKNOWN_EVENT","message":"Unknown event","retryable":false}]"#);

/// What a connected socket sends, and what comes of it.
const TABLE: &[(&str, Reaction)] = &[
    // No packet of Engine.IO, or one that has no place here.
    ("", Closed),
    ("9", Closed),
    ("é", Closed),
    ("0", Closed),
    ("0{}", Closed),
    ("1", Closed),
    ("5", Closed),
    ("6", Closed),
    ("2probe", Closed),
    ("3probe", Closed),
    ("b4AQ==", Closed),
    ("2", Ignored),
    ("3", Ignored),
    // No packet of Socket.IO.
    ("4", Closed),
    ("4x", Closed),
    ("4é2[\"x\"]", Closed),
    ("47[]", Closed),
    ("44{\"message\":\"x\"}", Closed),
    // Events without a name, or whose name is no text.
    ("42", Closed),
    ("42[", Closed),
    ("42[]", Closed),
    ("42{}", Closed),
    ("42[1]", Closed),
    ("42[1,{}]", Closed),
    ("42[null]", Closed),
    ("42[{}]", Closed),
    ("42\u{0}", Closed),
    ("42é[\"x\"]", Closed),
    ("42[\"join_session\"", Closed),
    ("42[\"join_session\",{\"sessionId\":", Closed),
    // Names that mean something elsewhere.
    ("42[\"\"]", Ignored),
    ("42[\"error\",{\"message\":\"x\"}]", Ignored),
    ("42[\"__proto__\",{\"constructor\":1}]", Ignored),
    ("42[\"constructor\",{}]", Ignored),
    ("42[\"connect\"]", Ignored),
    ("42[\"connect_error\"]", Ignored),
    ("42[\"disconnect\"]", Ignored),
    ("42[\"disconnecting\"]", Ignored),
    ("42[\"new_message\",{\"message\":\"x\"}]", Ignored),
    ("42[\"nobody-knows\"] trailing", Ignored),
    // Arguments that are missing, or of another type.
    ("42[\"join_session\"]", NO_SESSION),
    ("42[\"join_session\",null]", NO_SESSION),
    ("42[\"join_session\",5]", NO_SESSION),
    ("42[\"join_session\",[]]", NO_SESSION),
    ("42[\"join_session\",{\"sessionId\":1}]", NO_SESSION),
    ("42[\"send_message\"]", NO_MESSAGE),
    ("42[\"send_message\",{}]", NO_MESSAGE),
    ("42[\"send_message\",{\"message\":1e999999,\"sessionId\":-0}]", NO_MESSAGE),
    ("42[\"resume\"]", Answered(r#"42["error",{"message":"Session not found"}]"#)),
    ("42[\"leave_session\"]", Ignored),
    ("42[\"typing_start\"]", Ignored),
    ("42[\"typing_stop\",null]", Ignored),
    ("42[\"typing\",[]]", Ignored),
    // Acknowledgements; the id has 63 bits, and a call with a larger one counts as one without.
    ("429223372036854775807[\"nobody-knows\"]", UNKNOWN_ACK),
    ("429223372036854775808[\"nobody-knows\"]", Ignored),
    ("4299999999999999999999[\"send_message\",{}]", NO_MESSAGE),
    ("42-1[\"nobody-knows\"]", Closed),
    ("431[]", Ignored),
    ("43", Closed),
    ("43[]", Closed),
    ("4399999999999999999999[]", Closed),
    // Binary packets.
    ("450-[\"nobody-knows\",1]", Ignored),
    ("451-[\"nobody-knows\",{\"_placeholder\":true,\"num\":0}]", Closed),
    ("455100000000-[\"nobody-knows\"]", Closed),
    ("4599999999999999999999-[\"x\"]", Closed),
    ("45[\"nobody-knows\"]", Closed),
    ("46", Closed),
    ("461-1[{\"_placeholder\":true,\"num\":0}]", Closed),
    // Namespaces: a second CONNECT, one that does not exist, one that was not joined.
    ("40", Ignored),
    ("40{\"token\":\"x\"}", Ignored),
    ("40{", Ignored),
    ("40/nowhere,{}", Answered(r#"44/nowhere,{"message":"Invalid namespace"}"#)),
    ("41/nowhere,", Ignored),
    ("42/nowhere,[\"join_session\",{}]", Ignored),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s33_each_malformed_frame_has_one_reaction_and_the_neighbour_talks_on() {
    let shop = Shop::open(&[]).await;
    let mut neighbour = shop.dial().connect().await.expect("a connection");
    let lists = format!("42[\"join_session\",{}{}]", "[".repeat(10_000), "]".repeat(10_000));
    let objects = format!("42[\"join_session\",{}1{}]", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let name = format!("42[\"{}\"]", "x".repeat(100_000));
    let large = [(lists.as_str(), NO_SESSION), (objects.as_str(), NO_SESSION), (name.as_str(), Ignored)];
    let texts = TABLE.iter().chain(&large).map(|(frame, reaction)| (Message::text(*frame), *reaction));
    let others = [
        (Raw::as_text(b"42[\"nobody-knows\",\"\xff\xfe\"]"), Closed),
        (Raw::as_text(b"42[\"nobody-knows\",\"\xc3"), Closed),
        (Message::binary(b"42[\"nobody-knows\"]".to_vec()), Closed),
        (Message::binary(Vec::new()), Closed),
        (Message::Ping(vec![1, 2, 3].into()), Ignored),
        (Message::Pong(vec![1, 2, 3].into()), Ignored),
        (Message::Close(None), Closed),
    ];
    let mut wrong = Vec::new();
    for (frame, expected) in texts.chain(others) {
        let shown: String = format!("{frame:?}").chars().take(90).collect();
        let seen = reaction(&shop, frame).await;
        let is_expected = match (expected, seen.as_deref()) {
            (Closed, None) | (Ignored, Some([])) => true,
            (Answered(answer), Some([seen])) => answer == seen,
            _ => false,
        };
        if !is_expected {
            wrong.push(format!("{shown}: expected {expected:?}, got {seen:?}"));
        }
        assert_alive(&mut neighbour).await;
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(!shop.server.log().contains("panic"), "{}", shop.server.log());
}

/// What a connected socket receives between a frame and the answer to its next call; `None` where the connection is closed instead.
async fn reaction(shop: &Shop, frame: Message) -> Option<Vec<String>> {
    let mut socket = Raw::connect(shop.server.address(), &json!({"apiKey": KEY}), None).await;
    socket.send(frame).await;
    socket.text("42777[\"nobody-knows\"]").await;
    let mut seen = Vec::new();
    loop {
        let text = socket.next().await?;
        if text == "1" {
            // The close packet: what was sent before it may still be answered, and then it is over.
            while socket.next().await.is_some() {}
            return None;
        }
        if text.starts_with("43777[") {
            return Some(seen);
        }
        seen.push(text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s30_what_is_larger_than_the_limit_is_refused() {
    let shop = Shop::open(&[]).await;
    let mut neighbour = shop.dial().connect().await.expect("a connection");
    let before = shop.server.resident_kb();
    let long = format!("42[\"send_message\",{{\"message\":\"{}\"}}]", "x".repeat(2_000_000));
    for frame in [Message::text(long.clone()), Message::binary(long.clone().into_bytes())] {
        assert_eq!(reaction(&shop, frame).await, None);
        assert_alive(&mut neighbour).await;
    }
    let sid = open(&shop).await;
    let (status, _) = poll(&shop, &sid, Some(long)).await;
    assert_eq!(status, 413);
    assert_alive(&mut neighbour).await;
    let grown = shop.server.resident_kb().saturating_sub(before);
    assert!(grown < 30_000, "the server grew by {grown} kB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s31_binary_attachments_are_not_waited_for() {
    let shop = Shop::open(&[]).await;
    let mut neighbour = shop.dial().connect().await.expect("a connection");
    let before = shop.server.resident_kb();
    for header in [
        "451-[\"ev\",{\"_placeholder\":true,\"num\":0}]",
        "4510-[\"ev\"]",
        "455100000000-[\"ev\"]",
        "461-1[{\"_placeholder\":true,\"num\":0}]",
    ] {
        let mut silent = Raw::connect(shop.server.address(), &json!({"apiKey": KEY}), None).await;
        silent.text(header).await;
        while silent.next().await.is_some() {}
        let mut socket = Raw::connect(shop.server.address(), &json!({"apiKey": KEY}), None).await;
        socket.text(header).await;
        for _ in 0..20 {
            socket.send(Message::binary(vec![7; 500_000])).await;
        }
        while socket.next().await.is_some() {}
        assert_alive(&mut neighbour).await;
    }
    let grown = shop.server.resident_kb().saturating_sub(before);
    assert!(grown < 30_000, "the server grew by {grown} kB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s32_malformed_polling_harms_its_own_session_alone() {
    let shop = Shop::open(&[]).await;
    let mut neighbour = shop.dial().connect().await.expect("a connection");
    let many = std::iter::repeat_n("42[\"nobody-knows\"]", 20_000).collect::<Vec<_>>().join("\u{1e}");
    let bodies = [
        ("", 200),
        // Taken by Engine.IO; Socket.IO then closes the session.
        ("4", 200),
        ("42", 200),
        (&many, 200),
        ("x", 400),
        ("\u{1e}", 400),
        ("42[\"a\"]\u{1e}\u{1e}", 400),
        ("42[\"\u{1e}\"]", 400),
        ("b!!!", 400),
        ("5:hello", 400),
        ("96:0{}", 400),
    ];
    for (body, expected) in bodies {
        let sid = open(&shop).await;
        let (status, _) = poll(&shop, &sid, Some(body.to_owned())).await;
        assert_eq!(status, expected, "{}", body.chars().take(40).collect::<String>());
        assert_alive(&mut neighbour).await;
    }
    for sid in ["x", "AAAAAAAAAAAAAAAA", "%00", "../../etc/passwd"] {
        assert_eq!(poll(&shop, sid, Some("40".into())).await.0, 400, "{sid}");
        assert_eq!(poll(&shop, sid, None).await.0, 400, "{sid}");
    }
    for query in ["", "?EIO=4", "?EIO=9&transport=polling", "?EIO=4&transport=carrier-pigeon"] {
        let path = format!("/socket.io/{query}");
        let answer = http::request(shop.server.address(), "GET", &path, &[], Body::None).await.expect("an answer");
        assert_eq!(answer.status, 400, "{query}");
    }
    assert_alive(&mut neighbour).await;
}

/// The id of a new polling session that has not connected its namespace.
async fn open(shop: &Shop) -> String {
    let (status, open) = poll(shop, "", None).await;
    assert_eq!(status, 200, "{open}");
    let sid = open.split("\"sid\":\"").nth(1).and_then(|s| s.split('"').next());
    sid.expect("a session id").to_owned()
}

/// One request of the polling transport, as an anonymous client makes it.
async fn poll(shop: &Shop, sid: &str, body: Option<String>) -> (u16, String) {
    let sid = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
    let path = format!("/socket.io/?EIO=4&transport=polling{sid}");
    let (method, body) = body.map_or((Method::GET, Body::None), |b| (Method::POST, Body::Raw(b.into())));
    let answer = http::request(shop.server.address(), method.as_str(), &path, &[], body).await.expect("an answer");
    (answer.status, answer.body.as_str().map_or_else(|| answer.body.to_string(), str::to_owned))
}
