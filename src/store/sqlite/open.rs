//! Opening: the folder and its file, its connections. Knows no query.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::task::spawn_blocking;

use super::errors::unavailable;
use super::readers::Readers;
use super::writer::Writer;
use super::{Sqlite, meta, schema};
use crate::domain::error::StoreError;

/// The database's name in the data folder.
pub(super) const FILE: &str = "helpline.db";

/// How long a connection waits for another process that holds the file.
const BUSY: Duration = Duration::from_secs(5);

/// How the writer's connection makes its commits durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// SQLite's level: 2 is `FULL`.
    pub synchronous: u8,
    /// The kind of journal, in SQLite's word for it.
    pub journal_mode: String,
}

impl Sqlite {
    /// Opens the database in this folder, and creates both where they are missing. Fails on a database that a newer server wrote.
    pub async fn open(data_dir: &Path) -> Result<Sqlite, StoreError> {
        Self::open_with(data_dir, |_| {}).await
    }

    /// Like [`Sqlite::open`], with a last word on each connection: tracing.
    pub async fn open_with(data_dir: &Path, adjust: impl Fn(&Connection) + Send + 'static) -> Result<Sqlite, StoreError> {
        let folder = data_dir.to_owned();
        spawn_blocking(move || Self::open_now(folder, adjust)).await.map_err(unavailable)?
    }

    /// Opens the database in this folder if it is there and of exactly this server's version; changes nothing otherwise. `None` where there is none.
    pub async fn open_present(data_dir: &Path) -> Result<Option<Sqlite>, StoreError> {
        let file = data_dir.join(FILE);
        let open = move || {
            if !file.try_exists().map_err(unavailable)? {
                return Ok(None);
            }
            schema::check(&connect(&file)?)?;
            Self::open_file(&file, |_| {}).map(Some)
        };
        spawn_blocking(open).await.map_err(unavailable)?
    }

    /// The settings that durability rests on, as the writer's connection reports them.
    pub async fn journal_settings(&self) -> Result<JournalSettings, StoreError> {
        self.writer.run(meta::journal_settings).await
    }

    fn open_now(folder: PathBuf, adjust: impl Fn(&Connection)) -> Result<Sqlite, StoreError> {
        std::fs::create_dir_all(&folder).map_err(unavailable)?;
        let file = folder.join(FILE);
        // Nobody else may read what people said; the library's own files beside it take this one's mode.
        std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&file).map_err(unavailable)?;
        Self::open_file(&file, adjust)
    }

    fn open_file(file: &Path, adjust: impl Fn(&Connection)) -> Result<Sqlite, StoreError> {
        let mut conn = connect(file)?;
        schema::prepare(&mut conn)?;
        adjust(&conn);
        let readers = Readers::open(|| connect(file).inspect(&adjust))?;
        let folder = file.parent().unwrap_or(file).to_owned();
        Ok(Sqlite { writer: Writer::start(conn)?, readers, folder })
    }
}

/// A connection to the file with what every connection needs.
pub(super) fn connect(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}
