//! The tables, as steps that are only ever added to, and the settings of the writing connection. Rows and threads are not known here.

use rusqlite::{Connection, TransactionBehavior};

use crate::domain::error::StoreError;

/// Step n leads from version n to n + 1. A released step is never edited: databases exist that took it.
const STEPS: &[&str] = &[FIRST];

/// Each entry carries the whole head after it, so that an append reads one row and writes one.
///
/// `messages` is clustered by (session, seq): a history is one range of pages. Its other indexes are partial, so that an entry is in no index that it does
/// not need. No foreign keys: the log may begin before its session's document is stored.
const FIRST: &str = "
CREATE TABLE sessions (
    id            TEXT    NOT NULL PRIMARY KEY,
    realm         TEXT    NOT NULL,
    visitor_realm TEXT    NOT NULL,
    visitor_id    TEXT    NOT NULL,
    visitor_role  TEXT    NOT NULL,
    visitor_name  TEXT,
    visitor_email TEXT,
    status        TEXT    NOT NULL,
    open_key      TEXT,
    agent_id      TEXT,
    agent_name    TEXT,
    assignment    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    end_reason    TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sessions_open_key ON sessions (open_key) WHERE open_key IS NOT NULL;
CREATE INDEX sessions_open ON sessions (id) WHERE status <> 'ended';
CREATE INDEX sessions_waiting ON sessions (realm, created_at, id) WHERE status = 'waiting';
CREATE INDEX sessions_of_agent ON sessions (agent_id, created_at, id) WHERE agent_id IS NOT NULL;
CREATE INDEX sessions_of_agent_by_status ON sessions (agent_id, status, created_at, id) WHERE agent_id IS NOT NULL;

CREATE TABLE messages (
    session      TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    id           TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    author_realm TEXT    NOT NULL,
    author_id    TEXT    NOT NULL,
    author_role  TEXT    NOT NULL,
    author_name  TEXT,
    author_email TEXT,
    client_key   TEXT,
    kind         TEXT    NOT NULL,
    text         TEXT,
    agent_id     TEXT,
    agent_name   TEXT,
    ordinal      INTEGER NOT NULL,
    assignment   INTEGER NOT NULL,
    ended        INTEGER NOT NULL,
    PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX messages_id ON messages (id);
CREATE UNIQUE INDEX messages_client_key ON messages (session, author_realm, author_id, client_key) WHERE client_key IS NOT NULL;
CREATE UNIQUE INDEX messages_ordinal ON messages (session, ordinal) WHERE kind = 'message';

CREATE TABLE agents (
    place     INTEGER NOT NULL PRIMARY KEY,
    id        TEXT    NOT NULL UNIQUE,
    realm     TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    capacity  INTEGER NOT NULL,
    available INTEGER NOT NULL
) STRICT;
CREATE INDEX agents_realm ON agents (realm, place);

CREATE TABLE slots (
    agent       TEXT    NOT NULL,
    session     TEXT    NOT NULL,
    reserved_at INTEGER NOT NULL,
    PRIMARY KEY (agent, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Makes the connection the durable writer of a database with the present tables.
pub(super) fn prepare(conn: &mut Connection) -> Result<(), StoreError> {
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!("the data folder does not allow a write-ahead log, only {mode:?}").into()));
    }
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;")?;
    migrate(conn)
}

/// Takes the steps that the database lacks, all or none of them.
fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let step = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: usize = step.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    if version > STEPS.len() {
        let newest = STEPS.len();
        return Err(StoreError::Foreign(format!("the database has version {version}, and this server knows versions up to {newest}")));
    }
    for sql in STEPS.iter().skip(version) {
        step.execute_batch(sql)?;
    }
    step.pragma_update(None, "user_version", STEPS.len())?;
    Ok(step.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_a_newer_server_is_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = Connection::open(folder.path().join("x.db")).unwrap();
        prepare(&mut conn).unwrap();
        prepare(&mut conn).unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(prepare(&mut conn), Err(StoreError::Foreign(what)) if what.contains("99")));
    }
}
