//! What the steps of one message cost by themselves, as far as the crate's public face reaches them: `cargo bench --bench hot`. Delivery by a tail needs
//! sockets; `scripts/bench.sh` measures it with everything else. It prints a table of times of single steps.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program for people at a terminal, which stops at the first surprise"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::runtime::Runtime;

use helpline::dialect::support::Support;
use helpline::dialect::wire::{Call, posted_ack};
use helpline::dialect::{Dialect, Reader};
use helpline::domain::desk::Posted;
use helpline::domain::entry::{Body, Content, Draft, Entry, Head};
use helpline::domain::ids::{EntryId, SessionId};
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::session::Session;
use helpline::domain::store::Store;
use helpline::domain::time::Timestamp;
use helpline::store::sqlite::Sqlite;

/// How many sessions append at the same time where they share a commit.
const GROUP: usize = 200;

/// How long each step is repeated.
const LENGTH: Duration = Duration::from_secs(2);

const CALL: &str = r#"["send_message",{"sessionId":"4bc36a72-1f1e-4a52-9c3f-5a1f0d1c2b3a","message":"Good morning, where is my parcel?","clientKey":"k-1"}]"#;

fn draft(session: &SessionId) -> Draft {
    Draft {
        session: session.clone(),
        id: EntryId::random(),
        at: Timestamp(1_795_000_000_000),
        author: Person::new(Realm::Support, "visitor-1", Role::Visitor),
        client_key: None,
        content: Content::Message(Body::stored("Good morning, where is my parcel?").into()),
    }
}

fn entry() -> Entry {
    Head::default().follow(&draft(&SessionId::random())).unwrap()
}

/// Prints the median and the 99th percentile of a step. It is run so often at once that the clock does not show, and each run does `share` of them.
fn timed(what: &str, at_once: usize, share: usize, mut run: impl FnMut()) {
    let mut times: Vec<f64> = Vec::new();
    let start = Instant::now();
    while start.elapsed() < LENGTH {
        let begin = Instant::now();
        (0..at_once).for_each(|_| run());
        times.push(begin.elapsed().as_secs_f64() * 1e6 / (at_once * share) as f64);
    }
    times.sort_by(f64::total_cmp);
    println!("| {what} | {:.2} | {:.2} |", times[times.len() / 2], times[times.len() * 99 / 100]);
}

fn wire() {
    timed("a `send_message` is read", 1_000, 1, || drop(black_box(Call::parse("send_message", black_box(CALL)))));
    let entry = entry();
    timed("a `new_message` is written", 1_000, 1, || drop(black_box(Support.entry_frame(black_box(&entry), Reader::Anybody))));
    let session = Session::open(entry.author.clone(), entry.at);
    let posted = Posted { entry: Arc::new(entry), duplicate: false, session };
    timed("its acknowledgement is written", 1_000, 1, || drop(black_box(posted_ack(black_box(&posted)).to_string())));
}

fn embedded_store() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let store = runtime.block_on(Sqlite::open(folder.path())).unwrap();
    let sessions: Vec<SessionId> = (0..GROUP).map(|_| runtime.block_on(session(&store))).collect();
    let first = &sessions[0];
    timed("a session is found", 100, 1, || drop(runtime.block_on(store.find_session(first)).unwrap()));
    timed("a message is stored, alone", 1, 1, || drop(runtime.block_on(store.append(draft(first))).unwrap()));
    timed("a message is stored, one of 200 at the same time", 1, GROUP, || {
        let appended = runtime.block_on(join_all(sessions.iter().map(|session| store.append(draft(session)))));
        assert!(appended.iter().all(Result::is_ok));
    });
}

async fn session(store: &Sqlite) -> SessionId {
    let session = Session::open(Person::new(Realm::Support, "visitor-1", Role::Visitor), Timestamp(0));
    store.insert_session(&session, None).await.unwrap();
    session.id
}

fn main() {
    println!("| Step, on the embedded store | p50, µs | p99, µs |\n|---|---|---|");
    wire();
    embedded_store();
}
