//! Accounts in SQLite. What a password hash holds is not known here; the transaction around a write is the writer's.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::rows::{self, Cells};
use crate::domain::account::{Account, PasswordHash};
use crate::domain::error::StoreError;
use crate::domain::ids::AccountId;
use crate::domain::principal::Realm;
use crate::domain::time::Timestamp;

/// Stores the account unless its address is taken. A repeated insert finds its own and answers as the first one did.
pub(super) fn insert(conn: &Connection, account: &Account) -> Result<bool, StoreError> {
    let sql = "INSERT INTO accounts (id, realm, email, name, password, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![
        account.id.as_str(),
        account.realm.name(),
        account.email,
        account.name,
        account.password.expose(),
        account.created_at.0,
    ])?;
    Ok(find_by_email(conn, account.realm, &account.email)?.is_some_and(|stored| stored.id == account.id))
}

/// The account, or `None`.
pub(super) fn find(conn: &Connection, id: &AccountId) -> Result<Option<Account>, StoreError> {
    rows::find(conn, select_accounts!("WHERE id = ?1"), [id.as_str()], account)
}

/// The realm's account with this address, or `None`.
pub(super) fn find_by_email(conn: &Connection, realm: Realm, email: &str) -> Result<Option<Account>, StoreError> {
    rows::find(conn, select_accounts!("WHERE realm = ?1 AND email = ?2"), [realm.name(), email], account)
}

/// How many accounts the realm has.
pub(super) fn count(conn: &Connection, realm: Realm) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM accounts WHERE realm = ?1";
    Ok(rows::find(conn, sql, [realm.name()], |row| Ok(row.get(0)?))?.unwrap_or_default())
}

/// Removes the account, if there is one.
pub(super) fn remove(conn: &Connection, id: &AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM accounts WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(())
}

/// Replaces the password where it is still `from`.
pub(super) fn replace_password(conn: &Connection, id: &AccountId, from: &PasswordHash, to: &PasswordHash) -> Result<bool, StoreError> {
    let sql = "UPDATE accounts SET password = ?3 WHERE id = ?1 AND password = ?2";
    Ok(conn.prepare_cached(sql)?.execute([id.as_str(), from.expose(), to.expose()])? > 0)
}

/// A query for accounts: the columns that [`account`] reads, then the rest of the statement.
macro_rules! select_accounts {
    ($rest:literal) => {
        concat!("SELECT id, realm, email, name, password, created_at FROM accounts ", $rest)
    };
}
use select_accounts;

/// A row of [`select_accounts`].
fn account(row: &Row<'_>) -> Result<Account, StoreError> {
    let cells = Cells { row, what: "account", id: row.get(0)? };
    Ok(Account {
        id: AccountId::stored(cells.id.clone()),
        realm: cells.name(1, Realm::named)?,
        email: cells.get(2)?,
        name: cells.get(3)?,
        password: PasswordHash::stored(cells.get::<Arc<str>>(4)?),
        created_at: Timestamp(cells.get(5)?),
    })
}
