//! Large attachments against the real server on both stores: they stream in and out with little memory, and what no message carries goes away.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Client, Response};
use serde_json::{Value, json};
use tokio::time::interval;
use uuid::Uuid;

use super::harness::server::Server;
use super::transcripts::mongo_uri;

const MEGABYTE: usize = 1_000_000;

/// How many megabytes one attachment of these tests has.
const SIZE: usize = 20;

/// By how many kilobytes the server may grow while several of them pass through it at once: much less than one of them.
const GROWTH_KB: u64 = 12_000;

/// A server with one room of two people.
struct House {
    server: Arc<Server>,
    login: String,
    room: String,
}

impl House {
    async fn open(env: &[(&str, &str)]) -> Self {
        let mut all = vec![("MOUNTS".to_owned(), "rooms@/".to_owned())];
        all.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut house = Self { server: Arc::new(Server::start(&all).await), login: String::new(), room: String::new() };
        let person = json!({"username": "cust", "email": "cust@example.com", "password": "a long password"});
        house.post("/api/auth/register", person.clone()).await;
        house.login = text(&house.post("/api/auth/login", person).await["data"]["sessionId"]);
        house.room = text(&house.post("/api/chat/rooms", json!({"type": "group"})).await["data"]["_id"]);
        house
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = client().post(self.url(path)).header("x-session-id", &self.login).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Sends a file of so many megabytes, made while it is sent.
    async fn upload(&self, megabytes: usize) -> Response {
        let pieces = stream::iter(0..megabytes * 10).map(|n| Ok::<_, std::io::Error>(piece(n)));
        let file = Part::stream(Body::wrap_stream(pieces)).file_name("large.pdf");
        let path = format!("/api/chat/rooms/{}/attachments", self.room);
        let request = client().post(self.url(&path)).header("x-session-id", &self.login);
        request.multipart(Form::new().part("file", file)).send().await.unwrap()
    }

    /// Fetches a file and compares it with what was sent, piece by piece.
    async fn compare(&self, url: &str, megabytes: usize) {
        let answer = client().get(self.url(url)).header("x-session-id", &self.login).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.content_length()), (200, Some((megabytes * MEGABYTE) as u64)));
        let (mut at, mut body) = (0, answer.bytes_stream());
        while let Some(bytes) = body.next().await {
            let bytes = bytes.unwrap();
            let wrong = bytes.iter().enumerate().find(|(n, byte)| **byte != sent(at + n));
            assert_eq!(wrong, None, "after byte {at}");
            at += bytes.len();
        }
        assert_eq!(at, megabytes * MEGABYTE);
    }
}

/// The byte at this place of every file; the first ones say that it is a document.
fn sent(at: usize) -> u8 {
    b"%PDF-1.7".get(at).copied().unwrap_or((at % 251) as u8)
}

/// A tenth of a megabyte.
fn piece(n: usize) -> Vec<u8> {
    (n * MEGABYTE / 10..(n + 1) * MEGABYTE / 10).map(sent).collect()
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

/// The most resident memory that the server has while this runs, in kilobytes.
async fn peak_kb(server: &Server, work: impl Future<Output = ()>) -> u64 {
    let (mut work, mut look, mut peak) = (pin!(work), interval(Duration::from_millis(5)), 0);
    loop {
        tokio::select! {
            () = &mut work => return peak,
            _ = look.tick() => peak = peak.max(server.resident_kb()),
        }
    }
}

async fn large_files_stream_in_and_out(house: House) {
    let round = async |megabytes| {
        let answer = house.upload(megabytes).await;
        assert_eq!(answer.status().as_u16(), 201, "{}", house.server.log());
        let message: Value = answer.json().await.unwrap();
        assert_eq!(message["data"]["metadata"]["fileSize"], json!(megabytes * MEGABYTE));
        house.compare(&text(&message["data"]["metadata"]["imageUrl"]), megabytes).await;
    };
    // What the first one makes room for is there for all others.
    round(1).await;
    let before = house.server.resident_kb();
    let peak = peak_kb(&house.server, async {
        futures_util::join!(round(SIZE), round(SIZE), round(SIZE));
    });
    let grown = peak.await.saturating_sub(before);
    assert!(grown < GROWTH_KB, "{SIZE} MB three times over made the server grow by {grown} kB");
}

#[tokio::test]
async fn twenty_megabytes_take_little_memory_on_the_embedded_store() {
    large_files_stream_in_and_out(House::open(&[]).await).await;
}

#[tokio::test]
async fn twenty_megabytes_take_little_memory_on_mongodb() {
    let database = format!("helpline_test_{}", Uuid::new_v4().simple());
    large_files_stream_in_and_out(House::open(&[("MONGODB_URI", &mongo_uri()), ("MONGODB_DB", &database)]).await).await;
    let server = mongodb::Client::with_uri_str(mongo_uri()).await.unwrap();
    server.database(&database).drop().await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_leaves_nothing_on_the_disk() {
    let house = House::open(&[("MAX_ATTACHMENT_BYTES", "1500000")]).await;
    assert_eq!(house.upload(1).await.status().as_u16(), 201);
    assert_eq!(house.upload(2).await.status().as_u16(), 413);
    let mut files = Vec::new();
    for folder in std::fs::read_dir(house.server.data().join("attachments")).unwrap() {
        files.extend(std::fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()));
    }
    assert_eq!(files, [MEGABYTE as u64]);
}
