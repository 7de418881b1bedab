//! The log in SQLite: appending and reading entries. The numbering rule is the domain's; the transaction around an append is the writer's.

use rusqlite::{Connection, params};

use super::rows::{self, Recorded, bounded, select_entries};
use crate::domain::entry::{Content, Draft, Entry, Head};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, ClientKey, EntryId, SessionId};
use crate::domain::principal::Person;
use crate::domain::store::Appended;
use crate::domain::time::Timestamp;

/// Appends the draft, unless it or its client key is stored already, or the session has ended: answered in this order. Nearly every draft is new, so
/// the indexes of ids and keys are asked only where they refuse one, or the session does.
pub(super) fn append(conn: &Connection, draft: &Draft) -> Result<Appended, StoreError> {
    let Some(entry) = head(conn, &draft.session)?.follow(draft) else {
        return Ok(find_stored(conn, draft)?.unwrap_or(Appended::Ended));
    };
    match insert(conn, &entry) {
        Ok(()) => Ok(Appended::Stored(entry)),
        Err(refused @ StoreError::Conflict(_)) => find_stored(conn, draft)?.ok_or(refused),
        Err(error) => {
            // A database that fails otherwise may leave half of the row behind; so nothing of the writer's group is kept.
            let _ = conn.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}

/// The answer to a draft that is stored already, itself or under its client key.
fn find_stored(conn: &Connection, draft: &Draft) -> Result<Option<Appended>, StoreError> {
    if let Some(own) = find(conn, &draft.id)? {
        return Ok(Some(Appended::Stored(own)));
    }
    let Some(key) = &draft.client_key else { return Ok(None) };
    Ok(find_by_key(conn, &draft.session, &draft.author, key)?.map(Appended::Duplicate))
}

/// The entry that the sender stored under the key, or `None`.
pub(super) fn find_by_key(conn: &Connection, session: &SessionId, sender: &Person, key: &ClientKey) -> Result<Option<Entry>, StoreError> {
    let sql = select_entries!("WHERE session = ?1 AND author_realm = ?2 AND author_id = ?3 AND client_key = ?4");
    rows::find(conn, sql, params![session.as_str(), sender.realm.name(), sender.id, key.as_str()], rows::entry)
}

/// The state after the last entry.
pub(super) fn head(conn: &Connection, session: &SessionId) -> Result<Head, StoreError> {
    let sql = "SELECT seq, ordinal, notices, assignment, ended FROM messages WHERE session = ?1 ORDER BY seq DESC LIMIT 1";
    let head = rows::find(conn, sql, [session.as_str()], |row| {
        Ok(Head { seq: row.get(0)?, ordinal: row.get(1)?, notices: row.get(2)?, assignment: row.get(3)?, ended: row.get(4)? })
    })?;
    Ok(head.unwrap_or_default())
}

/// The last entry, or `None`.
pub(super) fn last(conn: &Connection, session: &SessionId) -> Result<Option<Entry>, StoreError> {
    rows::find(conn, select_entries!("WHERE session = ?1 ORDER BY seq DESC LIMIT 1"), [session.as_str()], rows::entry)
}

/// Those of the sessions with an entry after the number. Numbers have no gap, so it is the next one.
pub(super) fn list_ahead(conn: &Connection, reached: &[(SessionId, u64)]) -> Result<Vec<SessionId>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT 1 FROM messages WHERE session = ?1 AND seq = ?2")?;
    let mut ahead = Vec::new();
    for (session, seq) in reached {
        if statement.exists(params![session.as_str(), bounded(seq.saturating_add(1))])? {
            ahead.push(session.clone());
        }
    }
    Ok(ahead)
}

/// Entries after a number.
pub(super) fn list(conn: &Connection, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let sql = select_entries!("WHERE session = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
    rows::list(conn, sql, params![session.as_str(), bounded(after), limit], rows::entry)
}

/// The last entry before the message with this ordinal that is none, by its number and the count of messages before it; the beginning of the log where
/// there is none. From there on up to that message, each entry is a message.
fn last_other(conn: &Connection, session: &SessionId, ordinal: i64) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT seq, ordinal FROM messages WHERE kind <> 'message' AND session = ?1 AND ordinal < ?2 ORDER BY ordinal DESC, seq DESC LIMIT 1";
    let other = rows::find(conn, sql, params![session.as_str(), ordinal], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(other.unwrap_or_default())
}

/// Messages after an ordinal: run by run, each of which is one range of the log, so that entries of other kinds cost nothing.
pub(super) fn list_messages(conn: &Connection, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let next = "SELECT ordinal FROM messages WHERE kind <> 'message' AND session = ?1 AND ordinal > ?2 ORDER BY ordinal LIMIT 1";
    // Each statement reads what is stored by then; the ordinal is asked for lest one that is stored in between moves the range.
    let run = select_entries!("WHERE kind = 'message' AND session = ?1 AND seq > ?2 AND ordinal > ?3 ORDER BY seq LIMIT ?4");
    let (mut found, mut reached, mut room) = (Vec::new(), bounded(after), i64::from(limit));
    while room > 0 {
        let (seq, ordinal) = last_other(conn, session, reached.saturating_add(1))?;
        let end: Option<i64> = rows::find(conn, next, params![session.as_str(), reached], |row| Ok(row.get(0)?))?;
        let begin = seq.saturating_add(reached - ordinal);
        let length = end.map_or(room, |end| room.min(end - reached));
        found.extend(rows::list(conn, run, params![session.as_str(), begin, reached, length], rows::entry)?);
        let Some(end) = end else { break };
        (reached, room) = (end, room - length);
    }
    Ok(found)
}

/// The last message of each session.
pub(super) fn last_messages(conn: &Connection, sessions: &[SessionId], notices: bool) -> Result<Vec<Option<Entry>>, StoreError> {
    sessions.iter().map(|session| last_message(conn, session, notices)).collect()
}

/// The last message: of the last run that has one. Notices are passed over one by one, and entries of other kinds at once.
fn last_message(conn: &Connection, session: &SessionId, notices: bool) -> Result<Option<Entry>, StoreError> {
    let sql = match notices {
        true => select_entries!("WHERE kind = 'message' AND session = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq DESC LIMIT 1"),
        false => select_entries!(
            "WHERE kind = 'message' AND session = ?1 AND seq > ?2 AND seq <= ?3 AND author_role <> 'system' ORDER BY seq DESC LIMIT 1"
        ),
    };
    let mut upto = i64::MAX;
    loop {
        let (seq, ordinal) = last_other(conn, session, upto)?;
        let end = seq.saturating_add(upto - ordinal);
        let found = rows::find(conn, sql, params![session.as_str(), seq, end], rows::entry)?;
        if found.is_some() || ordinal == 0 {
            return Ok(found);
        }
        upto = ordinal;
    }
}

/// The message, or `None`.
pub(super) fn find_message(conn: &Connection, id: &EntryId) -> Result<Option<Entry>, StoreError> {
    Ok(find(conn, id)?.filter(|entry| entry.message().is_some()))
}

/// Notes the first reading of a message; the message as it is then.
pub(super) fn mark_message_read(conn: &Connection, id: &EntryId, at: Timestamp) -> Result<Option<Entry>, StoreError> {
    let sql = "UPDATE messages SET read_at = ?2 WHERE id = ?1 AND kind = 'message' AND read_at IS NULL";
    conn.prepare_cached(sql)?.execute(params![id.as_str(), at.0])?;
    find_message(conn, id)
}

fn find(conn: &Connection, id: &EntryId) -> Result<Option<Entry>, StoreError> {
    rows::find(conn, select_entries!("WHERE id = ?1"), [id.as_str()], rows::entry)
}

fn insert(conn: &Connection, entry: &Entry) -> Result<(), StoreError> {
    let sql = "INSERT INTO messages (session, seq, id, at, author_realm, author_id, author_role, author_name, author_email, client_key, \
               kind, text, agent_id, agent_name, ordinal, assignment, ended, form, signed, notices, refers_to, former, file, is_applied) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)";
    let recorded = Recorded::from(&entry.content);
    let message = entry.message();
    conn.prepare_cached(sql)?.execute(params![
        entry.session.as_str(),
        entry.head.seq,
        entry.id.as_str(),
        entry.at.0,
        entry.author.realm.name(),
        entry.author.id,
        entry.author.role.name(),
        entry.author.name,
        entry.author.email,
        entry.client_key.as_ref().map(ClientKey::as_str),
        entry.content.kind(),
        recorded.text,
        recorded.agent.map(|a| a.id.as_str()),
        recorded.agent.map(|a| &*a.name),
        entry.head.ordinal,
        entry.head.assignment,
        entry.head.ended,
        message.map(|m| m.form).unwrap_or_default().name(),
        message.is_none_or(|m| m.signed),
        entry.head.notices,
        recorded.refers_to.map(EntryId::as_str),
        recorded.former.map(AgentId::as_str),
        recorded.file,
        !matches!(entry.content, Content::Edited(_)),
    ])?;
    Ok(())
}
