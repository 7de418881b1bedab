//! Who may what in `rooms`: every path and every call, tried by everybody in a room of its own, against the tables of `docs/dialects/rooms.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use helpline::dialect::rooms;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::harness::client::{Client, Dial};
use super::harness::server::Server;

/// Everybody who tries, in the order of the tables' columns. The room is the user's, and the agent answers it.
const CALLERS: [&str; 6] = ["nobody", "other user", "own user", "other agent", "own agent", "admin"];

/// What callers say in paths and bodies that name something: filled in for each try.
const PASSWORD: &str = "a long password";

struct House {
    server: Server,
    http: reqwest::Client,
    /// The logins and ids of all callers but nobody.
    logins: BTreeMap<&'static str, String>,
    ids: BTreeMap<&'static str, String>,
}

/// What a try is about: a fresh room of the own user, answered by the own agent, with one message of the user.
struct Scene {
    room: String,
    message: String,
    attachment: String,
    second: String,
}

impl House {
    async fn open() -> Self {
        let env = [("MOUNTS", "rooms@/"), ("ADMIN_EMAIL", "boss@example.com"), ("ADMIN_PASSWORD", PASSWORD), ("MESSAGES_PER_MINUTE", "0")];
        let server = Server::start(&env.map(|(name, value)| (name.to_owned(), value.to_owned()))).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut house = Self { server, http, logins: BTreeMap::new(), ids: BTreeMap::new() };
        house.log_in("admin", "boss@example.com").await;
        for caller in CALLERS.into_iter().filter(|c| !["nobody", "admin"].contains(c)) {
            let email = format!("{}@example.com", caller.replace(' ', "-"));
            let role = if caller.ends_with("agent") { "agent" } else { "user" };
            let person = json!({"username": caller, "email": email, "password": PASSWORD, "role": role});
            house.said("admin", "POST", "/api/auth/register", person).await;
            house.log_in(caller, &email).await;
        }
        house
    }

    async fn log_in(&mut self, caller: &'static str, email: &str) {
        let login = self.said("nobody", "POST", "/api/auth/login", json!({"email": email, "password": PASSWORD})).await;
        self.logins.insert(caller, text(&login["data"]["sessionId"]));
        self.ids.insert(caller, text(&login["data"]["userId"]));
    }

    /// The status and body of a request by a caller. A form is sent where the path takes one.
    async fn request(&self, caller: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("http://{}{path}", self.server.address()));
        if let Some(login) = self.logins.get(caller) {
            request = request.header("x-session-id", login);
        }
        let request = if path.ends_with("/attachments") {
            request.multipart(Form::new().part("file", Part::text("hello").file_name("a.txt")))
        } else {
            request.json(&body)
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    async fn said(&self, caller: &str, method: &str, path: &str, body: Value) -> Value {
        let (status, body) = self.request(caller, method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {body}");
        body
    }

    async fn scene(&self) -> Scene {
        let new = json!({"type": "support", "assignedAgent": self.ids["own agent"], "metadata": {"subject": "x"}});
        let room = text(&self.said("own user", "POST", "/api/chat/rooms", new.clone()).await["data"]["_id"]);
        let second = text(&self.said("own user", "POST", "/api/chat/rooms", new).await["data"]["_id"]);
        self.said("admin", "POST", "/api/admin/remove-agent", json!({"chatRoomId": second})).await;
        let carried = self.said("own user", "POST", &format!("/api/chat/rooms/{room}/attachments"), Value::Null).await;
        let attachment = text(&carried["data"]["metadata"]["imageUrl"]).rsplit('/').next().unwrap().to_owned();
        Scene { room, message: text(&carried["data"]["_id"]), attachment, second }
    }

    /// Closes the rooms of a scene: a user has so many open ones.
    async fn clear(&self, rooms: [&str; 2]) {
        for room in rooms {
            self.said("admin", "DELETE", &format!("/api/chat/rooms/{room}"), json!({})).await;
        }
    }

    /// What a caller is answered on a path of the contract: nothing but the status where it is served, else the message too.
    async fn try_path(&self, caller: &str, path: &str) -> String {
        let (scene, own) = (self.scene().await, self.ids.get(caller).cloned().unwrap_or_default());
        let (method, path) = path.split_once(' ').unwrap();
        let asked = path
            .replace("messages/{id}", &format!("messages/{}", scene.message))
            .replace("attachments/{id}", &format!("attachments/{}", scene.attachment))
            .replace("{userId}", &self.ids["other user"])
            .replace("{chatRoomId}", &scene.room)
            .replace("{id}", &scene.room);
        let query = match path {
            "/api/chat/unread-count" => format!("?chatRoomId={}", scene.room),
            path if path.ends_with("/search") => "?q=x".to_owned(),
            _ => String::new(),
        };
        // Everything that any path asks for.
        let (agent, id) = (&self.ids["other agent"], uuid::Uuid::new_v4().simple().to_string());
        let mut body = json!({
            "type": "group", "content": "changed", "chatRoomId": scene.room, "agentId": agent, "toAgentId": agent, "status": "online",
            "username": &id[..20], "email": format!("{id}@example.com"), "password": PASSWORD,
        });
        if path.ends_with("/login") {
            body["email"] = "boss@example.com".into();
        } else if path.ends_with("between-chats") {
            (body["fromChatId"], body["toChatId"]) = (scene.room.clone().into(), scene.second.clone().into());
            body["agentId"] = self.ids["own agent"].clone().into();
        } else if path.ends_with("/users/{userId}/status") {
            body["status"] = "away".into();
        }
        // A login that is taken back is made for that.
        let answer = if path.ends_with("/logout") && !own.is_empty() {
            let email = if caller == "admin" { "boss@example.com".to_owned() } else { format!("{}@example.com", caller.replace(' ', "-")) };
            let login = self.said("nobody", "POST", "/api/auth/login", json!({"email": email, "password": PASSWORD})).await;
            self.request("nobody", method, &asked, json!({"sessionId": login["data"]["sessionId"]})).await
        } else {
            self.request(caller, method, &format!("{asked}{query}"), body).await
        };
        self.clear([&scene.room, &scene.second]).await;
        match answer {
            (status @ ..300, _) => status.to_string(),
            (status, body) => format!("{status} `{}`", body["message"].as_str().unwrap_or_default()),
        }
    }

    async fn client(&self, caller: &str) -> Option<Client> {
        let login = self.logins.get(caller)?;
        Some(Dial::to(self.server.address()).auth(json!({"sessionId": login})).connect().await.expect("a socket"))
    }

    /// What a caller's acknowledgement of a call says: `ok`, or the code.
    async fn try_call(&self, caller: &str, call: &str) -> String {
        let scene = self.scene().await;
        let Some(mut client) = self.client(caller).await else {
            self.clear([&scene.room, &scene.second]).await;
            return "no socket".into();
        };
        let said = json!({
            "chatRoomId": scene.room, "messageId": scene.message, "content": "said", "isTyping": true, "status": "online", "lastSeq": 0,
        });
        let answer = client.call(call, said).await.unwrap_or_else(|e| panic!("{caller} {call}: {e}"));
        client.disconnect().await;
        self.clear([&scene.room, &scene.second]).await;
        if answer["ok"] == json!(true) { "ok".into() } else { format!("`{}`", answer["code"].as_str().unwrap_or_default()) }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

/// A table with a row for each name, and a column for each caller.
fn table(head: &str, rows: &[(String, Vec<String>)]) -> String {
    let mut table = format!("| {head} | {} |\n|{}\n", CALLERS.join(" | "), "---|".repeat(CALLERS.len() + 1));
    for (name, cells) in rows {
        writeln!(table, "| `{name}` | {} |", cells.join(" | ")).unwrap();
    }
    table
}

fn assert_documented(table: &str) {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dialects/rooms.md")).unwrap();
    assert!(document.contains(table), "docs/dialects/rooms.md should hold this table:\n\n{table}");
}

#[tokio::test]
async fn every_path_answers_everybody_as_documented() {
    let house = Arc::new(House::open().await);
    let mut rows = Vec::new();
    for path in rooms::rest::PATHS {
        let tries = CALLERS.map(|caller| house.try_path(caller, path));
        let name = path.replace('{', ":").replace('}', "");
        rows.push((name, futures_util::future::join_all(tries).await));
    }
    assert_documented(&table("Path", &rows));
}

#[tokio::test]
async fn every_call_answers_everybody_as_documented() {
    let house = Arc::new(House::open().await);
    let mut rows = Vec::new();
    for call in rooms::calls::CALLS {
        let tries = CALLERS.map(|caller| house.try_call(caller, call));
        rows.push(((*call).to_owned(), futures_util::future::join_all(tries).await));
    }
    assert_documented(&table("Call", &rows));
}
