//! Opening, finding, joining and ending sessions.

use std::sync::Arc;

use super::Desk;
use crate::domain::entry::{Content, Draft, Head};
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::{EntryId, SessionId};
use crate::domain::principal::{Person, Principal, Role};
use crate::domain::session::{Session, Status};
use crate::domain::store::{Appended, Inserted};
use crate::domain::time::Timestamp;

/// How often opening is tried again when the visitor's open session turns out to have ended.
const OPEN_TRIES: usize = 8;

/// A session that was ended, or had been.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The session as it was before.
    pub session: Session,
    /// When this call ended it; for a repeated call, when that call was made.
    pub at: Timestamp,
    /// The log after the end.
    pub head: Head,
}

impl Desk {
    /// Opens a session for the visitor, or answers the one that is open. Any number of concurrent calls for one id yield one session.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the caller's credential names somebody else, or a namesake of another role has the open session.
    pub async fn start_session(&self, who: &Principal, visitor: Person) -> Result<Session, Error> {
        if !who.is_privileged() && !who.person().is_some_and(|p| p.is(&visitor)) {
            return Err(Error::Forbidden);
        }
        for _ in 0..OPEN_TRIES {
            let session = Session::open(visitor.clone(), self.now());
            match self.store.insert_session(&session).await? {
                Inserted::Created => {
                    self.drain_queue(session.realm).await?;
                    return Ok(self.store.find_session(&session.id).await?.unwrap_or(session));
                }
                Inserted::Exists(open) if self.settle_if_ended(&open.id).await? => {}
                Inserted::Exists(open) if !open.admits(who) => return Err(Error::Forbidden),
                Inserted::Exists(open) if open.status != Status::Waiting => return Ok(open),
                Inserted::Exists(open) => {
                    // Whoever opened it may not have found it an agent yet.
                    self.drain_queue(open.realm).await?;
                    return Ok(self.store.find_session(&open.id).await?.unwrap_or(open));
                }
            }
        }
        Err(StoreError::Conflict("the sessions of one visitor".to_owned()).into())
    }

    /// The session, for a caller who may see it.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`], whether it does not exist or is not the caller's.
    pub async fn session(&self, who: &Principal, id: &SessionId) -> Result<Session, Error> {
        let found = self.store.find_session(id).await?;
        found.filter(|s| s.admits(who)).ok_or(Error::SessionNotFound)
    }

    /// Lets `person` into the session: its visitor, its agent, or a `system` person behind a privileged caller.
    /// `person` is whom the credential names, or whom a privileged caller acts for.
    ///
    /// # Errors
    /// [`Error::NotTheVisitor`] or [`Error::NotTheAgent`]; a privileged caller is told [`Error::SessionNotFound`] where there is none,
    /// everybody else gets the same error for a foreign session and for none at all. [`Error::RateLimited`] where a visitor joins too often.
    pub async fn join(&self, who: &Principal, person: &Person, id: &SessionId) -> Result<Session, Error> {
        if let Some(Err(retry_after_ms)) = who.is_metered().then(|| self.joins.take(person.key(), self.now())) {
            return Err(Error::RateLimited { retry_after_ms });
        }
        let refused = if person.role == Role::Agent { Error::NotTheAgent } else { Error::NotTheVisitor };
        let Some(session) = self.store.find_session(id).await? else {
            return Err(if who.is_privileged() { Error::SessionNotFound } else { refused });
        };
        let fits = session.visitor.is(person) || session.is_of_agent(person) || (person.role == Role::System && who.is_privileged());
        if fits && session.admits(who) { Ok(session) } else { Err(refused) }
    }

    /// What the log says of the session after its last entry, for a caller who may see it.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn head(&self, who: &Principal, id: &SessionId) -> Result<(Session, Head), Error> {
        let session = self.session(who, id).await?;
        let head = self.store.head(id).await?;
        Ok((session, head))
    }

    /// Ends the session: from the moment the end is in the log no message is accepted. Then frees the agent's slot and serves the queue.
    /// Ending an ended session changes nothing and succeeds.
    ///
    /// # Errors
    /// As [`Desk::session`]. After [`Error::Unavailable`] the same call may be repeated.
    pub async fn end_session(&self, who: &Principal, id: &SessionId, reason: &str) -> Result<Closed, Error> {
        let session = self.session(who, id).await?;
        let at = self.now();
        let author = who.person().cloned().unwrap_or_else(|| Person::new(session.realm, "system", Role::System));
        let content = Content::Ended(Arc::from(reason));
        let draft = Draft { session: id.clone(), id: EntryId::random(), at, author, client_key: None, content };
        if let Appended::Stored(entry) = self.store.append(draft).await? {
            self.announce.appended(Arc::new(entry));
        }
        self.settle_if_ended(id).await?;
        let head = self.store.head(id).await?;
        Ok(Closed { session, at, head })
    }

    /// Brings the session document in line with a log that has ended: status, open key, the agent's slot, the queue. Answers whether it has.
    pub(super) async fn settle_if_ended(&self, id: &SessionId) -> Result<bool, Error> {
        let Some(last) = self.store.last_entry(id).await? else { return Ok(false) };
        let Content::Ended(reason) = &last.content else { return Ok(last.head.ended) };
        if let Some(before) = self.store.finish_session(id, last.at, reason).await? {
            if let Some(agent) = &before.agent
                && before.status == Status::Active
            {
                self.store.release_slot(&agent.id, id).await?;
            }
            self.drain_queue(before.realm).await?;
        }
        Ok(true)
    }
}
