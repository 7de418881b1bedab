//! How the process starts and stops: configuration that cannot be used, and clients that hang up.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::client::Dial;
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::server::Server;
use crate::harness::shop::Shop;

/// Starts the binary with these variables alone; answers its exit status and what it said.
async fn refused(env: &[(&str, &str)]) -> (i32, String) {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_helpline"));
    command.env_clear().envs(env.iter().copied()).current_dir(folder.path()).stdout(Stdio::null()).kill_on_drop(true);
    let output = timeout(Duration::from_secs(20), command.output()).await.expect("it gives up at once").unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_wrong_value_is_named_with_what_was_expected_and_the_exit_status_is_2() {
    let (status, said) = refused(&[("PORT", "abc"), ("NODE_ENV", "prod"), ("MONGODB_URI", "postgres://u:hunter2@h/db")]).await;
    assert_eq!(status, 2, "{said}");
    for expected in ["PORT", "abc", "NODE_ENV", "prod", "production", "MONGODB_URI"] {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_mongodb_url_that_only_the_driver_refuses_is_a_wrong_value_too() {
    let (status, said) = refused(&[("PORT", "0"), ("MONGODB_URI", "mongodb://user:hunter2:x@/db")]).await;
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("MONGODB_URI=***") && said.contains("percent-encoded") && !said.contains("hunter2"), "{said}");
    let (status, said) = refused(&[("PORT", "0"), ("MONGODB_URI", "mongodb://127.0.0.1:9/db")]).await;
    assert!(status == 1 && said.contains("MONGODB_URI"), "{status}: {said}");
}

#[tokio::test]
async fn production_needs_a_strong_secret() {
    let (status, said) = refused(&[("NODE_ENV", "production"), ("JWT_SECRET", "secret")]).await;
    assert!(status == 2 && said.contains("JWT_SECRET"), "{status}: {said}");
    let (status, said) = refused(&[("NODE_ENV", "production")]).await;
    assert!(status == 2 && said.contains("JWT_SECRET"), "{status}: {said}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let server = Server::start(&[]).await;
    let port = server.address().port().to_string();
    let (status, said) = refused(&[("PORT", &port)]).await;
    assert!(status == 1 && said.contains(&port) && said.contains("PORT"), "{status}: {said}");
    let (status, said) = refused(&[("PORT", "0"), ("METRICS_ADDR", &format!("127.0.0.1:{port}"))]).await;
    assert!(status == 1 && said.contains(&port) && said.contains("METRICS_ADDR"), "{status}: {said}");
}

#[tokio::test]
async fn the_first_signal_lets_requests_finish_and_the_second_ends_the_process() {
    let mut server = Server::start(&[("SHUTDOWN_SECONDS".into(), "60".into())]).await;
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /api/auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 15\r\n";
    let half = format!("{head}Expect: 100-continue\r\n\r\n");
    slow.write_all(half.as_bytes()).await.unwrap();
    // The server has begun with the request when it asks for the body.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).await.unwrap();
    assert_eq!(go_on, *b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(b"{\"userId\"").await.unwrap();
    server.terminate().await;
    // Stopping, it takes no new connections, and still answers the request that had begun.
    while TcpStream::connect(server.address()).await.is_ok() {}
    slow.write_all(b":\"u1\"}").await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(10), slow.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.exit_code().await, Some(0));

    let mut server = Server::start(&[("SHUTDOWN_SECONDS".into(), "60".into())]).await;
    let mut stuck = TcpStream::connect(server.address()).await.unwrap();
    stuck.write_all(half.as_bytes()).await.unwrap();
    stuck.read_exact(&mut go_on).await.unwrap();
    server.terminate().await;
    while TcpStream::connect(server.address()).await.is_ok() {}
    server.terminate().await;
    assert_eq!(server.exit_code().await, Some(130));
}

/// The word by which REST knows an operator's availability.
async fn status_of(server: &Server, operator: &str) -> String {
    let path = format!("/operators/api/operators/{operator}/status");
    let answer = request(server.address(), "GET", &path, &[], Body::None).await.unwrap().body;
    answer["data"]["status"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_called_before_the_signal_is_carried_out_and_who_was_there_has_left() {
    const MESSAGES: usize = 800;
    let shop = Shop::open(&[("SHUTDOWN_SECONDS", "20"), ("MESSAGES_PER_MINUTE", "0")]).await;
    let mut operator = Dial::to(shop.server.address()).namespace("/operators").connect().await.unwrap();
    operator.call("operator-status-change", json!({"operatorId": "op", "status": "online"})).await.unwrap();
    assert_eq!(status_of(&shop.server, "op").await, "online");
    let session = shop.session("u1").await;
    let mut visitor = shop.join(&session.id, "u1", "user").await;
    for n in 0..MESSAGES {
        visitor.emit("send_message", &[json!({"sessionId": session.id, "message": n.to_string()})]);
    }
    visitor.arrived().await;
    let mut shop = shop;
    shop.server.restart().await;
    let said: Vec<String> = shop.history(&session.id).await.iter().map(|m| m["message"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(said.iter().enumerate().all(|(n, text)| *text == n.to_string()), "{said:?}");
    assert_eq!(said.len(), MESSAGES);
    assert_eq!(status_of(&shop.server, "op").await, "offline");
    assert!(!shop.server.log().contains("still open"), "{}", shop.server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_nobody_is_there_by_a_connection_that_is_gone() {
    let mut shop = Shop::open(&[]).await;
    let mut operator = Dial::to(shop.server.address()).namespace("/operators").connect().await.unwrap();
    operator.call("operator-status-change", json!({"operatorId": "op", "status": "online"})).await.unwrap();
    let declared = Body::Json(json!({"status": "online"}));
    request(shop.server.address(), "PUT", "/operators/api/operators/desk/status", &[], declared).await.unwrap();
    shop.server.kill().await;
    assert_eq!((status_of(&shop.server, "op").await, status_of(&shop.server, "desk").await), ("offline".into(), "online".into()));
    assert_ne!(shop.session("u1").await.agent, "", "the agents of support are as available as their records say");
}

#[tokio::test]
async fn a_data_folder_serves_one_process() {
    let server = Server::start(&[]).await;
    let folder = server.data().to_str().unwrap().to_owned();
    let (status, said) = refused(&[("PORT", "0"), ("DATA_DIR", &folder)]).await;
    assert!(status == 1 && said.contains("another server uses this folder") && said.contains("DATA_DIR"), "{status}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_its_poll_is_gone_at_once() {
    let server = Server::start(&[("API_KEY".into(), "start-test-key".into())]).await;
    let to = server.address();
    let key = [("X-API-Key".to_owned(), "start-test-key".to_owned())];
    let started = request(to, "POST", "/api/chat/start-session", &key, Body::Json(json!({"userId": "u1"}))).await.unwrap().body;
    let session = started["data"]["sessionId"].clone();
    let mut visitor = Dial::to(to).auth(json!({"apiKey": "start-test-key"})).connect().await.unwrap_or_else(|_| panic!("{}", server.log()));
    visitor.emit("join_session", &[json!({"sessionId": session, "userId": "u1"})]);
    assert_eq!(visitor.event().await.unwrap().name, "session_joined");

    let path = "/socket.io/?EIO=4&transport=polling";
    let open = request(to, "GET", path, &[], Body::None).await.unwrap().body;
    let sid = serde_json::from_str::<serde_json::Value>(&open.as_str().unwrap()[1..]).unwrap()["sid"].as_str().unwrap().to_owned();
    let path = format!("{path}&sid={sid}");
    let say = async |packet: String| request(to, "POST", &path, &[], Body::Raw(packet.into())).await.unwrap();
    say(format!("40{}", json!({"apiKey": "start-test-key"}))).await;
    let mut heard = request(to, "GET", &path, &[], Body::None).await.unwrap().body.to_string();
    say(format!("42{}", json!(["join_session", {"sessionId": session, "userId": "u1"}]))).await;
    while !heard.contains("session_joined") {
        heard = request(to, "GET", &path, &[], Body::None).await.unwrap().body.to_string();
    }
    assert_eq!(visitor.event().await.unwrap().name, "user_joined");

    // The poll waits for packets that never come; its client drops the connection.
    let poll = timeout(Duration::from_millis(300), request(to, "GET", &path, &[], Body::None)).await;
    assert!(poll.is_err(), "nothing was to be told: {poll:?}");
    let left = visitor.event().await.expect("the others are told long before the heartbeat fails");
    assert_eq!((left.name.as_str(), left.args[0]["reason"].as_str()), ("user_left", Some("transport close")));
}

#[tokio::test]
async fn the_account_of_the_configuration_is_made_once() {
    let env = [("ADMIN_EMAIL".to_owned(), "ann@example.com".to_owned()), ("ADMIN_PASSWORD".to_owned(), "correct horse".to_owned())];
    let login = async |server: &Server, password: &str| {
        let body = Body::Json(json!({"email": "ann@example.com", "password": password}));
        request(server.address(), "POST", "/widget/api/auth/login", &[], body).await.unwrap().status
    };
    let mut server = Server::start(&env).await;
    assert_eq!((login(&server, "correct horse").await, login(&server, "wrong horse").await), (200, 400));
    server.restart().await;
    assert_eq!(login(&server, "correct horse").await, 200);
    assert!(!server.log().contains("example.com") && !server.log().contains("horse"), "{}", server.log());
}

#[tokio::test]
async fn without_it_there_is_no_account_and_the_first_may_sign_up() {
    let server = Server::start(&[("ADMIN_SIGNUP".to_owned(), "first".to_owned())]).await;
    let register = async |email: &str| {
        let body = Body::Json(json!({"email": email, "password": "correct horse"}));
        request(server.address(), "POST", "/widget/api/auth/register", &[], body).await.unwrap().status
    };
    assert_eq!(register("ann@example.com").await, 200);
    assert_ne!(register("bob@example.com").await, 200);
}
