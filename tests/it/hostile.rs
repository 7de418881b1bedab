//! What no transcript can say: frames that break the protocol, and pages from elsewhere. The neighbours must not notice.

use serde_json::json;

use crate::harness::client::{Client, Dial, Refused};
use crate::harness::server::Server;

const KEY: &str = "the-key-of-the-tests";

async fn server() -> Server {
    Server::start(&[("API_KEY".into(), KEY.into())]).await
}

fn dial(server: &Server) -> Dial {
    Dial::to(server.address()).auth(json!({"apiKey": KEY}))
}

async fn assert_answers(client: &mut Client) {
    let answer = client.call("no-such-event", json!({})).await;
    assert_eq!(answer.expect("an acknowledgement")["code"], "UNKNOWN_EVENT");
}

#[tokio::test]
async fn frames_that_break_the_protocol_harm_nobody_else() {
    let server = server().await;
    let mut neighbour = dial(&server).connect().await.expect("a connection");
    let deep = format!("42[\"send_message\",{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("42[\"send_message\",{{\"message\":\"{}\"}}]", "x".repeat(2_000_000));
    let numbers = "42[\"send_message\",{\"message\":1e999999,\"sessionId\":-0}]";
    let frames = [
        "",
        "4",
        "9",
        "4x",
        "42",
        "42[",
        "42[]",
        "42{}",
        "42[1]",
        "42[null]",
        "42[\"\"]",
        "42[{}]",
        "42\u{0}",
        "43",
        "431[]",
        "4399999999999999999999[]",
        "4299999999999999999999[\"send_message\",{}]",
        "451-[\"send_message\",{\"_placeholder\":true,\"num\":0}]",
        "4599999999999-[\"x\"]",
        "42/widget,[\"x\"]",
        "40",
        "40/nowhere,{}",
        "40{",
        "41/nowhere,",
        "44{\"message\":\"x\"}",
        "0{}",
        "1",
        "5",
        "6",
        "2probe",
        "3probe",
        numbers,
        &deep,
        &long,
        "42[\"join_session\",{\"sessionId\":{\"$gt\":\"\"},\"userId\":[],\"userType\":{}}]",
        "42[\"__proto__\",{\"constructor\":1}]",
    ];
    for frame in frames {
        let hostile = dial(&server).connect().await.expect("a connection");
        hostile.send_text(frame);
        hostile.send_text("42[\"send_message\",{\"message\":\"after\"}]");
        hostile.disconnect().await;
        assert_answers(&mut neighbour).await;
    }
    let mut newcomer = dial(&server).connect().await.expect("a connection");
    assert_answers(&mut newcomer).await;
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[tokio::test]
async fn a_page_from_elsewhere_opens_no_websocket() {
    let server = server().await;
    let refused = dial(&server).header("Origin", "http://evil.example").connect().await;
    match refused {
        Err(Refused::Handshake(error)) => assert!(error.to_string().contains("403"), "{error}"),
        Err(Refused::Connect(message)) => panic!("refused too late: {message}"),
        Ok(_) => panic!("a foreign page was let in"),
    }
    let mut own = dial(&server).header("Origin", "http://localhost:5173").connect().await.expect("a page of the developer's");
    assert_answers(&mut own).await;
}
