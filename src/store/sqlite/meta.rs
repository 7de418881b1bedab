//! Facts about the installation and its database. Sessions and agents are not known here.

use rusqlite::{Connection, params};

use super::JournalSettings;
use crate::domain::error::StoreError;
use crate::domain::time::Timestamp;

/// The moment of the first start: `now` at the first call.
pub(super) fn first_start(conn: &Connection, now: Timestamp) -> Result<Timestamp, StoreError> {
    let sql = "INSERT INTO meta (name, value) VALUES ('first_start', ?1) ON CONFLICT (name) DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![now.0])?;
    Ok(Timestamp(conn.prepare_cached("SELECT value FROM meta WHERE name = 'first_start'")?.query_row((), |row| row.get(0))?))
}

/// Reads something from the file.
pub(super) fn ping(conn: &Connection) -> Result<(), StoreError> {
    Ok(conn.prepare_cached("SELECT count(*) FROM meta")?.query_row((), |_| Ok(()))?)
}

/// The settings of this connection.
pub(super) fn journal_settings(conn: &Connection) -> Result<JournalSettings, StoreError> {
    Ok(JournalSettings {
        synchronous: conn.query_row("PRAGMA synchronous", (), |row| row.get(0))?,
        journal_mode: conn.query_row("PRAGMA journal_mode", (), |row| row.get(0))?,
    })
}
