//! The database goes away and comes back: what clients are told meanwhile must not be final.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::client::{Dial, Refused};
use crate::harness::http::request;
use crate::harness::raw::Raw;
use crate::harness::script::Body;
use crate::harness::server::Server;
use crate::store::mongo_server::Server as Database;

async fn token(server: &Server) -> String {
    let account = Body::Json(json!({"email": "ann@example.com", "password": "correct horse"}));
    let made = request(server.address(), "POST", "/widget/api/auth/register", &[], account).await.expect("an answer");
    made.body["token"].as_str().unwrap_or_else(|| panic!("{}", made.body)).to_owned()
}

/// The frame that answers CONNECT, or `None` where the connection is cut instead.
async fn answer(server: &Server, auth: &Value) -> Option<String> {
    let mut socket = Raw::open(server.address(), None).await;
    socket.text(&format!("40/widget,{auth}")).await;
    timeout(Duration::from_secs(8), socket.frame()).await.expect("an answer or an end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_whose_credential_cannot_be_judged_now_is_cut_so_that_it_comes_back() {
    let data = tempfile::tempdir().unwrap();
    let database = Database::start(data.path(), 0).await;
    let port = database.port;
    let env = [("MONGODB_URI", database.uri()), ("MONGODB_DB", "away".to_owned())];
    let server = Server::start(&env.map(|(k, v)| (k.to_owned(), v))).await;
    let auth = json!({ "token": token(&server).await });
    database.kill().await;
    assert_eq!(answer(&server, &auth).await, None, "nothing that official clients take for final");
    assert!(server.log().contains("UNAVAILABLE"), "{}", server.log());
    let wrong = answer(&server, &json!({"token": "x"})).await.expect("a refusal");
    assert!(wrong.contains("Authentication failed"), "a wrong token needs no database: {wrong}");
    let database = Database::start(data.path(), port).await;
    let began = Instant::now();
    let again = loop {
        match Dial::to(server.address()).namespace("/widget").auth(auth.clone()).connect().await {
            Ok(client) => break client,
            Err(Refused::Connect(text)) => panic!("{text}"),
            Err(Refused::Handshake(_)) => assert!(began.elapsed() < Duration::from_secs(30), "{}", server.log()),
        }
    };
    drop(again);
    database.kill().await;
}
