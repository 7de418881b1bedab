//! The storage port. Its comments are the specification that both stores are tested against; no database is known here.

use std::sync::Arc;

use async_trait::async_trait;

use super::account::{Account, AccountChange, Login, PasswordHash};
use super::agent::{Agent, Availability};
use super::attachment::Attachments;
use super::entry::{Draft, Entry, Head};
use super::error::StoreError;
use super::ids::{AccountId, AgentId, ClientKey, EntryId, LoginId, SessionId};
use super::presence::Presences;
use super::principal::{Person, Realm, Role};
use super::session::{Session, Status};
use super::time::Timestamp;
use super::topic::Reassignment;

/// What became of a session that was to be inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one at a time, and moved once")]
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

/// Which sessions are listed.
#[derive(Clone, Debug)]
pub struct SessionQuery {
    /// Of this realm; else those of support in all realms.
    pub realm: Option<Realm>,
    /// Of the visitor with this id.
    pub visitor: Option<Arc<str>>,
    /// Assigned to this agent, or last to it.
    pub agent: Option<AgentId>,
    /// With this status.
    pub status: Option<Status>,
    /// Which have not ended.
    pub open_only: bool,
    /// In which somebody has said something.
    pub spoken_only: bool,
    /// Whose id, or whose visitor's id or name, holds this text, whatever the case of its letters.
    pub keyword: Option<String>,
    /// Changed at this moment or later.
    pub since: Option<Timestamp>,
    /// Changed at this moment or before.
    pub until: Option<Timestamp>,
    /// How many of them are passed over.
    pub offset: u64,
    /// How many are answered at most.
    pub limit: u32,
}

impl SessionQuery {
    /// The first `limit` sessions of the realm.
    pub fn of(realm: Realm, limit: u32) -> Self {
        Self {
            realm: Some(realm),
            visitor: None,
            agent: None,
            status: None,
            open_only: false,
            spoken_only: false,
            keyword: None,
            since: None,
            until: None,
            offset: 0,
            limit,
        }
    }
}

/// A page of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The sessions.
    pub sessions: Vec<Session>,
    /// How many match in all.
    pub total: u64,
}

/// Figures over all sessions of a realm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions that wait.
    pub waiting: u64,
    /// Sessions that were taken from their agents.
    pub pending: u64,
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
pub trait Store: Attachments + Presences {
    /// Leaves everything in order before the process ends: nothing may be asked of the store afterwards, and nothing is lost without it.
    async fn close(&self) -> Result<(), StoreError>;

    // Sessions.

    /// Stores a new session, unless it is stored already, or it is open and one that was stored under the same key is open; then that one is answered.
    /// Of any number of concurrent inserts under one key exactly one is `Created`. Without a key it is always stored.
    async fn insert_session(&self, session: &Session, key: Option<&str>) -> Result<Inserted, StoreError>;

    /// The session, or `None`.
    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;

    /// The oldest sessions that wait in the realm, by (`created_at`, id); at most `limit`.
    async fn list_waiting(&self, realm: Realm, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// How many sessions wait in the realm. Its cost depends on their number alone.
    async fn count_waiting(&self, realm: Realm) -> Result<u64, StoreError>;

    /// Sessions that are not ended, by id, after the given one; at most `limit`.
    async fn list_open(&self, after: Option<&SessionId>, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// Sessions of which this agent is or was last the agent, newest first by (`created_at`, id), with the status if one is given; at most `limit`.
    async fn list_of_agent(&self, agent: &AgentId, status: Option<Status>, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// Sessions as the query says, last changed first, by (`updated_at`, id).
    async fn list_sessions(&self, query: &SessionQuery) -> Result<Listed, StoreError>;

    /// The open sessions in which the person with this key takes part, last changed first by (`updated_at`, id); at most `limit`.
    async fn list_of_person(&self, person: &str, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// If the session is open and this is the number of its assignment: gives it to this agent, so that it is active, or to nobody, so that it
    /// waits or is pending; replaces its participants, adds to its history, counts the assignment up, and answers the session as it is then. Else `None`.
    async fn reassign_session(&self, id: &SessionId, from: u64, to: &Reassignment, now: Timestamp) -> Result<Option<Session>, StoreError>;

    /// If the session reflects the log before the end numbered `seq` (its `state_seq` is smaller): makes it ended, by this end where an earlier
    /// one had done so, takes its label away, and frees its key. Answers the session as it was *before*, or `None` where nothing was changed.
    async fn finish_session(&self, id: &SessionId, seq: u64, at: Timestamp, reason: &str) -> Result<Option<Session>, StoreError>;

    /// If the session reflects the log before the re-opening numbered `seq` (its `state_seq` is smaller): makes it active with this label if it
    /// was ended, and gives it the label if it was not. Sets `updated_at`, and takes end and reason away. It gets no key back.
    async fn reopen_session(&self, id: &SessionId, seq: u64, at: Timestamp, label: &str) -> Result<(), StoreError>;

    /// Marks the session as one in which somebody has spoken, and raises its `updated_at` to `at` if one is given and later. Harmless where there
    /// is none.
    async fn touch_session(&self, id: &SessionId, at: Option<Timestamp>) -> Result<(), StoreError>;

    /// Raises the session's `read_ordinal` to `ordinal` if that is higher. Answers what it was before, or `None` where there is no such session.
    async fn mark_session_read(&self, id: &SessionId, ordinal: u64) -> Result<Option<u64>, StoreError>;

    /// For each of these sessions, in their order, the ordinal up to which the person with this key has said or read all its messages, as far as
    /// that was noted; else 0.
    async fn list_reader_marks(&self, sessions: &[SessionId], person: &str) -> Result<Vec<u64>, StoreError>;

    /// Raises what [`Store::list_reader_marks`] answers to `ordinal` if that is higher.
    async fn raise_reader_mark(&self, session: &SessionId, person: &str, ordinal: u64) -> Result<(), StoreError>;

    /// Figures over all sessions of the realm, as of about now.
    async fn totals(&self, realm: Realm) -> Result<Totals, StoreError>;

    // Entries.

    /// Appends the draft to its session's log as the entry that [`Head::follow`] answers for the present head, in one insert.
    ///
    /// Numbers of a session are 1, 2, 3 … without gap or double, whatever runs concurrently, and an entry becomes visible after its predecessor.
    /// The client key is unique per (session, author's realm and id) for ever and is looked up before the end is: a retry after the end is a `Duplicate`.
    /// A draft whose id is stored already answers `Stored` with that entry. The session document is neither read nor written, so an unknown session begins at 1.
    async fn append(&self, draft: Draft) -> Result<Appended, StoreError>;

    /// Appends these drafts in their order, each as [`Store::append`] does; of one session they follow one another. Answers what became of each.
    /// Where this fails, any number of the first ones may be stored, and repeating it is harmless. For thousands at once, not for people's calls.
    async fn append_all(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, StoreError>;

    /// The entry that this sender stored in the session under this key, or `None`.
    async fn find_by_key(&self, session: &SessionId, sender: &Person, key: &ClientKey) -> Result<Option<Entry>, StoreError>;

    /// The state after the last entry; the default where there is none.
    async fn head(&self, session: &SessionId) -> Result<Head, StoreError>;

    /// The last entry, or `None`.
    async fn last_entry(&self, session: &SessionId) -> Result<Option<Entry>, StoreError>;

    /// Those of these sessions, in no order, whose log has an entry after this number. Its cost does not depend on the length of the logs.
    async fn list_ahead(&self, reached: &[(SessionId, u64)]) -> Result<Vec<SessionId>, StoreError>;

    /// Entries numbered above `after`, ascending without gap; at most `limit`.
    async fn list_entries(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// Messages whose ordinal is above `after`, ascending; at most `limit`. Its cost does not depend on `after`.
    async fn list_messages(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// The last message of each of these sessions, in their order; `None` where there is none. `notices` says whether lines of the system count.
    async fn last_messages(&self, sessions: &[SessionId], notices: bool) -> Result<Vec<Option<Entry>>, StoreError>;

    /// The message with this id, or `None`; other entries are none.
    async fn find_message(&self, id: &EntryId) -> Result<Option<Entry>, StoreError>;

    /// Notes that the message reached this person, or that he read it, which implies it. The first time of each stays. Answers the message as it
    /// is then, and whether this changed it, or `None` where there is no such message.
    async fn note_receipt(&self, id: &EntryId, person: &Person, at: Timestamp, is_read: bool) -> Result<Option<(Entry, bool)>, StoreError>;

    /// Changes a message as this entry of its session's log says, unless it is deleted, or the entry is no deletion and the message reflects a
    /// later change. So a deletion counts wherever it stands among changes that race it. The texts of a deleted
    /// message's changes are replaced by that of its deletion. Notes that the entry is carried out. Repeating it is harmless. Answers the message
    /// as it is then, or `None` where there is no such message.
    async fn apply_edit(&self, edit: &Entry) -> Result<Option<Entry>, StoreError>;

    /// Changes of messages that are in a log and not carried out yet; at most `limit`.
    async fn list_unapplied_edits(&self, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// Notes when the message was first read, which stays; answers it as it is then, or `None` where there is no such message.
    async fn mark_message_read(&self, id: &EntryId, at: Timestamp) -> Result<Option<Entry>, StoreError>;

    // Agents.

    /// Stores these agents if the realm has none at all. Concurrent calls store each at most once.
    async fn seed_agents(&self, realm: Realm, agents: &[Agent]) -> Result<(), StoreError>;

    /// Stores the agent unless there is one with its id. Answers the one that is stored then.
    async fn insert_agent(&self, agent: &Agent) -> Result<Agent, StoreError>;

    /// All agents of the realm, in the order in which they were stored.
    async fn list_agents(&self, realm: Realm) -> Result<Vec<Agent>, StoreError>;

    /// The agent, or `None`.
    async fn find_agent(&self, id: &AgentId) -> Result<Option<Agent>, StoreError>;

    /// Those of these agents that there are, in no order.
    async fn find_agents(&self, ids: &[AgentId]) -> Result<Vec<Agent>, StoreError>;

    /// Gives the session a slot of the agent if the agent is available and has room, or if the session holds one already. Answers whether it holds one.
    async fn reserve_slot(&self, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<bool, StoreError>;

    /// Gives the session a slot of the agent whether or not the agent is available and has room. Harmless where there is no such agent.
    async fn hold_slot(&self, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<(), StoreError>;

    /// Takes the session's slot away; harmless where it holds none. Answers whether one was freed.
    async fn release_slot(&self, agent: &AgentId, session: &SessionId) -> Result<bool, StoreError>;

    /// The slots of the realm's agents that were reserved before `before`.
    async fn list_slots(&self, realm: Realm, before: Timestamp) -> Result<Vec<(AgentId, SessionId)>, StoreError>;

    /// Sets the agent's availability, if it has one of `from` now; `None` is any. Sets `active_at` where it `said` so, and when. Answers the agent
    /// as it is then, or `None` where nothing was changed.
    async fn set_availability(
        &self,
        agent: &AgentId,
        from: Option<&[Availability]>,
        to: Availability,
        said: Option<Timestamp>,
    ) -> Result<Option<Agent>, StoreError>;

    // Accounts.

    /// Stores the account. `false` where its e-mail address, or its username if it has one, has an account in its realm already, letter by
    /// letter; of concurrent inserts one is stored.
    async fn insert_account(&self, account: &Account) -> Result<bool, StoreError>;

    /// The account, or `None`.
    async fn find_account(&self, id: &AccountId) -> Result<Option<Account>, StoreError>;

    /// Those of these accounts that there are, in no order.
    async fn find_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, StoreError>;

    /// The realm's account with exactly this e-mail address, or `None`.
    async fn find_account_by_email(&self, realm: Realm, email: &str) -> Result<Option<Account>, StoreError>;

    /// The realm's accounts with one of these roles, newest first by (`created_at`, id); at most `limit`.
    async fn list_accounts(&self, realm: Realm, roles: &[Role], limit: u32) -> Result<Vec<Account>, StoreError>;

    /// Changes what the change names, and `updated_at`; the account as it is then, or `None` where there is none.
    async fn change_account(&self, id: &AccountId, change: &AccountChange, now: Timestamp) -> Result<Option<Account>, StoreError>;

    /// How many accounts the realm has.
    async fn count_accounts(&self, realm: Realm) -> Result<u64, StoreError>;

    /// Removes the account and its logins; harmless where there is none.
    async fn remove_account(&self, id: &AccountId) -> Result<(), StoreError>;

    /// Replaces the account's password if it is still `from`. Answers whether it was.
    async fn replace_password(&self, id: &AccountId, from: &PasswordHash, to: &PasswordHash) -> Result<bool, StoreError>;

    // Logins.

    /// Stores a login. Removes by the way those of its account that ended before it began.
    async fn insert_login(&self, login: &Login) -> Result<(), StoreError>;

    /// The login, also one that has ended, or `None`.
    async fn find_login(&self, id: &LoginId) -> Result<Option<Login>, StoreError>;

    /// Those of these logins that there are, ended or not, in no order.
    async fn find_logins(&self, ids: &[LoginId]) -> Result<Vec<LoginId>, StoreError>;

    /// Removes all logins of the account.
    async fn remove_logins(&self, account: &AccountId) -> Result<(), StoreError>;

    /// Removes the login; answers whether there was one.
    async fn remove_login(&self, id: &LoginId) -> Result<bool, StoreError>;

    // The installation.

    /// The moment of the first start on this data: `now` at the first call, the same for ever after.
    async fn first_start(&self, now: Timestamp) -> Result<Timestamp, StoreError>;

    /// Whether the store answers, within two seconds.
    async fn ping(&self) -> Result<(), StoreError>;
}
