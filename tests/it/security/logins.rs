//! Trying passwords: who tries too often is slowed down, and nobody else is by him.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{join_all, ready};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::client::{Dial, Refused};
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::shop::{Shop, assert_alive};

const RIGHT: &str = "correct horse";

async fn shop() -> Shop {
    let shop = Shop::open(&[("TRUSTED_PROXIES", "127.0.0.1/32"), ("TRUSTED_NETWORKS", "10.0.0.0/8")]).await;
    assert_eq!(register(shop.server.address(), "198.51.100.1", "ann@example.com").await, 200);
    shop
}

async fn post(to: SocketAddr, from: &str, path: &str, email: &str, password: &str) -> u16 {
    let headers = [("x-forwarded-for".to_owned(), from.to_owned())];
    let body = Body::Json(json!({"email": email, "password": password}));
    request(to, "POST", &format!("/widget/api/auth/{path}"), &headers, body).await.expect("an answer").status
}

async fn register(to: SocketAddr, from: &str, email: &str) -> u16 {
    post(to, from, "register", email, RIGHT).await
}

async fn login(to: SocketAddr, from: &str, email: &str, password: &str) -> u16 {
    post(to, from, "login", email, password).await
}

#[tokio::test]
async fn s14_an_address_that_guesses_locks_out_itself_alone() {
    let shop = shop().await;
    let ann = |from, password| login(shop.server.address(), from, "ann@example.com", password);
    // Of IPv6 a whole network of 64 bits is one address.
    for (one, same, other) in [("192.0.2.1", "192.0.2.1", "192.0.2.2"), ("2001:db8:0:1::1", "2001:db8:0:1:f::9", "2001:db8:0:2::1")] {
        for _ in 0..20 {
            assert_eq!(ann(one, "wrong").await, 400);
        }
        assert_eq!(ann(one, "wrong").await, 429);
        assert_eq!(ann(same, RIGHT).await, 429);
        assert_eq!(ann(other, RIGHT).await, 200);
    }
}

#[tokio::test]
async fn s14_wrong_tries_from_everywhere_spare_trusted_peers_alone() {
    let shop = shop().await;
    let to = shop.server.address();
    let ann = |from: String, password| async move { login(to, &from, "ann@example.com", password).await };
    // Right ones do not count.
    assert!(join_all((0..20).map(|_| ann("192.0.2.100".to_owned(), RIGHT))).await.iter().all(|status| *status == 200));
    let mut wrong = 0;
    // Some are given back while the test runs.
    for n in 1..=99 {
        let tried = join_all((0..20).map(|_| ann(format!("192.0.2.{n}"), "wrong"))).await;
        wrong += tried.iter().filter(|status| **status == 400).count();
        if tried.contains(&429) {
            break;
        }
    }
    assert!((200..600).contains(&wrong), "{wrong}");
    assert_eq!(ann("192.0.2.200".to_owned(), RIGHT).await, 429);
    assert_eq!(ann("10.0.0.1".to_owned(), RIGHT).await, 200);
}

#[tokio::test]
async fn s14_one_address_tries_no_list_of_accounts() {
    let shop = shop().await;
    let to = shop.server.address();
    let tries = (0..120).map(|n| async move { login(to, "192.0.2.1", &format!("{n}@example.com"), "wrong").await });
    let wrong = stream::iter(tries).buffered(20).take_while(|status| ready(*status == 400)).count().await;
    // One a second is given back while the test runs; of twenty at once a later one may be counted first.
    assert!((40..110).contains(&wrong), "{wrong}");
    assert_eq!(register(to, "192.0.2.1", "bob@example.com").await, 200, "who signs up is counted by himself");
    for n in 1..20 {
        assert_eq!(register(to, "192.0.2.1", "bob@example.com").await, 400, "{n}");
    }
    assert_eq!(register(to, "192.0.2.1", "eve@example.com").await, 429);
    assert_eq!(login(to, "192.0.2.2", "bob@example.com", RIGHT).await, 200);
}

#[tokio::test]
async fn s14_what_is_no_address_is_neither_counted_nor_kept() {
    let shop = shop().await;
    let to = shop.server.address();
    let before = shop.server.resident_kb();
    for n in 0..300 {
        let long = format!("{n}{}@example.com", "x".repeat(99_000));
        assert_eq!(login(to, "10.0.0.1", &long, "wrong").await, 400);
    }
    let grown = shop.server.resident_kb().saturating_sub(before);
    assert!(grown < 15_000, "{grown} kB");
}

#[tokio::test]
async fn s10_logging_out_closes_the_sockets_of_this_login_and_of_no_other() {
    let shop = Shop::open(&[("MOUNTS", "rooms@/")]).await;
    let to = shop.server.address();
    let send = async |path: &str, body: Value| request(to, "POST", path, &[], Body::Json(body)).await.expect("an answer");
    assert_eq!(send("/api/auth/register", json!({"username": "cust", "email": "cust@example.com", "password": RIGHT})).await.status, 201);
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let answer = send("/api/auth/login", json!({"email": "cust@example.com", "password": RIGHT})).await;
        let secret = answer.body["data"]["sessionId"].as_str().expect("a login").to_owned();
        assert!(secret.len() >= 64, "256 bits");
        sockets.push((Dial::to(to).auth(json!({"sessionId": secret})).connect().await.expect("a connection"), secret));
    }
    let (mut phone, _) = sockets.pop().expect("two");
    let (mut desktop, secret) = sockets.pop().expect("two");
    assert_eq!(send("/api/auth/logout", json!({"sessionId": secret})).await.status, 200);
    let last = timeout(Duration::from_secs(5), async {
        let mut last = None;
        while let Ok(event) = desktop.event().await {
            last = Some(event);
        }
        last
    });
    let last = last.await.expect("closed within five seconds").expect("a word before it");
    assert_eq!((last.name.as_str(), &last.args[0]["message"]), ("error", &json!("Invalid or expired session")));
    assert_alive(&mut phone).await;
    let again = Dial::to(to).auth(json!({"sessionId": secret})).connect().await;
    assert!(matches!(again, Err(Refused::Connect(message)) if message == "Authentication error: Invalid session"));
}

#[tokio::test]
async fn s12_many_log_ins_take_the_memory_of_a_few() {
    let shop = shop().await;
    let to = shop.server.address();
    let before = shop.server.resident_kb();
    for n in 0..150 {
        assert_eq!(login(to, "10.0.0.1", &format!("{n}@example.com"), "wrong").await, 400);
    }
    let grown = shop.server.resident_kb().saturating_sub(before);
    // At most four at once, of 19 MiB each.
    assert!(grown < 90_000, "{grown} kB");
}
