//! Logins in SQLite. Whether one has ended is not decided here; the transaction around a write is the writer's.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::rows::{self, Cells};
use crate::domain::account::Login;
use crate::domain::error::StoreError;
use crate::domain::ids::{AccountId, LoginId};
use crate::domain::time::Timestamp;

/// Stores the login, and removes those of its account that ended before it began. A repeated insert finds its own.
pub(super) fn insert(conn: &Connection, login: &Login) -> Result<(), StoreError> {
    let ended = "DELETE FROM logins WHERE account = ?1 AND expires_at < ?2";
    conn.prepare_cached(ended)?.execute(params![login.account.as_str(), login.created_at.0])?;
    let sql = "INSERT INTO logins (id, account, created_at, expires_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![login.id.as_str(), login.account.as_str(), login.created_at.0, login.expires_at.0])?;
    match find(conn, &login.id)? {
        Some(stored) if stored == *login => Ok(()),
        // One secret must never open what another person proved.
        _ => Err(StoreError::Conflict("a login with this fingerprint is stored".into())),
    }
}

/// The login, or `None`.
pub(super) fn find(conn: &Connection, id: &LoginId) -> Result<Option<Login>, StoreError> {
    rows::find(conn, "SELECT id, account, created_at, expires_at FROM logins WHERE id = ?1", [id.as_str()], login)
}

/// Those of these logins that there are.
pub(super) fn find_all(conn: &Connection, ids: &[LoginId]) -> Result<Vec<LoginId>, StoreError> {
    ids.iter().filter_map(|id| find(conn, id).map(|found| found.map(|login| login.id)).transpose()).collect()
}

/// Removes all logins of an account.
pub(super) fn remove_all(conn: &Connection, account: &AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM logins WHERE account = ?1")?.execute([account.as_str()])?;
    Ok(())
}

/// Removes the login, if there is one.
pub(super) fn remove(conn: &Connection, id: &LoginId) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("DELETE FROM logins WHERE id = ?1")?.execute([id.as_str()])? > 0)
}

/// A row of id, account, beginning and end.
fn login(row: &Row<'_>) -> Result<Login, StoreError> {
    let cells = Cells { row, what: "login", id: row.get(0)? };
    Ok(Login {
        id: LoginId::stored(cells.id.clone()),
        account: AccountId::stored(cells.get::<Arc<str>>(1)?),
        created_at: Timestamp(cells.get(2)?),
        expires_at: Timestamp(cells.get(3)?),
    })
}
