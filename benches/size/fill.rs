//! Filling a store faster than it fills itself: what is few goes through the store, and the entries are copies of some that it stored, with
//! other numbers and texts, written past it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use helpline::domain::account::{Account, PasswordHash};
use helpline::domain::agent::{Agent, Availability};
use helpline::domain::entry::{Body, Content as Said, Draft, Entry};
use helpline::domain::ids::{AccountId, ClientKey, EntryId, SessionId};
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::session::{Assignee, Session, Status};
use helpline::domain::store::{Appended, Store};
use helpline::domain::time::Timestamp;
use helpline::store::{mongo, sqlite::Sqlite};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::content::{AGENTS, Content, MESSAGE_STEP, OWN_AGENT, Planned, agent, agent_id};

/// How many entries are written at once.
const BATCH: usize = 1_000;

/// How many entries of SQLite one transaction holds.
const TRANSACTION: usize = 200_000;

/// An entry by the sample that it is like, and what it has of its own.
struct Row<'a> {
    sample: usize,
    session: &'a Session,
    author: &'a Person,
    seq: u64,
    ordinal: u64,
}

/// The samples: an assignment, a message of a visitor, one of an agent, an end.
const ASSIGNED: usize = 0;
const BY_VISITOR: usize = 1;
const BY_AGENT: usize = 2;
const ENDED: usize = 3;

impl Row<'_> {
    fn at(&self) -> i64 {
        self.session.created_at.0 + MESSAGE_STEP * i64::try_from(self.seq).unwrap()
    }

    fn key(&self) -> Option<String> {
        (self.sample == BY_VISITOR).then(|| format!("{}-{}", self.session.visitor.id, self.seq))
    }

    fn text(&self) -> Option<String> {
        let is_message = self.sample == BY_VISITOR || self.sample == BY_AGENT;
        is_message.then(|| format!("message {} of {}, about as long as people write them in a chat", self.ordinal, self.session.visitor.id))
    }
}

/// The log of a session, from its beginning.
fn log<'a>(planned: &'a Planned, agent: &'a Person) -> impl Iterator<Item = Row<'a>> {
    let Planned { session, messages } = planned;
    let taken = session.assignment;
    let row = move |sample, author, seq, ordinal| Row { sample, session, author, seq, ordinal };
    let assigned = (taken > 0).then(|| row(ASSIGNED, agent, 1, 0));
    let said = (1..=*messages).map(move |n| match n.is_multiple_of(2) && taken > 0 {
        true => row(BY_AGENT, agent, taken + n, n),
        false => row(BY_VISITOR, &session.visitor, taken + n, n),
    });
    let end = (session.status == Status::Ended).then(|| row(ENDED, agent, taken + messages + 1, *messages));
    assigned.into_iter().chain(said).chain(end)
}

/// The agents of all sessions, by realm and number.
fn agent_of(session: &Session) -> Person {
    let named = session.agent.as_ref().map_or("agent-0", |a| a.id.in_realm());
    agent(session.realm, named.trim_start_matches("agent-").parse().unwrap())
}

/// Stores everything but the entries through the store; answers the session in which the samples are, in their order.
async fn found(store: &dyn Store, content: &Content) -> SessionId {
    for realm in [Realm::Operators, Realm::Rooms] {
        for n in 0..=OWN_AGENT {
            let agent = Agent::new(realm, agent_id(realm, n), format!("Agent {n}"), Agent::NO_LIMIT, Timestamp(0));
            store.insert_agent(&Agent { availability: Availability::Online, ..agent }).await.unwrap();
        }
    }
    let sessions = stream::iter(&content.sessions).map(|Planned { session, messages }| async move {
        let key = session.is_open().then(|| session.visitor.key()).filter(|_| session.realm.keeps_one_open());
        store.insert_session(session, key.as_deref()).await.unwrap();
        if session.realm == Realm::Rooms {
            store.insert_account(&account(&session.visitor)).await.unwrap();
            for person in &session.participants {
                store.raise_reader_mark(&session.id, &person.key(), messages - 5).await.unwrap();
            }
        }
    });
    sessions.buffer_unordered(AGENTS * 10).collect::<Vec<()>>().await;
    samples(store).await
}

fn account(person: &Person) -> Account {
    Account {
        id: AccountId::stored(&*person.id),
        realm: person.realm,
        role: person.role,
        email: format!("{}@example.org", person.id).into(),
        username: Some(Arc::clone(&person.id)),
        name: person.name.clone(),
        password: PasswordHash::stored("$argon2id$"),
        department: None,
        specialization: None,
        status: Availability::Offline,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        seen_at: Timestamp(0),
    }
}

async fn samples(store: &dyn Store) -> SessionId {
    let (session, agent) = (SessionId::random(), agent(Realm::Operators, 0));
    let visitor = Person { name: Some("Visitor".into()), ..Person::new(Realm::Operators, "sample", Role::Visitor) };
    let said = |text: &str| Said::Message(Body::stored(text).into());
    for (author, key, content) in [
        (&agent, None, Said::Assigned(Assignee::of(&agent).into())),
        (&visitor, ClientKey::parse("sample"), said("hi")),
        (&agent, None, said("hi")),
        (&agent, None, Said::Ended("closed".into())),
    ] {
        let author = author.clone();
        let draft = Draft { session: session.clone(), id: EntryId::random(), at: Timestamp(0), author, client_key: key, content };
        assert!(matches!(store.append(draft).await.unwrap(), Appended::Stored(_)));
    }
    session
}

/// Makes sure that the store reads what was written past it.
async fn check(store: &dyn Store, content: &Content) {
    for Planned { session, messages } in content.sessions.iter().step_by(content.sessions.len() / 20 + 1) {
        let head = store.head(&session.id).await.unwrap();
        let entries: Vec<Entry> = store.list_entries(&session.id, 0, 200).await.unwrap();
        let (seqs, said) = (entries.iter().map(Entry::seq), entries.iter().filter(|e| e.message().is_some()).count());
        assert!(seqs.eq(1..=head.seq.min(200)) && (said as u64 == *messages || head.seq > 200), "the log of {}", session.id);
        let expected = (*messages, session.assignment, !session.is_open());
        assert_eq!((head.ordinal, head.assignment, head.ended), expected, "the head of {}", session.id);
        let last = store.list_messages(&session.id, messages - 1, 9).await.unwrap().remove(0);
        let kept = store.find_message(&last.id).await.unwrap();
        assert_eq!(kept.map(|m| m.session), Some(session.id.clone()));
    }
}

/// Fills the store in this folder.
pub(crate) async fn sqlite(folder: &Path, content: &Content) {
    // Durability is what is slow about filling it.
    let hasty = |conn: &Connection| conn.pragma_update(None, "synchronous", "OFF").unwrap();
    let store = Sqlite::open_with(folder, hasty).await.unwrap();
    let samples = found(&store, content).await;
    drop(store);
    let conn = Connection::open(folder.join("helpline.db")).unwrap();
    while conn.query_row("PRAGMA journal_mode = OFF", (), |row| row.get(0)).ok() != Some("off".to_owned()) {
        tokio::time::sleep(Duration::from_millis(20)).await; // The store's own connections are still closing.
    }
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000").unwrap();
    let ended = "UPDATE members SET is_open = 0 WHERE session IN (SELECT id FROM sessions WHERE status = 'ended')";
    conn.execute_batch(ended).unwrap();
    copy_rows(&conn, content, &samples);
    conn.execute("DELETE FROM messages WHERE session = ?1", [samples.as_str()]).unwrap();
    drop(conn);
    check(&Sqlite::open(folder).await.unwrap(), content).await;
}

fn copy_rows(conn: &Connection, content: &Content, samples: &SessionId) {
    let mut select = conn.prepare("SELECT * FROM messages WHERE session = ?1 ORDER BY seq").unwrap();
    let names: Vec<String> = select.column_names().into_iter().map(str::to_owned).collect();
    let place = |name: &str| names.iter().position(|n| n == name).unwrap();
    let read = |row: &rusqlite::Row<'_>| (0..names.len()).map(|n| row.get::<_, Value>(n)).collect::<Result<Vec<_>, _>>();
    let mut samples: Vec<Vec<Value>> = select.query_map([samples.as_str()], read).unwrap().collect::<Result<_, _>>().unwrap();
    let own = ["session", "seq", "id", "at", "author_realm", "author_id", "author_name", "client_key", "text", "ordinal", "assignment"];
    let own = own.map(place);
    let insert = format!("INSERT INTO messages ({}) VALUES ({})", names.join(", "), vec!["?"; names.len()].join(", "));
    let mut insert = conn.prepare(&insert).unwrap();
    conn.execute_batch("BEGIN").unwrap();
    let mut written = 0;
    for planned in &content.sessions {
        let agent = agent_of(&planned.session);
        for row in log(planned, &agent) {
            let text = row.text().map_or_else(|| samples[row.sample][own[8]].clone(), Value::from);
            let values = [
                Value::from(row.session.id.as_str().to_owned()),
                Value::from(row.seq as i64),
                Value::from(EntryId::random().as_str().to_owned()),
                Value::from(row.at()),
                Value::from(row.author.realm.name().to_owned()),
                Value::from(row.author.id.to_string()),
                Value::from(row.author.name.as_deref().map(str::to_owned)),
                Value::from(row.key()),
                text,
                Value::from(row.ordinal as i64),
                Value::from(row.session.assignment as i64),
            ];
            for (place, value) in own.into_iter().zip(values) {
                samples[row.sample][place] = value;
            }
            insert.execute(rusqlite::params_from_iter(&samples[row.sample])).unwrap();
            written += 1;
            if written % TRANSACTION == 0 {
                conn.execute_batch("COMMIT; BEGIN").unwrap();
            }
        }
    }
    conn.execute_batch("COMMIT").unwrap();
}

/// Fills the store in this database.
pub(crate) async fn mongodb(uri: &str, name: &str, content: &Content) {
    let store = mongo::open(uri, Some(name)).await.unwrap();
    let samples = found(&store, content).await;
    let messages = mongodb::Client::with_uri_str(uri).await.unwrap().database(name).collection::<Document>("messages");
    let of_samples = doc! { "sessionId": samples.as_str() };
    let samples: Vec<Document> = messages.find(of_samples.clone()).sort(doc! { "seq": 1 }).await.unwrap().try_collect().await.unwrap();
    let mut batch = Vec::with_capacity(BATCH);
    for planned in &content.sessions {
        let agent = agent_of(&planned.session);
        for row in log(planned, &agent) {
            batch.push(document(&samples[row.sample], &row));
            if batch.len() == BATCH {
                messages.insert_many(std::mem::take(&mut batch)).ordered(false).await.unwrap();
            }
        }
    }
    if !batch.is_empty() {
        messages.insert_many(batch).ordered(false).await.unwrap();
    }
    messages.delete_many(of_samples).await.unwrap();
    check(&store, content).await;
}

fn document(sample: &Document, row: &Row<'_>) -> Document {
    let mut document = sample.clone();
    document.extend(doc! {
        "_id": EntryId::random().as_str(),
        "sessionId": row.session.id.as_str(),
        "seq": row.seq as i64,
        "ordinal": row.ordinal as i64,
        "assignment": row.session.assignment as i64,
        "timestamp": DateTime::from_millis(row.at()),
        "senderRealm": row.author.realm.name(),
        "senderId": &*row.author.id,
        "senderName": row.author.name.as_deref(),
    });
    for (field, text) in [("clientKey", row.key()), ("message", row.text())] {
        document.extend(text.map(|text| (field.to_owned(), Bson::String(text))));
    }
    document
}
