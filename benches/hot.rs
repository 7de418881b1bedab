//! What the steps of one message cost by themselves, as far as the crate's public face reaches them: `cargo bench --bench hot`. Delivery has a bench
//! of its own, `tail`; `scripts/bench.sh` measures all of it together.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a program for people at a terminal, which stops at the first surprise")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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
use helpline::domain::store::{Appended, Store};
use helpline::domain::time::Timestamp;
use helpline::store::sqlite::Sqlite;

/// How many sessions append at the same time where they share a commit.
const GROUP: usize = 200;

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

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.bench_function("send_message", |b| b.iter(|| Call::parse("send_message", black_box(CALL))));
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let entry = entry();
    group.bench_function("new_message", |b| b.iter(|| Support.entry_frame(black_box(&entry), Reader::Anybody)));
    let session = Session::open(entry.author.clone(), entry.at);
    let posted = Posted { entry: Arc::new(entry), duplicate: false, session };
    group.bench_function("acknowledgement", |b| b.iter(|| posted_ack(black_box(&posted)).to_string()));
    group.finish();
}

/// On the embedded store, durably: what a message waits for. Its session is looked up before.
fn append(criterion: &mut Criterion) {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let store = runtime.block_on(Sqlite::open(folder.path())).unwrap();
    let sessions: Vec<SessionId> = (0..GROUP).map(|_| runtime.block_on(session(&store))).collect();
    criterion.bench_function("find/session", |b| b.to_async(&runtime).iter(|| store.find_session(&sessions[0])));
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(1));
    group.bench_function("alone", |b| b.to_async(&runtime).iter(|| stored(&store, &sessions[0])));
    group.throughput(Throughput::Elements(GROUP as u64));
    group.bench_function(format!("{GROUP} at once"), |b| {
        b.to_async(&runtime).iter(|| join_all(sessions.iter().map(|session| stored(&store, session))));
    });
    group.finish();
}

async fn session(store: &Sqlite) -> SessionId {
    let session = Session::open(Person::new(Realm::Support, "visitor-1", Role::Visitor), Timestamp(0));
    store.insert_session(&session, None).await.unwrap();
    session.id
}

async fn stored(store: &Sqlite, session: &SessionId) {
    assert!(matches!(store.append(draft(session)).await, Ok(Appended::Stored(_))));
}

criterion_group!(steps, decode, encode, append);
criterion_main!(steps);
