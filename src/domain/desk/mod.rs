//! The desk: the only door to rules, storage and fan-out. Dialects translate to its calls and decide nothing; it knows no wire.

mod sessions;
mod messages;
mod assignment;
mod agents;
mod reports;
mod repair;
mod rate;

use std::sync::Arc;

use tokio::sync::Mutex;

use super::error::Error;
use super::ids::{ConnId, SessionId};
use super::ports::{Announce, Authority, Credential, IssuedToken, Signal};
use super::principal::{Peer, Person, Principal, Realm, Role};
use super::store::Store;
use super::time::{Clock, Timestamp};

use rate::Rate;

pub use messages::{History, Post, Posted, Resumed};
pub use reports::Report;
pub use sessions::Closed;

/// Every call takes who is asking first, then what it is about. All checks happen here.
pub struct Desk {
    store: Arc<dyn Store>,
    announce: Arc<dyn Announce>,
    authority: Arc<dyn Authority>,
    clock: Arc<dyn Clock>,
    /// One drain of the queue at a time on this node; across nodes the store's conditions decide.
    queue: Mutex<()>,
    posts: Rate,
    joins: Rate,
}

/// How often a visitor may join in a minute: every join costs a page of history.
const JOINS_PER_MINUTE: u32 = 60;

/// The outer parts that a desk works with.
pub struct Ports {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Where events go.
    pub announce: Arc<dyn Announce>,
    /// Who checks credentials.
    pub authority: Arc<dyn Authority>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Desk {
    /// A desk over these ports, on which a visitor may post so many messages a minute; `None` is no limit, to joins neither.
    pub fn new(ports: Ports, posts_per_minute: Option<u32>) -> Self {
        let Ports { store, announce, authority, clock } = ports;
        Self {
            store,
            announce,
            authority,
            clock,
            queue: Mutex::new(()),
            posts: Rate::new(posts_per_minute),
            joins: Rate::new(posts_per_minute.map(|_| JOINS_PER_MINUTE)),
        }
    }

    /// The present, as everything here sees it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The caller whom the credential proves, calling from `peer`.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without one, [`Error::WrongKey`], [`Error::InvalidToken`].
    pub fn authenticate(&self, realm: Realm, credential: Option<&Credential>, peer: Peer) -> Result<Principal, Error> {
        let credential = credential.ok_or(Error::Unauthenticated)?;
        Ok(self.authority.verify(realm, credential, self.now())?.seen_from(peer))
    }

    /// The caller behind a new socket. Without a credential a trusted peer is admitted where `ALLOW_ANONYMOUS` says so; a wrong credential never is.
    ///
    /// # Errors
    /// As [`Desk::authenticate`].
    pub fn admit(&self, realm: Realm, credential: Option<&Credential>, peer: Peer) -> Result<Principal, Error> {
        match credential {
            None if peer == Peer::Trusted && self.authority.anonymous_sockets_are_allowed() => Ok(Principal::Delegate { realm }),
            _ => self.authenticate(realm, credential, peer),
        }
    }

    /// A token that names `person`. Visitors' tokens are for everybody unless `VISITOR_TOKENS=key`; all others need the API key,
    /// a `system` token, or a trusted peer that shows no credential.
    ///
    /// # Errors
    /// As [`Desk::authenticate`] for a credential that is wrong or missing; [`Error::Forbidden`] where it does not suffice.
    pub fn issue_token(&self, person: &Person, credential: Option<&Credential>, peer: Peer) -> Result<IssuedToken, Error> {
        let now = self.now();
        if person.role == Role::Visitor && self.authority.visitor_tokens_are_open() {
            return self.authority.issue(person, now);
        }
        if credential.is_some() || peer != Peer::Trusted {
            let caller = self.authenticate(person.realm, credential, peer)?;
            if !caller.is_privileged() {
                return Err(Error::Forbidden);
            }
        }
        self.authority.issue(person, now)
    }

    /// Tells the others in a session of something passing. The caller must have been let into it by [`Desk::join`].
    pub fn signal(&self, session: &SessionId, signal: Signal, origin: &ConnId) {
        self.announce.signal(session, signal, Some(origin));
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where it does not.
    pub async fn ready(&self) -> Result<(), Error> {
        Ok(self.store.ping().await?)
    }
}
