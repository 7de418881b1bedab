//! The embedded store under the contract suite, and what only it promises.

use std::path::Path;
use std::sync::Arc;

use helpline::domain::store::Store;
use helpline::store::sqlite::{JournalSettings, Sqlite};
use tempfile::TempDir;

contract_suite!(Fixture);

/// A store in a folder of its own.
struct Fixture {
    folder: TempDir,
    store: Option<Arc<dyn Store>>,
}

impl Fixture {
    async fn create() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        Fixture { folder, store: Some(store) }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn reopen(&mut self) {
        self.store = None;
        self.store = Some(open(self.folder.path()).await);
    }
}

async fn open(folder: &Path) -> Arc<dyn Store> {
    Arc::new(Sqlite::open(folder).await.unwrap())
}

#[tokio::test]
async fn commits_are_synchronous_on_a_write_ahead_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("made/on/the/way")).await.unwrap();
    let settings = JournalSettings { synchronous: 2, journal_mode: "wal".into() };
    assert_eq!(store.journal_settings().await.unwrap(), settings);
    assert!(folder.path().join("made/on/the/way/helpline.db").exists());
}
