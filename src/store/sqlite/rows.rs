//! Rows of SQLite to words of the domain and back, column by column. What is not ours is `Corrupt`, named by its id; threads are not known here.
//! A debug build refuses a query that no index serves.

use std::sync::Arc;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row, StatementStatus};

use crate::domain::entry::{Body, Content, Entry, Form, Head, Message};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, ClientKey, EntryId, SessionId};
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::time::Timestamp;

/// A query for sessions: the columns that [`session`] reads, then the rest of the statement.
macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT id, realm, visitor_realm, visitor_id, visitor_role, visitor_name, visitor_email, status, agent_id, agent_name, ",
            "assignment, created_at, updated_at, ended_at, end_reason, visitor_group, label, state_seq, read_ordinal, spoken FROM sessions ",
            $rest
        )
    };
}

/// A query for entries: the columns that [`entry`] reads, then the rest of the statement.
macro_rules! select_entries {
    ($rest:literal) => {
        concat!(
            "SELECT session, seq, id, at, author_realm, author_id, author_role, author_name, author_email, client_key, ",
            "kind, text, agent_id, agent_name, ordinal, assignment, ended, form, signed, read_at, notices FROM messages ",
            $rest
        )
    };
}

pub(super) use {select_entries, select_sessions};

/// All rows of a query, each read by `read`.
pub(super) fn list<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    drop(rows);
    debug_assert_eq!(statement.get_status(StatementStatus::FullscanStep), 0, "no index serves {sql}");
    Ok(found)
}

/// The first row of a query, or `None`.
pub(super) fn find<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let found = rows.next()?.map(read).transpose()?;
    drop(rows);
    debug_assert_eq!(statement.get_status(StatementStatus::FullscanStep), 0, "no index serves {sql}");
    Ok(found)
}

/// A row of [`select_sessions`].
pub(super) fn session(row: &Row<'_>) -> Result<Session, StoreError> {
    let cells = Cells { row, what: "session", id: row.get(0)? };
    Ok(Session {
        id: SessionId::stored(cells.id.clone()),
        realm: cells.name(1, Realm::named)?,
        visitor: cells.person(2)?,
        status: cells.name(7, Status::named)?,
        agent: cells.assignee(8)?,
        assignment: cells.get(10)?,
        created_at: Timestamp(cells.get(11)?),
        updated_at: Timestamp(cells.get(12)?),
        ended_at: cells.get::<Option<i64>>(13)?.map(Timestamp),
        end_reason: cells.get(14)?,
        group: cells.get(15)?,
        label: cells.get(16)?,
        state_seq: cells.get(17)?,
        read_ordinal: cells.get(18)?,
        spoken: cells.get(19)?,
    })
}

/// A row of [`select_entries`].
pub(super) fn entry(row: &Row<'_>) -> Result<Entry, StoreError> {
    let cells = Cells { row, what: "entry", id: row.get(2)? };
    Ok(Entry {
        session: SessionId::stored(cells.get::<Arc<str>>(0)?),
        id: EntryId::stored(cells.id.clone()),
        at: Timestamp(cells.get(3)?),
        author: cells.person(4)?,
        client_key: cells.client_key(9)?,
        content: cells.content(10, 17)?,
        read_at: cells.get::<Option<i64>>(19)?.map(Timestamp),
        head: Head {
            seq: cells.get(1)?,
            ordinal: cells.get(14)?,
            notices: cells.get(20)?,
            assignment: cells.get(15)?,
            ended: cells.get(16)?,
        },
    })
}

/// The columns `kind`, `text`, `agent_id` and `agent_name` of an entry.
pub(super) fn content(content: &Content) -> (&'static str, Option<&str>, Option<&str>, Option<&str>) {
    let kind = content.kind();
    match content {
        Content::Message(message) => (kind, Some(message.body.as_str()), None, None),
        Content::Assigned(agent) => (kind, None, Some(agent.id.as_str()), Some(&*agent.name)),
        Content::Ended(reason) => (kind, Some(&**reason), None, None),
        Content::Opened(word) => (kind, Some(&**word), None, None),
    }
}

/// A number that a client may have chosen; SQLite's integers end earlier than ours, and nothing that is stored is beyond them.
pub(super) fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One row and whose it is, so that damage can be reported by id.
pub(super) struct Cells<'a> {
    /// The row.
    pub(super) row: &'a Row<'a>,
    /// The kind of thing that the row stores.
    pub(super) what: &'static str,
    /// Its id.
    pub(super) id: Arc<str>,
}

impl Cells<'_> {
    /// The cell in this column; `Corrupt` where it is of another type.
    pub(super) fn get<T: FromSql>(&self, column: usize) -> Result<T, StoreError> {
        self.row.get(column).map_err(|e| self.damaged(&e.to_string()))
    }

    /// The value of a stored name.
    pub(super) fn name<T>(&self, column: usize, named: fn(&str) -> Option<T>) -> Result<T, StoreError> {
        let name: Arc<str> = self.get(column)?;
        named(&name).ok_or_else(|| self.damaged(&format!("unknown name in column {column}")))
    }

    /// Five columns: realm, id, role, name, email.
    fn person(&self, first: usize) -> Result<Person, StoreError> {
        Ok(Person {
            realm: self.name(first, Realm::named)?,
            id: self.get(first + 1)?,
            role: self.name(first + 2, Role::named)?,
            name: self.get(first + 3)?,
            email: self.get(first + 4)?,
        })
    }

    /// Two columns: id and name, both or neither.
    fn assignee(&self, first: usize) -> Result<Option<Assignee>, StoreError> {
        match (self.get::<Option<Arc<str>>>(first)?, self.get(first + 1)?) {
            (Some(id), Some(name)) => Ok(Some(Assignee { id: AgentId::stored(id), name })),
            (None, None) => Ok(None),
            _ => Err(self.damaged("half an agent")),
        }
    }

    fn client_key(&self, column: usize) -> Result<Option<ClientKey>, StoreError> {
        let key: Option<Arc<str>> = self.get(column)?;
        key.map(|k| ClientKey::parse(&k).ok_or_else(|| self.damaged("client key out of bounds"))).transpose()
    }

    /// Four columns: kind, text, agent id, agent name; and two that only messages have: form, signed.
    fn content(&self, first: usize, message: usize) -> Result<Content, StoreError> {
        let kind: Arc<str> = self.get(first)?;
        let text: Option<Arc<str>> = self.get(first + 1)?;
        match (&*kind, text, self.assignee(first + 2)?) {
            ("message", Some(text), None) => Ok(Content::Message(Message {
                body: Body::stored(text),
                form: self.name(message, Form::named)?,
                signed: self.get(message + 1)?,
            })),
            ("assigned", None, Some(agent)) => Ok(Content::Assigned(agent)),
            ("ended", Some(reason), None) => Ok(Content::Ended(reason)),
            ("opened", Some(word), None) => Ok(Content::Opened(word)),
            _ => Err(self.damaged("unknown kind, or not what its kind needs")),
        }
    }

    fn damaged(&self, how: &str) -> StoreError {
        StoreError::Corrupt(format!("{} {}: {how}", self.what, self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_corrupt_by_its_id() {
        let conn = Connection::open_in_memory().unwrap();
        let row = "'s1' AS id, 'support' AS realm, 'support', 'v1', 'visitor', NULL, NULL, 'active', 'a1', 'Ann', 1, 2, 3, NULL, NULL, NULL, NULL, 0, 0, 0";
        assert!(find(&conn, &format!("SELECT {row}"), (), session).unwrap().is_some());
        for (good, bad) in
            [("'active'", "'asleep'"), ("'visitor'", "'king'"), ("'Ann'", "NULL"), ("1, 2, 3", "-1, 2, 3"), ("1, 2, 3", "1, 'x', 3")]
        {
            let damaged = find(&conn, &format!("SELECT {}", row.replacen(good, bad, 1)), (), session);
            assert!(matches!(damaged, Err(StoreError::Corrupt(how)) if how.starts_with("session s1: ")), "{bad}");
        }
        let row = "'s1', 1, 'e1', 2, 'support', 'v1', 'visitor', NULL, NULL, 'k', 'message', 'hi', NULL, NULL, 1, 0, 0, 'text', 1, NULL, 0";
        assert!(find(&conn, &format!("SELECT {row}"), (), entry).unwrap().is_some());
        for (good, bad) in [
            ("'message'", "'shout'"),
            ("'message'", "'assigned'"),
            ("'hi'", "NULL"),
            ("'k'", "''"),
            ("'support'", "'moon'"),
            ("'text'", "'song'"),
        ] {
            let damaged = find(&conn, &format!("SELECT {}", row.replacen(good, bad, 1)), (), entry);
            assert!(matches!(damaged, Err(StoreError::Corrupt(how)) if how.starts_with("entry e1: ")), "{bad}");
        }
    }
}
