//! An operator's socket that is in as many sessions as it may be: those that are over make room, and a session that it cannot join is not his.

use serde_json::{Value, json};

use crate::harness::client::{Client, Dial};
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::server::Server;

/// How many sessions one socket may be in.
const MOST: usize = 500;

async fn operator_call(socket: &mut Client, event: &str, session: &str) -> Value {
    socket.call(event, json!({"operatorId": "op", "sessionId": session})).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_over_make_room_and_one_that_cannot_be_joined_stays_where_it_was() {
    let server = Server::start(&[("MOUNTS".into(), "operators@/".into())]).await;
    let connect = async || Dial::to(server.address()).connect().await.unwrap();
    let (mut visitors, mut operator) = (connect().await, connect().await);
    let said = json!({"operatorId": "op", "status": "online"});
    assert_eq!(operator.call("operator-status-change", said).await.unwrap()["ok"], true);
    let mut sessions = Vec::new();
    for n in 0..=MOST {
        let opened = visitors.call("user-join-chat", json!({"userId": format!("visitor-number-{n:04}")})).await.unwrap();
        sessions.push(opened["sessionId"].as_str().unwrap().to_owned());
    }
    let (last, others) = sessions.split_last().unwrap();
    for session in others {
        assert_eq!(operator_call(&mut operator, "operator-join-session", session).await["ok"], true);
    }
    assert_eq!(operator_call(&mut operator, "operator-join-session", last).await["code"], "TOO_MANY_SESSIONS");
    let path = format!("/api/chat/sessions/visitor-number-{MOST:04}");
    let found = request(server.address(), "GET", &path, &[], Body::None).await.unwrap().body;
    assert_eq!(found["data"]["sessions"][0]["status"], "waiting", "{found}");

    // He listens to all of them still, and to the next one when one of them is over.
    assert_eq!(operator_call(&mut operator, "operator-typing", &others[0]).await["ok"], true);
    assert_eq!(operator_call(&mut operator, "operator-end-session", &others[7]).await["ok"], true);
    assert_eq!(operator_call(&mut operator, "operator-join-session", last).await["ok"], true);
    let ended = operator.leftover().await.unwrap().into_iter().filter(|e| e.name == "session-ended").count();
    assert_eq!(ended, 1);
    let post = json!({"operatorId": "op", "sessionId": last, "content": "hello"});
    assert_eq!(operator.call("operator-send-message", post).await.unwrap()["ok"], true);
    let heard = operator.leftover().await.unwrap();
    assert_eq!(heard.iter().filter(|e| e.name == "message-received").count(), 1, "{heard:?}");
}
