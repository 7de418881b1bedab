//! Rows of SQLite to words of the domain and back, column by column. What is not ours is `Corrupt`, named by its id; threads are not known here.
//! A debug build refuses a query that no index serves.

use std::sync::Arc;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row, StatementStatus};
use serde_json::Value;

use crate::domain::entry::{Assignment, Body, Content, Edit, Entry, Fate, Form, Head, Message};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, ClientKey, EntryId, SessionId};
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::time::Timestamp;
use crate::domain::topic::SessionKind;
use crate::store::shape;

/// A query for sessions: the columns that [`session`] reads, then the rest of the statement.
macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT id, realm, visitor_realm, visitor_id, visitor_role, visitor_name, visitor_email, status, agent_id, agent_name, ",
            "assignment, created_at, updated_at, ended_at, end_reason, visitor_group, label, state_seq, read_ordinal, spoken, ",
            "kind, topic, participants, transfers FROM sessions ",
            $rest
        )
    };
}

/// A query for entries: the columns that [`entry`] reads, then the rest of the statement.
macro_rules! select_entries {
    ($rest:literal) => {
        concat!(
            "SELECT session, seq, id, at, author_realm, author_id, author_role, author_name, author_email, client_key, ",
            "kind, text, agent_id, agent_name, ordinal, assignment, ended, form, signed, read_at, notices, ",
            "refers_to, former, file, receipts, edited_at, edit_seq, is_deleted FROM messages ",
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
        kind: cells.name(20, SessionKind::named)?,
        topic: cells.json(21, shape::to_topic)?.map(Arc::new),
        participants: cells.json(22, shape::to_people)?.unwrap_or_default(),
        transfers: cells.json(23, shape::to_transfers)?.unwrap_or_default(),
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
        content: cells.content()?,
        fate: Fate {
            read_at: cells.get::<Option<i64>>(19)?.map(Timestamp),
            receipts: cells.json(24, shape::to_receipts)?.unwrap_or_default(),
            edited_at: cells.get::<Option<i64>>(25)?.map(Timestamp),
            edit_seq: cells.get(26)?,
            is_deleted: cells.get(27)?,
        },
        head: Head {
            seq: cells.get(1)?,
            ordinal: cells.get(14)?,
            notices: cells.get(20)?,
            assignment: cells.get(15)?,
            ended: cells.get(16)?,
        },
    })
}

/// What an entry records, in the columns that depend on its kind.
#[derive(Default)]
pub(super) struct Recorded<'a> {
    pub(super) text: Option<&'a str>,
    pub(super) agent: Option<&'a Assignee>,
    pub(super) refers_to: Option<&'a EntryId>,
    pub(super) former: Option<&'a AgentId>,
    pub(super) file: Option<String>,
}

impl<'a> From<&'a Content> for Recorded<'a> {
    fn from(content: &'a Content) -> Self {
        let nothing = Recorded::default();
        match content {
            Content::Message(Message { body, reply_to, file, .. }) => {
                let file = file.as_deref().map(|f| shape::from_file(f).to_string());
                Self { text: Some(body.as_str()), refers_to: reply_to.as_ref(), file, ..nothing }
            }
            Content::Assigned(Assignment { agent, former, reason }) => {
                Self { text: reason.as_deref(), agent: agent.as_ref(), former: former.as_ref(), ..nothing }
            }
            Content::Ended(text) | Content::Opened(text) => Self { text: Some(text), ..nothing },
            Content::Edited(Edit { message, body, .. }) => Self { text: Some(body.as_str()), refers_to: Some(message), ..nothing },
        }
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

    /// What is stored as JSON, or `None`.
    fn json<T>(&self, column: usize, read: fn(&Value) -> Result<T, shape::Damage>) -> Result<Option<T>, StoreError> {
        let Some(text) = self.get::<Option<Arc<str>>>(column)? else { return Ok(None) };
        let value = serde_json::from_str(&text).map_err(|_| self.damaged(&format!("no JSON in column {column}")))?;
        read(&value).map(Some).map_err(|what| self.damaged(what))
    }

    /// What the row of an entry records.
    fn content(&self) -> Result<Content, StoreError> {
        let kind: Arc<str> = self.get(10)?;
        let text: Option<Arc<str>> = self.get(11)?;
        let refers_to = self.get::<Option<Arc<str>>>(21)?.map(EntryId::stored);
        match (&*kind, text, self.assignee(12)?, refers_to) {
            ("message", Some(text), None, reply_to) => Ok(Content::Message(Message {
                body: Body::stored(text),
                form: self.name(17, Form::named)?,
                signed: self.get(18)?,
                reply_to,
                file: self.json(23, |file| Ok(shape::to_file(file)))?.map(Arc::new),
            })),
            ("assigned", reason, agent, None) => {
                let former = self.get::<Option<Arc<str>>>(22)?.map(AgentId::stored);
                Ok(Content::Assigned(Assignment { agent, former, reason }))
            }
            ("ended", Some(reason), None, None) => Ok(Content::Ended(reason)),
            ("opened", Some(word), None, None) => Ok(Content::Opened(word)),
            (kind @ ("edited" | "deleted"), Some(text), None, Some(message)) => {
                Ok(Content::Edited(Edit { message, body: Body::stored(text), is_deletion: kind == "deleted" }))
            }
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
        let row = "'s1' AS id, 'support' AS realm, 'support', 'v1', 'visitor', NULL, NULL, 'active', 'a1', 'Ann', 1, 2, 3, NULL, NULL, NULL, NULL, 0, 0, 0, 'direct', NULL, '[]', NULL";
        assert!(find(&conn, &format!("SELECT {row}"), (), session).unwrap().is_some());
        for (good, bad) in [
            ("'active'", "'asleep'"),
            ("'visitor'", "'king'"),
            ("'Ann'", "NULL"),
            ("1, 2, 3", "-1, 2, 3"),
            ("1, 2, 3", "1, 'x', 3"),
            ("'[]'", "'[1]'"),
            ("'[]'", "'['"),
        ] {
            let damaged = find(&conn, &format!("SELECT {}", row.replacen(good, bad, 1)), (), session);
            assert!(matches!(damaged, Err(StoreError::Corrupt(how)) if how.starts_with("session s1: ")), "{bad}");
        }
        let row = "'s1', 1, 'e1', 2, 'support', 'v1', 'visitor', NULL, NULL, 'k', 'message', 'hi', NULL, NULL, 1, 0, 0, 'text', 1, NULL, 0, NULL, NULL, NULL, NULL, NULL, 0, 0";
        assert!(find(&conn, &format!("SELECT {row}"), (), entry).unwrap().is_some());
        for (good, bad) in [
            ("'message'", "'shout'"),
            ("'message'", "'edited'"),
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
