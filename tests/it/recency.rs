//! Lists that are last changed first: they are right a few seconds after the last message, and after a stop.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::harness::client::{Client, Dial};
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::server::Server;

async fn listed(server: &Server) -> Vec<String> {
    let answer = request(server.address(), "GET", "/api/chat/sessions/history", &[], Body::None).await.unwrap().body;
    let rows = answer["data"]["sessions"].as_array().unwrap_or_else(|| panic!("{answer}"));
    rows.iter().map(|row| row["userId"].as_str().unwrap().to_owned()).collect()
}

async fn say(visitor: &mut Client, content: &str) {
    let said: Value = visitor.call("user-send-message", json!({"content": content})).await.unwrap();
    assert_eq!(said["ok"], true, "{said}");
    // Times are stored in milliseconds: whoever speaks next does so in a later one.
    sleep(Duration::from_millis(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wrote_last_is_first_soon_after_and_after_a_stop() {
    let mut server = Server::start(&[("MOUNTS".into(), "operators@/".into())]).await;
    let mut visitors = Vec::new();
    for id in ["visitor-number-a", "visitor-number-b"] {
        let mut visitor = Dial::to(server.address()).connect().await.unwrap();
        assert_eq!(visitor.call("user-join-chat", json!({"userId": id})).await.unwrap()["ok"], true);
        visitors.push(visitor);
    }
    say(&mut visitors[0], "first").await;
    say(&mut visitors[1], "second").await;
    let second = Instant::now();
    assert_eq!(listed(&server).await, ["visitor-number-b", "visitor-number-a"]);
    say(&mut visitors[0], "third").await;
    for _ in 0..80 {
        if listed(&server).await[0] == "visitor-number-a" {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(listed(&server).await, ["visitor-number-a", "visitor-number-b"]);
    // From five seconds after the last change that was written, the next one is written at once.
    sleep_until(second + Duration::from_millis(5_100)).await;
    say(&mut visitors[1], "fourth").await;
    assert_eq!(listed(&server).await, ["visitor-number-b", "visitor-number-a"]);
    say(&mut visitors[0], "fifth").await;
    server.restart().await;
    assert_eq!(listed(&server).await, ["visitor-number-a", "visitor-number-b"]);
}
