//! The shared store on MongoDB 6.0 or newer, standalone or replica set: single-document operations only. Knows no wire contract.

mod open;

mod sessions;
mod entries;
mod commit;
mod heads;
mod agents;
mod meta;

mod documents;
mod errors;

use std::time::Duration;

use async_trait::async_trait;
use bson::Document;
use mongodb::{Collection, Database};

use crate::domain::agent::Agent;
use crate::domain::entry::{Draft, Entry, Head};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, ClientKey, SessionId};
use crate::domain::principal::{Person, Realm};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::store::{Appended, Inserted, Store, Totals};
use crate::domain::time::Timestamp;

use commit::Committer;
use entries::Log;

pub use open::{open, open_with};

/// How long one operation may take, everything included.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a ping may take.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// The store on MongoDB. Dropping it ends its background task.
pub struct Mongo {
    database: Database,
    sessions: Collection<Document>,
    agents: Collection<Document>,
    meta: Collection<Document>,
    log: Log,
    committer: Committer,
}

/// Runs an operation within [`LIMIT`]; [`StoreError::Timeout`] names it.
async fn limited<T>(what: &'static str, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    within(LIMIT, what, work).await
}

/// Runs an operation within a limit; [`StoreError::Timeout`] names it.
async fn within<T>(limit: Duration, what: &'static str, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(StoreError::Timeout(what)))
}

#[async_trait]
impl Store for Mongo {
    async fn insert_session(&self, session: &Session) -> Result<Inserted, StoreError> {
        limited("insert_session", sessions::insert(&self.sessions, session)).await
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        limited("find_session", sessions::find(&self.sessions, id)).await
    }

    async fn list_waiting(&self, realm: Realm, limit: u32) -> Result<Vec<Session>, StoreError> {
        limited("list_waiting", sessions::list_waiting(&self.sessions, realm, limit)).await
    }

    async fn list_open(&self, after: Option<&SessionId>, limit: u32) -> Result<Vec<Session>, StoreError> {
        limited("list_open", sessions::list_open(&self.sessions, after, limit)).await
    }

    async fn list_of_agent(&self, agent: &AgentId, status: Option<Status>, limit: u32) -> Result<Vec<Session>, StoreError> {
        limited("list_of_agent", sessions::list_of_agent(&self.sessions, agent, status, limit)).await
    }

    async fn claim_session(&self, id: &SessionId, agent: &Assignee, now: Timestamp) -> Result<Option<Session>, StoreError> {
        limited("claim_session", sessions::claim(&self.sessions, id, agent, now)).await
    }

    async fn finish_session(&self, id: &SessionId, at: Timestamp, reason: &str) -> Result<Option<Session>, StoreError> {
        limited("finish_session", sessions::finish(&self.sessions, id, at, reason)).await
    }

    async fn totals(&self, realm: Realm) -> Result<Totals, StoreError> {
        limited("totals", async {
            let totals = sessions::totals(&self.sessions, realm).await?;
            Ok(Totals { messages: self.log.count_messages(realm).await?, ..totals })
        })
        .await
    }

    async fn append(&self, draft: Draft) -> Result<Appended, StoreError> {
        limited("append", self.committer.append(draft)).await
    }

    async fn find_by_key(&self, session: &SessionId, sender: &Person, key: &ClientKey) -> Result<Option<Entry>, StoreError> {
        limited("find_by_key", self.log.find_by_key(session, sender, key)).await
    }

    async fn head(&self, session: &SessionId) -> Result<Head, StoreError> {
        limited("head", self.log.head(session)).await
    }

    async fn last_entry(&self, session: &SessionId) -> Result<Option<Entry>, StoreError> {
        limited("last_entry", self.log.last(session)).await
    }

    async fn list_entries(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        limited("list_entries", self.log.list(session, after, limit)).await
    }

    async fn list_messages(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        limited("list_messages", self.log.list_messages(session, after, limit)).await
    }

    async fn seed_agents(&self, realm: Realm, agents: &[Agent]) -> Result<(), StoreError> {
        limited("seed_agents", agents::seed(&self.agents, &self.meta, realm, agents)).await
    }

    async fn list_agents(&self, realm: Realm) -> Result<Vec<Agent>, StoreError> {
        limited("list_agents", agents::list(&self.agents, realm)).await
    }

    async fn find_agent(&self, id: &AgentId) -> Result<Option<Agent>, StoreError> {
        limited("find_agent", agents::find(&self.agents, id)).await
    }

    async fn reserve_slot(&self, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        limited("reserve_slot", agents::reserve(&self.agents, agent, session, now)).await
    }

    async fn release_slot(&self, agent: &AgentId, session: &SessionId) -> Result<bool, StoreError> {
        limited("release_slot", agents::release(&self.agents, agent, session)).await
    }

    async fn list_slots(&self, realm: Realm, before: Timestamp) -> Result<Vec<(AgentId, SessionId)>, StoreError> {
        limited("list_slots", agents::list_slots(&self.agents, realm, before)).await
    }

    async fn set_availability(&self, agent: &AgentId, available: bool) -> Result<Option<Agent>, StoreError> {
        limited("set_availability", agents::set_availability(&self.agents, agent, available)).await
    }

    async fn first_start(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        limited("first_start", meta::first_start(&self.meta, now)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        within(PING_LIMIT, "ping", meta::ping(&self.database)).await
    }
}
