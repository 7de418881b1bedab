//! A reader that stops reading: it holds up nobody, costs bounded memory, and gets everything once when it reads again. One that never does is cut off.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::client::{Client, Event};
use crate::harness::raw::Raw;
use crate::harness::shop::{KEY, Opened, Shop};

/// Small enough for the server's side to fill up.
const NARROW: Option<u32> = Some(8_192);

/// How many kilobytes the server may grow by, whatever a reader leaves unread.
const GROWTH_KB: u64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_pauses_gets_everything_once_and_holds_up_nobody() {
    const MESSAGES: usize = 4_000;
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    let mut slow = slow_reader(&shop, &session).await;
    let mut neighbour = shop.join(&session.id, "u1", "user").await;
    let before = shop.server.resident_kb();
    let sent = say_all(&shop, &session, MESSAGES);
    let heard = async {
        for n in 1..=MESSAGES {
            assert_eq!(ordinal(&message(&mut neighbour).await), n);
        }
    };
    tokio::join!(sent, heard);
    let grown = shop.server.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB, "the server grew by {grown} kB");
    for n in 1..=MESSAGES {
        let event = next_message(&mut slow).await;
        assert_eq!(ordinal(&event), n, "{event:?}");
    }
    shop.post(&format!("/api/chat/end-session/{}", session.id), json!({})).await;
    loop {
        match slow.event().await.expect("a live reader").name.as_str() {
            "session_ended" => break,
            "user_joined" | "user_left" => {}
            other => panic!("{other} came twice"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_never_reads_again_is_cut_off() {
    let shop = Shop::open(&[("WRITE_STALL_SECONDS", "1")]).await;
    let session = shop.session("u1").await;
    let _slow = slow_reader(&shop, &session).await;
    let mut neighbour = shop.join(&session.id, "u1", "user").await;
    let before = shop.server.resident_kb();
    let mut sent = 0;
    let left = loop {
        say_all(&shop, &session, 200).await;
        sent += 200;
        assert!(sent < 20_000, "{sent} messages were sent and the reader is still there");
        if let Some(left) =
            neighbour.received().into_iter().find(|e| e.name == "user_left" && e.args[0]["userId"] == session.agent.as_str())
        {
            break left;
        }
    };
    assert_eq!(left.args[0]["reason"], "transport error");
    let grown = shop.server.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB, "the server grew by {grown} kB");
}

/// The session's agent, joined, on a connection with little room.
async fn slow_reader(shop: &Shop, session: &Opened) -> Raw {
    let mut slow = Raw::connect(shop.server.address(), &json!({"apiKey": KEY}), NARROW).await;
    slow.text(&format!("42{}", json!(["join_session", {"sessionId": session.id, "userId": session.agent, "userType": "agent"}]))).await;
    assert_eq!(slow.event().await.expect("a greeting").name, "session_joined");
    slow
}

/// Says this many long messages from four machines at once, each as fast as it is acknowledged, and without listening to the session.
async fn say_all(shop: &Shop, session: &Opened, messages: usize) {
    let machines = (0..4).map(async |_| {
        let path = format!("/api/chat/send-message/{}", session.id);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        for _ in 0..messages / 4 {
            let body = json!({"message": "x".repeat(900), "senderId": "machine", "senderType": "system"});
            let request = client.post(format!("http://{}{path}", shop.server.address())).header("x-api-key", KEY).json(&body);
            let status = request.send().await.expect("an answer").status();
            assert_eq!(status, 201);
        }
    });
    join_all(machines).await;
}

async fn message(client: &mut Client) -> Event {
    loop {
        let event = client.event().await.expect("a message in time");
        if event.name == "new_message" {
            return event;
        }
    }
}

async fn next_message(reader: &mut Raw) -> Event {
    loop {
        let event = reader.event().await.expect("a live reader");
        if event.name == "new_message" {
            return event;
        }
    }
}

/// The number of a message in a session whose first entry is the assignment.
fn ordinal(event: &Event) -> usize {
    usize::try_from(event.args[0]["seq"].as_u64().expect("a number")).expect("small") - 1
}
