//! Where tests find MongoDB: the shared server of the test run, or one of their own that they may kill. Knows no test.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bson::{Document, doc};
use futures_util::FutureExt;
use helpline::domain::entry::{Body, Content, Draft, Entry};
use helpline::domain::ids::{ClientKey, EntryId, SessionId};
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::store::{Appended, Store};
use helpline::domain::time::Timestamp;
use helpline::store::mongo::{Mongo, open};
use mongodb::Client;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A database of one test's own.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) uri: String,
    pub(super) name: String,
}

impl Place {
    pub(super) fn on(uri: &str) -> Self {
        Self { uri: uri.to_owned(), name: format!("helpline_test_{}", uuid::Uuid::new_v4().simple()) }
    }

    /// A handle on the store here; each one is a node.
    pub(super) async fn open(&self) -> Mongo {
        open(&self.uri, Some(&self.name)).await.expect("the test database opens")
    }

    /// The same database, past the store.
    pub(super) async fn raw(&self) -> mongodb::Database {
        Client::with_uri_str(&self.uri).await.expect("a client").database(&self.name)
    }
}

/// Runs a test on a database of its own, which is dropped afterwards, come what may.
pub(super) async fn on_database<F: Future<Output = ()>>(test: impl FnOnce(Place) -> F) {
    let uri = variable("HELPLINE_TEST_MONGODB_URI");
    let place = Place::on(&uri);
    let outcome = AssertUnwindSafe(test(place.clone())).catch_unwind().await;
    let dropped = place.raw().await.drop().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    dropped.expect("the test database is dropped");
}

/// A variable that the script of the test run sets. Its absence fails the test: a skipped test looks like a passing one.
pub(super) fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `scripts/services.sh up` and source what it prints, or set it yourself"))
}

/// A server of one test's own, to be killed.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts the server on a data folder and waits until it listens; port 0 takes a free one.
    pub(crate) async fn start(data: &Path, port: u16) -> Self {
        let mut child = Command::new(variable("HELPLINE_TEST_SECANTUSD"))
            .args(["--port", &port.to_string(), "--sync-on-commit", "--log-file-max", "16MB", "--cache-size", "256M", "--storage-path"])
            .arg(data)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the server of HELPLINE_TEST_SECANTUSD starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.expect("its output") {
                if let Some((_, port)) = line.rsplit_once("listening on 127.0.0.1:") {
                    return port.trim().parse().expect("a port");
                }
            }
            panic!("the server ended before it listened");
        };
        let port = tokio::time::timeout(Duration::from_secs(20), listening).await.expect("the server listens within 20 s");
        Self { child, port }
    }

    pub(crate) fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.port)
    }

    /// Ends the process with signal 9, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("the server can be killed");
    }
}

/// A message of the visitor `u1`.
pub(super) fn message(session: &SessionId, text: &str) -> Draft {
    Draft {
        session: session.clone(),
        id: EntryId::random(),
        at: Timestamp(1_700_000_000_123),
        author: Person::new(Realm::Support, "u1", Role::Visitor),
        client_key: None,
        content: Content::Message(Body::stored(text).into()),
    }
}

/// The same with a client key.
pub(super) fn keyed(session: &SessionId, text: &str, key: &str) -> Draft {
    Draft { client_key: ClientKey::parse(key), ..message(session, text) }
}

/// The end of a session.
pub(super) fn end(session: &SessionId) -> Draft {
    Draft { content: Content::Ended("done".into()), ..message(session, "") }
}

/// Appends what must be stored.
pub(super) async fn stored(store: &Mongo, draft: Draft) -> Entry {
    match store.append(draft).await {
        Ok(Appended::Stored(entry)) => entry,
        other => panic!("not stored: {other:?}"),
    }
}

/// The numbers of a session's whole log.
pub(super) async fn numbers(store: &Mongo, session: &SessionId) -> Vec<u64> {
    store.list_entries(session, 0, 100_000).await.expect("the log").iter().map(Entry::seq).collect()
}

/// A document of an original's `messages`.
pub(super) fn original_message() -> Document {
    doc! { "sessionId": "s1", "senderId": "u1", "senderType": "user", "message": "hi", "timestamp": bson::DateTime::from_millis(1) }
}
