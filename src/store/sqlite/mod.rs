//! The embedded store: one SQLite file, one thread that writes, a few connections that read. It knows nothing of wires or of other stores.
//!
//! - A write is answered after the commit of its group, with `synchronous=FULL` on a write-ahead log: what was answered survives a power cut.
//! - Reads see what was committed before they began, and never wait for the writer.
//! - The database is `helpline.db` in the data folder, and the contents of attachments are files beside it. It grows by the append-only steps in `schema`.

mod accounts;
mod agents;
mod attachments;
mod entries;
mod fates;
mod logins;
mod presence;
mod meta;
mod sessions;

mod backup;
mod errors;
mod rows;
mod open;
mod schema;
mod steps;

mod readers;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::time::timeout;

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

use readers::Readers;
use writer::Writer;

pub use backup::Copied;
pub use open::JournalSettings;

/// How long a ping may take, by the port.
const PING: Duration = Duration::from_secs(2);

/// The embedded store. Dropping it ends its writer thread and closes its connections.
pub struct Sqlite {
    writer: Writer,
    readers: Readers,
    /// The data folder, in which attachments have one of their own.
    folder: PathBuf,
}

#[async_trait]
impl Store for Sqlite {
    /// Carries the write-ahead log over into the database and empties it, so that the file alone holds everything, and the next start reads no log.
    /// Where another process works on the database, that is left to it.
    async fn close(&self) -> Result<(), StoreError> {
        let carry_over = |conn: &Connection| {
            conn.busy_timeout(Duration::ZERO)?;
            Ok(conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?)
        };
        self.readers.run(carry_over).await
    }

    async fn insert_session(&self, session: &Session, key: Option<&str>) -> Result<Inserted, StoreError> {
        let (session, key) = (session.clone(), key.map(str::to_owned));
        self.writer.run(move |conn| sessions::insert(conn, &session, key.as_deref())).await
    }

    async fn find_session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let id = id.clone();
        self.readers.glance(move |conn| sessions::find(conn, &id)).await
    }

    async fn list_waiting(&self, realm: Realm, limit: u32) -> Result<Vec<Session>, StoreError> {
        self.readers.run(move |conn| sessions::list_waiting(conn, realm, limit)).await
    }

    async fn count_waiting(&self, realm: Realm) -> Result<u64, StoreError> {
        self.readers.run(move |conn| sessions::count_waiting(conn, realm)).await
    }

    async fn list_open(&self, after: Option<&SessionId>, limit: u32) -> Result<Vec<Session>, StoreError> {
        let after = after.cloned();
        self.readers.run(move |conn| sessions::list_open(conn, after.as_ref(), limit)).await
    }

    async fn list_of_agent(&self, agent: &AgentId, status: Option<Status>, limit: u32) -> Result<Vec<Session>, StoreError> {
        let agent = agent.clone();
        self.readers.run(move |conn| sessions::list_of_agent(conn, &agent, status, limit)).await
    }

    async fn list_sessions(&self, query: &SessionQuery) -> Result<Listed, StoreError> {
        let query = query.clone();
        self.readers.run(move |conn| sessions::list_sessions(conn, &query)).await
    }

    async fn list_of_person(&self, person: &str, limit: u32) -> Result<Vec<Session>, StoreError> {
        let person = person.to_owned();
        self.readers.run(move |conn| sessions::list_of_person(conn, &person, limit)).await
    }

    async fn reassign_session(&self, id: &SessionId, from: u64, to: &Reassignment, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let (id, to) = (id.clone(), to.clone());
        self.writer.run(move |conn| sessions::reassign(conn, &id, from, &to, now)).await
    }

    async fn finish_session(&self, id: &SessionId, seq: u64, at: Timestamp, reason: &str) -> Result<Option<Session>, StoreError> {
        let (id, reason) = (id.clone(), reason.to_owned());
        self.writer.run(move |conn| sessions::finish(conn, &id, seq, at, &reason)).await
    }

    async fn reopen_session(&self, id: &SessionId, seq: u64, at: Timestamp, label: &str) -> Result<(), StoreError> {
        let (id, label) = (id.clone(), label.to_owned());
        self.writer.run(move |conn| sessions::reopen(conn, &id, seq, at, &label)).await
    }

    async fn touch_session(&self, id: &SessionId, at: Option<Timestamp>) -> Result<(), StoreError> {
        let id = id.clone();
        self.writer.run(move |conn| sessions::touch(conn, &id, at)).await
    }

    async fn mark_session_read(&self, id: &SessionId, ordinal: u64) -> Result<Option<u64>, StoreError> {
        let id = id.clone();
        self.writer.run(move |conn| sessions::mark_read(conn, &id, ordinal)).await
    }

    async fn list_reader_marks(&self, sessions: &[SessionId], person: &str) -> Result<Vec<u64>, StoreError> {
        let (sessions, person) = (sessions.to_vec(), person.to_owned());
        self.readers.run(move |conn| fates::list_marks(conn, &sessions, &person)).await
    }

    async fn raise_reader_mark(&self, session: &SessionId, person: &str, ordinal: u64) -> Result<(), StoreError> {
        let (session, person) = (session.clone(), person.to_owned());
        self.writer.run(move |conn| fates::raise_mark(conn, &session, &person, ordinal)).await
    }

    async fn totals(&self, realm: Realm) -> Result<Totals, StoreError> {
        self.readers.run(move |conn| sessions::totals(conn, realm)).await
    }

    async fn append(&self, draft: Draft) -> Result<Appended, StoreError> {
        self.writer.run_single(move |conn| entries::append(conn, &draft)).await
    }

    async fn append_all(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, StoreError> {
        self.writer.run(move |conn| drafts.iter().map(|draft| entries::append(conn, draft)).collect()).await
    }

    async fn find_by_key(&self, session: &SessionId, sender: &Person, key: &ClientKey) -> Result<Option<Entry>, StoreError> {
        let (session, sender, key) = (session.clone(), sender.clone(), key.clone());
        self.readers.glance(move |conn| entries::find_by_key(conn, &session, &sender, &key)).await
    }

    async fn head(&self, session: &SessionId) -> Result<Head, StoreError> {
        let session = session.clone();
        self.readers.glance(move |conn| entries::head(conn, &session)).await
    }

    async fn last_entry(&self, session: &SessionId) -> Result<Option<Entry>, StoreError> {
        let session = session.clone();
        self.readers.glance(move |conn| entries::last(conn, &session)).await
    }

    async fn list_ahead(&self, reached: &[(SessionId, u64)]) -> Result<Vec<SessionId>, StoreError> {
        let reached = reached.to_vec();
        self.readers.run(move |conn| entries::list_ahead(conn, &reached)).await
    }

    async fn list_entries(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let session = session.clone();
        self.readers.run(move |conn| entries::list(conn, &session, after, limit)).await
    }

    async fn list_messages(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let session = session.clone();
        self.readers.run(move |conn| entries::list_messages(conn, &session, after, limit)).await
    }

    async fn last_messages(&self, sessions: &[SessionId], notices: bool) -> Result<Vec<Option<Entry>>, StoreError> {
        let sessions = sessions.to_vec();
        self.readers.run(move |conn| entries::last_messages(conn, &sessions, notices)).await
    }

    async fn find_message(&self, id: &EntryId) -> Result<Option<Entry>, StoreError> {
        let id = id.clone();
        self.readers.glance(move |conn| entries::find_message(conn, &id)).await
    }

    async fn note_receipt(&self, id: &EntryId, person: &Person, at: Timestamp, is_read: bool) -> Result<Option<(Entry, bool)>, StoreError> {
        let (id, person) = (id.clone(), person.clone());
        self.writer.run(move |conn| fates::note_receipt(conn, &id, &person, at, is_read)).await
    }

    async fn apply_edit(&self, edit: &Entry) -> Result<Option<Entry>, StoreError> {
        let edit = edit.clone();
        self.writer.run(move |conn| fates::apply_edit(conn, &edit)).await
    }

    async fn list_unapplied_edits(&self, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.readers.run(move |conn| fates::list_unapplied(conn, limit)).await
    }

    async fn mark_message_read(&self, id: &EntryId, at: Timestamp) -> Result<Option<Entry>, StoreError> {
        let id = id.clone();
        self.writer.run(move |conn| entries::mark_message_read(conn, &id, at)).await
    }

    async fn seed_agents(&self, realm: Realm, agents: &[Agent]) -> Result<(), StoreError> {
        let agents = agents.to_vec();
        self.writer.run(move |conn| agents::seed(conn, realm, &agents)).await
    }

    async fn insert_agent(&self, agent: &Agent) -> Result<Agent, StoreError> {
        let agent = agent.clone();
        self.writer.run(move |conn| agents::insert(conn, &agent)).await
    }

    async fn list_agents(&self, realm: Realm) -> Result<Vec<Agent>, StoreError> {
        self.readers.run(move |conn| agents::list(conn, realm)).await
    }

    async fn find_agent(&self, id: &AgentId) -> Result<Option<Agent>, StoreError> {
        let id = id.clone();
        self.readers.glance(move |conn| agents::find(conn, &id)).await
    }

    async fn find_agents(&self, ids: &[AgentId]) -> Result<Vec<Agent>, StoreError> {
        let ids = ids.to_vec();
        self.readers.run(move |conn| agents::find_all(conn, &ids)).await
    }

    async fn reserve_slot(&self, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let (agent, session) = (agent.clone(), session.clone());
        self.writer.run(move |conn| agents::reserve_slot(conn, &agent, &session, now)).await
    }

    async fn hold_slot(&self, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<(), StoreError> {
        let (agent, session) = (agent.clone(), session.clone());
        self.writer.run(move |conn| agents::hold_slot(conn, &agent, &session, now)).await
    }

    async fn release_slot(&self, agent: &AgentId, session: &SessionId) -> Result<bool, StoreError> {
        let (agent, session) = (agent.clone(), session.clone());
        self.writer.run(move |conn| agents::release_slot(conn, &agent, &session)).await
    }

    async fn list_slots(&self, realm: Realm, before: Timestamp) -> Result<Vec<(AgentId, SessionId)>, StoreError> {
        self.readers.run(move |conn| agents::list_slots(conn, realm, before)).await
    }

    async fn set_availability(
        &self,
        agent: &AgentId,
        from: Option<&[Availability]>,
        to: Availability,
        said: Option<Timestamp>,
    ) -> Result<Option<Agent>, StoreError> {
        let (agent, from) = (agent.clone(), from.map(<[Availability]>::to_vec));
        self.writer.run(move |conn| agents::set_availability(conn, &agent, from.as_deref(), to, said)).await
    }

    async fn insert_account(&self, account: &Account) -> Result<bool, StoreError> {
        let account = account.clone();
        self.writer.run(move |conn| accounts::insert(conn, &account)).await
    }

    async fn find_account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let id = id.clone();
        self.readers.glance(move |conn| accounts::find(conn, &id)).await
    }

    async fn find_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
        let ids = ids.to_vec();
        self.readers.run(move |conn| accounts::find_all(conn, &ids)).await
    }

    async fn find_account_by_email(&self, realm: Realm, email: &str) -> Result<Option<Account>, StoreError> {
        let email = email.to_owned();
        self.readers.glance(move |conn| accounts::find_by_email(conn, realm, &email)).await
    }

    async fn list_accounts(&self, realm: Realm, roles: &[Role], limit: u32) -> Result<Vec<Account>, StoreError> {
        let roles = roles.to_vec();
        self.readers.run(move |conn| accounts::list(conn, realm, &roles, limit)).await
    }

    async fn change_account(&self, id: &AccountId, change: &AccountChange, now: Timestamp) -> Result<Option<Account>, StoreError> {
        let (id, change) = (id.clone(), change.clone());
        self.writer.run(move |conn| accounts::change(conn, &id, &change, now)).await
    }

    async fn count_accounts(&self, realm: Realm) -> Result<u64, StoreError> {
        self.readers.run(move |conn| accounts::count(conn, realm)).await
    }

    async fn remove_account(&self, id: &AccountId) -> Result<(), StoreError> {
        let id = id.clone();
        self.writer.run(move |conn| accounts::remove(conn, &id)).await
    }

    async fn replace_password(&self, id: &AccountId, from: &PasswordHash, to: &PasswordHash) -> Result<bool, StoreError> {
        let (id, from, to) = (id.clone(), from.clone(), to.clone());
        self.writer.run(move |conn| accounts::replace_password(conn, &id, &from, &to)).await
    }

    async fn insert_login(&self, login: &Login) -> Result<(), StoreError> {
        let login = login.clone();
        self.writer.run(move |conn| logins::insert(conn, &login)).await
    }

    async fn find_login(&self, id: &LoginId) -> Result<Option<Login>, StoreError> {
        let id = id.clone();
        self.readers.glance(move |conn| logins::find(conn, &id)).await
    }

    async fn find_logins(&self, ids: &[LoginId]) -> Result<Vec<LoginId>, StoreError> {
        let ids = ids.to_vec();
        self.readers.run(move |conn| logins::find_all(conn, &ids)).await
    }

    async fn remove_logins(&self, account: &AccountId) -> Result<(), StoreError> {
        let account = account.clone();
        self.writer.run(move |conn| logins::remove_all(conn, &account)).await
    }

    async fn remove_login(&self, id: &LoginId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.writer.run(move |conn| logins::remove(conn, &id)).await
    }

    async fn first_start(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.writer.run(move |conn| meta::first_start(conn, now)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let both = async {
            self.writer.run(meta::ping).await?;
            self.readers.run(meta::ping).await
        };
        timeout(PING, both).await.map_err(|_| StoreError::Timeout("ping"))?
    }
}
