//! The desk: the only door to rules, storage and fan-out. Dialects translate to its calls and decide nothing; it knows no wire.

mod callers;
mod sessions;
mod messages;
mod reading;
mod assignment;
mod participants;
mod transfers;
mod receipts;
mod edits;
mod attachments;
mod agents;
mod presence;
mod standing;
mod turns;
mod touches;
mod accounts;
mod logins;
mod reports;
mod exports;
mod repair;
mod rate;
mod tries;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::entry::Draft;
use super::error::{Error, StoreError};
use super::figures::Figures;
use super::habits::Contracts;
use super::ids::{ConnId, EntryId, LoginId, NodeId, SessionId};
use super::ports::{Announce, Audience, Authority, Passwords, Signal};
use super::store::{Appended, Store};
use super::time::{Clock, Timestamp};

use presence::Here;
use rate::Rate;
use receipts::Viewers;
use touches::Touches;
use tries::Tries;
use turns::Turns;

pub use accounts::NewAccount;
pub use agents::Choice;
pub use attachments::{Caption, Upload};
pub use exports::Exported;
pub use logins::LoggedIn;
pub use messages::{Post, Posted};
pub use participants::{Known, NewRoom, Overview};
pub use presence::Watch;
pub use reading::{Filter, History, Reading, Resumed};
pub use reports::{Census, Report};
pub use sessions::{Closed, Ending, Entered, Opened, Opening};

/// Every call takes who is asking first, then what it is about. All checks happen here.
pub struct Desk {
    store: Arc<dyn Store>,
    announce: Arc<dyn Announce>,
    authority: Arc<dyn Authority>,
    passwords: Arc<dyn Passwords>,
    clock: Arc<dyn Clock>,
    contracts: Contracts,
    /// One drain of the queue at a time on this node; across nodes the store's conditions decide.
    queue: tokio::sync::Mutex<()>,
    /// Whose turn it is where agents are chosen one after the other.
    turn: AtomicUsize,
    /// This node, as the others know it.
    node: NodeId,
    /// Who has connections to this node.
    here: Here,
    /// Whether the store may have forgotten them, because others took this node for dead.
    is_forgotten: AtomicBool,
    /// Connections of one person, by its key, come and go one after the other on this node.
    comings: Turns<Arc<str>>,
    /// A session is given to one agent after the other on this node, each with its entry, so that the last one in its log has it. Who holds a
    /// turn never waits for `queue`.
    takings: Turns<SessionId>,
    /// A message is changed by one after the other on this node, so that who changes it after its deletion is told so.
    editings: Turns<EntryId>,
    /// Whether a step failed that others should have followed.
    is_unsettled: AtomicBool,
    /// Logins that were taken back, for the sockets that rest on them.
    revoked: tokio::sync::broadcast::Sender<LoginId>,
    /// The logins on which sockets of this node rest, with how many do.
    rested_on: Mutex<HashMap<LoginId, usize>>,
    /// When this node last wrote into the documents of sessions that are listed by activity.
    touches: Touches,
    posts: Rate,
    joins: Rate,
    /// What callers without a credential post from one address, whichever sessions they name.
    crowds: Rate,
    openings: Rate,
    tries: Tries,
    /// Who looks at which session right now, as this node's connections say.
    viewers: Viewers,
    figures: Figures,
}

/// How often a visitor may join a session, or read it from its beginning, in a minute: each costs a page of history.
const JOINS_PER_MINUTE: u32 = 60;

/// How many visitors' worth of messages callers without a credential may post from one address.
const CROWD: u32 = 20;

/// How many sessions callers without a credential may open in a minute from one address.
const OPENINGS_PER_MINUTE: u32 = 300;

/// How many logins may be taken back before the slowest socket has heard of the first; it asks the store then.
const REVOCATIONS: usize = 256;

/// The outer parts that a desk works with.
pub struct Ports {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Where events go.
    pub announce: Arc<dyn Announce>,
    /// Who checks credentials.
    pub authority: Arc<dyn Authority>,
    /// Who hashes passwords.
    pub passwords: Arc<dyn Passwords>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// What the operator decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// How many messages a visitor may post in a minute; `None` is no limit, to joins neither.
    pub posts_per_minute: Option<u32>,
    /// Whether contracts serve each other's visitors.
    pub contracts: Contracts,
}

impl Desk {
    /// A desk over these ports, under this policy.
    pub fn new(ports: Ports, policy: Policy) -> Self {
        let Policy { posts_per_minute, contracts } = policy;
        let Ports { store, announce, authority, passwords, clock } = ports;
        Self {
            store,
            announce,
            authority,
            passwords,
            clock,
            contracts,
            queue: tokio::sync::Mutex::default(),
            turn: AtomicUsize::new(0),
            node: NodeId::random(),
            here: Here::default(),
            is_forgotten: AtomicBool::new(false),
            comings: Turns::default(),
            takings: Turns::default(),
            editings: Turns::default(),
            is_unsettled: AtomicBool::new(false),
            revoked: tokio::sync::broadcast::channel(REVOCATIONS).0,
            rested_on: Mutex::default(),
            touches: Touches::default(),
            posts: Rate::new(posts_per_minute),
            joins: Rate::new(posts_per_minute.map(|_| JOINS_PER_MINUTE)),
            crowds: Rate::new(posts_per_minute.map(|n| n.saturating_mul(CROWD))),
            openings: Rate::new(posts_per_minute.map(|_| OPENINGS_PER_MINUTE)),
            tries: Tries::default(),
            viewers: Viewers::default(),
            figures: Figures::default(),
        }
    }

    /// The present, as everything here sees it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells the others in a session that somebody joined, left or types. The caller must have been let into it by [`Desk::join`].
    pub fn signal(&self, signal: Signal, origin: &ConnId) {
        let (Signal::Joined { session, .. } | Signal::Left { session, .. } | Signal::Typing { session, .. }) = &signal else { return };
        let everybody = [Audience::Session(session.clone())];
        self.announce.signal(&everybody, signal, Some(&Audience::Connection(origin.clone())));
    }

    /// What this desk has counted since the start.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Appends to a log as [`Store::append`] does, and counts it.
    async fn append(&self, draft: Draft) -> Result<Appended, StoreError> {
        let began = Instant::now();
        let appended = self.store.append(draft).await;
        self.figures.appended(began.elapsed(), &appended);
        appended
    }

    /// Leaves the store in order before the process ends. This desk can do nothing afterwards.
    pub async fn close(&self) {
        if let Err(error) = self.store.close().await {
            tracing::warn!(%error, "the store was left as it was; nothing is lost");
        }
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where it does not.
    pub async fn ready(&self) -> Result<(), Error> {
        Ok(self.store.ping().await?)
    }
}
