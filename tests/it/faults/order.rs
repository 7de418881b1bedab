//! One socket's calls are carried out in the order in which they came, however fast they come, and none is lost before a handler exists.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::client::Event;
use crate::harness::raw::Raw;
use crate::harness::shop::{KEY, Shop};

const MESSAGES: usize = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_thousand_messages_at_once_keep_their_order() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    let mut agent = shop.join(&session.id, &session.agent, "agent").await;
    let mut sender = joined(&shop, &session.id, "u1").await;
    let said = |n| packet("send_message", json!({"sessionId": session.id, "message": n}));
    sender.burst((1..=MESSAGES).map(|n| said(n.to_string()))).await;
    assert_eq!(agent.event().await.expect("the visitor comes").name, "user_joined");
    for n in 1..=MESSAGES {
        assert_says(&sender.event().await.expect("a message for the sender"), n);
        assert_says(&agent.event().await.expect("a message for the agent"), n);
    }
    assert!(agent.leftover().await.expect("a live agent").is_empty());
    let history = shop.history(&session.id).await;
    let texts: Vec<&str> = history.iter().map(|m| m["message"].as_str().expect("a text")).collect();
    assert_eq!(texts, (1..=MESSAGES).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_called_in_the_moment_of_connect_is_carried_out() {
    const SESSIONS: usize = 20;
    const SOCKETS: usize = 20;
    let shop = Shop::open(&[]).await;
    let visitors: Vec<String> = (0..SESSIONS).map(|n| format!("u{n}")).collect();
    let sessions = join_all(visitors.iter().map(|v| shop.session(v))).await;
    let sockets = sessions.iter().zip(&visitors).flat_map(|(s, v)| (0..SOCKETS).map(|_| greeted_at_once(&shop, &s.id, v)));
    assert_eq!(join_all(sockets).await.len(), SESSIONS * SOCKETS);
}

/// What the official client does with calls that were made before it was connected: all of them follow CONNECT's answer in one go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffered_calls_of_many_clients_are_carried_out_in_order() {
    const CLIENTS: usize = 40;
    let shop = Shop::open(&[]).await;
    let visitors: Vec<String> = (0..CLIENTS).map(|n| format!("u{n}")).collect();
    let sessions = join_all(visitors.iter().map(|v| shop.session(v))).await;
    let clients = sessions.iter().zip(&visitors).map(async |(session, visitor)| {
        let mut client = Raw::open(shop.server.address(), None).await;
        client.text(&format!("40{}", json!({"apiKey": KEY}))).await;
        assert!(client.next().await.expect("an answer").starts_with("40"));
        let said = (1..=10).map(|n: usize| packet("send_message", json!({"sessionId": session.id, "message": n.to_string()})));
        let join = packet("join_session", json!({"sessionId": session.id, "userId": visitor}));
        client.burst(std::iter::once(join).chain(said)).await;
        assert_eq!(client.event().await.expect("a greeting").name, "session_joined");
        for n in 1..=10 {
            assert_says(&client.event().await.expect("a message"), n);
        }
    });
    join_all(clients).await;
}

/// A socket that calls in the same breath in which it hears that it is connected, and is greeted. It leaves at once.
async fn greeted_at_once(shop: &Shop, session: &str, visitor: &str) {
    let mut socket = joined(shop, session, visitor).await;
    socket.text("41").await;
}

/// A socket that has joined as the visitor, by a call that followed CONNECT's answer without a wait.
async fn joined(shop: &Shop, session: &str, visitor: &str) -> Raw {
    let mut socket = Raw::connect(shop.server.address(), &json!({"apiKey": KEY}), None).await;
    socket.text(&packet("join_session", json!({"sessionId": session, "userId": visitor}))).await;
    loop {
        // Others come and go in the same session.
        match socket.event().await.expect("a greeting").name.as_str() {
            "session_joined" => return socket,
            "user_joined" | "user_left" => {}
            other => panic!("{other}"),
        }
    }
}

fn packet(event: &str, payload: Value) -> String {
    format!("42{}", json!([event, payload]))
}

fn assert_says(event: &Event, n: usize) {
    assert_eq!((event.name.as_str(), &event.args[0]["message"]), ("new_message", &json!(n.to_string())));
}
