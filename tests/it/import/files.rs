//! The take-over of documents 000, 003 and 004 from files of JSON lines: what is odd, what is out of order, and the server that goes on from there.

use serde_json::{Value, json};

use super::{Move, says};
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::server::Server;

/// Ids of rows, by number.
fn uuid(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// A password, and what the original stored of it.
const PASSWORD: &str = "correct horse";
const HASH: &str = "$2b$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC";

/// A visitor's id that nobody guesses.
const LONG: &str = "user_1700000000000_x7";

/// A moment as MySQL writes it, so many minutes after midnight.
fn minute(n: u32) -> String {
    format!("2026-11-20 {:02}:{:02}:00", n / 60, n % 60)
}

fn row(table: &str, n: u32, fields: Value) -> Value {
    let mut row = json!({"table": table, "id": uuid(n), "createdAt": minute(n), "updatedAt": minute(n + 1)});
    row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    row
}

fn message(n: u32, of: u32, kind: &str, text: &str, more: Value) -> Value {
    let mut row =
        row("messages", n, json!({"sessionId": uuid(of), "senderId": null, "senderType": kind, "content": text, "isRead": false}));
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

impl Move {
    /// Writes a file of these rows, and answers its name.
    fn write(&self, name: &str, rows: &[Value]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn import_file(&self, dialect: &str, file: &str) -> String {
        let done = self.run(&["import", "--dialect", dialect, "--file", file]).await;
        assert_eq!(done.status, 0, "{done:?}");
        done.out
    }

    async fn serve(&self, mounts: &str) -> Server {
        let mut env = self.env();
        env.push(("MOUNTS".into(), mounts.into()));
        Server::start(&env).await
    }
}

async fn call(server: &Server, method: &str, path: &str, body: Body) -> Value {
    let answer = request(server.address(), method, path, &[], body).await.unwrap();
    assert_eq!(answer.status / 100, 2, "{path}: {answer:?}");
    answer.body
}

fn operators() -> Vec<Value> {
    vec![
        row("operators", 1, json!({"name": "Ann", "email": "ann@example.com", "status": "online", "lastActiveAt": minute(9)})),
        row(
            "sessions",
            11,
            json!({"userId": LONG, "userName": "Uwe", "groupName": "ACME", "operatorId": uuid(1), "status": "active", "closedAt": null}),
        ),
        row("sessions", 12, json!({"userId": "u2", "status": "waiting", "operatorId": null})),
        row("sessions", 13, json!({"userId": "u3", "status": "timeout", "operatorId": uuid(1), "closedAt": minute(40)})),
        row("sessions", 14, json!({"userId": "u4", "status": "lost", "operatorId": uuid(9)})),
        message(21, 11, "user", "first", json!({"senderId": LONG, "isRead": 1})),
        message(22, 11, "operator", "answer", json!({"senderId": uuid(1), "createdAt": minute(21)})),
        message(23, 11, "system", "Ann joined", json!({"senderId": "system", "messageType": "system"})),
        message(24, 11, "robot", "of a robot", json!({})),
        message(25, 13, "user", "waits in vain", json!({"senderId": "u3"})),
        message(26, 13, "user", " ", json!({"senderId": "u3"})),
        message(27, 99, "user", "of no session", json!({"senderId": "u3"})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_documents_000_and_003_goes_on() {
    let moved = Move::new(false).await;
    let file = moved.write("operators.jsonl", &operators());
    let report = moved.import_file("operators", &file).await;
    for (what, id) in [
        ("odd: sessions with an unknown status:", uuid(14)),
        ("odd: sessions of an agent who is not there: they stay his: 1:", uuid(14)),
        ("odd: messages with an unknown senderType:", uuid(24)),
        ("odd: messages without a text: left out: 1:", uuid(26)),
        ("odd: messages of a session that is not there: left out: 1:", uuid(27)),
        ("odd: messages of the same moment as the one before: in the order of their ids, or of the file: 1:", uuid(22)),
    ] {
        says(&report, what, &[&id]);
    }
    for line in ["operators to read: 1", "sessions to read: 4", "messages to read: 7", "sessions here after: 4", "messages here after: 5"] {
        assert!(report.lines().any(|l| l == line), "{line} is missing in:\n{report}");
    }
    let first = moved.export(&uuid(11)).await;
    let again = moved.import_file("operators", &file).await;
    assert!(again.contains("messages here before: 5\n") && again.contains("messages here after: 5\n"), "{again}");
    assert_eq!(moved.export(&uuid(11)).await, first);
    let texts: Vec<&Value> = first["entries"].as_array().unwrap().iter().map(|e| &e["body"]).collect();
    assert_eq!(texts, [&Value::Null, &json!("first"), &json!("answer"), &json!("Ann joined"), &json!("of a robot")]);
    assert_eq!(
        (&first["entries"][1]["at"], &first["entries"][1]["readAt"]),
        (&json!("2026-11-20T00:21:00.000Z"), &json!("2026-11-20T00:22:00.000Z"))
    );

    let server = moved.serve("operators@/").await;
    let active = call(&server, "GET", "/api/chat/sessions/active", Body::None).await;
    let mut listed: Vec<&Value> = active["data"]["sessions"].as_array().unwrap().iter().map(|s| &s["id"]).collect();
    listed.sort_by_key(|id| id.to_string());
    assert_eq!(listed, [&json!(uuid(11)), &json!(uuid(12)), &json!(uuid(14))]);
    let history = call(&server, "GET", "/api/chat/sessions/history?status=closed", Body::None).await;
    let row = &history["data"]["sessions"][0];
    assert_eq!(
        (&row["id"], &row["closedAt"], &row["lastMessage"]),
        (&json!(uuid(13)), &json!("2026-11-20T00:40:00.000Z"), &json!("waits in vain"))
    );
    let messages = call(&server, "GET", &format!("/api/chat/messages/{}", uuid(11)), Body::None).await;
    let told = messages["data"]["messages"].as_array().unwrap();
    assert_eq!((told.len(), &told[0]["isRead"], &told[1]["isRead"]), (4, &json!(true), &json!(false)));
    assert_eq!(
        (&told[1]["senderType"], &told[2]["messageType"], &told[0]["groupName"]),
        (&json!("operator"), &json!("system"), &json!("ACME"))
    );
    let found = call(&server, "POST", "/api/chat/sessions", Body::Json(json!({"userId": LONG}))).await;
    assert_eq!((&found["data"]["isNew"], &found["data"]["session"]["id"]), (&json!(false), &json!(uuid(11))));
    let staff = call(&server, "GET", "/api/operators", Body::None).await;
    assert!(staff.to_string().contains(&uuid(1)) && staff.to_string().contains("offline"), "{staff}");
    drop(server);
    moved.end().await;
}

fn widget() -> Vec<Value> {
    vec![
        row("admins", 1, json!({"email": "Ann@example.com", "password": HASH, "fullName": "Ann"})),
        row("admins", 2, json!({"email": null, "password": HASH})),
        row("sessions", 11, json!({"userId": "user_1", "userName": "Uwe", "userEmail": "uwe@example.com", "status": "active"})),
        row("sessions", 12, json!({"userId": "user_2", "status": "closed"})),
        row("sessions", 13, json!({"userId": "user_3", "status": "important"})),
        message(21, 11, "user", "first", json!({"isRead": true})),
        message(22, 11, "admin", "answer", json!({})),
        message(23, 12, "admin", "bye", json!({"senderId": uuid(1)})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_document_004_goes_on_on_mongodb() {
    let moved = Move::new(true).await;
    let file = moved.write("widget.jsonl", &widget());
    let report = moved.import_file("widget", &file).await;
    says(&report, "odd: admins without an e-mail address: left out: 1:", &[&uuid(2)]);
    let again = moved.import_file("widget", &file).await;
    for line in
        ["admins here after: 1", "sessions here before: 3", "sessions here after: 3", "messages here before: 3", "messages here after: 3"]
    {
        assert!(again.lines().any(|l| l == line), "{line} is missing in:\n{again}");
    }
    let server = moved.serve("widget@/").await;
    let login = Body::Json(json!({"email": "Ann@example.com", "password": PASSWORD}));
    let login = call(&server, "POST", "/api/auth/login", login).await;
    assert_eq!((&login["admin"]["id"], &login["admin"]["fullName"]), (&json!(uuid(1)), &json!("Ann")));
    let bearer = [("Authorization".to_owned(), format!("Bearer {}", login["token"].as_str().unwrap()))];
    let inbox = request(server.address(), "GET", "/api/sessions", &bearer, Body::None).await.unwrap().body;
    let rows: Vec<(&Value, &Value)> = inbox.as_array().unwrap().iter().map(|s| (&s["id"], &s["status"])).collect();
    let expected = [(13, "important"), (12, "closed"), (11, "active")].map(|(n, status)| (json!(uuid(n)), json!(status)));
    assert_eq!(rows, expected.iter().map(|(id, status)| (id, status)).collect::<Vec<_>>());
    let messages = call(&server, "GET", &format!("/api/chat/messages/{}", uuid(11)), Body::None).await;
    assert_eq!((&messages[0]["content"], &messages[0]["isRead"], &messages[0]["senderId"]), (&json!("first"), &json!(true), &Value::Null));
    assert_eq!((&messages[1]["senderType"], &messages[1]["isRead"], &messages[1]["seq"]), (&json!("admin"), &json!(false), &json!(2)));
    let said = Body::Json(json!({"sessionId": uuid(11), "senderType": "user", "content": "goes on"}));
    assert_eq!(call(&server, "POST", "/api/chat/messages", said).await["seq"], 3);
    drop(server);
    moved.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_imported_is_refused_by_its_line_before_anything_is_written() {
    let moved = Move::new(false).await;
    let rows = operators();
    let order = |order: &[usize]| order.iter().map(|n| rows[*n].clone()).collect::<Vec<_>>();
    for (name, rows, why) in [
        ("torn.jsonl", order(&[1, 5, 9, 6]), "line 4 of"),
        ("torn.jsonl", order(&[1, 5, 9, 6]), "order them by session"),
        ("late.jsonl", order(&[1, 7, 5]), "line 3 of"),
        ("late.jsonl", order(&[1, 7, 5]), "order those of a session by time"),
        ("other.jsonl", vec![json!({"table": "secrets"})], "names no table of this dialect"),
        ("none.jsonl", vec![json!({"id": 1})], "does not say its table"),
        ("array.jsonl", vec![json!(["hunter2"])], "is no JSON object"),
    ] {
        let file = moved.write(name, &rows);
        let done = moved.run(&["import", "--dialect", "operators", "--file", &file]).await;
        assert!(done.status == 1 && done.err.contains(why) && !done.err.contains("hunter2"), "{done:?}");
    }
    for (arguments, why) in [
        (&["--dialect", "operators"] as &[&str], "--file"),
        (&["--file", "x"], "--dialect"),
        (&["--dialect", "rooms", "--file", "x"], "expected operators or widget"),
        (&["--from", "mongodb://127.0.0.1:9/x", "--dialect", "widget", "--file", "x"], "cannot be used with"),
        (&[], "--from"),
    ] {
        let done = moved.run(&[&["import"], arguments].concat()).await;
        assert!(done.status == 2 && done.err.contains(why), "{arguments:?}: {done:?}");
    }
    let done = moved.run(&["import", "--dialect", "widget", "--file", "/no/such/file"]).await;
    assert!(done.status == 2 && done.err.contains("--file /no/such/file"), "{done:?}");
    moved.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_frontends_of_files_talk_on_in_imported_sessions() {
    for (contract, rows) in [("operators", operators()), ("widget", widget())] {
        for to_mongodb in [false, true] {
            let moved = Move::new(to_mongodb).await;
            moved.import_file(contract, &moved.write("rows.jsonl", &rows)).await;
            moved.play(contract).await;
            moved.end().await;
        }
    }
}
