//! Clients that hang up before they have their answer: what is stored is told to the sockets all the same, and at once.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::shop::{KEY, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_poster_hangs_up_is_delivered_if_it_is_stored() {
    let shop = Shop::open(&[]).await;
    let mut listeners = Vec::new();
    for n in 0..60 {
        let opened = shop.session(&format!("u{n}")).await;
        listeners.push((shop.join(&opened.id, &format!("u{n}"), "user").await, opened.id));
    }
    for (_, session) in &listeners {
        let body = json!({"message": "and away"}).to_string();
        let head = format!("POST /api/chat/send-message/{session} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}");
        let request = format!("{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut poster = TcpStream::connect(shop.server.address()).await.unwrap();
        poster.write_all(request.as_bytes()).await.unwrap();
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
