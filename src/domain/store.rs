//! The storage port. Its comments are the specification that both stores are tested against; no database is known here.

use async_trait::async_trait;

use super::agent::Agent;
use super::entry::{Draft, Entry, Head};
use super::error::StoreError;
use super::ids::{AgentId, ClientKey, SessionId};
use super::principal::{Person, Realm};
use super::session::{Assignee, Session, Status};
use super::time::Timestamp;

/// What became of a session that was to be inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored.
    Created,
    /// Its visitor has this open session already; nothing was stored.
    Exists(Session),
}

/// What became of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, durably, as this entry.
    Stored(Entry),
    /// The same sender used its client key in this session before, for this entry; nothing was stored.
    Duplicate(Entry),
    /// The session has ended; nothing was stored.
    Ended,
}

/// Figures over all sessions of a realm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions that wait.
    pub waiting: u64,
    /// Sessions that an agent answers.
    pub active: u64,
    /// Sessions that are over.
    pub ended: u64,
    /// Messages in all sessions.
    pub messages: u64,
    /// Milliseconds from opening to end, over all sessions that are over.
    pub ended_duration_ms: i64,
}

/// Durable storage. Every write that was answered survives `kill -9` of this process and of the store.
///
/// All methods may be called concurrently, from any number of nodes. Each is atomic by itself; nothing spans two calls.
/// On [`StoreError::Timeout`] or [`StoreError::Unavailable`] of a write the outcome is unknown, and repeating it is harmless.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // Sessions.

    /// Stores a new open session, unless its visitor (by [`Session::open_key`]) has one; then that one is answered.
    /// Of any number of concurrent inserts for one visitor exactly one is `Created`.
    async fn insert_session(&self, session: &Session) -> Result<Inserted, StoreError>;

    /// The session, or `None`.
    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;

    /// The oldest sessions that wait in the realm, by (`created_at`, id); at most `limit`.
    async fn list_waiting(&self, realm: Realm, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// Sessions that are not ended, by id, after the given one; at most `limit`.
    async fn list_open(&self, after: Option<&SessionId>, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// Sessions of which this agent is or was last the agent, newest first by (`created_at`, id), with the status if one is given; at most `limit`.
    async fn list_of_agent(&self, agent: &AgentId, status: Option<Status>, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// If the session waits: makes it active with this agent, counts the assignment up, and answers the session as it is then. Else `None`.
    async fn claim_session(&self, id: &SessionId, agent: &Assignee, now: Timestamp) -> Result<Option<Session>, StoreError>;

    /// If the session is not ended: makes it so and frees its open key. Answers the session as it was *before*, or `None` if it was ended or is unknown.
    async fn finish_session(&self, id: &SessionId, at: Timestamp, reason: &str) -> Result<Option<Session>, StoreError>;

    /// Figures over all sessions of the realm, as of about now.
    async fn totals(&self, realm: Realm) -> Result<Totals, StoreError>;

    // Entries.

    /// Appends the draft to its session's log as the entry that [`Head::follow`] answers for the present head, in one insert.
    ///
    /// Numbers of a session are 1, 2, 3 … without gap or double, whatever runs concurrently, and an entry becomes visible after its predecessor.
    /// The client key is unique per (session, author's realm and id) for ever and is looked up before the end is: a retry after the end is a `Duplicate`.
    /// A draft whose id is stored already answers `Stored` with that entry. The session document is neither read nor written, so an unknown session begins at 1.
    async fn append(&self, draft: Draft) -> Result<Appended, StoreError>;

    /// The entry that this sender stored in the session under this key, or `None`.
    async fn find_by_key(&self, session: &SessionId, sender: &Person, key: &ClientKey) -> Result<Option<Entry>, StoreError>;

    /// The state after the last entry; the default where there is none.
    async fn head(&self, session: &SessionId) -> Result<Head, StoreError>;

    /// The last entry, or `None`.
    async fn last_entry(&self, session: &SessionId) -> Result<Option<Entry>, StoreError>;

    /// Entries numbered above `after`, ascending without gap; at most `limit`.
    async fn list_entries(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// Messages whose ordinal is above `after`, ascending; at most `limit`. Its cost does not depend on `after`.
    async fn list_messages(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError>;

    // Agents.

    /// Stores these agents if the realm has none at all. Concurrent calls store each at most once.
    async fn seed_agents(&self, realm: Realm, agents: &[Agent]) -> Result<(), StoreError>;

    /// All agents of the realm, in the order in which they were stored.
    async fn list_agents(&self, realm: Realm) -> Result<Vec<Agent>, StoreError>;

    /// The agent, or `None`.
    async fn find_agent(&self, id: &AgentId) -> Result<Option<Agent>, StoreError>;

    /// Gives the session a slot of the agent if the agent is available and has room, or if the session holds one already. Answers whether it holds one.
    async fn reserve_slot(&self, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<bool, StoreError>;

    /// Takes the session's slot away; harmless where it holds none. Answers whether one was freed.
    async fn release_slot(&self, agent: &AgentId, session: &SessionId) -> Result<bool, StoreError>;

    /// The slots of the realm's agents that were reserved before `before`.
    async fn list_slots(&self, realm: Realm, before: Timestamp) -> Result<Vec<(AgentId, SessionId)>, StoreError>;

    /// Sets whether the agent declares itself available; the agent as it is then, or `None` where it is unknown.
    async fn set_availability(&self, agent: &AgentId, available: bool) -> Result<Option<Agent>, StoreError>;

    // The installation.

    /// The moment of the first start on this data: `now` at the first call, the same for ever after.
    async fn first_start(&self, now: Timestamp) -> Result<Timestamp, StoreError>;

    /// Whether the store answers, within two seconds.
    async fn ping(&self) -> Result<(), StoreError>;
}
