//! Opening, finding, joining and ending sessions.

use std::net::IpAddr;
use std::sync::Arc;

use super::Desk;
use super::callers::allow_staff;
use super::messages::allow_author;
use crate::domain::entry::{Body, Content, Draft, Head};
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::{AgentId, EntryId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::principal::{Person, Principal, Role};
use crate::domain::session::{Session, Status};
use crate::domain::store::{Appended, Inserted};
use crate::domain::time::Timestamp;

/// How often opening is tried again when the visitor's open session turns out to have ended.
const OPEN_TRIES: usize = 8;

/// Who wants a session.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Who asks.
    pub visitor: Person,
    /// The company or group the visitor belongs to, in the visitor's words.
    pub group: Option<Arc<str>>,
    /// Where the visitor calls from. Where no credential vouches for him, a realm may find an open session again from there only
    /// ([`binds_to_address`](crate::domain::principal::Realm::binds_to_address)).
    pub address: Option<IpAddr>,
}

impl Opening {
    /// Asked for by this visitor, from wherever.
    pub fn by(visitor: Person) -> Self {
        Self { visitor, group: None, address: None }
    }

    /// The key under which the visitor has one open session; `None` where any number may be open. An id that others may guess is one visitor
    /// behind a credential, and another one at each address without. They never meet: whoever guessed the id would meet him too.
    fn key(&self, who: &Principal) -> Option<String> {
        let Person { realm, id, .. } = &self.visitor;
        let key = realm.keeps_one_open().then(|| self.visitor.key())?;
        match self.address.filter(|_| !who.is_vouched_for() && realm.binds_to_address(id)) {
            // A character that no id holds, so that nobody else's id looks like it.
            Some(address) => Some(format!("{key}\n{address}")),
            None => Some(key),
        }
    }
}

/// A session that was opened, or was open.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The session.
    pub session: Session,
    /// Whether this call opened it.
    pub is_new: bool,
}

/// A session that somebody was let into.
#[derive(Clone, Debug)]
pub struct Entered {
    /// The session.
    pub session: Session,
    /// Whether he answers it since, by this very call, and its log says so.
    pub has_taken: bool,
}

/// How a session is ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Why, in the words of who ends it.
    pub reason: Arc<str>,
    /// Whom a privileged caller acts for.
    pub author: Option<Person>,
    /// A line of the system that stands in the log before the end.
    pub note: Option<Body>,
}

/// A session that was ended, or had been.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The session as it was before.
    pub session: Session,
    /// When this call ended it; for a repeated call, when that call was made.
    pub at: Timestamp,
    /// Whether this call ended it.
    pub is_new: bool,
    /// The log after the end.
    pub head: Head,
}

impl Desk {
    /// Opens a session for the visitor, or answers the one that is open, where the realm keeps one. Any number of concurrent calls for one id
    /// yield one session then.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the caller's credential names somebody else, or a namesake of another role has the open session;
    /// [`Error::RateLimited`] where callers without a credential open too many from one address.
    pub async fn start_session(&self, who: &Principal, opening: Opening) -> Result<Opened, Error> {
        self.allow_opening(who, &opening.visitor)?;
        let key = opening.key(who);
        for _ in 0..OPEN_TRIES {
            let session = Session { group: opening.group.clone(), ..Session::open(opening.visitor.clone(), self.now()) };
            let (found, is_new) = match self.store.insert_session(&session, key.as_deref()).await? {
                Inserted::Created => (session, true),
                Inserted::Exists(open) if self.settle(&open.id).await? => continue,
                Inserted::Exists(open) if !self.admits(&open, who) => return Err(Error::Forbidden),
                Inserted::Exists(open) => (open, false),
            };
            if is_new {
                self.tell_opened(&found);
            }
            if found.status == Status::Waiting && found.realm.has_queue() {
                // Also where it was there: whoever opened it may not have found it an agent yet.
                self.drain_queue(found.realm).await?;
                let session = self.store.find_session(&found.id).await?.unwrap_or(found);
                return Ok(Opened { session, is_new });
            }
            return Ok(Opened { session: found, is_new });
        }
        Err(StoreError::Conflict("the sessions of one visitor".to_owned()).into())
    }

    fn allow_opening(&self, who: &Principal, visitor: &Person) -> Result<(), Error> {
        match who {
            Principal::Guest { realm, address } if *realm == visitor.realm && visitor.role == Role::Visitor => {
                self.openings.take(address.to_string(), self.now()).map_err(|retry_after_ms| Error::RateLimited { retry_after_ms })
            }
            _ if who.is_privileged() || who.person().is_some_and(|p| may_open_for(p, visitor)) => Ok(()),
            _ => Err(Error::Forbidden),
        }
    }

    /// Agents who share their sessions hear of a new one.
    pub(super) fn tell_opened(&self, session: &Session) {
        let to: Vec<Audience> = self.sharing(session).map(Audience::Agents).collect();
        if !to.is_empty() {
            self.announce.signal(&to, Signal::Opened { session: Arc::new(session.clone()) }, None);
        }
    }

    /// The session, for a caller who may see it.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`], whether it does not exist or is not the caller's; [`Error::Forbidden`] for admins, who may know that it exists.
    pub async fn session(&self, who: &Principal, id: &SessionId) -> Result<Session, Error> {
        match self.store.find_session(id).await? {
            Some(session) if self.admits(&session, who) => Ok(session),
            Some(session) if self.concerns(&session, who) && who.is_admin() => Err(Error::Forbidden),
            _ => Err(Error::SessionNotFound),
        }
    }

    /// Lets `person` into the session: its visitor, its agent, or a `system` person behind a privileged caller.
    /// `person` is whom the credential names, whom a privileged caller acts for, or the session's visitor where the caller is a guest.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the caller may see the session and may not be `person`. [`Error::NotTheVisitor`] or [`Error::NotTheAgent`]; a privileged caller is told [`Error::SessionNotFound`] where there is none,
    /// everybody else gets the same error for a foreign session and for none at all. [`Error::RateLimited`] where a visitor joins too often.
    pub async fn join(&self, who: &Principal, person: &Person, id: &SessionId) -> Result<Session, Error> {
        self.meter_join(who, person, id)?;
        let refused = if person.role.answers() { Error::NotTheAgent } else { Error::NotTheVisitor };
        let Some(session) = self.store.find_session(id).await? else {
            return Err(if who.is_privileged() { Error::SessionNotFound } else { refused });
        };
        let takes_part = session.visitor.is(person) || session.has(person) || session.is_answered_by(person);
        let fits = takes_part || (person.role == Role::System && who.is_privileged());
        if fits && self.admits(&session, who) {
            allow_author(who, person, &session)?;
            return Ok(session);
        }
        Err(if self.concerns(&session, who) && who.is_admin() { Error::Forbidden } else { refused })
    }

    /// As [`Desk::join`]; but a session of another contract that nobody answers is the joining agent's from then on, where his contract has no call for
    /// taking one.
    ///
    /// # Errors
    /// As [`Desk::join`].
    pub async fn join_or_take(&self, who: &Principal, person: &Person, id: &SessionId) -> Result<Entered, Error> {
        match self.join(who, person, id).await {
            Err(refused @ Error::NotTheAgent) => match self.take_by_joining(who, person, id).await? {
                Some((session, has_taken)) => Ok(Entered { session, has_taken }),
                None => Err(refused),
            },
            joined => Ok(Entered { session: joined?, has_taken: false }),
        }
    }

    /// Gives the session of another contract, which nobody answers, to the agent who joins it, if he has a record and room: the session as it is
    /// then, and whether that is new.
    async fn take_by_joining(&self, who: &Principal, person: &Person, id: &SessionId) -> Result<Option<(Session, bool)>, Error> {
        let Some(session) = self.store.find_session(id).await? else { return Ok(None) };
        let is_his_to_take = person.role.answers() && person.realm.takes_by_joining() && session.realm != person.realm && session.is_free();
        if !is_his_to_take || !self.concerns(&session, who) || allow_author(who, person, &session).is_err() {
            return Ok(None);
        }
        let Some(agent) = self.store.find_agent(&AgentId::of(person.realm, &person.id)).await? else { return Ok(None) };
        match self.take_free_session(who, &agent, &session.id).await {
            Ok(taken) => Ok(Some(taken)),
            // Another one was first.
            Err(Error::AgentUnavailable | Error::SessionEnded(_) | Error::SessionNotFound) => Ok(None),
            Err(error) => Err(error),
        }
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
        self.end_session_so(who, id, Ending { reason: reason.into(), author: None, note: None }).await
    }

    /// As [`Desk::end_session`], on behalf of somebody, or with a line for the record.
    ///
    /// # Errors
    /// As [`Desk::end_session`]; [`Error::Forbidden`] where the caller may not act for the author.
    pub async fn end_session_so(&self, who: &Principal, id: &SessionId, ending: Ending) -> Result<Closed, Error> {
        let session = self.session(who, id).await?;
        self.meter_guest(who, &session.visitor, id)?;
        self.end(who, session, ending).await
    }

    /// Ends a session for those who answer: the caller's own, and for admins any of their realm.
    ///
    /// # Errors
    /// As [`Desk::end_session`]; [`Error::Forbidden`] for callers who answer nobody.
    pub async fn close_session(&self, who: &Principal, id: &SessionId, reason: &str) -> Result<Closed, Error> {
        allow_staff(who)?;
        let found = self.store.find_session(id).await?.filter(|s| self.concerns(s, who));
        let session = found.filter(|s| self.admits(s, who) || who.is_admin()).ok_or(Error::SessionNotFound)?;
        self.end(who, session, Ending { reason: reason.into(), author: None, note: None }).await
    }

    async fn end(&self, who: &Principal, session: Session, ending: Ending) -> Result<Closed, Error> {
        let (id, Ending { reason, author, note }) = (&session.id.clone(), ending);
        if let Some(author) = &author {
            allow_author(who, author, &session)?;
        }
        self.note(&session, note).await;
        let at = self.now();
        let author = author.or_else(|| who.person().cloned()).unwrap_or_else(|| Person::new(session.realm, "system", Role::System));
        let content = Content::Ended(reason);
        let draft = Draft { session: id.clone(), id: EntryId::random(), at, author, client_key: None, content };
        let appended = self.append(draft).await?;
        let is_new = matches!(appended, Appended::Stored(_));
        if let Appended::Stored(entry) = appended {
            self.announce.appended(Arc::new(entry));
        }
        self.settle(id).await?;
        let head = self.store.head(id).await?;
        Ok(Closed { session, at, is_new, head })
    }

    /// Sets how an open session stands in the contract's own words, and opens an ended one again. For those who answer.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the realm's sessions stay ended, or the caller is a visitor; as [`Desk::session`].
    pub async fn open_again(&self, who: &Principal, id: &SessionId, label: &str) -> Result<Session, Error> {
        allow_staff(who)?;
        let session = self.session(who, id).await?;
        if !session.realm.reopens() {
            return Err(Error::Forbidden);
        }
        let author = who.person().cloned().unwrap_or_else(|| Person::new(session.realm, "system", Role::System));
        let content = Content::Opened(Arc::from(label));
        let draft = Draft { session: id.clone(), id: EntryId::random(), at: self.now(), author, client_key: None, content };
        if let Appended::Stored(entry) = self.append(draft).await? {
            let (seq, at) = (entry.seq(), entry.at);
            // It is stored: everybody hears of it, whatever becomes of the document, which the same call sets right again.
            self.announce.appended(Arc::new(entry));
            self.store.reopen_session(id, seq, at, label).await?;
            if session.status == Status::Ended && session.agent.is_some() {
                self.let_wait(&session, who).await?;
            }
        }
        self.session(who, id).await
    }

    /// Brings the session document in line with a log whose last entry is an end or a re-opening: status, key, the agent's slot, the queue.
    /// Answers whether the log has ended.
    pub(super) async fn settle(&self, id: &SessionId) -> Result<bool, Error> {
        self.watched(self.settle_now(id).await)
    }

    async fn settle_now(&self, id: &SessionId) -> Result<bool, Error> {
        let Some(end) = self.last_end(id).await? else { return Ok(false) };
        let Content::Ended(reason) = &end.content else { return Ok(true) };
        if let Some(before) = self.store.finish_session(id, end.seq(), end.at, reason).await? {
            if let Some(agent) = &before.agent
                && before.status == Status::Active
            {
                self.store.release_slot(&agent.id, id).await?;
            }
            self.serve_queues(&before).await?;
        }
        Ok(true)
    }
}

/// A person opens sessions for itself; agents who share their sessions open them for visitors too.
fn may_open_for(person: &Person, visitor: &Person) -> bool {
    let shares = person.role.answers() && person.realm == visitor.realm && person.realm.shares_sessions();
    person.is(visitor) || shares
}
