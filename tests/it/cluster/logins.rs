//! Who logs out on one node is logged out on all of them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::nodes::Nodes;
use super::redis_server::Redis;
use crate::harness::client::{Client, Dial};
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::shop::assert_alive;
use crate::transcripts::mongo_uri;

/// How soon the sockets of a login that was taken back are closed, on any node.
const CLOSED: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_login_that_is_taken_back_on_one_node_closes_its_sockets_on_the_other() {
    let redis = Redis::start();
    let nodes = Nodes::open(&mongo_uri(), &[("REDIS_URL", &redis.url()), ("MOUNTS", "rooms@/")]).await;
    let [here, there] = nodes.addresses();
    let send = async |path: &str, body: Value| request(here, "POST", path, &[], Body::Json(body)).await.expect("an answer");
    let account = json!({"username": "ann", "email": "ann@example.com", "password": "correct horse"});
    assert_eq!(send("/api/auth/register", account.clone()).await.status, 201);
    let log_in = async || send("/api/auth/login", account.clone()).await.body["data"]["sessionId"].as_str().expect("a login").to_owned();
    let open = async |secret: &str| Dial::to(there).auth(json!({"sessionId": secret})).connect().await.expect("a connection");
    let (first, second) = (log_in().await, log_in().await);
    let (mut ends, mut stays) = (open(&first).await, open(&second).await);
    assert_eq!(send("/api/auth/logout", json!({"sessionId": first})).await.status, 200);
    timeout(CLOSED, closed(&mut ends)).await.expect("closed within the limit");
    assert_alive(&mut stays).await;
    nodes.close().await;
}

async fn closed(client: &mut Client) {
    // That nothing came for a while is no end.
    while !matches!(client.event().await, Err(why) if why.contains("closed")) {}
}
