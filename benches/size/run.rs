//! What operations cost on a store that holds much against one that holds almost nothing:
//! `cargo run --release --example size -- sqlite 10000000 1000000`, which are the numbers of messages in all and in the longest session, or
//! `-- mongodb 1000000 100000` on the server that `HELPLINE_TEST_MONGODB_URI` names (`scripts/services.sh up`).
//!
//! Both stores are filled in a temporary folder, or in databases of their own, which are removed at the end. Every operation runs on the one and
//! the other in turn, and the table shows the medians: of the time it took, and of how long this process worked in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a program for people at a terminal, which stops at the first surprise"
)]

mod content;
mod fill;
mod measure;

use std::sync::Arc;
use std::time::Instant;

use helpline::domain::store::Store;
use helpline::store::{mongo, sqlite::Sqlite};

use content::Content;
use measure::{OPERATIONS, World, compare};

/// How many messages the longest session of an almost empty store has.
const LONG_OF_EMPTY: u64 = 200;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, unsaid: u64| arguments.get(n).map_or(unsaid, |text| text.parse().expect("a number of messages"));
    match arguments.first().map(String::as_str) {
        Some("sqlite") => on_sqlite(number(1, 10_000_000), number(2, 1_000_000)).await,
        Some("mongodb") => on_mongodb(number(1, 1_000_000), number(2, 100_000)).await,
        _ => panic!("expected sqlite or mongodb, then how many messages are stored, then how many of them are in one session"),
    }
}

async fn on_sqlite(messages: u64, long: u64) {
    let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut worlds = Vec::new();
    for (folder, content) in [(&empty, Content::least(LONG_OF_EMPTY)), (&full, Content::of(messages, long))] {
        let begin = Instant::now();
        fill::sqlite(folder.path(), &content).await;
        said(&content, begin);
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder.path()).await.unwrap());
        worlds.push(World::new(store, content));
    }
    print("SQLite", &worlds).await;
}

async fn on_mongodb(messages: u64, long: u64) {
    let uri = std::env::var("HELPLINE_TEST_MONGODB_URI").expect("HELPLINE_TEST_MONGODB_URI names a server");
    let name = |which: &str| format!("helpline_size_{which}_{}", std::process::id());
    let (mut worlds, mut names) = (Vec::new(), Vec::new());
    for (which, content) in [("empty", Content::least(LONG_OF_EMPTY)), ("full", Content::of(messages, long))] {
        let (begin, name) = (Instant::now(), name(which));
        fill::mongodb(&uri, &name, &content).await;
        said(&content, begin);
        let store: Arc<dyn Store> = Arc::new(mongo::open(&uri, Some(&name)).await.unwrap());
        worlds.push(World::new(store, content));
        names.push(name);
    }
    print("MongoDB's protocol", &worlds).await;
    let client = mongodb::Client::with_uri_str(uri).await.unwrap();
    for name in names {
        client.database(&name).drop().await.unwrap();
    }
}

fn said(content: &Content, begin: Instant) {
    let (sessions, messages) = (content.sessions.len(), content.messages());
    eprintln!("{messages} messages in {sessions} sessions are stored after {} s", begin.elapsed().as_secs());
}

async fn print(store: &str, worlds: &[World]) {
    let [empty, full] = worlds else { return };
    println!(
        "\n{store}: {} messages in {} sessions, {} of them in one, against {} messages in {} sessions\n",
        full.messages, full.sessions, full.long_messages, empty.messages, empty.sessions
    );
    println!("| Operation | empty, µs | full, µs | ratio | of it work, µs | full, µs | ratio | bar |\n|---|---|---|---|---|---|---|---|");
    for operation in OPERATIONS {
        println!("{}", compare(operation, empty, full).await);
    }
}
