//! Clients that take their time, or too many connections: heads and bodies have to come within a limit, and what is above the cap is refused.
//! Sockets outlive the time limits, and count as connections.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::DEADLINE;
use crate::harness::raw::Raw;
use crate::harness::shop::{KEY, Shop};

/// The limits of these tests.
const QUICK: &[(&str, &str)] = &[("HEADER_TIMEOUT_SECONDS", "1"), ("REQUEST_TIMEOUT_SECONDS", "1")];
const LIMIT: Duration = Duration::from_secs(1);

/// Where long polls go.
const SOCKETS: &str = "/socket.io/?EIO=4&transport=polling";

const HEALTH: &str = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn silence_and_half_a_head_are_closed() {
    let shop = Shop::open(QUICK).await;
    for said in ["", "GET /api/he", "GET /api/health HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let (answer, took) = exchange(shop.server.address(), said).await;
        assert!(!answer.contains("200 OK"), "{answer}");
        assert!(took >= LIMIT, "{said:?} was closed after {took:?}");
    }
}

#[tokio::test]
async fn a_head_that_drips_is_closed() {
    let shop = Shop::open(QUICK).await;
    let mut client = open(shop.server.address(), "GET /api/health HTTP/1.1\r\n").await;
    let dripped = async {
        while client.write_all(b"X-Slow: 1\r\n").await.is_ok() {
            sleep(LIMIT / 5).await;
        }
    };
    timeout(DEADLINE, dripped).await.expect("the server closes a head that drips");
}

#[tokio::test]
async fn a_kept_connection_without_a_request_is_closed() {
    let shop = Shop::open(QUICK).await;
    let (answer, took) = exchange(shop.server.address(), HEALTH).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(took >= LIMIT, "it was closed after {took:?}");
}

#[tokio::test]
async fn half_a_body_is_answered_408_and_closed() {
    let shop = Shop::open(QUICK).await;
    let head = format!("POST /api/chat/start-session HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n");
    for body in ["Content-Length: 20\r\n\r\n{\"user", "Transfer-Encoding: chunked\r\n\r\n6\r\n{\"user\r\n"] {
        let (answer, took) = exchange(shop.server.address(), &format!("{head}{body}")).await;
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout"), "{answer}");
        assert!(took >= LIMIT, "it was answered after {took:?}");
    }
}

#[tokio::test]
async fn a_websocket_and_a_long_poll_outlive_the_limits() {
    let shop = Shop::open(QUICK).await;
    let address = shop.server.address();
    let mut socket = Raw::connect(address, &json!({"apiKey": KEY}), None).await;
    let opened = poll(address, SOCKETS).await;
    let sid = opened.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a session");
    let path = format!("{SOCKETS}&sid={sid}");
    assert_eq!(poll(address, &path).await, "2", "the engine begins with a ping");
    let join = json!(["join_session", {"sessionId": shop.session("u2").await.id, "userId": "u2"}]);
    exchange(address, &post(&path, &format!("3\x1e40{}", json!({"apiKey": KEY})))).await;
    assert!(poll(address, &path).await.starts_with("40"));
    let mut waiting = open(address, &get(&path)).await;
    let mut answer = [0; 15];
    assert!(timeout(3 * LIMIT, waiting.read(&mut answer)).await.is_err(), "the long poll was answered or closed");
    exchange(address, &post(&path, &format!("42{join}"))).await;
    timeout(DEADLINE, waiting.read_exact(&mut answer)).await.expect("an answer to the long poll").expect("an open connection");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    socket.text(&format!("42{}", json!(["join_session", {"sessionId": shop.session("u1").await.id, "userId": "u1"}]))).await;
    assert_eq!(socket.event().await.expect("a live socket").name, "session_joined");
}

#[tokio::test]
async fn above_the_cap_a_connection_is_refused_until_another_closes() {
    let shop = Shop::open(&[("MAX_CONNECTIONS", "5")]).await;
    let address = shop.server.address();
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut client = open(address, HEALTH).await;
        let mut answer = [0; 15];
        client.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        kept.push(client);
    }
    let sockets = [Raw::connect(address, &json!({"apiKey": KEY}), None).await, Raw::connect(address, &json!({"apiKey": KEY}), None).await];
    for _ in 0..40 {
        let (answer, _) = exchange(address, HEALTH).await;
        assert_eq!(answer, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    assert_eq!(shop.server.log().matches("MAX_CONNECTIONS").count(), 1, "{}", shop.server.log());
    kept.pop();
    let mut again = served_again(address).await;
    let (answer, _) = exchange(address, HEALTH).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(sockets);
    served_again(address).await;
    again.write_all(HEALTH.as_bytes()).await.expect("a kept connection");
}

/// A connection that is answered 200 within the deadline, and stays open.
async fn served_again(address: SocketAddr) -> TcpStream {
    let begun = Instant::now();
    loop {
        let mut client = open(address, HEALTH).await;
        let mut answer = [0; 15];
        client.read_exact(&mut answer).await.expect("an answer");
        if &answer == b"HTTP/1.1 200 OK" {
            return client;
        }
        assert!(begun.elapsed() < DEADLINE, "still refused: {}", String::from_utf8_lossy(&answer));
    }
}

/// The body of the answer to a long poll.
async fn poll(address: SocketAddr, path: &str) -> String {
    let (answer, _) = exchange(address, &get(path).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain;charset=UTF-8\r\n");
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

async fn open(address: SocketAddr, said: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.expect("a connection");
    client.write_all(said.as_bytes()).await.expect("a connection that takes the request");
    client
}

/// Says this and then nothing more. All that comes until the server closes, and how long it takes.
async fn exchange(address: SocketAddr, said: &str) -> (String, Duration) {
    let begun = Instant::now();
    let mut client = open(address, said).await;
    let mut answer = Vec::new();
    let read = timeout(DEADLINE, client.read_to_end(&mut answer)).await;
    // A reset is an end too.
    let _ = read.unwrap_or_else(|_| panic!("still open after {DEADLINE:?}: {}", String::from_utf8_lossy(&answer)));
    (String::from_utf8_lossy(&answer).into_owned(), begun.elapsed())
}
