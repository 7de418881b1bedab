//! Connections of people, and signs of life of nodes, in SQLite. One process at a time serves from a database, so what others left is few.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::Sqlite;
use super::rows;
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, ConnId, NodeId};
use crate::domain::presence::{Presence, Presences};
use crate::domain::time::Timestamp;

#[async_trait]
impl Presences for Sqlite {
    async fn insert_presence(&self, presence: &Presence) -> Result<bool, StoreError> {
        let presence = presence.clone();
        self.writer.run(move |conn| insert(conn, &presence)).await
    }

    async fn remove_presence(&self, person: &str, conn: &ConnId) -> Result<(), StoreError> {
        let (person, gone) = (person.to_owned(), conn.clone());
        self.writer.run(move |conn| remove(conn, &person, &gone)).await
    }

    async fn find_present(&self, people: &[Arc<str>]) -> Result<Vec<(Arc<str>, ConnId)>, StoreError> {
        let people = people.to_vec();
        self.readers.run(move |conn| people.iter().filter_map(|person| find(conn, person).transpose()).collect()).await
    }

    async fn count_present(&self, beginning: &str) -> Result<u64, StoreError> {
        let beginning = beginning.to_owned();
        self.readers.run(move |conn| count(conn, &beginning)).await
    }

    async fn list_presences(&self, node: &NodeId) -> Result<Vec<Presence>, StoreError> {
        let node = node.clone();
        self.readers.run(move |conn| list(conn, &node)).await
    }

    async fn set_attended(&self, agent: &AgentId, attended: bool, now: Timestamp) -> Result<(), StoreError> {
        let agent = agent.clone();
        self.writer.run(move |conn| set_attended(conn, &agent, attended, now)).await
    }

    async fn beat(&self, node: &NodeId) -> Result<u64, StoreError> {
        let node = node.clone();
        self.writer.run(move |conn| beat(conn, &node)).await
    }

    async fn list_nodes(&self) -> Result<Vec<(NodeId, u64)>, StoreError> {
        self.readers
            .run(|conn| {
                rows::list(conn, "SELECT id, beats FROM nodes WHERE id > ''", (), |row| {
                    Ok((NodeId::stored(row.get::<_, Arc<str>>(0)?), row.get(1)?))
                })
            })
            .await
    }

    async fn remove_node(&self, node: &NodeId) -> Result<(), StoreError> {
        let node = node.clone();
        self.writer.run(move |conn| remove_node(conn, &node)).await
    }
}

fn insert(conn: &Connection, presence: &Presence) -> Result<bool, StoreError> {
    let sql = "INSERT INTO presences (conn, person, node) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    Ok(conn.prepare_cached(sql)?.execute([presence.conn.as_str(), &presence.person, presence.node.as_str()])? > 0)
}

fn remove(conn: &Connection, person: &str, gone: &ConnId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM presences WHERE person = ?1 AND conn = ?2")?.execute([person, gone.as_str()])?;
    Ok(())
}

fn remove_node(conn: &Connection, node: &NodeId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM nodes WHERE id = ?1")?.execute([node.as_str()])?;
    Ok(())
}

fn find(conn: &Connection, person: &Arc<str>) -> Result<Option<(Arc<str>, ConnId)>, StoreError> {
    let smallest = "SELECT conn FROM presences WHERE person = ?1 ORDER BY conn LIMIT 1";
    let found = rows::find(conn, smallest, [person], |row| Ok(ConnId::stored(row.get::<_, Arc<str>>(0)?)))?;
    Ok(found.map(|conn| (Arc::clone(person), conn)))
}

fn count(conn: &Connection, beginning: &str) -> Result<u64, StoreError> {
    let sql = "SELECT count(DISTINCT person) FROM presences WHERE person >= ?1 AND substr(person, 1, length(?1)) = ?1";
    Ok(rows::find(conn, sql, [beginning], |row| Ok(row.get(0)?))?.unwrap_or_default())
}

fn list(conn: &Connection, node: &NodeId) -> Result<Vec<Presence>, StoreError> {
    rows::list(conn, "SELECT conn, person, node FROM presences WHERE node = ?1", [node.as_str()], |row| {
        let conn = ConnId::stored(row.get::<_, Arc<str>>(0)?);
        Ok(Presence { conn, person: row.get(1)?, node: NodeId::stored(row.get::<_, Arc<str>>(2)?) })
    })
}

fn set_attended(conn: &Connection, agent: &AgentId, attended: bool, now: Timestamp) -> Result<(), StoreError> {
    let sql =
        "UPDATE agents SET absent_since = CASE WHEN ?2 THEN NULL WHEN attended THEN ?3 ELSE absent_since END, attended = ?2 WHERE id = ?1";
    conn.prepare_cached(sql)?.execute(params![agent.as_str(), attended, now.0])?;
    Ok(())
}

fn beat(conn: &Connection, node: &NodeId) -> Result<u64, StoreError> {
    let sql = "INSERT INTO nodes (id, beats) VALUES (?1, 1) ON CONFLICT (id) DO UPDATE SET beats = beats + 1 RETURNING beats";
    Ok(conn.prepare_cached(sql)?.query_row([node.as_str()], |row| row.get(0))?)
}
