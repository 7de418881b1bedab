//! `helpline export` on the real binary, beside a server that works on the same store: everything that is stored of a session, whole or not at all.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::harness::command::{Done, helpline};
use super::harness::http::request;
use super::harness::script::Body;
use super::harness::server::Server;
use super::harness::shop::Shop;
use super::transcripts::mongo_uri;

/// More than a page of the export.
const MESSAGES: usize = 120;

/// Exports a session from the store of a running server.
async fn export(server: &Server, env: &[(&str, &str)], arguments: &[&str]) -> Done {
    let data = [("DATA_DIR", server.data().to_str().unwrap())];
    helpline(&[&["export"], arguments].concat(), &[&data, env].concat(), "").await
}

fn parsed(done: &Done) -> Value {
    assert_eq!(done.status, 0, "{done:?}");
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

/// A database of MongoDB, which is dropped afterwards.
async fn on_mongodb(test: impl AsyncFnOnce(&[(&str, &str)])) {
    let (uri, database) = (mongo_uri(), format!("helpline_test_{}", Uuid::new_v4().simple()));
    test(&[("MONGODB_URI", &uri), ("MONGODB_DB", &database)]).await;
    let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
    client.database(&database).drop().await.unwrap();
}

async fn a_long_log_is_written_whole(env: &[(&str, &str)]) {
    let shop = Shop::open(env).await;
    let session = shop.session("u1").await;
    let mut visitor = shop.join(&session.id, "u1", "user").await;
    for n in 1..=MESSAGES {
        let said = json!({"sessionId": session.id, "message": format!("text {n}"), "clientKey": format!("k{n}")});
        assert_eq!(visitor.call("send_message", said).await.unwrap()["ok"], true);
    }
    shop.post(&format!("/api/chat/end-session/{}", session.id), json!({"reason": "done"})).await;
    let exported = parsed(&export(&shop.server, env, &["--session", &session.id]).await);
    let about = &exported["session"];
    assert_eq!((&about["id"], &about["status"], &about["realm"]), (&json!(session.id), &json!("ended"), &json!("support")));
    assert_eq!((&about["visitor"]["id"], &about["agent"]["id"]), (&json!("u1"), &json!(session.agent)));
    assert_eq!((&about["entries"], &about["messages"], &about["endReason"]), (&json!(MESSAGES + 2), &json!(MESSAGES), &json!("done")));
    let entries = exported["entries"].as_array().unwrap();
    assert!(entries.iter().map(|e| e["seq"].as_u64().unwrap()).eq(1..=MESSAGES as u64 + 2));
    assert_eq!((&entries[0]["kind"], &entries[MESSAGES + 1]["kind"]), (&json!("assigned"), &json!("ended")));
    let told = shop.history(&session.id).await;
    for (n, (message, told)) in entries[1..=MESSAGES].iter().zip(&told).enumerate() {
        assert_eq!((&message["body"], &message["clientKey"]), (&json!(format!("text {}", n + 1)), &json!(format!("k{}", n + 1))));
        assert_eq!((&message["id"], &message["at"], &message["author"]["id"]), (&told["id"], &told["timestamp"], &json!("u1")));
    }
    let read = export(&shop.server, env, &["--session", &session.id, "--format", "text"]).await;
    let (first, last) = (told[0]["timestamp"].as_str().unwrap(), told[MESSAGES - 1]["timestamp"].as_str().unwrap());
    assert!(read.status == 0 && read.out.contains(&format!("\n[{first}] #2 u1: text 1\n")), "{read:?}");
    assert!(read.out.contains(&format!("\n[{last}] #{} u1: text {MESSAGES}\n", MESSAGES + 1)), "{read:?}");
    assert!(read.out.trim_end().ends_with("ended it: done"), "{read:?}");
    assert!(!shop.server.log().contains("text 1"), "{}", shop.server.log());
}

#[tokio::test]
async fn a_long_log_is_written_whole_from_the_embedded_store() {
    a_long_log_is_written_whole(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_written_whole_from_mongodb() {
    on_mongodb(a_long_log_is_written_whole).await;
}

/// A server of `rooms` with somebody logged in.
struct House {
    server: Server,
    login: String,
}

impl House {
    async fn call(&self, method: Method, path: &str, body: Body) -> Value {
        let login = [("x-session-id".to_owned(), self.login.clone())];
        let answer = request(self.server.address(), method.as_str(), path, &login, body).await.unwrap();
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
        answer.body["data"].clone()
    }

    async fn upload(&self, room: &str, caption: &str) -> Value {
        let part = |head: &str, content: &str| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n");
        let form = part("name=\"content\"", caption) + &part("name=\"file\"; filename=\"notes.txt\"", "hello there") + "--b--\r\n";
        let headers =
            [("x-session-id", self.login.as_str()), ("Content-Type", "multipart/form-data; boundary=b")].map(|(k, v)| (k.into(), v.into()));
        let path = format!("/api/chat/rooms/{room}/attachments");
        request(self.server.address(), "POST", &path, &headers, Body::Raw(json!(form))).await.unwrap().body["data"].clone()
    }
}

async fn what_became_of_messages_is_written_too(env: &[(&str, &str)]) {
    let mut all: Vec<(String, String)> = env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    all.push(("MOUNTS".into(), "rooms@/".into()));
    let mut house = House { server: Server::start(&all).await, login: String::new() };
    let person = json!({"username": "cust", "email": "cust@example.com", "password": "a long password"});
    house.call(Method::POST, "/api/auth/register", Body::Json(person.clone())).await;
    house.login = house.call(Method::POST, "/api/auth/login", Body::Json(person)).await["sessionId"].as_str().unwrap().to_owned();
    let wanted = json!({"type": "support", "metadata": {"subject": "Printer", "priority": "high"}});
    let room = house.call(Method::POST, "/api/chat/rooms", Body::Json(wanted)).await["_id"].as_str().unwrap().to_owned();
    let carried = house.upload(&room, "first\u{1b}[2J\nForged: line").await["_id"].as_str().unwrap().to_owned();
    let said =
        house.call(Method::GET, &format!("/api/chat/rooms/{room}/messages"), Body::None).await[0]["_id"].as_str().unwrap().to_owned();
    house.call(Method::PATCH, &format!("/api/chat/messages/{said}"), Body::Json(json!({"content": "Scanner"}))).await;

    let exported = parsed(&export(&house.server, env, &["--session", &room.to_uppercase()]).await);
    let about = &exported["session"];
    assert_eq!(
        (&about["topic"]["subject"], &about["topic"]["priority"], &about["status"]),
        (&json!("Printer"), &json!("high"), &json!("waiting"))
    );
    assert_eq!((&about["participants"][0]["name"], &about["participants"][0]["email"]), (&json!("cust"), &json!("cust@example.com")));
    let entries = exported["entries"].as_array().unwrap();
    let kinds: Vec<&str> = entries.iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "message", "edited"], "{entries:?}");
    assert_eq!((&entries[0]["body"], &entries[0]["editedAt"]), (&json!("Scanner"), &entries[2]["at"]));
    assert_eq!((&entries[1]["id"], &entries[1]["form"], &entries[1]["file"]["size"]), (&json!(carried), &json!("file"), &json!(11)));
    let attachment = &entries[1]["attachments"][0];
    assert_eq!(
        (&attachment["name"], &attachment["mimeType"], &attachment["size"]),
        (&json!("notes.txt"), &json!("text/plain"), &json!(11))
    );
    assert_eq!((&entries[2]["messageId"], &entries[2]["body"]), (&json!(said), &json!("Scanner")));
    let read = export(&house.server, env, &["--session", &room, "--format", "text"]).await.out;
    for line in ["Visitor: cust (", "Subject: Printer", "    Forged: line", "    (file notes.txt, text/plain, 11 bytes)", "    (edited 20"]
    {
        assert!(read.lines().any(|l| l.starts_with(line)), "{line} is missing in:\n{read}");
    }
    assert!(!read.contains('\u{1b}') && read.contains("first\u{fffd}[2J"), "{read}");
}

#[tokio::test]
async fn what_became_of_messages_is_written_too_from_the_embedded_store() {
    what_became_of_messages_is_written_too(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_messages_is_written_too_from_mongodb() {
    on_mongodb(what_became_of_messages_is_written_too).await;
}

#[tokio::test]
async fn a_session_that_is_not_there_or_not_whole_is_said_and_is_no_success() {
    let shop = Shop::open(&[]).await;
    let unknown = "507f1f77bcf86cd799439011";
    let done = export(&shop.server, &[], &["--session", unknown]).await;
    assert!(done.status == 1 && done.out.is_empty() && done.err.contains(&format!("there is no session {unknown}")), "{done:?}");
    for (arguments, why) in [
        (&["--session", "nonsense"] as &[&str], "expected a UUID or 24 hex digits"),
        (&[], "--session"),
        (&["--session", unknown, "--format", "xml"], "json"),
    ] {
        let done = export(&shop.server, &[], arguments).await;
        assert!(done.status == 2 && done.out.is_empty() && done.err.contains(why), "{arguments:?}: {done:?}");
    }
    let session = shop.session("u1").await;
    for text in ["one", "two", "three"] {
        shop.post(&format!("/api/chat/send-message/{}", session.id), json!({"message": text})).await;
    }
    let file = shop.server.data().join("helpline.db");
    rusqlite::Connection::open(file).unwrap().execute("DELETE FROM messages WHERE text = 'two'", ()).unwrap();
    let done = export(&shop.server, &[], &["--session", &session.id]).await;
    assert!(done.status == 1 && done.err.contains(&format!("the log of session {} lacks entry 3 of 4", session.id)), "{done:?}");
    assert!(serde_json::from_str::<Value>(&done.out).is_err(), "what is cut short is not whole: {done:?}");
}
