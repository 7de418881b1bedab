//! `METRICS_ADDR`: what an operator sees of a server, and that nobody else sees it.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::harness::DEADLINE;
use crate::harness::client::{Client, Dial, Refused};
use crate::harness::http::request;
use crate::harness::metrics::{Look, SHOWN, address, look};
use crate::harness::script::Body;
use crate::harness::shop::Shop;

/// What a test says, and who; nothing of it may be seen.
const SECRETS: [&str; 3] = ["visitor-canary", "text-canary", "key-canary"];

/// Looks until it is so: a socket's end is noticed a moment later.
async fn look_until(shop: &Shop, is_so: impl Fn(&Look) -> bool) -> Look {
    let begin = Instant::now();
    loop {
        let look = look(&shop.server).await;
        if is_so(&look) {
            return look;
        }
        assert!(begin.elapsed() < DEADLINE, "{}", look.text);
        sleep(Duration::from_millis(20)).await;
    }
}

async fn said(client: &mut Client, session: &str, key: &str) -> bool {
    let message = json!({"sessionId": session, "message": SECRETS[1], "clientKey": key});
    client.call("send_message", message).await.expect("an acknowledgement")["ok"] == true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_counted() {
    let shop = Shop::open(&[SHOWN, ("MAX_CONNECTIONS", "50")]).await;
    let before = look(&shop.server).await;
    for series in ["helpline_messages_stored_total{contract=\"support\"}", "helpline_store_append_seconds_count"] {
        assert_eq!(before.number(series), 0.0, "{series}");
    }
    let session = shop.session(SECRETS[0]).await;
    let mut visitor = shop.join(&session.id, SECRETS[0], "user").await;
    let agent = shop.join(&session.id, &session.agent, "agent").await;
    let operator = Dial::to(shop.server.address()).namespace("/operators").connect().await.unwrap();
    for key in ["k1", "k2", SECRETS[2], "k1"] {
        assert!(said(&mut visitor, &session.id, key).await);
    }
    shop.post(&format!("/api/chat/send-message/{}", session.id), json!({"message": "hi", "senderType": "system"})).await;
    let talking = look_until(&shop, |look| look.number("helpline_connections_free") == 47.0).await;
    for (series, expected) in [
        ("helpline_sockets_open{contract=\"support\"}", 2.0),
        ("helpline_sockets_open{contract=\"operators\"}", 1.0),
        ("helpline_sockets_open{contract=\"rooms\"}", 0.0),
        ("helpline_messages_stored_total{contract=\"support\"}", 4.0),
        ("helpline_messages_stored_total{contract=\"operators\"}", 0.0),
        // That the agent has it, the messages, and the one that was there already.
        ("helpline_store_append_seconds_count", 6.0),
        ("helpline_store_append_seconds_bucket{le=\"+Inf\"}", 6.0),
        ("helpline_store_up", 1.0),
        ("helpline_nodes", 1.0),
        ("helpline_emits_failed_total{reason=\"full\"}", 0.0),
        (concat!("helpline_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(talking.number(series), expected, "{series}");
    }
    assert!(talking.number("helpline_store_append_seconds_sum") > 0.0);
    let elsewhere = talking.text.lines().filter(|line| line.contains("\"widget\"") && !line.ends_with(" 0"));
    assert_eq!(elsewhere.count(), 0, "{}", talking.text);

    shop.post(&format!("/api/chat/end-session/{}", session.id), json!({})).await;
    assert!(!said(&mut visitor, &session.id, "late").await, "it has ended");
    for id in ["8a1b5e9c-0000-4000-8000-000000000000", "8a1b5e9c-0000-4000-8000-000000000001"] {
        assert_eq!(shop.call(Method::POST, &format!("/api/chat/end-session/{id}"), Body::Json(json!({}))).await.0, 404);
    }
    for client in [visitor, agent, operator] {
        client.disconnect().await;
    }
    let after = look_until(&shop, |look| look.number("helpline_sockets_open{contract=\"support\"}") == 0.0).await;
    for (series, expected) in [
        ("helpline_calls_refused_total{kind=\"conflict\"}", 1.0),
        ("helpline_calls_refused_total{kind=\"not_found\"}", 2.0),
        ("helpline_calls_refused_total{kind=\"internal\"}", 0.0),
        ("helpline_messages_stored_total{contract=\"support\"}", 4.0),
        // The end, and what came after it.
        ("helpline_store_append_seconds_count", 8.0),
    ] {
        assert_eq!(after.number(series), expected, "{series}");
    }
    let started = after.number("process_start_time_seconds");
    assert!((1.7e9..1e10).contains(&started), "{started} are seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_few_and_name_nobody() {
    let shop = Shop::open(&[SHOWN]).await;
    let session = shop.session(SECRETS[0]).await;
    let mut visitor = shop.join(&session.id, SECRETS[0], "user").await;
    assert!(said(&mut visitor, &session.id, SECRETS[2]).await);
    assert!(!said(&mut visitor, "no-such-session", SECRETS[2]).await);
    let look = look(&shop.server).await;
    let words = [
        ("contract", &["support", "operators", "widget", "rooms"] as &[&str]),
        ("kind", &["not_found", "unauthenticated", "forbidden", "conflict", "rate_limited", "unavailable", "internal"]),
        ("reason", &["full", "gone"]),
        ("version", &[env!("CARGO_PKG_VERSION")]),
        ("le", &["0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "+Inf"]),
    ];
    let known: BTreeSet<String> =
        words.iter().flat_map(|(label, values)| values.iter().map(move |value| format!("{label}=\"{value}\""))).collect();
    assert_eq!(look.labels().into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), known);
    for secret in SECRETS.into_iter().chain([session.id.as_str(), session.agent.as_str(), "127.0.0.1"]) {
        assert!(!look.text.contains(secret), "{secret} in\n{}", look.text);
    }
}

#[tokio::test]
async fn who_waits_is_counted_where_somebody_can_wait() {
    let shop = Shop::open(&[SHOWN]).await;
    // There is room for six.
    for n in 0..9 {
        shop.session(&format!("v{n}")).await;
    }
    let guest = json!({"userId": "guest", "userName": "Gus"});
    let opened = request(shop.server.address(), "POST", "/operators/api/chat/sessions", &[], Body::Json(guest)).await.unwrap();
    assert!(opened.status < 300, "{opened:?}");
    let look = look(&shop.server).await;
    let waiting = |contract: &str| look.number(&format!("helpline_sessions_waiting{{contract=\"{contract}\"}}"));
    assert_eq!((waiting("support"), waiting("operators"), waiting("rooms")), (3.0, 1.0, 0.0));
    assert!(!look.text.contains("waiting{contract=\"widget\"}"), "nobody waits there");
}

#[tokio::test]
async fn s41_metrics_have_a_listener_of_their_own_that_serves_nothing_else() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mounts = format!("support@/,widget@:{}/", free.port());
    let shop = Shop::open(&[SHOWN, ("MOUNTS", &mounts)]).await;
    let (own, public) = (address(&shop.server), shop.server.address());
    let answer = request(own, "GET", "/metrics", &[], Body::None).await.unwrap();
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, Some("application/openmetrics-text; version=1.0.0; charset=utf-8"))
    );
    for (to, method, path) in [
        (public, "GET", "/metrics"),
        (public, "GET", "/metrics/"),
        (free, "GET", "/metrics"),
        (own, "POST", "/metrics"),
        (own, "GET", "/metrics/x"),
        (own, "GET", "/"),
        (own, "GET", "/healthz"),
        (own, "GET", "/socket.io/?EIO=4&transport=polling"),
        (own, "POST", "/api/auth/token"),
    ] {
        let answer = request(to, method, path, &[], Body::None).await.unwrap();
        assert_eq!(answer.status, 404, "{method} {to}{path}");
        assert!(!answer.body.to_string().contains("helpline_"), "{answer:?}");
    }
    let unset = Shop::open(&[]).await;
    assert!(!unset.server.log().contains("metrics on"), "{}", unset.server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_still_looked_at() {
    let shop = Shop::open(&[SHOWN, ("MAX_CONNECTIONS", "1")]).await;
    let _socket = shop.dial().connect().await.expect("the only connection");
    assert!(matches!(shop.dial().connect().await, Err(Refused::Handshake(_))), "there is no room");
    let look = look(&shop.server).await;
    assert_eq!((look.number("helpline_connections_free"), look.number("helpline_sockets_open{contract=\"support\"}")), (0.0, 1.0));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_shown_and_hides_nothing_else() {
    let shop = Shop::open(&[SHOWN]).await;
    shop.session("u1").await;
    let conn = rusqlite::Connection::open(shop.server.data().join("helpline.db")).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let away = look(&shop.server).await;
    assert_eq!((away.number("helpline_store_up"), away.number("helpline_store_append_seconds_count")), (0.0, 1.0));
    assert!(!away.text.contains("helpline_nodes") && !away.text.contains("helpline_sessions_waiting"), "{}", away.text);
    conn.execute_batch("ROLLBACK").unwrap();
    assert_eq!(look_until(&shop, |look| look.number("helpline_store_up") == 1.0).await.number("helpline_nodes"), 1.0);
}

#[tokio::test]
async fn its_address_is_in_the_log_of_the_start() {
    let shop = Shop::open(&[("METRICS_ADDR", "localhost:0")]).await;
    assert!(address(&shop.server).ip().is_loopback());
    assert!(!shop.server.log().contains("no credential is asked for"), "{}", shop.server.log());
}
