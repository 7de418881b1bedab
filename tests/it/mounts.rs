//! One contract at several addresses: base paths, namespaces with and without a slash at the end, ports of their own, one conversation.

use std::net::{SocketAddr, TcpListener};

use serde_json::json;

use crate::harness::client::{Client, Dial, Refused};
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::server::Server;

const KEY: &str = "mounts-test-key";

async fn status(to: SocketAddr, path: &str) -> u16 {
    let key = [("X-API-Key".to_owned(), KEY.to_owned())];
    request(to, "GET", path, &key, Body::None).await.expect("an answer").status
}

async fn joined(to: SocketAddr, namespace: Option<&str>, session: &str) -> Client {
    let dial = Dial::to(to).auth(json!({ "apiKey": KEY }));
    let dial = namespace.map_or_else(|| Dial::to(to).auth(json!({ "apiKey": KEY })), |n| dial.namespace(n));
    let mut client = dial.connect().await.unwrap_or_else(|_| panic!("{namespace:?} is served"));
    let answer = client.call("join_session", json!({ "sessionId": session })).await.expect("an acknowledgement");
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(client.event().await.unwrap().name, "session_joined");
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_spans_all_mounts() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mounts = format!("support@/help,support@/desk/one,support@:{}/", free.port());
    let server = Server::start(&[("API_KEY".into(), KEY.into()), ("MOUNTS".into(), mounts)]).await;
    let main = server.address();
    let key = [("X-API-Key".to_owned(), KEY.to_owned())];
    let start = Body::Json(json!({"userId": "u1"}));
    let started = request(main, "POST", "/help/api/chat/start-session", &key, start).await.unwrap();
    let session = started.body["data"]["sessionId"].as_str().expect("a session").to_owned();

    let mut sockets = Vec::new();
    for (to, namespace) in [(main, Some("/help")), (main, Some("/help/")), (main, Some("/desk/one")), (free, None)] {
        sockets.push(joined(to, namespace, &session).await);
    }
    for (n, socket) in sockets.iter_mut().enumerate() {
        // Each hears those who came later, on whatever mount.
        for _ in n + 1..4 {
            assert_eq!(socket.event().await.unwrap().name, "user_joined");
        }
    }
    let path = format!("/desk/one/api/chat/send-message/{session}");
    let sent = request(main, "POST", &path, &key, Body::Json(json!({"message": "to all"}))).await.unwrap();
    assert_eq!(sent.status, 201);
    sockets[3].emit("typing", &[json!({"sessionId": session, "isTyping": true})]);
    for (n, socket) in sockets.iter_mut().enumerate() {
        let mut heard = vec![socket.event().await.unwrap().name];
        if n < 3 {
            heard.push(socket.event().await.unwrap().name);
        }
        heard.sort();
        assert_eq!(heard, ["new_message", "user_typing"][..heard.len()], "socket {n}");
        assert!(socket.leftover().await.unwrap().is_empty(), "socket {n} hears everything once");
    }
    assert_eq!(status(free, "/api/health").await, 200);
    assert_eq!(status(main, "/help").await, 200);
    assert_eq!(status(main, "/help/").await, 200);
    assert_eq!(status(main, "/help/nowhere").await, 404);
    assert_eq!(status(main, "/api/health").await, 404);
    assert_eq!(status(main, "/readyz").await, 200);
}

#[tokio::test]
async fn what_is_not_mounted_is_not_served() {
    let server = Server::start(&[("API_KEY".into(), KEY.into()), ("MOUNTS".into(), "support@/help".into())]).await;
    let nowhere = Dial::to(server.address()).namespace("/other").connect().await;
    assert!(matches!(nowhere, Err(Refused::Connect(why)) if why == "Invalid namespace"));
    let refused = Dial::to(server.address()).namespace("/help").connect().await;
    assert!(matches!(refused, Err(Refused::Connect(why)) if why == "Authentication failed"));
    // Clients of Socket.IO 2.x open `/` first. It can do nothing.
    let mut empty = Dial::to(server.address()).connect().await.unwrap_or_else(|_| panic!("/ exists"));
    empty.emit("join_session", &[json!({"sessionId": "0f8fad5b-d9cb-469f-a165-70867728950e"})]);
    let asked = empty.ask("join_session", &[json!({})]);
    drop(asked);
    assert!(empty.received().is_empty());
    assert_eq!(status(server.address(), "/help/api/health").await, 200);
}
