//! What the look-ups cost that a cache could save: `cargo bench --bench lookups`, with `HELPLINE_TEST_MONGODB_URI` for MongoDB too
//! (`scripts/services.sh up`). It prints a table of times of single operations on stores filled with what it says first.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a program for people at a terminal, which stops at the first surprise"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use helpline::domain::account::{Account, Login, PasswordHash};
use helpline::domain::agent::Availability;
use helpline::domain::entry::{Body, Content, Draft};
use helpline::domain::ids::{AccountId, EntryId, LoginId, SessionId};
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::session::Session;
use helpline::domain::store::Store;
use helpline::domain::time::Timestamp;
use helpline::store::{mongo, sqlite::Sqlite};

const ACCOUNTS: usize = 2_000;
const ROOMS: usize = 400;
const MESSAGES: usize = 100;
/// In how many rooms the one agent is.
const OF_AGENT: usize = 40;
const TRIES: usize = 2_000;

struct Filled {
    store: Arc<dyn Store>,
    accounts: Vec<AccountId>,
    rooms: Vec<SessionId>,
}

fn person(n: usize) -> Person {
    Person { name: Some(format!("Person {n}").into()), ..Person::new(Realm::Rooms, format!("p{n}"), Role::Visitor) }
}

async fn fill(store: Arc<dyn Store>) -> Filled {
    let mut accounts = Vec::new();
    for n in 0..ACCOUNTS {
        let account = Account {
            id: AccountId::stored(format!("p{n}")),
            realm: Realm::Rooms,
            role: Role::Visitor,
            email: format!("p{n}@example.org").into(),
            username: Some(format!("p{n}").into()),
            name: None,
            password: PasswordHash::stored("$argon2id$"),
            department: None,
            specialization: None,
            status: Availability::Offline,
            created_at: Timestamp(n as i64),
            updated_at: Timestamp(0),
            seen_at: Timestamp(0),
        };
        assert!(store.insert_account(&account).await.unwrap());
        let login =
            Login { id: LoginId::stored(format!("l{n}")), account: account.id.clone(), created_at: Timestamp(0), expires_at: Timestamp(1) };
        store.insert_login(&login).await.unwrap();
        accounts.push(account.id);
    }
    let mut rooms = Vec::new();
    for n in 0..ROOMS {
        let mut room = Session::open(person(n), Timestamp(n as i64));
        if n < OF_AGENT {
            room.participants.push(person(ACCOUNTS - 1));
        }
        store.insert_session(&room, None).await.unwrap();
        for m in 0..MESSAGES {
            let content = Content::Message(Body::stored(format!("message {m} of room {n}, about as long as people write them")).into());
            let draft = Draft {
                session: room.id.clone(),
                id: EntryId::random(),
                at: Timestamp(m as i64),
                author: person(n),
                client_key: None,
                content,
            };
            store.append(draft).await.unwrap();
        }
        rooms.push(room.id);
    }
    Filled { store, accounts, rooms }
}

/// The median and the 99th percentile of many single runs.
async fn timed(what: &str, run: impl AsyncFn(usize)) {
    let mut times: Vec<Duration> = Vec::new();
    for n in 0..TRIES {
        let begin = Instant::now();
        run(n * 7_919).await;
        times.push(begin.elapsed());
    }
    times.sort();
    println!("| {what} | {:.0} | {:.0} |", micros(times[TRIES / 2]), micros(times[TRIES * 99 / 100]));
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

async fn measure(name: &str, store: Arc<dyn Store>) {
    let Filled { store, accounts, rooms } = fill(store).await;
    println!(
        "\n{name}: {ACCOUNTS} accounts with a login each, {ROOMS} rooms with {MESSAGES} messages each\n\n| Look-up | p50, µs | p99, µs |\n|---|---|---|"
    );
    timed("a login and its account", async |n| {
        let login = store.find_login(&LoginId::stored(format!("l{}", n % ACCOUNTS))).await.unwrap().unwrap();
        store.find_account(&login.account).await.unwrap().unwrap();
    })
    .await;
    timed("a room", async |n| drop(store.find_session(&rooms[n % ROOMS]).await.unwrap().unwrap())).await;
    timed("recent history: the head and 50 messages", async |n| {
        let room = &rooms[n % ROOMS];
        let head = store.head(room).await.unwrap();
        assert_eq!(store.list_messages(room, head.ordinal - 50, 50).await.unwrap().len(), 50);
    })
    .await;
    let agent = person(ACCOUNTS - 1).key();
    timed("presence: whom a status concerns, with 40 rooms", async |_| {
        assert_eq!(store.list_of_person(&agent, 500).await.unwrap().len(), OF_AGENT)
    })
    .await;
    timed("a list of 40 rooms with their people and last messages", async |_| {
        let of_agent = store.list_of_person(&agent, 500).await.unwrap();
        let ids: Vec<SessionId> = of_agent.iter().map(|r| r.id.clone()).collect();
        store.find_accounts(&accounts[..OF_AGENT]).await.unwrap();
        assert_eq!(store.last_messages(&ids, true).await.unwrap().len(), OF_AGENT);
    })
    .await;
    timed("for comparison: a message is stored", async |n| {
        let content = Content::Message(Body::stored("one more").into());
        let session = rooms[n % ROOMS].clone();
        let draft = Draft { session, id: EntryId::random(), at: Timestamp(1), author: person(1), client_key: None, content };
        store.append(draft).await.unwrap();
    })
    .await;
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    measure("SQLite", Arc::new(Sqlite::open(folder.path()).await.unwrap())).await;
    if let Ok(uri) = std::env::var("HELPLINE_TEST_MONGODB_URI") {
        let database = format!("helpline_bench_{}", std::process::id());
        measure("MongoDB's protocol", Arc::new(mongo::open(&uri, Some(&database)).await.unwrap())).await;
        mongodb::Client::with_uri_str(uri).await.unwrap().database(&database).drop().await.unwrap();
    }
}
