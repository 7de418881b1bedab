//! Connections of people, and signs of life of nodes, as documents of their own: small ones, which are there only while somebody is.

use std::sync::Arc;

use async_trait::async_trait;
use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database, IndexModel};

use super::documents::{id, moment};
use super::errors::duplicate_index;
use super::open::index;
use super::reader::Reader;
use super::{Mongo, limited};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, ConnId, NodeId};
use crate::domain::presence::{Presence, Presences};
use crate::domain::time::Timestamp;

/// Where it is noted who is there.
pub(super) struct Attendance {
    presences: Collection<Document>,
    nodes: Collection<Document>,
}

impl Attendance {
    /// What is noted in a database.
    pub(super) fn of(database: &Database) -> Self {
        Self { presences: database.collection("presences"), nodes: database.collection("nodes") }
    }

    /// Builds what the connections are found by.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        self.presences.create_indexes(indexes()).await?;
        Ok(())
    }

    async fn insert(&self, presence: &Presence) -> Result<bool, StoreError> {
        let (id, conn) = (name(&presence.person, &presence.conn), presence.conn.as_str());
        let document = doc! { "_id": id, "conn": conn, "person": &*presence.person, "node": presence.node.as_str() };
        match self.presences.insert_one(document).await {
            Ok(_) => Ok(true),
            Err(error) if duplicate_index(&error).is_some() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn find(&self, people: &[Arc<str>]) -> Result<Vec<(Arc<str>, ConnId)>, StoreError> {
        let wanted: Vec<&str> = people.iter().map(|p| &**p).collect();
        let found = self.presences.find(doc! { "person": { "$in": wanted } }).sort(doc! { "person": 1, "conn": 1 }).await?;
        let mut present: Vec<(Arc<str>, ConnId)> = Vec::new();
        for document in found.try_collect::<Vec<_>>().await? {
            let (conn, person) = connection(&document)?;
            if present.last().is_none_or(|(last, _)| *last != person) {
                present.push((person, conn));
            }
        }
        Ok(present)
    }

    async fn count(&self, beginning: &str) -> Result<u64, StoreError> {
        // No key holds the character that this ends with.
        let range = doc! { "$gte": beginning, "$lt": format!("{beginning}\u{10ffff}") };
        Ok(self.presences.distinct("person", doc! { "person": range }).await?.len() as u64)
    }

    async fn list(&self, node: &NodeId) -> Result<Vec<Presence>, StoreError> {
        let found = self.presences.find(doc! { "node": node.as_str() }).await?.try_collect::<Vec<_>>().await?;
        let of_node = |(conn, person)| Presence { conn, person, node: node.clone() };
        found.iter().map(|document| connection(document).map(of_node)).collect()
    }

    /// Creates after it found nothing; an upsert may race with itself.
    async fn beat(&self, node: &NodeId) -> Result<u64, StoreError> {
        loop {
            let counted = self.nodes.find_one_and_update(doc! { "_id": node.as_str() }, doc! { "$inc": { "beats": 1_i64 } });
            if let Some(document) = counted.return_document(ReturnDocument::After).await? {
                return Reader::new("node", &document).number("beats");
            }
            match self.nodes.insert_one(doc! { "_id": node.as_str(), "beats": 1_i64 }).await {
                Ok(_) => return Ok(1),
                Err(error) if duplicate_index(&error).is_some() => super::commit::pause().await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn nodes(&self) -> Result<Vec<(NodeId, u64)>, StoreError> {
        let found = self.nodes.find(doc! {}).await?.try_collect::<Vec<_>>().await?;
        let node = |document: &Document| {
            let read = Reader::new("node", document);
            Ok((NodeId::stored(read.id("_id")?), read.number("beats")?))
        };
        found.iter().map(node).collect()
    }
}

fn indexes() -> Vec<IndexModel> {
    vec![index("presences_person", doc! { "person": 1, "conn": 1 }), index("presences_node", doc! { "node": 1 })]
}

/// The id of a document. Connections' ids are of one length.
fn name(person: &str, conn: &ConnId) -> String {
    format!("{conn} {person}")
}

async fn remove(from: &Collection<Document>, such: Document) -> Result<(), StoreError> {
    from.delete_one(such).await?;
    Ok(())
}

fn connection(document: &Document) -> Result<(ConnId, Arc<str>), StoreError> {
    let read = Reader::new("presence", document);
    Ok((ConnId::stored(read.text("conn")?), read.text("person")?.into()))
}

async fn set_attended(agents: &Collection<Document>, agent: &AgentId, attended: bool, now: Timestamp) -> Result<(), StoreError> {
    let mut filter = doc! { "_id": id(agent.as_str()) };
    let update = if attended {
        doc! { "$set": { "attended": true }, "$unset": { "absentSince": "" } }
    } else {
        filter.insert("attended", Bson::from(true));
        doc! { "$set": { "attended": false, "absentSince": moment(now) } }
    };
    agents.update_one(filter, update).await?;
    Ok(())
}

#[async_trait]
impl Presences for Mongo {
    async fn insert_presence(&self, presence: &Presence) -> Result<bool, StoreError> {
        limited("insert_presence", self.attendance.insert(presence)).await
    }

    async fn remove_presence(&self, person: &str, conn: &ConnId) -> Result<(), StoreError> {
        let gone = doc! { "_id": name(person, conn) };
        limited("remove_presence", remove(&self.attendance.presences, gone)).await
    }

    async fn find_present(&self, people: &[Arc<str>]) -> Result<Vec<(Arc<str>, ConnId)>, StoreError> {
        limited("find_present", self.attendance.find(people)).await
    }

    async fn count_present(&self, beginning: &str) -> Result<u64, StoreError> {
        limited("count_present", self.attendance.count(beginning)).await
    }

    async fn list_presences(&self, node: &NodeId) -> Result<Vec<Presence>, StoreError> {
        limited("list_presences", self.attendance.list(node)).await
    }

    async fn set_attended(&self, agent: &AgentId, attended: bool, now: Timestamp) -> Result<(), StoreError> {
        limited("set_attended", set_attended(&self.agents, agent, attended, now)).await
    }

    async fn beat(&self, node: &NodeId) -> Result<u64, StoreError> {
        limited("beat", self.attendance.beat(node)).await
    }

    async fn list_nodes(&self) -> Result<Vec<(NodeId, u64)>, StoreError> {
        limited("list_nodes", self.attendance.nodes()).await
    }

    async fn remove_node(&self, node: &NodeId) -> Result<(), StoreError> {
        limited("remove_node", remove(&self.attendance.nodes, doc! { "_id": node.as_str() })).await
    }
}
