//! Floods: a client that calls faster than it is served loses nothing without a word, costs bounded memory, and holds up nobody.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::{Client, Dial};
use crate::harness::http;
use crate::harness::raw::Raw;
use crate::harness::script::Body;
use crate::harness::shop::{KEY, Shop, assert_alive, token};

const CALLS: usize = 10_000;

/// How many kilobytes a flood may cost.
const GROWTH_KB: u64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s36_a_flood_of_typing_and_unknown_calls_is_carried_out_and_harms_nobody() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    let mut agent = shop.join(&session.id, &session.agent, "agent").await;
    let mut flooder = shop.join(&session.id, "u1", "user").await;
    let mut neighbour = shop.dial().connect().await.expect("a connection");
    let before = shop.server.resident_kb();
    for n in 0..CALLS {
        match n % 2 {
            0 => flooder.emit("typing_start", &[json!({"sessionId": session.id})]),
            _ => flooder.emit("nobody-knows", &[json!({"n": n})]),
        }
    }
    assert_alive(&mut neighbour).await;
    assert_alive(&mut flooder).await;
    flooder.emit("send_message", &[json!({"sessionId": session.id, "message": "done"})]);
    // Signals are best effort, but the entry after them is not.
    assert_eq!(next_message(&mut agent).await["message"], "done");
    let grown = shop.server.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB, "the server grew by {grown} kB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s29_a_flood_of_messages_by_the_company_is_stored_whole_and_in_order() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    let mut flooder = shop.join(&session.id, "u1", "user").await;
    let mut neighbour = shop.dial().connect().await.expect("a connection");
    for n in 1..=CALLS {
        flooder.emit("send_message", &[json!({"sessionId": session.id, "message": n.to_string()})]);
    }
    let mut stored = 0;
    while stored < CALLS {
        if stored % 1_000 == 0 {
            assert_alive(&mut neighbour).await;
        }
        stored += 1;
        assert_eq!(next_message(&mut flooder).await["message"], json!(stored.to_string()));
    }
    let history = shop.history(&session.id).await;
    assert_eq!(history.len(), CALLS);
    assert!(history.iter().zip(1..).all(|(message, n)| message["message"] == json!(n.to_string())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s29_each_message_of_a_flooding_visitor_is_stored_or_refused() {
    let shop = Shop::open(&[("MESSAGES_PER_MINUTE", "100"), ("TRUSTED_NETWORKS", "none")]).await;
    let session = shop.session("u1").await;
    let auth = json!({"token": token("u1", "user", 600)});
    let mut flooder = Dial::to(shop.server.address()).auth(auth).connect().await.expect("a connection");
    flooder.emit("join_session", &[json!({"sessionId": session.id})]);
    assert_eq!(flooder.event().await.expect("a greeting").name, "session_joined");
    let mut neighbour = shop.dial().connect().await.expect("a connection");
    for n in 1..=CALLS {
        flooder.emit("send_message", &[json!({"sessionId": session.id, "message": n.to_string()})]);
    }
    let (mut stored, mut refused) = (Vec::new(), 0);
    while stored.len() + refused < CALLS {
        let event = flooder.event().await.expect("an answer to each call");
        match event.name.as_str() {
            "new_message" => stored.push(event.args[0]["message"].clone()),
            "error" => {
                assert_eq!(event.args[0], json!({"message": "Too many requests"}));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_alive(&mut neighbour).await;
    assert!((100..200).contains(&stored.len()), "{} were stored", stored.len());
    let numbers: Vec<usize> = stored.iter().map(|t| t.as_str().and_then(|t| t.parse().ok()).expect("a number")).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    let history = shop.history(&session.id).await;
    assert_eq!(history.iter().map(|m| m["message"].clone()).collect::<Vec<_>>(), stored);
}

/// It asks for acknowledgements and reads none of them, so the server can neither answer nor read on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s35_a_flooder_that_does_not_read_its_answers_is_cut_off() {
    let shop = Shop::open(&[("WRITE_STALL_SECONDS", "1")]).await;
    let session = shop.session("u1").await;
    let mut agent = shop.join(&session.id, &session.agent, "agent").await;
    let mut neighbour = shop.dial().connect().await.expect("a connection");
    let mut flooder = Raw::connect(shop.server.address(), &json!({"apiKey": KEY}), Some(8_192)).await;
    flooder.text(&format!("42{}", json!(["join_session", {"sessionId": session.id, "userId": "u1"}]))).await;
    let before = shop.server.resident_kb();
    let flood = (0..400_000).map(|n| format!("42{n}{}", json!(["send_message", {"n": "x".repeat(100)}])));
    flooder.burst(flood).await;
    loop {
        let event = agent.event().await.expect("the flooder leaves");
        if event.name == "user_left" {
            break;
        }
    }
    assert_alive(&mut neighbour).await;
    let grown = shop.server.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB, "the server grew by {grown} kB");
}

async fn next_message(client: &mut Client) -> HashMap<String, serde_json::Value> {
    loop {
        let event = client.event().await.expect("a message");
        match event.name.as_str() {
            "new_message" => return serde_json::from_value(event.args[0].clone()).expect("an object"),
            "user_joined" | "user_typing" => {}
            other => panic!("{other} {:?}", event.args),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s36_a_visitor_joins_sixty_times_a_minute_and_no_more() {
    let shop = Shop::open(&[("TRUSTED_NETWORKS", "none")]).await;
    let opened = shop.session("u1").await;
    let token = token("u1", "user", 600);
    let mut visitor = Dial::to(shop.server.address()).auth(json!({ "token": token })).connect().await.expect("a connection");
    let mut refused = 0;
    for _ in 0..80 {
        let answer = visitor.call("join_session", json!({"sessionId": opened.id})).await.expect("an acknowledgement");
        if answer["ok"] != true {
            assert_eq!((answer["code"].as_str(), answer["message"].as_str()), (Some("RATE_LIMITED"), Some("Too many requests")));
            refused += 1;
        }
    }
    assert!((15..=20).contains(&refused), "{refused} of 80 joins were refused");
}

/// A session, and two sockets of it.
async fn two_guests(shop: &Shop) -> (String, [Client; 2]) {
    let opened = post(shop, "/api/sessions", json!({"userId": "u1"})).await;
    let session = opened["id"].as_str().expect("an id").to_owned();
    let join = async || {
        let mut guest = Dial::to(shop.server.address()).auth(json!({})).connect().await.expect("a connection");
        assert_eq!(guest.call("join_session", json!(session)).await.expect("an answer")["ok"], true);
        guest
    };
    let guests = [join().await, join().await];
    (session, guests)
}

#[tokio::test(flavor = "multi_thread")]
async fn s36_typing_is_passed_on_a_few_times_a_second_whatever_is_sent() {
    let shop = Shop::open(&[("MOUNTS", "widget@/"), ("TRUSTED_NETWORKS", "none")]).await;
    let (session, mut guests) = two_guests(&shop).await;
    for n in 0..2_000 {
        guests[0].emit("typing", &[json!({"sessionId": session, "userType": "user", "isTyping": n % 2 == 0})]);
    }
    assert_eq!(
        guests[0].call("typing", json!({"sessionId": session, "userType": "user", "isTyping": true})).await.expect("an answer")["ok"],
        true
    );
    assert_alive(&mut guests[1]).await;
    let heard = guests[1].received().len();
    assert!((1..=100).contains(&heard), "{heard} of 2,001 were passed on");
}

#[tokio::test(flavor = "multi_thread")]
async fn s36_typing_that_nobody_takes_back_ends_by_itself() {
    let shop = Shop::open(&[("MOUNTS", "widget@/")]).await;
    let (session, mut guests) = two_guests(&shop).await;
    guests[0].emit("typing", &[json!({"sessionId": session, "userType": "user", "isTyping": true, "name": "Una"})]);
    let typing = json!({"sessionId": session, "userType": "user", "isTyping": true, "name": "Una"});
    assert_eq!(guests[1].event().await.expect("typing").args, [typing]);
    let began = Instant::now();
    let ended = loop {
        // An event is waited for five seconds.
        match guests[1].event().await {
            Ok(event) => break event,
            Err(late) => assert!(began.elapsed() < Duration::from_secs(25), "{late}"),
        }
    };
    assert_eq!(ended.args, [json!({"sessionId": session, "userType": "user", "isTyping": false})]);
    assert!(began.elapsed() > Duration::from_secs(10), "not while it may go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn s35_readers_who_do_not_read_cost_little() {
    let shop = Shop::open(&[("MOUNTS", "widget@/")]).await;
    let opened = post(&shop, "/api/sessions", json!({"userId": "u1"})).await;
    let session = opened["id"].as_str().expect("an id").to_owned();
    let text = "x".repeat(90_000);
    for _ in 0..100 {
        post(&shop, "/api/chat/messages", json!({"sessionId": session, "senderType": "user", "content": text})).await;
    }
    let mut reader = Dial::to(shop.server.address()).auth(json!({})).connect().await.expect("a connection");
    let resumed = reader.call("resume", json!({"sessionId": session})).await.expect("an answer");
    assert!((1..=4).contains(&resumed["entries"].as_array().expect("entries").len()) && resumed["complete"] == false);
    let path = format!("/api/chat/messages/{session}");
    let history = http::request(shop.server.address(), "GET", &path, &[], Body::None).await.expect("an answer").body;
    let shown = history.as_array().expect("messages");
    assert!(shown.len() < 100, "{} of 100 messages of 90 kB at once", shown.len());
    assert_eq!(shown.last().map(|m| m["seq"].clone()), Some(json!(100)), "the newest are shown");
}

async fn post(shop: &Shop, path: &str, body: serde_json::Value) -> serde_json::Value {
    let answer = http::request(shop.server.address(), "POST", path, &[], Body::Json(body)).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}
