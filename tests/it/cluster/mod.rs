//! Several servers on one MongoDB, with and without a Redis between them. Whoever says something and whoever hears it are on different ones.

mod avalanche;
mod crowd;
mod database_outage;
mod figures;
mod healing;
mod jitter;
mod killed_node;
mod logins;
mod metrics;
mod nodes;
mod owners;
mod person;
mod redis;
mod redis_outage;
mod redis_server;
mod rolling;
mod slow_readers;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::client::Client;
use crate::harness::shop::Shop;
use crate::transcripts::mongo_uri;

/// Two servers on a database of their own, and a session whose visitor is on the first and whose agent on the second.
struct Pair {
    database: String,
    session: String,
    visitor: Client,
    agent: Client,
    there: Shop,
    _here: Shop,
}

impl Pair {
    async fn open(more: &[(&str, &str)]) -> Self {
        let (uri, database) = (mongo_uri(), format!("helpline_test_{}", Uuid::new_v4().simple()));
        let env: Vec<(&str, &str)> =
            [("MONGODB_URI", uri.as_str()), ("MONGODB_DB", &database)].into_iter().chain(more.iter().copied()).collect();
        let (here, there) = (Shop::open(&env).await, Shop::open(&env).await);
        let session = here.session("v1").await;
        let visitor = here.join(&session.id, "v1", "user").await;
        let agent = there.join(&session.id, &session.agent, "agent").await;
        Self { session: session.id.clone(), visitor, agent, there, _here: here, database }
    }

    async fn close(self) {
        mongodb::Client::with_uri_str(mongo_uri()).await.unwrap().database(&self.database).drop().await.unwrap();
    }
}

async fn say(client: &mut Client, session: &str, text: &str) {
    let ack = client.call("send_message", json!({"sessionId": session, "message": text})).await.expect("an acknowledgement");
    assert_eq!(ack["ok"], json!(true), "{ack}");
}

/// The number and text of the next message.
async fn next_message(client: &mut Client) -> Option<(u64, String)> {
    loop {
        let event = client.event().await.ok()?;
        if event.name == "new_message" {
            let message: &Value = &event.args[0];
            return Some((message["seq"].as_u64().expect("a number"), message["message"].as_str().expect("a text").to_owned()));
        }
    }
}
