//! Clients that hang up before they have their answer: what is stored is told to the sockets all the same, and at once.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::harness::client::Dial;
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::shop::{KEY, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_poster_hangs_up_is_delivered_if_it_is_stored() {
    let shop = Shop::open(&[]).await;
    let mut listeners = Vec::new();
    for n in 0..60 {
        let opened = shop.session(&format!("u{n}")).await;
        listeners.push((shop.join(&opened.id, &format!("u{n}"), "user").await, opened.id));
    }
    for (n, (_, session)) in (0_u64..).zip(&listeners) {
        let body = json!({"message": "and away"}).to_string();
        let head = format!("POST /api/chat/send-message/{session} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}");
        let post = format!("{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut poster = TcpStream::connect(shop.server.address()).await.unwrap();
        poster.write_all(post.as_bytes()).await.unwrap();
        // From at once to 35 ms later: some before they are read, some while they are stored, and the last ones after.
        sleep(Duration::from_millis(n * n / 100)).await;
        poster.shutdown().await.unwrap();
    }
    let mut stored = 0;
    for (listener, session) in &mut listeners {
        // One more request of ours is handled after theirs was read, and its answer comes after theirs was stored, if it was.
        if shop.history(session).await.is_empty() {
            continue;
        }
        stored += 1;
        let heard =
            listener.event().await.unwrap_or_else(|e| panic!("session {session} has a message that its socket did not hear of: {e}"));
        assert_eq!(heard.name, "new_message");
    }
    assert!(stored > 0, "at least some were read before the end of their connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_ends_with_the_socket_also_where_it_listens_no_more() {
    let shop = Shop::open(&[]).await;
    let to = shop.server.address();
    let opened = request(to, "POST", "/widget/api/sessions", &[], Body::Json(json!({"userId": "u1"}))).await.unwrap().body;
    let session = opened["id"].clone();
    let widget = async || Dial::to(to).namespace("/widget").connect().await.unwrap_or_else(|_| panic!("refused"));
    let (mut typist, mut other) = (widget().await, widget().await);
    other.call("join_session", session.clone()).await.unwrap();
    typist.call("join_session", session.clone()).await.unwrap();
    typist.call("leave_session", session.clone()).await.unwrap();
    typist.call("typing", json!({"sessionId": session, "userType": "user", "isTyping": true})).await.unwrap();
    typist.disconnect().await;
    // Sooner than it would end by itself.
    let told = timeout(Duration::from_secs(8), async { while other.event().await.unwrap().args[0]["isTyping"] != false {} });
    told.await.expect("the other hears that nobody types");
}
