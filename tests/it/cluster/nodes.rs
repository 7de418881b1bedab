//! Two servers on a database of their own, which tests may end and start again.

use std::net::SocketAddr;

use serde_json::json;
use uuid::Uuid;

use crate::harness::shop::Shop;

pub(super) struct Nodes {
    pub(super) shops: [Shop; 2],
    uri: String,
    database: String,
}

/// A session with somebody on each of the nodes.
pub(super) struct Room {
    pub(super) id: String,
    pub(super) visitor: String,
    /// Whoever answers it; empty while it waits.
    pub(super) agent: String,
}

impl Nodes {
    /// Starts two servers with these variables on the MongoDB of this URI.
    pub(super) async fn open(uri: &str, more: &[(&str, &str)]) -> Self {
        let database = format!("helpline_test_{}", Uuid::new_v4().simple());
        let store = [("MONGODB_URI", uri), ("MONGODB_DB", database.as_str())];
        let env: Vec<(&str, &str)> = store.into_iter().chain(more.iter().copied()).collect();
        let shops = [Shop::open(&env).await, Shop::open(&env).await];
        Self { shops, uri: uri.to_owned(), database }
    }

    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        [self.shops[0].server.address(), self.shops[1].server.address()]
    }

    /// Starts so many sessions, on one node and the other in turn.
    pub(super) async fn rooms(&self, count: usize) -> Vec<Room> {
        let mut rooms = Vec::new();
        for n in 0..count {
            let visitor = format!("v{n}");
            let opened = self.shops[n % 2].session(&visitor).await;
            rooms.push(Room { id: opened.id, visitor, agent: opened.agent });
        }
        rooms
    }

    /// Says something in a session, over REST to one of the nodes, and answers its number.
    pub(super) async fn notice(&self, node: usize, session: &str, text: &str) -> u64 {
        let body = json!({"message": text, "senderId": "machine", "senderType": "system"});
        let data = self.shops[node].post(&format!("/api/chat/send-message/{session}"), body).await;
        data["seq"].as_u64().expect("a number")
    }

    /// Everything a node has logged, for whoever looks into a failure.
    pub(super) fn logs(&self) -> String {
        format!("--- one\n{}\n--- two\n{}", self.shops[0].server.log(), self.shops[1].server.log())
    }

    pub(super) async fn close(self) {
        let client = mongodb::Client::with_uri_str(&self.uri).await.expect("the tests' MongoDB");
        client.database(&self.database).drop().await.expect("a database to drop");
    }
}
