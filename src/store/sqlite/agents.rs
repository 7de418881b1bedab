//! Agents and their slots in SQLite. A slot is a row of its own, so that an agent's load is a set; the transaction is the writer's.

use std::sync::Arc;

use rusqlite::{Connection, Params, params};

use super::rows::{self, Cells};
use crate::domain::agent::{Agent, Availability};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::principal::Realm;
use crate::domain::time::Timestamp;

/// Stores the agents where the realm has none.
pub(super) fn seed(conn: &Connection, realm: Realm, agents: &[Agent]) -> Result<(), StoreError> {
    let some = conn.prepare_cached("SELECT 1 FROM agents WHERE realm = ?1 LIMIT 1")?.exists([realm.name()])?;
    if some {
        return Ok(());
    }
    agents.iter().try_for_each(|agent| add(conn, agent))
}

/// Stores the agent unless its id is taken; the one that is stored then.
pub(super) fn insert(conn: &Connection, agent: &Agent) -> Result<Agent, StoreError> {
    add(conn, agent)?;
    find(conn, &agent.id)?.ok_or_else(|| StoreError::Corrupt(format!("agent {}: gone while it was stored", agent.id)))
}

/// The realm's agents, as they were stored.
pub(super) fn list(conn: &Connection, realm: Realm) -> Result<Vec<Agent>, StoreError> {
    query(conn, select_agents!("WHERE agents.realm = ?1 ORDER BY place, reserved_at, session"), [realm.name()])
}

/// The agent, or `None`.
pub(super) fn find(conn: &Connection, id: &AgentId) -> Result<Option<Agent>, StoreError> {
    Ok(query(conn, select_agents!("WHERE agents.id = ?1 ORDER BY place, reserved_at, session"), [id.as_str()])?.pop())
}

/// Those of these agents that there are.
pub(super) fn find_all(conn: &Connection, ids: &[AgentId]) -> Result<Vec<Agent>, StoreError> {
    ids.iter().filter_map(|id| find(conn, id).transpose()).collect()
}

/// Holds a slot for the session if there is one to hold, or is one held already.
pub(super) fn reserve_slot(conn: &Connection, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "INSERT INTO slots (agent, session, reserved_at) SELECT id, ?2, ?3 FROM agents \
               WHERE id = ?1 AND availability = 'online' AND capacity > (SELECT count(*) FROM slots WHERE agent = ?1) ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![agent.as_str(), session.as_str(), now.0])?;
    let held = "SELECT 1 FROM slots WHERE agent = ?1 AND session = ?2";
    Ok(conn.prepare_cached(held)?.exists([agent.as_str(), session.as_str()])?)
}

/// Holds a slot for the session in any case.
pub(super) fn hold_slot(conn: &Connection, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO slots (agent, session, reserved_at) SELECT id, ?2, ?3 FROM agents WHERE id = ?1 ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![agent.as_str(), session.as_str(), now.0])?;
    Ok(())
}

/// Frees the slot, if there is one.
pub(super) fn release_slot(conn: &Connection, agent: &AgentId, session: &SessionId) -> Result<bool, StoreError> {
    let sql = "DELETE FROM slots WHERE agent = ?1 AND session = ?2";
    Ok(conn.prepare_cached(sql)?.execute([agent.as_str(), session.as_str()])? > 0)
}

/// The realm's slots from before a moment, oldest first.
pub(super) fn list_slots(conn: &Connection, realm: Realm, before: Timestamp) -> Result<Vec<(AgentId, SessionId)>, StoreError> {
    let sql = "SELECT slots.agent, slots.session FROM agents JOIN slots ON slots.agent = agents.id \
               WHERE agents.realm = ?1 AND slots.reserved_at < ?2 ORDER BY slots.reserved_at, slots.agent, slots.session";
    rows::list(conn, sql, params![realm.name(), before.0], |row| {
        Ok((AgentId::stored(row.get::<_, Arc<str>>(0)?), SessionId::stored(row.get::<_, Arc<str>>(1)?)))
    })
}

/// Sets the availability where it is one of `from`, and when it was said; the agent as it is then.
pub(super) fn set_availability(
    conn: &Connection,
    agent: &AgentId,
    from: Option<&[Availability]>,
    to: Availability,
    said: Option<Timestamp>,
) -> Result<Option<Agent>, StoreError> {
    let changes = |present: &Agent| from.is_none_or(|from| from.contains(&present.availability));
    if !find(conn, agent)?.is_some_and(|present| changes(&present)) {
        return Ok(None);
    }
    let sql = "UPDATE agents SET availability = ?2, active_at = coalesce(?3, active_at) WHERE id = ?1";
    conn.prepare_cached(sql)?.execute(params![agent.as_str(), to.name(), said.map(|at| at.0)])?;
    find(conn, agent)
}

/// Stores an agent that is not stored yet. Slots that it comes with count as reserved at the beginning of time.
fn add(conn: &Connection, agent: &Agent) -> Result<(), StoreError> {
    let sql = "INSERT INTO agents (id, realm, name, email, capacity, availability, created_at, active_at, attended, absent_since) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING";
    let added = conn.prepare_cached(sql)?.execute(params![
        agent.id.as_str(),
        agent.realm.name(),
        agent.name,
        agent.email,
        agent.capacity,
        agent.availability.name(),
        agent.created_at.0,
        agent.active_at.0,
        agent.attended,
        agent.absent_since.map(|at| at.0),
    ])?;
    if added == 0 {
        return Ok(());
    }
    for session in &agent.sessions {
        let sql = "INSERT INTO slots (agent, session, reserved_at) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING";
        conn.prepare_cached(sql)?.execute([agent.id.as_str(), session.as_str()])?;
    }
    Ok(())
}

/// A query for agents with one row per slot, or one without a slot: the columns that [`query`] reads, then the rest of the statement.
macro_rules! select_agents {
    ($rest:literal) => {
        concat!(
            "SELECT agents.id, agents.realm, agents.name, agents.email, agents.capacity, agents.availability, agents.created_at, ",
            "agents.active_at, agents.attended, agents.absent_since, slots.session ",
            "FROM agents LEFT JOIN slots ON slots.agent = agents.id ",
            $rest
        )
    };
}
use select_agents;

/// Folds the rows of each agent, which must follow one another, into one.
fn query(conn: &Connection, sql: &str, params: impl Params) -> Result<Vec<Agent>, StoreError> {
    let rows = rows::list(conn, sql, params, |row| {
        let cells = Cells { row, what: "agent", id: row.get(0)? };
        let agent = Agent {
            id: AgentId::stored(cells.id.clone()),
            realm: cells.name(1, Realm::named)?,
            name: cells.get(2)?,
            email: cells.get(3)?,
            capacity: cells.get(4)?,
            availability: cells.name(5, Availability::named)?,
            created_at: Timestamp(cells.get(6)?),
            active_at: Timestamp(cells.get(7)?),
            attended: cells.get(8)?,
            absent_since: cells.get::<Option<i64>>(9)?.map(Timestamp),
            sessions: Vec::new(),
        };
        Ok((agent, cells.get::<Option<Arc<str>>>(10)?.map(SessionId::stored)))
    })?;
    let mut agents: Vec<Agent> = Vec::new();
    for (agent, slot) in rows {
        match agents.last_mut().filter(|last| last.id == agent.id) {
            Some(last) => last.sessions.extend(slot),
            None => agents.push(Agent { sessions: slot.into_iter().collect(), ..agent }),
        }
    }
    Ok(agents)
}
