//! What becomes of messages in SQLite: receipts, changes, and how far people have read. The transaction around a write is the writer's.

use rusqlite::{Connection, params};

use super::entries::find_message;
use super::rows::{self, bounded, select_entries};
use crate::domain::entry::{Content, Entry};
use crate::domain::error::StoreError;
use crate::domain::ids::{EntryId, SessionId};
use crate::domain::principal::Person;
use crate::domain::time::Timestamp;
use crate::store::shape;

/// Notes a receipt; the message as it is then.
pub(super) fn note_receipt(
    conn: &Connection,
    id: &EntryId,
    person: &Person,
    at: Timestamp,
    is_read: bool,
) -> Result<Option<(Entry, bool)>, StoreError> {
    let Some(message) = find_message(conn, id)? else { return Ok(None) };
    let Some(receipts) = shape::with_receipt(&message.fate.receipts, person, at, is_read) else { return Ok(Some((message, false))) };
    let stored = shape::from_receipts(&receipts).to_string();
    conn.prepare_cached("UPDATE messages SET receipts = ?2 WHERE id = ?1")?.execute(params![id.as_str(), stored])?;
    Ok(find_message(conn, id)?.map(|message| (message, true)))
}

/// Changes the message that the entry names, and replaces what its other changes said where it is deleted.
pub(super) fn apply_edit(conn: &Connection, entry: &Entry) -> Result<Option<Entry>, StoreError> {
    let Content::Edited(edit) = &entry.content else { return Ok(None) };
    let sql = "UPDATE messages SET text = ?3, edited_at = ?4, edit_seq = max(edit_seq, ?5), is_deleted = ?6, file = iif(?6, NULL, file) \
               WHERE id = ?1 AND session = ?2 AND kind = 'message' AND (edit_seq < ?5 OR ?6) AND is_deleted = 0";
    let (message, session) = (edit.message.as_str(), entry.session.as_str());
    conn.prepare_cached(sql)?.execute(params![message, session, edit.body.as_str(), entry.at.0, entry.head.seq, edit.is_deletion])?;
    let sql = "UPDATE messages SET text = m.text FROM messages m \
               WHERE messages.kind = 'edited' AND messages.refers_to = ?1 AND m.id = ?1 AND m.is_deleted = 1";
    conn.prepare_cached(sql)?.execute([message])?;
    conn.prepare_cached("UPDATE messages SET is_applied = 1 WHERE session = ?1 AND seq = ?2")?.execute(params![session, entry.head.seq])?;
    find_message(conn, &edit.message)
}

/// Changes that are not carried out.
pub(super) fn list_unapplied(conn: &Connection, limit: u32) -> Result<Vec<Entry>, StoreError> {
    // Every id is at least the empty text: a range of the small index, where SQLite would rather walk through all messages.
    let sql = select_entries!("INDEXED BY messages_unapplied WHERE is_applied = 0 AND session >= '' ORDER BY session, seq LIMIT ?1");
    rows::list(conn, sql, [limit], rows::entry)
}

/// How far the person has read each of the sessions.
pub(super) fn list_marks(conn: &Connection, sessions: &[SessionId], person: &str) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT ordinal FROM reader_marks WHERE session = ?1 AND person = ?2";
    let mark = |session: &SessionId| Ok(rows::find(conn, sql, [session.as_str(), person], |row| Ok(row.get(0)?))?.unwrap_or(0));
    sessions.iter().map(mark).collect()
}

/// Raises it.
pub(super) fn raise_mark(conn: &Connection, session: &SessionId, person: &str, ordinal: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO reader_marks (session, person, ordinal) VALUES (?1, ?2, ?3) \
               ON CONFLICT DO UPDATE SET ordinal = max(ordinal, excluded.ordinal)";
    conn.prepare_cached(sql)?.execute(params![session.as_str(), person, bounded(ordinal)])?;
    Ok(())
}
