//! A server with an API key, and shortcuts for what most tests of `support` begin with: sessions, joined sockets, tokens, histories.

use jsonwebtoken::{EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Dial};
use super::http;
use super::script::Body;
use super::server::Server;

/// The API key of the server.
pub(crate) const KEY: &str = "the-key-of-the-tests";

/// What signs its tokens.
pub(crate) const JWT_SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

/// A running server.
pub(crate) struct Shop {
    pub(crate) server: Server,
}

/// A session that was started.
pub(crate) struct Opened {
    pub(crate) id: String,
    /// Whoever answers it; empty while it waits.
    pub(crate) agent: String,
}

impl Shop {
    /// Starts a server with these variables besides its secrets.
    pub(crate) async fn open(env: &[(&str, &str)]) -> Self {
        let secrets = [("API_KEY", KEY), ("JWT_SECRET", JWT_SECRET)];
        let env: Vec<(String, String)> = secrets.iter().chain(env).map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Self { server: Server::start(&env).await }
    }

    /// The status and the body of a REST call by API key.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Body) -> (u16, Value) {
        let key = [("x-api-key".to_owned(), KEY.to_owned())];
        let answer = http::request(self.server.address(), method.as_str(), path, &key, body).await.expect("an answer");
        (answer.status, answer.body)
    }

    /// `data` of a REST call by API key, which must succeed.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Body::Json(body)).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {answer}");
        answer["data"].clone()
    }

    /// Starts a session of this visitor.
    pub(crate) async fn session(&self, visitor: &str) -> Opened {
        let data = self.post("/api/chat/start-session", json!({"userId": visitor})).await;
        let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
        Opened { id: text("sessionId"), agent: text("agentId") }
    }

    /// All messages of a session, as REST tells them.
    pub(crate) async fn history(&self, session: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let path = format!("/api/chat/messages/{session}?limit=100&offset={}", messages.len());
            let (status, answer) = self.call(Method::GET, &path, Body::None).await;
            assert_eq!(status, 200, "{answer}");
            messages.extend(answer["data"]["messages"].as_array().expect("messages").iter().cloned());
            if answer["data"]["pagination"]["hasMore"] != true {
                return messages;
            }
        }
    }

    /// The whole log of a session, as a client that missed everything resumes it.
    pub(crate) async fn log(&self, session: &str) -> Vec<Value> {
        let mut client = self.dial().connect().await.expect("a connection");
        let mut log: Vec<Value> = Vec::new();
        loop {
            let answer = client.call("resume", json!({"sessionId": session, "lastSeq": log.len()})).await.expect("an answer");
            log.extend(answer["entries"].as_array().expect("entries").iter().cloned());
            if answer["complete"] == true {
                return log;
            }
        }
    }

    /// A socket of the API key's, about to connect.
    pub(crate) fn dial(&self) -> Dial {
        Dial::to(self.server.address()).auth(json!({"apiKey": KEY}))
    }

    /// A socket that has joined a session as this person and was greeted.
    pub(crate) async fn join(&self, session: &str, person: &str, kind: &str) -> Client {
        let mut client = self.dial().connect().await.expect("a connection");
        client.emit("join_session", &[json!({"sessionId": session, "userId": person, "userType": kind})]);
        let greeting = client.event().await.expect("a greeting");
        assert_eq!(greeting.name, "session_joined", "{greeting:?}");
        client
    }
}

/// A token of `support` that is good for this many seconds.
pub(crate) fn token(id: &str, kind: &str, seconds: i64) -> String {
    let now = present();
    let claims = json!({"id": id, "type": kind, "iat": now, "exp": now + seconds, "aud": "helpline:support", "iss": "helpline"});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(JWT_SECRET.as_bytes())).expect("a token")
}

/// The present, in seconds since 1970.
fn present() -> i64 {
    use helpline::domain::time::{Clock, SystemClock};
    SystemClock.now().0 / 1_000
}

/// Fails unless the client is connected and the server answers it.
pub(crate) async fn assert_alive(client: &mut Client) {
    let answer = client.call("no-such-event", json!({})).await;
    assert_eq!(answer.expect("an acknowledgement")["code"], "UNKNOWN_EVENT");
}
