//! Whom messages reached: receipts of each reader, who looks at a session right now, and how much somebody has not read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Desk;
use crate::domain::entry::Entry;
use crate::domain::error::Error;
use crate::domain::ids::{ConnId, EntryId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::principal::{Person, Principal, Role};
use crate::domain::session::Session;

/// How many of the last messages count as delivered to who begins to look at a session.
const DELIVERED_AT_ONCE: u32 = 50;

/// How many messages are read at once.
const PAGE: u32 = 100;

/// How far past the first unread message those that are read are told from those that are not; all beyond count as unread.
const COUNTED: u64 = 1_000;

/// Who looks at which session, as connections of this node say.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    of: Mutex<HashMap<SessionId, HashMap<ConnId, Person>>>,
}

impl Viewers {
    /// The connection looks at `to` and not at `from` any more.
    fn turn(&self, conn: &ConnId, person: &Person, from: Option<&SessionId>, to: Option<&SessionId>) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(viewers) = from.and_then(|session| of.get_mut(session)) {
            viewers.remove(conn);
        }
        of.retain(|_, viewers| !viewers.is_empty());
        if let Some(session) = to {
            of.entry(session.clone()).or_default().insert(conn.clone(), person.clone());
        }
    }

    fn of(&self, session: &SessionId) -> Vec<Person> {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody with several devices is one viewer.
        let mut viewers: Vec<Person> = of.get(session).map(|viewers| viewers.values().cloned().collect()).unwrap_or_default();
        viewers.sort_by_key(Person::key);
        viewers.dedup_by_key(|v| v.key());
        viewers
    }
}

impl Desk {
    /// Notes that a message reached the caller, or was read by him. Everybody else in the session is told, each time. For one's own messages
    /// nothing is noted.
    ///
    /// # Errors
    /// [`Error::MessageNotFound`], whether it does not exist or is not for the caller.
    pub async fn note_receipt(&self, who: &Principal, id: &EntryId, is_read: bool, conn: Option<&ConnId>) -> Result<(), Error> {
        let person = who.person().ok_or(Error::MessageNotFound)?;
        let message = self.store.find_message(id).await?.ok_or(Error::MessageNotFound)?;
        let session = self.store.find_session(&message.session).await?;
        let session = session.filter(|s| self.admits(s, who)).ok_or(Error::MessageNotFound)?;
        if is_by(&message, person) {
            return Ok(());
        }
        self.reach(&session, &message, person, (is_read, conn)).await
    }

    async fn reach(
        &self,
        session: &Session,
        message: &Entry,
        person: &Person,
        (is_read, origin): (bool, Option<&ConnId>),
    ) -> Result<(), Error> {
        let Some((message, is_new)) = self.store.note_receipt(&message.id, person, self.now(), is_read).await? else { return Ok(()) };
        // What somebody says himself is passed on each time; what follows from his looking at a session, on whichever nodes, once.
        if origin.is_none() && !is_new {
            return Ok(());
        }
        let people = session.participants.iter().map(|p| Audience::Person(p.key().into()));
        let to: Vec<Audience> = people.chain([Audience::Session(session.id.clone())]).collect();
        let signal = Signal::Receipt { message: Arc::new(message), reader: person.clone(), is_read };
        self.announce.signal(&to, signal, origin.cloned().map(Audience::Connection).as_ref());
        Ok(())
    }

    /// Notes that the caller looks at this session with a connection, or at none, and at `from` no longer. The last messages of the others count
    /// as delivered to him, as those do that come while he looks; everybody in the session is told of each, himself too.
    ///
    /// # Errors
    /// As [`Desk::session`]; nothing is noted then but that he looks at `from` no longer.
    pub async fn look_at(&self, who: &Principal, conn: &ConnId, from: Option<&SessionId>, to: Option<&SessionId>) -> Result<(), Error> {
        let Some(person) = who.person() else { return Ok(()) };
        self.viewers.turn(conn, person, from, None);
        let Some(id) = to else { return Ok(()) };
        let session = self.session(who, id).await?;
        self.viewers.turn(conn, person, None, to);
        for message in self.last_page(who, id, DELIVERED_AT_ONCE).await?.messages {
            if !is_by(&message, person) && !has_reached(&message, person) {
                self.reach(&session, &message, person, (false, None)).await?;
            }
        }
        Ok(())
    }

    /// Whether somebody looks at the session over a connection to this node.
    pub fn is_viewed(&self, session: &SessionId) -> bool {
        self.viewers.of.lock().unwrap_or_else(PoisonError::into_inner).contains_key(session)
    }

    /// A new message counts as delivered to those who look at its session on this node.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn deliver_to_viewers(&self, message: &Entry) -> Result<(), Error> {
        let Some(session) = self.store.find_session(&message.session).await? else { return Ok(()) };
        for viewer in self.viewers.of(&session.id) {
            if !is_by(message, &viewer) && session.has(&viewer) {
                self.reach(&session, message, &viewer, (false, None)).await?;
            }
        }
        Ok(())
    }

    /// How many messages of others, which they have not taken back, the caller has not read, in each of his open sessions and in their order. Admins, who are not expected to read
    /// them, are told 0.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for callers whom no credential names.
    pub async fn unread_counts(&self, who: &Principal) -> Result<Vec<(SessionId, u64)>, Error> {
        let person = who.person().ok_or(Error::Unauthenticated)?;
        if person.role == Role::Admin {
            return Ok(Vec::new());
        }
        let ids: Vec<SessionId> = self.own_sessions(who).await?.into_iter().map(|s| s.id).collect();
        self.count_unread(person, ids).await
    }

    /// The same of one session, open or not; admins are told 0 of any.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn unread_count(&self, who: &Principal, id: &SessionId) -> Result<u64, Error> {
        let Some(person) = who.person().filter(|p| p.role != Role::Admin) else { return Ok(0) };
        let session = self.session(who, id).await?;
        let counts = self.count_unread(person, vec![session.id]).await?;
        Ok(counts.first().map_or(0, |(_, n)| *n))
    }

    async fn count_unread(&self, person: &Person, ids: Vec<SessionId>) -> Result<Vec<(SessionId, u64)>, Error> {
        let marks = self.store.list_reader_marks(&ids, &person.key()).await?;
        let mut counts = Vec::new();
        for (id, mark) in ids.into_iter().zip(marks) {
            let count = self.count_unread_in(person, &id, mark).await?;
            counts.push((id, count));
        }
        Ok(counts)
    }

    /// Goes through the messages after the mark, and moves the mark up to the first that is unread.
    async fn count_unread_in(&self, person: &Person, id: &SessionId, mark: u64) -> Result<u64, Error> {
        let (mut read, mut unread, mut after) = (mark, 0, mark);
        loop {
            let page = self.store.list_messages(id, after, PAGE).await?;
            for message in &page {
                after = message.head.ordinal;
                if !is_by(message, person) && !has_read(message, person) && !message.fate.is_deleted {
                    unread += 1;
                } else if unread == 0 {
                    read = after;
                }
            }
            if page.len() < PAGE as usize {
                break;
            }
            if after - read >= COUNTED {
                unread += self.store.head(id).await?.ordinal.saturating_sub(after);
                break;
            }
        }
        if read > mark {
            self.store.raise_reader_mark(id, &person.key(), read).await?;
        }
        Ok(unread)
    }
}

fn is_by(message: &Entry, person: &Person) -> bool {
    message.author.realm == person.realm && message.author.id == person.id
}

fn has_reached(message: &Entry, person: &Person) -> bool {
    message.fate.receipts.iter().any(|r| r.realm == person.realm && r.reader == person.id)
}

fn has_read(message: &Entry, person: &Person) -> bool {
    let is_his = |r: &&crate::domain::entry::Receipt| r.realm == person.realm && r.reader == person.id;
    message.fate.receipts.iter().find(is_his).is_some_and(|r| r.read_at.is_some())
}
