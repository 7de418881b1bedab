//! The take-over of document 002: accounts with their passwords, rooms with their people and their histories, receipts and changes of messages.

use bson::{Document, doc};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Move, at, hex, id, says};
use crate::harness::DEADLINE;
use crate::harness::client::{Client, Dial};
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::server::Server;

/// Kinds of ids.
const USER: u8 = 1;
const ROOM: u8 = 2;
const MESSAGE: u8 = 3;

/// A password, and what the original stored of it.
const PASSWORD: &str = "correct horse";
const HASH: &str = "$2b$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC";

/// Users, by number.
const CUST: u32 = 1;
const AGENT: u32 = 2;
const BOSS: u32 = 3;
const FRIEND: u32 = 4;

fn user(n: u32, name: &str, role: &str) -> Document {
    doc! {
        "_id": id(USER, n), "username": name, "email": format!("{name}@example.com"), "password": HASH, "role": role, "status": "online",
        "isOnline": true, "lastSeen": at(5), "department": "billing", "specialization": "", "createdAt": at(1), "updatedAt": at(2), "__v": 0,
    }
}

fn room(n: u32, kind: &str, status: &str, people: &[u32], agent: Option<u32>) -> Document {
    let mut room = doc! {
        "_id": id(ROOM, n), "type": kind, "status": status, "isActive": status != "closed", "createdBy": id(USER, CUST),
        "participants": people.iter().map(|p| id(USER, *p)).collect::<Vec<_>>(), "metadata": { "priority": "medium", "tags": [] },
        "transferHistory": [], "lastActivity": at(100 + i64::from(n)), "createdAt": at(0), "updatedAt": at(90), "__v": 0,
    };
    if let Some(agent) = agent {
        room.insert("assignedAgent", id(USER, agent));
    }
    room
}

fn message(n: u32, of: u32, from: u32, seconds: i64, text: &str) -> Document {
    doc! {
        "_id": id(MESSAGE, n), "chatRoomId": id(ROOM, of), "senderId": id(USER, from), "content": text, "messageType": "text", "status": "sent",
        "isEdited": false, "readBy": [], "deliveredTo": [], "createdAt": at(seconds), "updatedAt": at(seconds), "__v": 0,
    }
}

/// A database as document 002 leaves it, with whatever may be odd in it.
async fn fixture(moved: &Move) {
    let mut users = [
        user(CUST, "cust", "user"),
        user(AGENT, "agent", "agent"),
        user(BOSS, "boss", "admin"),
        user(FRIEND, "friend", "user"),
        user(5, "quiet", "king"),
        user(6, "nomail", "user"),
        user(7, "twin", "user"),
    ];
    users[4].remove("password");
    users[5].remove("email");
    users[6].insert("email", "CUST@example.com");
    moved.fill("users", users).await;
    let handover = |n: u32, from: u32, to: Option<u32>, seconds: i64| {
        doc! { "_id": id(9, n), "fromAgent": id(USER, from), "toAgent": to.map(|to| id(USER, to)), "transferredAt": at(seconds), "reason": "handover" }
    };
    let mut rooms = [
        room(1, "support", "active", &[CUST, AGENT], Some(AGENT)),
        room(2, "support", "active", &[CUST], None),
        room(3, "direct", "closed", &[CUST, FRIEND], None),
        room(4, "channel", "strange", &[CUST, FRIEND, 66], None),
        room(5, "support", "pending", &[CUST], None),
        room(6, "support", "active", &[CUST], Some(AGENT)),
    ];
    let about = doc! { "subject": "Printer", "priority": "high", "tags": ["a"], "customerInfo": { "name": "Una", "phone": "1" } };
    rooms[0].insert("metadata", about);
    rooms[0].insert("transferHistory", vec![handover(1, BOSS, Some(AGENT), 15)]);
    rooms[4].insert("transferHistory", vec![handover(5, AGENT, None, 30)]);
    moved.fill("chatrooms", rooms).await;
    let receipt = |reader: u32, field: &str, seconds: i64| doc! { "_id": id(8, 1), "userId": id(USER, reader), field: at(seconds) };
    let mut messages = vec![
        message(10, 1, CUST, 1, "Hello! I need help with: **Printer**"),
        message(12, 1, AGENT, 20, "second of its moment"),
        message(11, 1, AGENT, 20, "first of its moment"),
        message(13, 1, CUST, 30, "changed"),
        message(14, 1, CUST, 40, "This message was deleted"),
        message(15, 1, CUST, 50, "a picture"),
        message(16, 1, CUST, 60, "of a strange kind"),
        message(17, 1, 77, 70, "of somebody unknown"),
        message(20, 3, FRIEND, 5, "before the end"),
        message(21, 3, FRIEND, 500, "after the end"),
        message(990, 99, CUST, 5, "of no room"),
    ];
    messages[2].insert("readBy", vec![receipt(CUST, "readAt", 26)]);
    messages[2].insert("deliveredTo", vec![receipt(CUST, "deliveredAt", 25)]);
    messages[2].insert("status", "read");
    messages[3].extend(doc! { "isEdited": true, "editedAt": at(35), "replyTo": id(MESSAGE, 11), "status": "delivered" });
    messages[4].extend(doc! { "isEdited": true, "editedAt": at(45) });
    messages[5].extend(doc! { "messageType": "image", "metadata": { "fileName": "p.png", "fileSize": 12, "mimeType": "image/png" } });
    messages[6].insert("messageType", "song");
    messages.reverse();
    moved.fill("messages", messages).await;
}

fn names_what_is_odd(report: &str) {
    for (what, id) in [
        ("odd: users without a password:", hex(USER, 5)),
        ("odd: users with an unknown role: user: 1:", hex(USER, 5)),
        ("odd: users without an e-mail address:", hex(USER, 6)),
        ("odd: rooms with an unknown type: support: 1:", hex(ROOM, 4)),
        ("odd: rooms with an unknown status: active: 1:", hex(ROOM, 4)),
        ("odd: rooms of support that nobody answers: they wait for an agent: 2:", hex(ROOM, 2)),
        ("odd: rooms whose agent takes no part: he does here: 1:", hex(ROOM, 6)),
        ("odd: rooms and messages of users who are not there:", hex(ROOM, 4)),
        ("odd: rooms and messages of users who are not there:", hex(MESSAGE, 17)),
        ("odd: messages of a session that is not there: left out: 1:", hex(MESSAGE, 990)),
        ("odd: messages of the same moment as the one before: in the order of their ids, or of the file: 1:", hex(MESSAGE, 12)),
        ("odd: messages with an unknown messageType: text: 1:", hex(MESSAGE, 16)),
        ("odd: messages whose status no receipt bears out, or is unknown: as their receipts say: 1:", hex(MESSAGE, 13)),
    ] {
        says(report, what, &[&id]);
    }
    assert!(
        !report.contains("example.com") && !report.contains("cust") && !report.contains("Printer"),
        "no names, no addresses, no texts:\n{report}"
    );
}

async fn is_as_it_was(moved: &Move) -> Vec<Value> {
    let first = moved.export(&hex(ROOM, 1)).await;
    let entries = first["entries"].as_array().unwrap();
    let kinds: Vec<(&str, &str)> = entries.iter().map(|e| (e["kind"].as_str().unwrap(), e["body"].as_str().unwrap_or_default())).collect();
    let expected = [
        ("assigned", ""),
        ("message", "Hello! I need help with: **Printer**"),
        ("assigned", ""),
        ("message", "first of its moment"),
        ("message", "second of its moment"),
        ("message", "changed"),
        ("edited", "changed"),
        ("message", "This message was deleted"),
        ("deleted", "This message was deleted"),
        ("message", "a picture"),
        ("message", "of a strange kind"),
        ("message", "of somebody unknown"),
    ];
    assert_eq!(kinds, expected);
    assert_eq!((&entries[0]["agent"]["id"], &entries[2]["agent"]["name"]), (&json!(hex(USER, BOSS)), &json!("agent")));
    assert_eq!((&entries[2]["former"], &entries[2]["reason"]), (&json!(hex(USER, BOSS)), &json!("handover")));
    let read = json!([{"realm": "rooms", "reader": hex(USER, CUST), "deliveredAt": "2023-11-14T22:13:45.000Z", "readAt": "2023-11-14T22:13:46.000Z"}]);
    assert_eq!((&entries[3]["receipts"], &entries[4]["receipts"]), (&read, &json!([])));
    assert_eq!((&entries[5]["editedAt"], &entries[5]["replyTo"]), (&json!("2023-11-14T22:13:55.000Z"), &json!(hex(MESSAGE, 11))));
    assert_eq!((&entries[7]["isDeleted"], &entries[9]["form"], &entries[9]["file"]["size"]), (&json!(true), &json!("image"), &json!(12)));
    let about = &first["session"];
    assert_eq!((&about["topic"]["subject"], &about["topic"]["customer"]["phone"]), (&json!("Printer"), &json!("1")));
    assert_eq!((&about["transfers"][0]["id"], &about["status"]), (&json!(hex(9, 1)), &json!("active")));
    let mut others = vec![first.clone()];
    for (n, status, kinds) in [
        (2, "waiting", vec![]),
        (3, "ended", vec!["message", "message", "ended"]),
        (4, "waiting", vec![]),
        (5, "pending", vec!["assigned", "assigned"]),
        (6, "active", vec!["assigned"]),
    ] {
        let exported = moved.export(&hex(ROOM, n)).await;
        assert_eq!(exported["session"]["status"], status, "room {n}");
        let found: Vec<&Value> = exported["entries"].as_array().unwrap().iter().map(|e| &e["kind"]).collect();
        assert_eq!(found, kinds, "room {n}");
        others.push(exported);
    }
    others
}

/// A server on the imported data.
struct House {
    server: Server,
}

impl House {
    async fn call(&self, login: &str, method: &str, path: &str, body: Body) -> (u16, Value) {
        let header = ("x-session-id".to_owned(), login.to_owned());
        let answer = request(self.server.address(), method, path, &[header], body).await.unwrap();
        (answer.status, answer.body)
    }

    /// Logs in with the password of before.
    async fn login(&self, name: &str) -> String {
        let body = Body::Json(json!({"email": format!("{name}@example.com"), "password": PASSWORD}));
        let (status, answer) = self.call("", "POST", "/api/auth/login", body).await;
        assert_eq!(status, 200, "{name}: {answer}");
        answer["data"]["sessionId"].as_str().unwrap().to_owned()
    }

    async fn connect(&self, login: &str) -> Client {
        Dial::to(self.server.address()).auth(json!({"sessionId": login})).connect().await.expect("a socket")
    }
}

/// The next event of this name.
async fn event(client: &mut Client, name: &str) -> Value {
    loop {
        let event = client.event().await.unwrap_or_else(|error| panic!("no {name}: {error:?}"));
        if event.name == name {
            return event.args[0].clone();
        }
    }
}

async fn serves(moved: &Move) {
    let mut env = moved.env();
    env.push(("MOUNTS".into(), "rooms@/".into()));
    let house = House { server: Server::start(&env).await };
    let (cust, agent) = (house.login("cust").await, house.login("agent").await);
    let (_, wrong) =
        house.call("", "POST", "/api/auth/login", Body::Json(json!({"email": "quiet@example.com", "password": PASSWORD}))).await;
    assert_eq!(wrong["message"], "Invalid email or password");
    let (_, profile) = house.call(&cust, "GET", "/api/auth/profile", Body::None).await;
    assert_eq!((&profile["data"]["_id"], &profile["data"]["department"]), (&json!(hex(USER, CUST)), &json!("billing")));
    assert_eq!(profile["data"]["createdAt"], "2023-11-14T22:13:21.000Z");
    let (_, rooms) = house.call(&cust, "GET", "/api/chat/rooms", Body::None).await;
    let ids: Vec<&Value> = rooms["data"].as_array().unwrap().iter().map(|r| &r["_id"]).collect();
    assert_eq!(ids, [6, 5, 4, 2, 1].map(|n| json!(hex(ROOM, n))).iter().collect::<Vec<_>>(), "open ones, the last active first");
    let (_, closed) = house.call(&cust, "GET", &format!("/api/chat/rooms/{}", hex(ROOM, 3)), Body::None).await;
    assert_eq!((&closed["data"]["status"], &closed["data"]["isActive"]), (&json!("closed"), &json!(false)));
    let path = format!("/api/chat/rooms/{}/messages", hex(ROOM, 1));
    let (_, messages) = house.call(&cust, "GET", &path, Body::None).await;
    assert_eq!(messages["data"].as_array().unwrap().len(), 8);
    assert_eq!((&messages["data"][1]["status"], &messages["data"][1]["senderId"]["username"]), (&json!("read"), &json!("agent")));
    let (_, unread) = house.call(&cust, "GET", "/api/chat/unread-count", Body::None).await;
    assert_eq!(unread["data"]["perRoom"][hex(ROOM, 1)], 2, "one of the agent's, and one of somebody unknown: {unread}");
    let (mut visitor, mut answers) = (house.connect(&cust).await, house.connect(&agent).await);
    event(&mut answers, "user-status-changed").await;
    visitor.emit("send-message", &[json!({"chatRoomId": hex(ROOM, 1), "content": "goes on"})]);
    let heard = event(&mut answers, "new-message").await;
    assert_eq!((&heard["message"]["content"], &heard["message"]["seq"]), (&json!("goes on"), &json!(13)));
    answers.emit("send-message", &[json!({"chatRoomId": hex(ROOM, 6), "content": "so does this"})]);
    let heard = timeout(DEADLINE, async {
        loop {
            let heard = event(&mut visitor, "new-message").await;
            if heard["message"]["chatRoomId"] == hex(ROOM, 6) {
                return heard;
            }
        }
    });
    assert_eq!(heard.await.unwrap()["message"]["content"], "so does this");
    let (status, refused) = house.call(&cust, "GET", &format!("/api/chat/rooms/{}/messages", hex(ROOM, 3)), Body::None).await;
    assert_eq!((status, refused["data"].as_array().map(Vec::len)), (200, Some(2)));
    // Who waits comes to the agent who is there now.
    let waits = async {
        while house.call(&cust, "GET", &format!("/api/chat/rooms/{}", hex(ROOM, 2)), Body::None).await.1["data"]["assignedAgent"]["_id"]
            != hex(USER, AGENT)
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, waits).await.expect("a room that waits comes to the agent");
}

pub(super) async fn an_original_goes_on(moved: Move) {
    fixture(&moved).await;
    let dry = moved.import(&["--dry-run"]).await;
    names_what_is_odd(&dry);
    let report = moved.import(&[]).await;
    names_what_is_odd(&report);
    says(&report, "odd: users whose address or username another account has here: left out", &[&hex(USER, 7)]);
    for line in
        ["users to read: 7", "users here after: 5", "sessions here after: 6", "open sessions here after: 5", "messages here after: 10"]
    {
        assert!(report.lines().any(|l| l == line), "{line} is missing in:\n{report}");
    }
    let before = is_as_it_was(&moved).await;
    let again = moved.import(&[]).await;
    for line in
        ["users here before: 5", "users here after: 5", "sessions here after: 6", "messages here before: 10", "messages here after: 10"]
    {
        assert!(again.lines().any(|l| l == line), "{line} is missing in:\n{again}");
    }
    assert_eq!(is_as_it_was(&moved).await, before);
    serves(&moved).await;
    moved.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_of_document_002_goes_on_in_the_embedded_store() {
    an_original_goes_on(Move::new(false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_of_document_002_goes_on_on_mongodb() {
    an_original_goes_on(Move::new(true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_frontends_of_document_002_talk_on_in_imported_sessions() {
    for moved in [Move::new(false).await, Move::new(true).await, Move::in_place().await] {
        fixture(&moved).await;
        moved.import(&[]).await;
        moved.play("rooms").await;
        moved.end().await;
    }
}
