//! The shared store on MongoDB 6.0 or newer, standalone or replica set: single-document operations only. Knows no wire contract.

mod open;

mod sessions;
mod entries;
mod fates;
mod figures;
mod commit;
mod bulk;
mod heads;
mod lookups;
mod agents;
mod attachments;
mod accounts;
mod logins;
mod presence;
mod meta;

mod documents;
mod reader;
mod errors;

use std::time::Duration;

use async_trait::async_trait;
use bson::Document;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use mongodb::{Collection, Database};

use crate::domain::account::{Account, AccountChange, Login, PasswordHash};
use crate::domain::agent::{Agent, Availability};
use crate::domain::entry::{Draft, Entry, Head};
use crate::domain::error::StoreError;
use crate::domain::ids::{AccountId, AgentId, ClientKey, EntryId, LoginId, SessionId};
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::{Session, Status};
use crate::domain::store::{Appended, Inserted, Listed, SessionQuery, Store, Totals};
use crate::domain::time::Timestamp;
use crate::domain::topic::Reassignment;

use attachments::Shelf;
use commit::Committer;
use entries::Log;
use lookups::Lookups;
use presence::Attendance;

pub use open::{open, open_with};

/// How long one operation may take, everything included.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a ping may take.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// How long an operation on many entries may take.
const BULK_LIMIT: Duration = Duration::from_secs(60);

/// How many questions of one operation are under way at once.
const AT_ONCE: usize = 16;

/// The store on MongoDB. Dropping it ends its background tasks.
pub struct Mongo {
    database: Database,
    sessions: Collection<Document>,
    agents: Collection<Document>,
    accounts: Collection<Document>,
    logins: Collection<Document>,
    marks: Collection<Document>,
    shelf: Shelf,
    attendance: Attendance,
    meta: Collection<Document>,
    log: Log,
    lookups: Lookups,
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
    /// Ends the driver's sessions and connections; where the process ends without, the driver panics now and then.
    async fn close(&self) -> Result<(), StoreError> {
        // It does not wait for cursors that somebody may still hold.
        let closed = self.database.client().clone().shutdown().immediate(true);
        within(PING_LIMIT, "close", async {
            closed.await;
            Ok(())
        })
        .await
    }

    async fn insert_session(&self, session: &Session, key: Option<&str>) -> Result<Inserted, StoreError> {
        limited("insert_session", sessions::insert(&self.sessions, session, key)).await
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        limited("find_session", self.lookups.find(id)).await
    }

    async fn list_waiting(&self, realm: Realm, limit: u32) -> Result<Vec<Session>, StoreError> {
        limited("list_waiting", sessions::list_waiting(&self.sessions, realm, limit)).await
    }

    async fn count_waiting(&self, realm: Realm) -> Result<u64, StoreError> {
        limited("count_waiting", sessions::count_waiting(&self.sessions, realm)).await
    }

    async fn list_open(&self, after: Option<&SessionId>, limit: u32) -> Result<Vec<Session>, StoreError> {
        limited("list_open", sessions::list_open(&self.sessions, after, limit)).await
    }

    async fn list_of_agent(&self, agent: &AgentId, status: Option<Status>, limit: u32) -> Result<Vec<Session>, StoreError> {
        limited("list_of_agent", sessions::list_of_agent(&self.sessions, agent, status, limit)).await
    }

    async fn list_sessions(&self, query: &SessionQuery) -> Result<Listed, StoreError> {
        limited("list_sessions", sessions::list_sessions(&self.sessions, query)).await
    }

    async fn list_of_person(&self, person: &str, limit: u32) -> Result<Vec<Session>, StoreError> {
        limited("list_of_person", sessions::list_of_person(&self.sessions, person, limit)).await
    }

    async fn reassign_session(&self, id: &SessionId, from: u64, to: &Reassignment, now: Timestamp) -> Result<Option<Session>, StoreError> {
        limited("reassign_session", sessions::reassign(&self.sessions, id, from, to, now)).await
    }

    async fn finish_session(&self, id: &SessionId, seq: u64, at: Timestamp, reason: &str) -> Result<Option<Session>, StoreError> {
        limited("finish_session", sessions::finish(&self.sessions, id, seq, at, reason)).await
    }

    async fn reopen_session(&self, id: &SessionId, seq: u64, at: Timestamp, label: &str) -> Result<(), StoreError> {
        limited("reopen_session", sessions::reopen(&self.sessions, id, seq, at, label)).await
    }

    async fn touch_session(&self, id: &SessionId, at: Option<Timestamp>) -> Result<(), StoreError> {
        limited("touch_session", sessions::touch(&self.sessions, id, at)).await
    }

    async fn mark_session_read(&self, id: &SessionId, ordinal: u64) -> Result<Option<u64>, StoreError> {
        limited("mark_session_read", sessions::mark_read(&self.sessions, id, ordinal)).await
    }

    async fn list_reader_marks(&self, sessions: &[SessionId], person: &str) -> Result<Vec<u64>, StoreError> {
        limited("list_reader_marks", fates::list_marks(&self.marks, sessions, person)).await
    }

    async fn raise_reader_mark(&self, session: &SessionId, person: &str, ordinal: u64) -> Result<(), StoreError> {
        limited("raise_reader_mark", fates::raise_mark(&self.marks, session, person, ordinal)).await
    }

    async fn totals(&self, realm: Realm) -> Result<Totals, StoreError> {
        limited("totals", figures::totals(&self.database, &self.log, realm)).await
    }

    async fn append(&self, draft: Draft) -> Result<Appended, StoreError> {
        limited("append", self.committer.append(draft)).await
    }

    async fn append_all(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, StoreError> {
        within(BULK_LIMIT, "append_all", bulk::append(&self.log, &self.committer, drafts)).await
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

    async fn list_ahead(&self, reached: &[(SessionId, u64)]) -> Result<Vec<SessionId>, StoreError> {
        limited("list_ahead", self.log.list_ahead(reached)).await
    }

    async fn list_entries(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        limited("list_entries", self.log.list(session, after, limit)).await
    }

    async fn list_messages(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        limited("list_messages", self.log.list_messages(session, after, limit)).await
    }

    async fn last_messages(&self, sessions: &[SessionId], notices: bool) -> Result<Vec<Option<Entry>>, StoreError> {
        let questions = stream::iter(sessions.to_vec()).map(|session| self.log.last_message(session, notices));
        limited("last_messages", questions.buffered(AT_ONCE).try_collect()).await
    }

    async fn find_message(&self, id: &EntryId) -> Result<Option<Entry>, StoreError> {
        limited("find_message", self.log.find_message(id)).await
    }

    async fn note_receipt(&self, id: &EntryId, person: &Person, at: Timestamp, is_read: bool) -> Result<Option<(Entry, bool)>, StoreError> {
        limited("note_receipt", self.log.note_receipt(id, person, at, is_read)).await
    }

    async fn apply_edit(&self, edit: &Entry) -> Result<Option<Entry>, StoreError> {
        limited("apply_edit", self.log.apply_edit(edit)).await
    }

    async fn list_unapplied_edits(&self, limit: u32) -> Result<Vec<Entry>, StoreError> {
        limited("list_unapplied_edits", self.log.list_unapplied(limit)).await
    }

    async fn mark_message_read(&self, id: &EntryId, at: Timestamp) -> Result<Option<Entry>, StoreError> {
        limited("mark_message_read", self.log.mark_read(id, at)).await
    }

    async fn seed_agents(&self, realm: Realm, agents: &[Agent]) -> Result<(), StoreError> {
        limited("seed_agents", agents::seed(&self.agents, &self.meta, realm, agents)).await
    }

    async fn insert_agent(&self, agent: &Agent) -> Result<Agent, StoreError> {
        limited("insert_agent", agents::insert(&self.agents, agent)).await
    }

    async fn list_agents(&self, realm: Realm) -> Result<Vec<Agent>, StoreError> {
        limited("list_agents", agents::list(&self.agents, realm)).await
    }

    async fn find_agent(&self, id: &AgentId) -> Result<Option<Agent>, StoreError> {
        limited("find_agent", agents::find(&self.agents, id)).await
    }

    async fn find_agents(&self, ids: &[AgentId]) -> Result<Vec<Agent>, StoreError> {
        limited("find_agents", agents::find_all(&self.agents, ids)).await
    }

    async fn reserve_slot(&self, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        limited("reserve_slot", agents::reserve(&self.agents, agent, session, now)).await
    }

    async fn hold_slot(&self, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<(), StoreError> {
        limited("hold_slot", agents::hold(&self.agents, agent, session, now)).await
    }

    async fn release_slot(&self, agent: &AgentId, session: &SessionId) -> Result<bool, StoreError> {
        limited("release_slot", agents::release(&self.agents, agent, session)).await
    }

    async fn list_slots(&self, realm: Realm, before: Timestamp) -> Result<Vec<(AgentId, SessionId)>, StoreError> {
        limited("list_slots", agents::list_slots(&self.agents, realm, before)).await
    }

    async fn set_availability(
        &self,
        agent: &AgentId,
        from: Option<&[Availability]>,
        to: Availability,
        said: Option<Timestamp>,
    ) -> Result<Option<Agent>, StoreError> {
        limited("set_availability", agents::set_availability(&self.agents, agent, from, to, said)).await
    }

    async fn insert_account(&self, account: &Account) -> Result<bool, StoreError> {
        limited("insert_account", accounts::insert(&self.accounts, account)).await
    }

    async fn find_account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        limited("find_account", accounts::find(&self.accounts, id)).await
    }

    async fn find_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
        limited("find_accounts", accounts::find_all(&self.accounts, ids)).await
    }

    async fn find_account_by_email(&self, realm: Realm, email: &str) -> Result<Option<Account>, StoreError> {
        limited("find_account_by_email", accounts::find_by_email(&self.accounts, realm, email)).await
    }

    async fn list_accounts(&self, realm: Realm, roles: &[Role], limit: u32) -> Result<Vec<Account>, StoreError> {
        limited("list_accounts", accounts::list(&self.accounts, realm, roles, limit)).await
    }

    async fn change_account(&self, id: &AccountId, change: &AccountChange, now: Timestamp) -> Result<Option<Account>, StoreError> {
        limited("change_account", accounts::change(&self.accounts, id, change, now)).await
    }

    async fn count_accounts(&self, realm: Realm) -> Result<u64, StoreError> {
        limited("count_accounts", accounts::count(&self.accounts, realm)).await
    }

    async fn remove_account(&self, id: &AccountId) -> Result<(), StoreError> {
        limited("remove_account", accounts::remove(&self.accounts, &self.logins, id)).await
    }

    async fn replace_password(&self, id: &AccountId, from: &PasswordHash, to: &PasswordHash) -> Result<bool, StoreError> {
        limited("replace_password", accounts::replace_password(&self.accounts, id, from, to)).await
    }

    async fn insert_login(&self, login: &Login) -> Result<(), StoreError> {
        limited("insert_login", logins::insert(&self.logins, login)).await
    }

    async fn find_login(&self, id: &LoginId) -> Result<Option<Login>, StoreError> {
        limited("find_login", logins::find(&self.logins, id)).await
    }

    async fn find_logins(&self, ids: &[LoginId]) -> Result<Vec<LoginId>, StoreError> {
        limited("find_logins", logins::find_all(&self.logins, ids)).await
    }

    async fn remove_logins(&self, account: &AccountId) -> Result<(), StoreError> {
        limited("remove_logins", logins::remove_all(&self.logins, account)).await
    }

    async fn remove_login(&self, id: &LoginId) -> Result<bool, StoreError> {
        limited("remove_login", logins::remove(&self.logins, id)).await
    }

    async fn first_start(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        limited("first_start", meta::first_start(&self.meta, now)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        within(PING_LIMIT, "ping", meta::ping(&self.database)).await
    }
}
