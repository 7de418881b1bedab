//! Session documents in SQLite. Conditions are in the statements; the transaction around them is the writer's.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::rows::{self, bounded, select_sessions};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::principal::{Person, Realm};
use crate::domain::session::{Session, Status};
use crate::domain::store::{Inserted, Listed, SessionQuery, Totals};
use crate::domain::time::Timestamp;
use crate::domain::topic::{Reassignment, SessionKind, Transfer};
use crate::store::{search, shape};

/// Makes an ended session be found by nobody who takes part.
const CLOSE_MEMBERS: &str = "UPDATE members SET is_open = 0 WHERE session = ?1";

/// Stores the session unless another one has the key, or it is stored already.
pub(super) fn insert(conn: &Connection, session: &Session, key: Option<&str>) -> Result<Inserted, StoreError> {
    let sql = select_sessions!("WHERE open_key = ?1 OR id = ?2 LIMIT 1");
    if let Some(present) = rows::find(conn, sql, params![key, session.id.as_str()], rows::session)? {
        return Ok(Inserted::Exists(present));
    }
    let sql = "INSERT INTO sessions (id, realm, visitor_realm, visitor_id, visitor_role, visitor_name, visitor_email, status, open_key, \
               agent_id, agent_name, assignment, created_at, updated_at, ended_at, end_reason, \
               visitor_group, label, state_seq, read_ordinal, spoken, search, kind, topic, participants, transfers) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)";
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
        key,
        agent.map(|a| a.id.as_str()),
        agent.map(|a| &*a.name),
        session.assignment,
        session.created_at.0,
        session.updated_at.0,
        session.ended_at.map(|t| t.0),
        session.end_reason,
        session.group,
        session.label,
        session.state_seq,
        session.read_ordinal,
        session.spoken,
        search::text(session),
        session.kind.name(),
        session.topic.as_deref().map(|t| shape::from_topic(t).to_string()),
        people_cell(&session.participants),
        transfers_cell(&session.transfers),
    ])?;
    add_members(conn, &session.id, &session.participants)?;
    if !session.is_open() {
        conn.prepare_cached(CLOSE_MEMBERS)?.execute([session.id.as_str()])?;
    }
    Ok(Inserted::Created)
}

/// The participants as a cell; nothing where the realm keeps none.
fn people_cell(people: &[Person]) -> Option<String> {
    (!people.is_empty()).then(|| shape::from_people(people).to_string())
}

fn transfers_cell(transfers: &[Transfer]) -> Option<String> {
    (!transfers.is_empty()).then(|| transfers.iter().map(shape::from_transfer).collect::<serde_json::Value>().to_string())
}

/// Makes the session be found by those who take part.
fn add_members(conn: &Connection, id: &SessionId, people: &[Person]) -> Result<(), StoreError> {
    let sql = "INSERT INTO members (session, person, is_open) VALUES (?1, ?2, 1) ON CONFLICT DO NOTHING";
    for person in people {
        conn.prepare_cached(sql)?.execute([id.as_str(), &person.key()])?;
    }
    Ok(())
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

/// How many sessions wait.
pub(super) fn count_waiting(conn: &Connection, realm: Realm) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM sessions WHERE status = 'waiting' AND realm = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([realm.name()], |row| row.get(0))?)
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

/// A page of the realm's sessions and the number of all that match, both as of one moment.
pub(super) fn list_sessions(conn: &Connection, query: &SessionQuery) -> Result<Listed, StoreError> {
    let snapshot = conn.unchecked_transaction()?;
    let (conditions, mut values) = conditions(query);
    let sql = format!("SELECT count(*) FROM sessions WHERE {conditions}");
    let total = rows::find(&snapshot, &sql, params_from_iter(&values), |row| Ok(row.get(0)?))?.unwrap_or_default();
    let sql = format!("{}{conditions} ORDER BY updated_at DESC, id DESC LIMIT ? OFFSET ?", select_sessions!("WHERE "));
    values.extend([Value::from(query.limit), Value::from(bounded(query.offset))]);
    Ok(Listed { sessions: rows::list(&snapshot, &sql, params_from_iter(&values), rows::session)?, total })
}

/// What the query asks for, as one of a few texts that each name an index's columns, and the values in it.
fn conditions(query: &SessionQuery) -> (String, Vec<Value>) {
    let status = query.status.map(|s| s.name().to_owned());
    let keyword = query.keyword.as_deref().map(search::fold);
    let asked: [(&str, Option<Value>); 6] = [
        (" AND visitor_id = ?", query.visitor.as_deref().map(|v| v.to_owned().into())),
        (" AND agent_id = ?", query.agent.as_ref().map(|a| a.as_str().to_owned().into())),
        (" AND status = ?", status.map(Value::from)),
        (" AND updated_at >= ?", query.since.map(|t| t.0.into())),
        (" AND updated_at <= ?", query.until.map(|t| t.0.into())),
        (" AND instr(search, ?) > 0", keyword.map(Value::from)),
    ];
    let (mut sql, mut values) = match query.realm {
        Some(realm) => ("realm = ?".to_owned(), vec![Value::from(realm.name().to_owned())]),
        None => ("kind = ?".to_owned(), vec![Value::from(SessionKind::Support.name().to_owned())]),
    };
    for (condition, value) in asked {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value);
        }
    }
    if query.open_only {
        sql.push_str(" AND status IN ('waiting', 'pending', 'active')");
    }
    if query.spoken_only {
        sql.push_str(" AND spoken = 1");
    }
    (sql, values)
}

/// The person's open sessions, last changed first.
pub(super) fn list_of_person(conn: &Connection, person: &str, limit: u32) -> Result<Vec<Session>, StoreError> {
    let sql = select_sessions!(
        "WHERE id IN (SELECT session FROM members WHERE person = ?1 AND is_open = 1) ORDER BY updated_at DESC, id DESC LIMIT ?2"
    );
    rows::list(conn, sql, params![person, limit], rows::session)
}

/// From the assignment with this number to the next.
pub(super) fn reassign(
    conn: &Connection,
    id: &SessionId,
    from: u64,
    to: &Reassignment,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let Some(before) = find(conn, id)?.filter(|s| s.is_open() && s.assignment == from) else { return Ok(None) };
    let mut transfers = before.transfers;
    transfers.extend(to.transfer.clone());
    let status = match (&to.agent, to.waits) {
        (Some(_), _) => Status::Active,
        (None, true) => Status::Waiting,
        (None, false) => Status::Pending,
    };
    let sql = "UPDATE sessions SET status = ?2, agent_id = ?3, agent_name = ?4, assignment = assignment + 1, participants = ?5, \
               transfers = ?6, updated_at = ?7 WHERE id = ?1";
    conn.prepare_cached(sql)?.execute(params![
        id.as_str(),
        status.name(),
        to.agent.as_ref().map(|a| a.id.as_str()),
        to.agent.as_ref().map(|a| &*a.name),
        people_cell(&to.participants),
        transfers_cell(&transfers),
        now.0,
    ])?;
    conn.prepare_cached("DELETE FROM members WHERE session = ?1")?.execute([id.as_str()])?;
    add_members(conn, id, &to.participants)?;
    find(conn, id)
}

/// Open to ended; the document as it was.
pub(super) fn finish(conn: &Connection, id: &SessionId, seq: u64, at: Timestamp, reason: &str) -> Result<Option<Session>, StoreError> {
    let before = find(conn, id)?.filter(|s| s.state_seq < seq);
    if before.is_some() {
        let sql = "UPDATE sessions SET status = 'ended', open_key = NULL, label = NULL, ended_at = ?2, end_reason = ?3, updated_at = ?2, \
                   state_seq = ?4 WHERE id = ?1";
        conn.prepare_cached(sql)?.execute(params![id.as_str(), at.0, reason, bounded(seq)])?;
        conn.prepare_cached(CLOSE_MEMBERS)?.execute([id.as_str()])?;
    }
    Ok(before)
}

/// Ended to active, and the label in any case.
pub(super) fn reopen(conn: &Connection, id: &SessionId, seq: u64, at: Timestamp, label: &str) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET status = iif(status = 'ended', 'active', status), label = ?4, ended_at = NULL, end_reason = NULL, \
               updated_at = ?3, state_seq = ?2 WHERE id = ?1 AND state_seq < ?2";
    conn.prepare_cached(sql)?.execute(params![id.as_str(), bounded(seq), at.0, label])?;
    conn.prepare_cached("UPDATE members SET is_open = 1 WHERE session = ?1")?.execute([id.as_str()])?;
    Ok(())
}

/// Somebody has spoken.
pub(super) fn touch(conn: &Connection, id: &SessionId, at: Option<Timestamp>) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET spoken = 1, updated_at = max(updated_at, coalesce(?2, updated_at)) WHERE id = ?1";
    conn.prepare_cached(sql)?.execute(params![id.as_str(), at.map(|t| t.0)])?;
    Ok(())
}

/// Everything up to a message is read; the ordinal that was noted before.
pub(super) fn mark_read(conn: &Connection, id: &SessionId, ordinal: u64) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT read_ordinal FROM sessions WHERE id = ?1";
    let before: Option<u64> = rows::find(conn, sql, [id.as_str()], |row| Ok(row.get(0)?))?;
    if before.is_some_and(|before| before < ordinal) {
        let sql = "UPDATE sessions SET read_ordinal = ?2 WHERE id = ?1";
        conn.prepare_cached(sql)?.execute(params![id.as_str(), bounded(ordinal)])?;
    }
    Ok(before)
}

/// Figures over the realm's sessions. The number of messages is in each session's last entry, so this costs one seek per session.
pub(super) fn totals(conn: &Connection, realm: Realm) -> Result<Totals, StoreError> {
    let sql = "SELECT count(*) FILTER (WHERE status = 'waiting'), count(*) FILTER (WHERE status = 'active'), \
               count(*) FILTER (WHERE status = 'pending'), \
               count(*) FILTER (WHERE status = 'ended'), \
               coalesce(sum((SELECT ordinal FROM messages WHERE session = sessions.id ORDER BY seq DESC LIMIT 1)), 0), \
               coalesce(sum(max(ended_at - created_at, 0)) FILTER (WHERE status = 'ended'), 0) \
               FROM sessions WHERE realm = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([realm.name()], |row| {
        Ok(Totals {
            waiting: row.get(0)?,
            active: row.get(1)?,
            pending: row.get(2)?,
            ended: row.get(3)?,
            messages: row.get(4)?,
            ended_duration_ms: row.get(5)?,
        })
    })?)
}
