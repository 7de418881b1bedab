//! Joining at awkward moments: while the session ends, again and again, and without reading what comes back.

use futures_util::future::join;
use reqwest::Method;
use serde_json::json;

use crate::harness::raw::Raw;
use crate::harness::script::Body;
use crate::harness::shop::{KEY, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_while_a_session_ends_learns_of_the_end_exactly_once() {
    let shop = Shop::open(&[]).await;
    for round in 0..60 {
        let opened = shop.session(&format!("u{round}")).await;
        let mut early = shop.dial().connect().await.unwrap_or_else(|_| panic!("refused"));
        early.call("join_session", json!({"sessionId": opened.id})).await.unwrap();
        assert_eq!(early.event().await.unwrap().name, "session_joined");
        let mut late = shop.dial().connect().await.unwrap_or_else(|_| panic!("refused"));
        let path = format!("/api/chat/end-session/{}", opened.id);
        let (ended, joined) =
            join(shop.call(Method::POST, &path, Body::None), late.call("join_session", json!({"sessionId": opened.id}))).await;
        assert_eq!(ended.0, 200);
        let greeting = late.event().await.unwrap();
        assert_eq!(greeting.name, "session_joined");
        assert_eq!(greeting.args[0]["status"], joined.unwrap()["status"], "the acknowledgement says what the greeting says");
        let told = greeting.args[0]["status"] == "ended";
        // The tail tells it beside the calls, and so perhaps after a later one is answered.
        while !told && late.event().await.unwrap_or_else(|e| panic!("round {round}: not told of the end: {e}")).name != "session_ended" {}
        let again = late.leftover().await.unwrap().iter().filter(|e| e.name == "session_ended").count();
        assert_eq!(again, 0, "round {round}: greeted {}, and told of the end once more", greeting.args[0]["status"]);
        early.disconnect().await;
        late.disconnect().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_without_reading_costs_no_memory() {
    let shop = Shop::open(&[]).await;
    let opened = shop.session("u1").await;
    let path = format!("/api/chat/send-message/{}", opened.id);
    for _ in 0..50 {
        shop.post(&path, json!({"message": format!("x{}", "\u{1}".repeat(998))})).await;
    }
    let mut greedy = Raw::connect(shop.server.address(), &json!({"apiKey": KEY}), Some(4_096)).await;
    let before = shop.server.resident_kb();
    let join = format!("42{}", json!(["join_session", {"sessionId": opened.id}]));
    greedy.burst(std::iter::repeat_n(join, 1_500)).await;
    // A neighbour that is served shows that the joins above are under way.
    let mut neighbour = shop.dial().connect().await.unwrap_or_else(|_| panic!("refused"));
    for _ in 0..300 {
        assert_eq!(neighbour.call("join_session", json!({"sessionId": opened.id})).await.unwrap()["ok"], true);
        while neighbour.event().await.unwrap().name != "session_joined" {}
    }
    let grown = shop.server.resident_kb().saturating_sub(before);
    assert!(grown < 100 * 1_024, "{grown} KiB for one socket that does not read");
}
