//! `helpline import` on the real binary: databases in the shapes of the originals, built from the recorded layouts, with whatever may be odd in them.

mod files;
mod in_place;
mod kill;
mod rooms;
mod support;

use std::path::Path;

use bson::oid::ObjectId;
use bson::{DateTime, Document, doc};
use mongodb::{Client, Database};
use tempfile::TempDir;
use uuid::Uuid;

use super::harness::command::{Done, helpline};
use super::harness::replay::replay;
use super::harness::script::parse;
use super::harness::server::Server;
use super::transcripts::mongo_uri;

/// When everything in the fixtures begins, in milliseconds.
const BEGIN: i64 = 1_700_000_000_000;

/// A database of an original, and a store of ours that it is to go to.
struct Move {
    original: Database,
    folder: TempDir,
    /// Where it goes to on MongoDB; the embedded store else.
    target: Option<Database>,
}

impl Move {
    async fn new(to_mongodb: bool) -> Self {
        let client = Client::with_uri_str(mongo_uri()).await.unwrap();
        let name = format!("helpline_test_{}", Uuid::new_v4().simple());
        let target = to_mongodb.then(|| client.database(&format!("{name}_new")));
        Self { original: client.database(&name), folder: TempDir::new().unwrap(), target }
    }

    /// Of which the store has the original's own database.
    async fn in_place() -> Self {
        let moved = Self::new(false).await;
        Self { target: Some(moved.original.clone()), ..moved }
    }

    fn is_in_place(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.name() == self.original.name())
    }

    /// What is said to import.
    fn arguments(&self) -> Vec<String> {
        let from = ["import".to_owned(), "--from".to_owned(), mongo_uri(), "--database".to_owned(), self.original.name().to_owned()];
        if self.is_in_place() { vec!["import".to_owned(), "--in-place".to_owned()] } else { from.into() }
    }

    /// The variables that name our store.
    fn env(&self) -> Vec<(String, String)> {
        let mut env = vec![("DATA_DIR".to_owned(), self.folder.path().join("data").to_str().unwrap().to_owned())];
        if let Some(target) = &self.target {
            env.extend([("MONGODB_URI".to_owned(), mongo_uri()), ("MONGODB_DB".to_owned(), target.name().to_owned())]);
        }
        env
    }

    async fn run(&self, arguments: &[&str]) -> Done {
        let env = self.env();
        let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        helpline(arguments, &env, "").await
    }

    /// Imports, which must succeed, and answers the report.
    async fn import(&self, more: &[&str]) -> String {
        let arguments = self.arguments();
        let done = self.run(&[&arguments.iter().map(String::as_str).collect::<Vec<_>>(), more].concat()).await;
        assert_eq!(done.status, 0, "{done:?}");
        done.out
    }

    /// Plays the transcript of a contract's frontends, which is in this folder, on what was imported.
    async fn play(&self, contract: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/import").join(format!("{contract}.txt"));
        let script = parse(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|e| panic!("{contract}.txt:{e}"));
        let mut env = [self.env(), vec![("MOUNTS".to_owned(), format!("{contract}@/"))]].concat();
        env.extend(script.env.clone());
        let mut server = Server::start(&env).await;
        let played = replay(&script, &mut server).await;
        assert!(played.is_ok(), "{contract}.txt:{}\n{}", played.unwrap_err(), server.log());
    }

    /// What our store has of a session.
    async fn export(&self, session: &str) -> serde_json::Value {
        let done = self.run(&["export", "--session", session]).await;
        assert_eq!(done.status, 0, "{done:?}");
        serde_json::from_str(&done.out).unwrap()
    }

    async fn fill(&self, collection: &str, documents: impl IntoIterator<Item = Document>) {
        self.original.collection::<Document>(collection).insert_many(documents).await.unwrap();
    }

    /// Drops the databases; a test that fails leaves them.
    async fn end(self) {
        self.original.drop().await.unwrap();
        if let Some(target) = self.target {
            target.drop().await.unwrap();
        }
    }
}

/// The n-th id of a kind, in the order of n.
fn id(kind: u8, n: u32) -> ObjectId {
    ObjectId::parse_str(format!("65{kind:02x}{n:020x}")).unwrap()
}

fn hex(kind: u8, n: u32) -> String {
    id(kind, n).to_hex()
}

/// So many seconds after the beginning.
fn at(seconds: i64) -> DateTime {
    DateTime::from_millis(BEGIN + seconds * 1_000)
}

/// The report has a line that begins so, and names these ids.
fn says(report: &str, beginning: &str, ids: &[&str]) {
    let line = report.lines().find(|line| line.starts_with(beginning)).unwrap_or_else(|| panic!("{beginning} is missing in:\n{report}"));
    for id in ids {
        assert!(line.contains(id), "{id} is missing in: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_of_an_original_is_refused() {
    let moved = Move::new(false).await;
    let refused = async |from: &str, database: &str, status: i32, why: &str| {
        let done = moved.run(&["import", "--from", from, "--database", database]).await;
        assert!(done.status == status && done.out.is_empty() && done.err.contains(why), "{done:?}");
        assert!(!done.err.contains("hunter2"), "{done:?}");
    };
    refused("mongodb://u:hunter2:x@/db", "x", 2, "--from: expected a MongoDB URL").await;
    refused(&mongo_uri(), moved.original.name(), 1, "is of no original that is known").await;
    moved.fill("sessions", [doc! { "realm": "support" }]).await;
    moved.fill("messages", [doc! { "seq": 1_i64 }]).await;
    refused(&mongo_uri(), moved.original.name(), 1, "is Helpline's own").await;
    refused("mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=300", "x", 1, "cannot import").await;
    moved.end().await;
}
