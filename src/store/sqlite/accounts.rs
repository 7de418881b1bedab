//! Accounts in SQLite. What a password hash holds is not known here; the transaction around a write is the writer's.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::rows::{self, Cells};
use crate::domain::account::{Account, AccountChange, PasswordHash};
use crate::domain::agent::Availability;
use crate::domain::error::StoreError;
use crate::domain::ids::AccountId;
use crate::domain::principal::{Realm, Role};
use crate::domain::time::Timestamp;

/// Stores the account unless its address or its username is taken. A repeated insert finds its own and answers as the first one did.
pub(super) fn insert(conn: &Connection, account: &Account) -> Result<bool, StoreError> {
    let sql = "INSERT INTO accounts (id, realm, role, email, username, name, password, department, specialization, status, created_at, \
               updated_at, seen_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![
        account.id.as_str(),
        account.realm.name(),
        account.role.name(),
        account.email,
        account.username,
        account.name,
        account.password.expose(),
        account.department,
        account.specialization,
        account.status.name(),
        account.created_at.0,
        account.updated_at.0,
        account.seen_at.0,
    ])?;
    let stored = find_by_email(conn, account.realm, &account.email)?;
    Ok(stored.is_some_and(|stored| stored.id == account.id && stored.username == account.username))
}

/// The account, or `None`.
pub(super) fn find(conn: &Connection, id: &AccountId) -> Result<Option<Account>, StoreError> {
    rows::find(conn, select_accounts!("WHERE id = ?1"), [id.as_str()], account)
}

/// Those of these accounts that there are.
pub(super) fn find_all(conn: &Connection, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
    ids.iter().filter_map(|id| find(conn, id).transpose()).collect()
}

/// The realm's account with this address, or `None`.
pub(super) fn find_by_email(conn: &Connection, realm: Realm, email: &str) -> Result<Option<Account>, StoreError> {
    rows::find(conn, select_accounts!("WHERE realm = ?1 AND email = ?2"), [realm.name(), email], account)
}

/// The realm's accounts with one of these roles, newest first. A question for each role: for several in one SQLite would pass over all others.
pub(super) fn list(conn: &Connection, realm: Realm, roles: &[Role], limit: u32) -> Result<Vec<Account>, StoreError> {
    let sql = select_accounts!("WHERE realm = ?1 AND role = ?2 ORDER BY created_at DESC, id DESC LIMIT ?3");
    let mut listed = Vec::new();
    for (n, role) in roles.iter().enumerate() {
        let is_first = !roles.iter().take(n).any(|before| before == role);
        if is_first {
            listed.extend(rows::list(conn, sql, params![realm.name(), role.name(), limit], account)?);
        }
    }
    listed.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    listed.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(listed)
}

/// Changes what the change names; the account as it is then.
pub(super) fn change(conn: &Connection, id: &AccountId, change: &AccountChange, now: Timestamp) -> Result<Option<Account>, StoreError> {
    let AccountChange { status, seen_at } = change;
    let sql = "UPDATE accounts SET status = coalesce(?2, status), seen_at = coalesce(?3, seen_at), updated_at = ?4 WHERE id = ?1";
    let (status, seen_at) = (status.map(Availability::name), seen_at.map(|at| at.0));
    conn.prepare_cached(sql)?.execute(params![id.as_str(), status, seen_at, now.0])?;
    find(conn, id)
}

/// How many accounts the realm has.
pub(super) fn count(conn: &Connection, realm: Realm) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM accounts WHERE realm = ?1";
    Ok(rows::find(conn, sql, [realm.name()], |row| Ok(row.get(0)?))?.unwrap_or_default())
}

/// Removes the account and its logins, if there are any.
pub(super) fn remove(conn: &Connection, id: &AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM accounts WHERE id = ?1")?.execute([id.as_str()])?;
    conn.prepare_cached("DELETE FROM logins WHERE account = ?1")?.execute([id.as_str()])?;
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
        concat!(
            "SELECT id, realm, role, email, username, name, password, department, specialization, status, created_at, updated_at, seen_at ",
            "FROM accounts ",
            $rest
        )
    };
}
use select_accounts;

/// A row of [`select_accounts`].
fn account(row: &Row<'_>) -> Result<Account, StoreError> {
    let cells = Cells { row, what: "account", id: row.get(0)? };
    Ok(Account {
        id: AccountId::stored(cells.id.clone()),
        realm: cells.name(1, Realm::named)?,
        role: cells.name(2, Role::named)?,
        email: cells.get(3)?,
        username: cells.get(4)?,
        name: cells.get(5)?,
        password: PasswordHash::stored(cells.get::<Arc<str>>(6)?),
        department: cells.get(7)?,
        specialization: cells.get(8)?,
        status: cells.name(9, Availability::named)?,
        created_at: Timestamp(cells.get(10)?),
        updated_at: Timestamp(cells.get(11)?),
        seen_at: Timestamp(cells.get(12)?),
    })
}
