//! Backups, tested by restoring them: what was acknowledged before one began is in it, and a server goes on from there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::Document;
use futures_util::TryStreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use super::harness::client::Client;
use super::harness::command::helpline;
use super::harness::http::request;
use super::harness::script::Body;
use super::harness::server::Server;
use super::harness::shop::Shop;
use super::transcripts::mongo_uri;

/// How many people write at once.
const WRITERS: usize = 4;

/// A message that was acknowledged: its session, id and number.
type Acknowledged = Arc<Mutex<Vec<(String, Value, u64)>>>;

/// Writes until it is dropped, one message after the other, and notes each as soon as it is acknowledged.
async fn write_on(session: String, mut client: Client, noted: Acknowledged) {
    for n in 1.. {
        let said = json!({"sessionId": session, "message": format!("text {n}")});
        let ack = client.call("send_message", said).await.expect("an acknowledgement");
        noted.lock().unwrap().push((session.clone(), ack["id"].clone(), ack["seq"].as_u64().expect("a number")));
    }
}

/// Waits until so many messages are acknowledged, and answers them.
async fn acknowledged(noted: &Acknowledged, enough: usize) -> Vec<(String, Value, u64)> {
    let all = async {
        loop {
            let all = noted.lock().unwrap().clone();
            if all.len() >= enough {
                return all;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), all).await.expect("messages are acknowledged")
}

/// The shop whose data is in this folder holds all of these messages, in logs without a gap.
async fn holds(shop: &Shop, acknowledged: &[(String, Value, u64)]) {
    let mut sessions: Vec<&String> = acknowledged.iter().map(|(session, ..)| session).collect();
    sessions.sort();
    sessions.dedup();
    for session in sessions {
        let log = shop.log(session).await;
        assert!(log.iter().map(|e| e["seq"].as_u64().unwrap()).eq(1..=log.len() as u64), "the log of {session} has a gap");
        for (_, id, seq) in acknowledged.iter().filter(|(of, ..)| of == session) {
            assert_eq!(log.get(*seq as usize - 1).map(|e| &e["id"]), Some(id), "entry {seq} of {session}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_backup_under_load_is_in_it() {
    let (shop, place) = (Shop::open(&[]).await, TempDir::new().unwrap());
    let (noted, mut writers) = (Acknowledged::default(), JoinSet::new());
    for n in 0..WRITERS {
        let (visitor, session) = (format!("u{n}"), shop.session(&format!("u{n}")).await.id);
        let client = shop.join(&session, &visitor, "user").await;
        writers.spawn(write_on(session, client, Arc::clone(&noted)));
    }
    for round in 1..=3 {
        let before = acknowledged(&noted, round * 200).await;
        let copy = place.path().join(round.to_string());
        let (data, to) = (shop.server.data().to_str().unwrap(), copy.to_str().unwrap());
        let done = helpline(&["backup", "--to", to], &[("DATA_DIR", data)], "").await;
        assert!(done.status == 0 && done.out.starts_with(&format!("{to}: a database of ")), "{done:?}");
        // The writers were not held up for ever, and the copy is of one moment: it is not read before they have gone on.
        acknowledged(&noted, before.len() + WRITERS * 5).await;
        let restored = Shop::open(&[("DATA_DIR", to)]).await;
        holds(&restored, &before).await;
        let fresh = restored.session("another").await;
        restored.post(&format!("/api/chat/send-message/{}", fresh.id), json!({"message": "goes on"})).await;
    }
    writers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_of_a_server_that_was_stopped_is_one_file() {
    let (mut shop, place) = (Shop::open(&[]).await, TempDir::new().unwrap());
    let session = shop.session("u1").await.id;
    let noted = Acknowledged::default();
    let client = shop.join(&session, "u1", "user").await;
    let mut writer = JoinSet::new();
    writer.spawn(write_on(session, client, Arc::clone(&noted)));
    let said = acknowledged(&noted, 50).await;
    writer.shutdown().await;
    shop.server.terminate().await;
    assert_eq!(shop.server.exit_code().await, Some(0));
    let beside = shop.server.data().join("helpline.db-wal");
    assert_eq!(std::fs::metadata(&beside).map_or(0, |log| log.len()), 0);
    std::fs::copy(shop.server.data().join("helpline.db"), place.path().join("helpline.db")).unwrap();
    let restored = Shop::open(&[("DATA_DIR", place.path().to_str().unwrap())]).await;
    holds(&restored, &said).await;
}

/// A server of `rooms`, and who is logged in there.
async fn house(env: &[(&str, &str)]) -> (Server, String) {
    let all: Vec<(String, String)> = env.iter().chain(&[("MOUNTS", "rooms@/")]).map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let server = Server::start(&all).await;
    let person = json!({"username": "cust", "email": "cust@example.com", "password": "a long password"});
    // In a restored one the account is there.
    request(server.address(), "POST", "/api/auth/register", &[], Body::Json(person.clone())).await.unwrap();
    let login = request(server.address(), "POST", "/api/auth/login", &[], Body::Json(person)).await.unwrap();
    (server, login.body["data"]["sessionId"].as_str().unwrap().to_owned())
}

/// Opens a room with a file in it, and answers where the file is to be found.
async fn with_a_file((server, login): &(Server, String)) -> String {
    let header = ("x-session-id".to_owned(), login.clone());
    let body = Body::Json(json!({"type": "group"}));
    let room = request(server.address(), "POST", "/api/chat/rooms", std::slice::from_ref(&header), body).await.unwrap().body;
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhello there\r\n--b--\r\n";
    let path = format!("/api/chat/rooms/{}/attachments", room["data"]["_id"].as_str().unwrap());
    let headers = [header, ("Content-Type".to_owned(), "multipart/form-data; boundary=b".to_owned())];
    let posted = request(server.address(), "POST", &path, &headers, Body::Raw(json!(form))).await.unwrap().body;
    posted["data"]["metadata"]["imageUrl"].as_str().unwrap_or_else(|| panic!("{posted}")).to_owned()
}

async fn content((server, login): &(Server, String), url: &str) -> (u16, Value) {
    let header = ("x-session-id".to_owned(), login.clone());
    let answer = request(server.address(), Method::GET.as_str(), url, &[header], Body::None).await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test]
async fn files_logins_and_the_generated_secret_are_in_a_backup_which_nobody_else_may_read() {
    let (first, place) = (house(&[]).await, TempDir::new().unwrap());
    let url = with_a_file(&first).await;
    let attachments = first.0.data().join("attachments");
    let folder = std::fs::read_dir(&attachments).unwrap().next().unwrap().unwrap().path();
    std::fs::write(folder.join("cut-short.part"), "half").unwrap();
    let copy = place.path().join("copy");
    let done = helpline(&["backup", "--to", copy.to_str().unwrap()], &[("DATA_DIR", first.0.data().to_str().unwrap())], "").await;
    assert!(done.status == 0 && done.out.contains(" 1 attachments"), "{done:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&copy), mode(&copy.join("helpline.db")), mode(&copy.join("jwt-secret"))), (0o700, 0o600, 0o600));
    let secret = |data: &Path| std::fs::read(data.join("jwt-secret")).unwrap();
    assert_eq!(secret(&copy), secret(first.0.data()));
    assert!(!copy.join("attachments").join(folder.file_name().unwrap()).join("cut-short.part").exists());
    let restored = house(&[("DATA_DIR", copy.to_str().unwrap())]).await;
    assert_eq!(content(&restored, &url).await, (200, json!("hello there")));
    assert_eq!(content(&(restored.0, first.1), &url).await.0, 200, "a login of before goes on");
}

#[tokio::test]
async fn a_backup_is_made_whole_in_a_new_folder_or_not_at_all() {
    let (shop, place) = (Shop::open(&[]).await, TempDir::new().unwrap());
    let data = shop.server.data().to_str().unwrap();
    let back_up = async |to: &Path, env: &[(&str, &str)]| {
        let done = helpline(&["backup", "--to", to.to_str().unwrap()], env, "").await;
        assert!(done.status == 1 && done.out.is_empty(), "{done:?}");
        done.err
    };
    let there = back_up(place.path(), &[("DATA_DIR", data)]).await;
    assert!(there.contains("is there already"), "{there}");
    std::fs::create_dir(place.path().join("cut.part")).unwrap();
    let cut = back_up(&place.path().join("cut"), &[("DATA_DIR", data)]).await;
    assert!(cut.contains("cut.part is there already") && !place.path().join("cut").exists(), "{cut}");
    back_up(&place.path().join("no/such/folder"), &[("DATA_DIR", data)]).await;
    let nothing = back_up(&place.path().join("x"), &[("DATA_DIR", place.path().to_str().unwrap())]).await;
    assert!(nothing.contains("there is no database"), "{nothing}");
    let mongo = back_up(&place.path().join("x"), &[("MONGODB_URI", "mongodb://127.0.0.1:9/x")]).await;
    assert!(mongo.contains("mongodump"), "{mongo}");
    let broken = place.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("helpline.db"), "no database at all").unwrap();
    back_up(&place.path().join("y"), &[("DATA_DIR", broken.to_str().unwrap())]).await;
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "cut.part" || name == "broken"), "{left:?}");
}

/// What `mongodump` and `mongorestore` do with a database on which no server works: every document of every collection.
async fn copy_collections(from: &str, to: &str) {
    let client = mongodb::Client::with_uri_str(mongo_uri()).await.unwrap();
    for name in client.database(from).list_collection_names().await.unwrap() {
        let documents: Vec<Document> =
            client.database(from).collection(&name).find(bson::doc! {}).await.unwrap().try_collect().await.unwrap();
        if !documents.is_empty() {
            client.database(to).collection::<Document>(&name).insert_many(documents).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_all_collections_is_a_backup_on_mongodb() {
    let (uri, name) = (mongo_uri(), format!("helpline_test_{}", Uuid::new_v4().simple()));
    let restored_name = format!("{name}_restored");
    let env = [("MONGODB_URI", uri.as_str()), ("MONGODB_DB", name.as_str())];
    let shop = Shop::open(&env).await;
    let (noted, mut writers) = (Acknowledged::default(), JoinSet::new());
    for n in 0..WRITERS {
        let (visitor, session) = (format!("u{n}"), shop.session(&format!("u{n}")).await.id);
        let client = shop.join(&session, &visitor, "user").await;
        writers.spawn(write_on(session, client, Arc::clone(&noted)));
    }
    acknowledged(&noted, 100).await;
    writers.shutdown().await;
    let before = noted.lock().unwrap().clone();
    drop(shop);
    let first = house(&env).await;
    let url = with_a_file(&first).await;
    let login = first.1.clone();
    drop(first);
    copy_collections(&name, &restored_name).await;
    let env = [("MONGODB_URI", uri.as_str()), ("MONGODB_DB", restored_name.as_str())];
    let restored = Shop::open(&env).await;
    holds(&restored, &before).await;
    let again = restored.session("u0").await;
    assert!(before.iter().any(|(session, ..)| *session == again.id), "an open session is found again");
    restored.post(&format!("/api/chat/send-message/{}", again.id), json!({"message": "goes on"})).await;
    assert_eq!(restored.history(&again.id).await.last().unwrap()["message"], "goes on");
    let house = house(&env).await;
    assert_eq!(content(&house, &url).await, (200, json!("hello there")));
    assert_eq!(content(&(house.0, login), &url).await.0, 200, "a login of before goes on");
    drop(restored);
    let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
    client.database(&name).drop().await.unwrap();
    client.database(&restored_name).drop().await.unwrap();
}
