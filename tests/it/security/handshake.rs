//! Who is let in: origins, credentials, time to connect, places per address, and credentials that end while a socket lives.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::timeout;

use crate::harness::client::{Client, Dial, Refused};
use crate::harness::http::{self, Answer};
use crate::harness::raw::Raw;
use crate::harness::script::Body;
use crate::harness::shop::{KEY, Shop, assert_alive, token};

const POLL: &str = "/socket.io/?EIO=4&transport=polling";

async fn get(shop: &Shop, path: &str, origin: Option<&str>) -> Answer {
    let headers: Vec<(String, String)> = origin.map(|o| ("origin".into(), o.into())).into_iter().collect();
    http::request(shop.server.address(), "GET", path, &headers, Body::None).await.expect("an answer")
}

#[tokio::test]
async fn s01_pages_of_foreign_origins_open_no_socket_on_either_transport() {
    let shop = Shop::open(&[("FRONTEND_URL", "https://shop.example.com"), ("MOUNTS", "support@/")]).await;
    let own = format!("http://{}", shop.server.address());
    let foreign = ["http://evil.example", "https://shop.example.com.evil.example", "http://localhost.evil.example", "null", "file://", ""];
    for origin in foreign {
        let polled = get(&shop, POLL, Some(origin)).await;
        assert_eq!((polled.status, polled.body), (403, json!("Origin not allowed")), "{origin}");
        match shop.dial().header("Origin", origin).connect().await {
            Err(Refused::Handshake(error)) => assert!(error.to_string().contains("403"), "{origin}: {error}"),
            Err(Refused::Connect(message)) => panic!("{origin}: refused too late: {message}"),
            Ok(_) => panic!("{origin} was let in"),
        }
    }
    for origin in ["https://shop.example.com", "http://localhost:5173", "http://127.0.0.1:8080", own.as_str()] {
        let polled = get(&shop, POLL, Some(origin)).await;
        assert_eq!((polled.status, &polled.headers["access-control-allow-origin"]), (200, &json!(origin)));
        assert_alive(&mut shop.dial().header("Origin", origin).connect().await.expect("a page of ours")).await;
    }
    assert_eq!(get(&shop, POLL, None).await.status, 200);
    assert_alive(&mut shop.dial().connect().await.expect("a client that is no page")).await;
}

#[tokio::test]
async fn s01_beside_a_contract_for_any_page_the_others_refuse_foreign_pages_at_connect() {
    let shop = Shop::open(&[("MOUNTS", "support@/,widget@/widget")]).await;
    let foreign = "http://evil.example";
    match shop.dial().header("Origin", foreign).connect().await {
        Err(Refused::Connect(message)) => assert_eq!(message, "Origin not allowed"),
        Err(Refused::Handshake(error)) => panic!("refused too early: {error}"),
        Ok(_) => panic!("a foreign page was let in"),
    }
    let widget = shop.dial().namespace("/widget").header("Origin", foreign).auth(json!({})).connect().await;
    assert_alive(&mut widget.expect("a page of any origin")).await;
    let rest = |path| get(&shop, path, Some(foreign));
    let allowed = |headers: &serde_json::Value| headers.get("access-control-allow-origin").cloned();
    assert_eq!(allowed(&rest("/api/health").await.headers), None);
    assert_eq!(allowed(&rest("/widget/api/chat/messages/x").await.headers), Some(json!(foreign)));
    assert_eq!(allowed(&rest("/widgets").await.headers), None, "a path that only begins alike");
}

#[tokio::test]
async fn s01_an_open_contract_at_the_root_opens_no_other_mount() {
    let shop = Shop::open(&[("MOUNTS", "operators@/,support@/support,widget@/support/widget")]).await;
    let foreign = "http://evil.example";
    for (path, is_open) in [
        ("/api/operators", true),
        ("/supportive", true),
        ("/support/api/health", false),
        ("/support", false),
        ("/support/widget/api/sessions", true),
        (POLL, true),
    ] {
        let allowed = get(&shop, path, Some(foreign)).await.headers.get("access-control-allow-origin").cloned();
        assert_eq!(allowed, is_open.then(|| json!(foreign)), "{path}");
    }
}

#[tokio::test]
async fn s02_nothing_is_carried_out_for_a_socket_without_a_credential() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    let mut agent = shop.join(&session.id, &session.agent, "agent").await;
    let join = format!("42{}", json!(["join_session", {"sessionId": session.id, "userId": "u1", "userType": "user"}]));
    let send = format!("42{}", json!(["send_message", {"sessionId": session.id, "message": "sneaked in"}]));
    let unproved = [
        json!(null),
        json!({}),
        json!({"token": ""}),
        json!({"apiKey": ""}),
        json!({"apiKey": "wrong"}),
        json!({"apiKey": true}),
        json!({"apiKey": [KEY]}),
        json!({"apiKey": {"$ne": null}}),
        json!({"token": {"$ne": null}}),
        json!({"token": "a.b.c"}),
        json!([]),
        json!("x"),
    ];
    for auth in unproved {
        let mut socket = Raw::open(shop.server.address(), None).await;
        // In the breath of CONNECT, and after its refusal; calls without a namespace close the connection.
        socket.burst([format!("40{auth}"), join.clone(), send.clone()]).await;
        while let Some(text) = socket.next().await {
            assert!(text == "1" || text == r#"44{"message":"Authentication failed"}"#, "{auth}: {text}");
            socket.burst([join.clone(), send.clone()]).await;
        }
    }
    assert!(agent.leftover().await.expect("a live agent").is_empty());
    assert!(shop.history(&session.id).await.is_empty());
}

#[tokio::test]
async fn s02_a_call_before_connect_closes_the_connection() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    for event in ["send_message", "join_session", "nobody-knows"] {
        let mut socket = Raw::open(shop.server.address(), None).await;
        socket.text(&format!("421{}", json!([event, {"sessionId": session.id, "userId": "u1", "message": "x"}]))).await;
        // The close packet may or may not come before the end.
        while let Some(text) = socket.next().await {
            assert_eq!(text, "1", "{event}");
        }
    }
    assert!(shop.history(&session.id).await.is_empty());
}

#[tokio::test]
async fn s03_a_socket_that_never_connects_is_cut_within_six_seconds() {
    let shop = Shop::open(&[]).await;
    let (began, within) = (Instant::now(), Duration::from_millis(6_000));
    let mut silent = Raw::open(shop.server.address(), None).await;
    let mut refused = Raw::open(shop.server.address(), None).await;
    refused.text("40{}").await;
    let mut elsewhere = Raw::open(shop.server.address(), None).await;
    elsewhere.text("40/nowhere,{}").await;
    for socket in [&mut silent, &mut refused, &mut elsewhere] {
        timeout(within.saturating_sub(began.elapsed()), socket.end()).await.expect("the connection is cut in time");
    }
    assert!(began.elapsed() > Duration::from_secs(2), "a slow client had no time to connect");
}

#[tokio::test]
async fn s04_credentials_in_the_query_string_open_nothing_and_are_not_logged() {
    let shop = Shop::open(&[("LOG_LEVEL", "trace")]).await;
    let session = shop.session("u1").await;
    let token = token("u1", "user", 600);
    let query = format!("token={token}&apiKey={KEY}&api_key={KEY}&auth[token]={token}&access_token={token}&x-api-key={KEY}");
    let mut socket = Raw::open_at(shop.server.address(), &format!("&{query}"), None).await;
    socket.text("40").await;
    assert_eq!(socket.next().await.expect("an answer"), r#"44{"message":"Authentication failed"}"#);
    for path in ["/api/chat/stats".to_owned(), format!("/api/chat/session/{}", session.id), format!("/api/chat/messages/{}", session.id)] {
        assert_eq!(get(&shop, &format!("{path}?{query}"), None).await.status, 401, "{path}");
    }
    assert_eq!(get(&shop, &format!("{POLL}&{query}"), None).await.status, 200);
    let log = shop.server.log();
    assert!(!log.contains(KEY) && !log.contains(&token), "{log}");
}

#[tokio::test]
async fn s11_a_token_that_ends_takes_its_live_socket_with_it() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    let mut agent = shop.join(&session.id, &session.agent, "agent").await;
    let auth = json!({"token": token("u1", "user", 3)});
    let mut visitor = Dial::to(shop.server.address()).auth(auth.clone()).connect().await.expect("a connection");
    visitor.emit("join_session", &[json!({"sessionId": session.id})]);
    assert_eq!(visitor.event().await.expect("a greeting").name, "session_joined");
    assert_eq!(agent.event().await.expect("the visitor comes").name, "user_joined");
    let farewell = visitor.event().await.expect("a farewell");
    assert_eq!((farewell.name.as_str(), &farewell.args[0]), ("error", &json!({"message": "Invalid or expired token"})));
    visitor.event().await.expect_err("the socket is disconnected");
    let left = agent.event().await.expect("the visitor leaves");
    assert_eq!((left.name.as_str(), &left.args[0]["reason"]), ("user_left", &json!("server namespace disconnect")));
    assert_refused(Dial::to(shop.server.address()).auth(auth).connect().await, "Authentication failed");
}

#[tokio::test]
async fn s34_one_address_holds_no_more_sockets_than_it_may() {
    let shop = Shop::open(&[("MAX_CONNECTIONS_PER_IP", "3"), ("TRUSTED_NETWORKS", "none")]).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(shop.dial().connect().await.expect("a place"));
    }
    assert_refused(shop.dial().connect().await, "Too many connections");
    // Whoever is refused does not take a place, by a wrong credential neither.
    for auth in [json!({"apiKey": "wrong"}), json!({"apiKey": KEY})] {
        assert_refused(Dial::to(shop.server.address()).auth(auth).connect().await, "Too many connections");
    }
    for client in &mut held {
        assert_alive(client).await;
    }
    held.pop().expect("a client").disconnect().await;
    // The place comes back when the server has seen the end, which the one who left cannot wait for.
    let again = async {
        loop {
            if let Ok(client) = shop.dial().connect().await {
                break client;
            }
        }
    };
    held.push(timeout(Duration::from_secs(5), again).await.expect("the place of the one who left"));
    assert_refused(shop.dial().connect().await, "Too many connections");
}

fn assert_refused(outcome: Result<Client, Refused>, expected: &str) {
    match outcome {
        Err(Refused::Connect(message)) => assert_eq!(message, expected),
        Err(Refused::Handshake(error)) => panic!("{error}"),
        Ok(_) => panic!("a connection where `{expected}` was due"),
    }
}
