//! Who is there: the connections of people to the nodes of an installation, and the signs of life of these nodes. What follows from it is not
//! decided here.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::StoreError;
use super::ids::{AgentId, ConnId, NodeId};
use super::time::Timestamp;

/// A connection of somebody. One connection may be several people's, where its caller acts for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The connection.
    pub conn: ConnId,
    /// Whose it is, by the key.
    pub person: Arc<str>,
    /// The node that has it.
    pub node: NodeId,
}

/// The part of the storage port that is about who is there. What holds for [`super::store::Store`] holds for it.
#[async_trait]
pub trait Presences: Send + Sync + 'static {
    /// Notes a connection, unless it is noted already. Answers whether it was not.
    async fn insert_presence(&self, presence: &Presence) -> Result<bool, StoreError>;

    /// Forgets a connection of this person; harmless where there is none.
    async fn remove_presence(&self, person: &str, conn: &ConnId) -> Result<(), StoreError>;

    /// Those of these people who have connections, each with the smallest of them, in no order.
    async fn find_present(&self, people: &[Arc<str>]) -> Result<Vec<(Arc<str>, ConnId)>, StoreError>;

    /// How many people whose keys begin so have connections.
    async fn count_present(&self, beginning: &str) -> Result<u64, StoreError>;

    /// The connections of a node, in no order.
    async fn list_presences(&self, node: &NodeId) -> Result<Vec<Presence>, StoreError>;

    /// Notes whether the agent has connections, and since when it has none. Harmless where there is no such agent.
    async fn set_attended(&self, agent: &AgentId, attended: bool, now: Timestamp) -> Result<(), StoreError>;

    /// A sign of life of a node. Answers the number of its signs so far, with this one: 1 where it was not known, or was removed.
    async fn beat(&self, node: &NodeId) -> Result<u64, StoreError>;

    /// All nodes that are known, each with the number of its signs of life.
    async fn list_nodes(&self) -> Result<Vec<(NodeId, u64)>, StoreError>;

    /// Forgets a node; its connections are not touched. Harmless where it is not known.
    async fn remove_node(&self, node: &NodeId) -> Result<(), StoreError>;
}
