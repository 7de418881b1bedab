//! Session documents in SQLite. Conditions are in the statements; the transaction around them is the writer's.

use rusqlite::{Connection, params};

use super::rows::{self, select_sessions};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::principal::Realm;
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::store::{Inserted, Totals};
use crate::domain::time::Timestamp;

/// Stores the session unless its visitor has an open one, or it is stored already.
pub(super) fn insert(conn: &Connection, session: &Session) -> Result<Inserted, StoreError> {
    let open_key = session.open_key();
    let taken = rows::find(
        conn,
        select_sessions!("WHERE open_key = ?1 OR id = ?2 LIMIT 1"),
        params![open_key, session.id.as_str()],
        rows::session,
    )?;
    if let Some(present) = taken {
        return Ok(Inserted::Exists(present));
    }
    let sql = "INSERT INTO sessions (id, realm, visitor_realm, visitor_id, visitor_role, visitor_name, visitor_email, status, open_key, \
               agent_id, agent_name, assignment, created_at, updated_at, ended_at, end_reason) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    let (visitor, agent) = (&session.visitor, session.agent.as_ref());
    conn.prepare_cached(sql)?.execute(params![
        session.id.as_str(),
        session.realm.name(),
        visitor.realm.name(),
        visitor.id,
        visitor.role.name(),
        visitor.name,
        visitor.email,
        session.status.name(),
        open_key,
        agent.map(|a| a.id.as_str()),
        agent.map(|a| &*a.name),
        session.assignment,
        session.created_at.0,
        session.updated_at.0,
        session.ended_at.map(|t| t.0),
        session.end_reason,
    ])?;
    Ok(Inserted::Created)
}

/// The session, or `None`.
pub(super) fn find(conn: &Connection, id: &SessionId) -> Result<Option<Session>, StoreError> {
    rows::find(conn, select_sessions!("WHERE id = ?1"), [id.as_str()], rows::session)
}

/// The oldest waiting sessions.
pub(super) fn list_waiting(conn: &Connection, realm: Realm, limit: u32) -> Result<Vec<Session>, StoreError> {
    let sql = select_sessions!("WHERE status = 'waiting' AND realm = ?1 ORDER BY created_at, id LIMIT ?2");
    rows::list(conn, sql, params![realm.name(), limit], rows::session)
}

/// Sessions that are not ended, by id.
pub(super) fn list_open(conn: &Connection, after: Option<&SessionId>, limit: u32) -> Result<Vec<Session>, StoreError> {
    // Every id is at least the empty text, so the first page needs no statement of its own.
    let (sql, after) = match after {
        Some(after) => (select_sessions!("WHERE status <> 'ended' AND id > ?1 ORDER BY id LIMIT ?2"), after.as_str()),
        None => (select_sessions!("WHERE status <> 'ended' AND id >= ?1 ORDER BY id LIMIT ?2"), ""),
    };
    rows::list(conn, sql, params![after, limit], rows::session)
}

/// The agent's sessions, newest first.
pub(super) fn list_of_agent(conn: &Connection, agent: &AgentId, status: Option<Status>, limit: u32) -> Result<Vec<Session>, StoreError> {
    let Some(status) = status else {
        let sql = select_sessions!("WHERE agent_id = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2");
        return rows::list(conn, sql, params![agent.as_str(), limit], rows::session);
    };
    let sql = select_sessions!("WHERE agent_id = ?1 AND status = ?3 ORDER BY created_at DESC, id DESC LIMIT ?2");
    rows::list(conn, sql, params![agent.as_str(), limit, status.name()], rows::session)
}

/// Waiting to active.
pub(super) fn claim(conn: &Connection, id: &SessionId, agent: &Assignee, now: Timestamp) -> Result<Option<Session>, StoreError> {
    let sql = "UPDATE sessions SET status = 'active', agent_id = ?2, agent_name = ?3, assignment = assignment + 1, updated_at = ?4 \
               WHERE id = ?1 AND status = 'waiting'";
    match conn.prepare_cached(sql)?.execute(params![id.as_str(), agent.id.as_str(), agent.name, now.0])? {
        0 => Ok(None),
        _ => find(conn, id),
    }
}

/// Open to ended; the document as it was.
pub(super) fn finish(conn: &Connection, id: &SessionId, at: Timestamp, reason: &str) -> Result<Option<Session>, StoreError> {
    let before = find(conn, id)?.filter(|s| s.status != Status::Ended);
    if before.is_some() {
        let sql = "UPDATE sessions SET status = 'ended', open_key = NULL, ended_at = ?2, end_reason = ?3, updated_at = ?2 WHERE id = ?1";
        conn.prepare_cached(sql)?.execute(params![id.as_str(), at.0, reason])?;
    }
    Ok(before)
}

/// Figures over the realm's sessions. The number of messages is in each session's last entry, so this costs one seek per session.
pub(super) fn totals(conn: &Connection, realm: Realm) -> Result<Totals, StoreError> {
    let sql = "SELECT count(*) FILTER (WHERE status = 'waiting'), count(*) FILTER (WHERE status = 'active'), \
               count(*) FILTER (WHERE status = 'ended'), \
               coalesce(sum((SELECT ordinal FROM messages WHERE session = sessions.id ORDER BY seq DESC LIMIT 1)), 0), \
               coalesce(sum(max(ended_at - created_at, 0)) FILTER (WHERE status = 'ended'), 0) \
               FROM sessions WHERE realm = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([realm.name()], |row| {
        Ok(Totals { waiting: row.get(0)?, active: row.get(1)?, ended: row.get(2)?, messages: row.get(3)?, ended_duration_ms: row.get(4)? })
    })?)
}
