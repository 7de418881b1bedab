//! Two nodes without a word between them: whoever is connected to one sees within a few seconds what was said on the other, once and in order.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::harness::client::Client;
use crate::harness::shop::Shop;
use crate::transcripts::mongo_uri;

/// How late an entry of another node may be: it is looked for every 5 seconds.
const LATE: Duration = Duration::from_secs(9);

/// How many messages each of the two says.
const SAID: usize = 20;

async fn say(client: &mut Client, session: &str, text: &str) {
    let ack = client.call("send_message", json!({"sessionId": session, "message": text})).await.expect("an acknowledgement");
    assert_eq!(ack["ok"], json!(true), "{ack}");
}

/// The numbers and texts of the next messages, however late they are.
async fn heard(client: &mut Client, count: usize) -> Vec<(u64, String)> {
    let mut heard = Vec::new();
    let all = async {
        while heard.len() < count {
            // One event at a time may be later than a client waits by itself.
            let Ok(event) = client.event().await else { continue };
            if event.name == "new_message" {
                let message: &Value = &event.args[0];
                heard.push((message["seq"].as_u64().expect("a number"), message["message"].as_str().expect("a text").to_owned()));
            }
        }
    };
    timeout(LATE, all).await.unwrap_or_else(|_| panic!("{count} messages within {LATE:?}"));
    heard
}

#[tokio::test]
async fn what_one_node_stores_the_other_delivers_once_and_in_order() {
    let database = format!("helpline_test_{}", Uuid::new_v4().simple());
    let env = [("MONGODB_URI", mongo_uri()), ("MONGODB_DB", database.clone())];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (here, there) = (Shop::open(&env).await, Shop::open(&env).await);
    let session = here.session("v1").await;
    let (mut visitor, mut agent) = (here.join(&session.id, "v1", "user").await, there.join(&session.id, &session.agent, "agent").await);
    for n in 0..SAID {
        say(&mut visitor, &session.id, &format!("visitor {n}")).await;
        say(&mut agent, &session.id, &format!("agent {n}")).await;
    }
    let (by_visitor, by_agent) = (heard(&mut visitor, 2 * SAID).await, heard(&mut agent, 2 * SAID).await);
    assert_eq!(by_visitor, by_agent, "both see the same, in the same order");
    let stored: Vec<(u64, String)> = there.history(&session.id).await.iter().map(of_history).collect();
    assert_eq!(by_agent.iter().map(|(_, text)| text).collect::<Vec<_>>(), stored.iter().map(|(_, text)| text).collect::<Vec<_>>());
    assert!(by_agent.windows(2).all(|pair| pair[0].0 < pair[1].0), "{by_agent:?}");
    let server = mongodb::Client::with_uri_str(mongo_uri()).await.unwrap();
    server.database(&database).drop().await.unwrap();
}

fn of_history(message: &Value) -> (u64, String) {
    (message["seq"].as_u64().unwrap_or_default(), message["message"].as_str().unwrap_or_default().to_owned())
}
