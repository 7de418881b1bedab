//! An import that is killed in the middle goes on when it is run again, and ends as if it had not been.

use std::process::Stdio;
use std::time::Duration;

use bson::{Document, doc};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Move, at, hex, id};
use crate::harness::shop::Shop;

/// So few messages in each that several sessions are written at once.
const SESSIONS: u32 = 280;
const EACH: u32 = 70;

/// How many messages, or sessions, our store has.
async fn stored(moved: &Move, what: &str) -> u64 {
    if let Some(target) = &moved.target {
        // In place the original's may have that name still.
        let mark = doc! { "setAside": true };
        let is_ours = !moved.is_in_place() || target.collection::<Document>("takeover").find_one(mark).await.unwrap().is_some();
        return if is_ours { target.collection::<Document>(what).count_documents(doc! {}).await.unwrap() } else { 0 };
    }
    let file = moved.folder.path().join("data/helpline.db");
    let Ok(conn) = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY) else { return 0 };
    conn.query_row(&format!("SELECT count(*) FROM {what}"), (), |row| row.get(0)).unwrap_or(0)
}

/// How many sessions our store has of which messages are missing.
async fn torn(moved: &Move) -> usize {
    let mut torn = 0;
    if let Some(target) = &moved.target {
        for n in 0..SESSIONS {
            let here = target.collection::<Document>("sessions").find_one(doc! { "_id": id(2, n) }).await.unwrap().is_some();
            let messages = target.collection::<Document>("messages").count_documents(doc! { "sessionId": id(2, n) }).await.unwrap();
            torn += usize::from(here && messages < u64::from(EACH));
        }
        return torn;
    }
    let conn = rusqlite::Connection::open(moved.folder.path().join("data/helpline.db")).unwrap();
    let sql = "SELECT count(*) FROM sessions WHERE (SELECT count(*) FROM messages WHERE session = sessions.id) < ?1";
    conn.query_row(sql, [EACH], |row| row.get(0)).unwrap()
}

/// Starts an import, and waits until so many of these are stored.
async fn begin(moved: &Move, what: &str, enough: u64) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helpline"));
    command.args(moved.arguments()).env_clear().envs(moved.env());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let reached = async {
        while stored(moved, what).await < enough {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), reached).await.expect("the import stores entries");
    child
}

/// The sessions of so many visitors who wait, each with some messages.
async fn fill(moved: &Move) {
    moved.fill("agents", [doc! { "_id": id(1, 1), "name": "Ann", "maxUsers": 10, "isOnline": true }]).await;
    let session = |n| doc! { "_id": id(2, n), "userId": format!("u{n}"), "userType": "user", "status": "waiting", "createdAt": at(0) };
    moved.fill("sessions", (0..SESSIONS).map(session)).await;
    for of in 0..SESSIONS {
        // By their ids they are the other way round.
        let message = |n: u32| {
            doc! {
                "_id": id(3, of * EACH + EACH - n), "sessionId": id(2, of), "senderId": format!("u{of}"), "senderType": "user",
                "message": format!("text {n}"), "timestamp": at(i64::from(n)),
            }
        };
        moved.fill("messages", (0..EACH).map(message)).await;
    }
}

async fn a_killed_import_goes_on(moved: Move) {
    fill(&moved).await;
    let all = u64::from(SESSIONS * EACH);
    for (what, enough) in [("messages", 1), ("messages", all / 4), ("sessions", u64::from(SESSIONS / 2))] {
        begin(&moved, what, enough).await.kill().await.unwrap();
        let left = stored(&moved, "messages").await;
        assert!(left > 0 && left < all, "{left} of {all} messages were stored when it was killed");
        assert_eq!(torn(&moved).await, 0, "a session that is stored is whole");
    }
    let report = moved.import(&[]).await;
    assert!(report.contains(&format!("messages here after: {all}\n")) && report.contains("sessions here after: 280\n"), "{report}");
    assert!(!report.contains("odd:"), "{report}");
    assert_eq!(stored(&moved, "messages").await, all, "nothing is there twice");
    for of in [0, SESSIONS / 4, SESSIONS / 2, SESSIONS - 1] {
        let exported = moved.export(&hex(2, of)).await;
        let texts: Vec<&Value> = exported["entries"].as_array().unwrap().iter().map(|e| &e["body"]).collect();
        assert!(texts.iter().enumerate().all(|(n, text)| **text == format!("text {n}")), "{texts:?}");
        assert_eq!(texts.len(), EACH as usize);
    }
    moved.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_import_goes_on_in_the_embedded_store() {
    a_killed_import_goes_on(Move::new(false).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_import_goes_on_on_mongodb() {
    a_killed_import_goes_on(Move::new(true).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_import_goes_on_in_place() {
    a_killed_import_goes_on(Move::in_place().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_and_works_while_an_import_goes_on() {
    let moved = Move::new(false).await;
    fill(&moved).await;
    let mut importing = begin(&moved, "sessions", 1).await;
    let env = moved.env();
    let shop = Shop::open(&env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>()).await;
    let first = hex(2, 0);
    assert!(importing.try_wait().unwrap().is_none(), "the import still goes on");
    assert_eq!(shop.session("u0").await.id, first);
    shop.post(&format!("/api/chat/send-message/{first}"), json!({"message": "said meanwhile"})).await;
    assert!(timeout(Duration::from_secs(60), importing.wait()).await.unwrap().unwrap().success());
    assert_eq!(shop.history(&first).await.len(), EACH as usize + 1);
    assert_eq!(stored(&moved, "messages").await as u32, SESSIONS * EACH + 1 + assigned(&moved), "each once, and who answers");
    drop(shop);
    moved.end().await;
}

/// How many entries say that an agent came to answer.
fn assigned(moved: &Move) -> u32 {
    let conn = rusqlite::Connection::open(moved.folder.path().join("data/helpline.db")).unwrap();
    conn.query_row("SELECT count(*) FROM messages WHERE kind = 'assigned'", (), |row| row.get(0)).unwrap()
}
