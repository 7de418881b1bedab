//! What a wire contract is to the rest of the server: a translation between its events and the desk. A dialect decides nothing,
//! knows no socket library, and never names another dialect.

pub mod operators;
pub mod rooms;
pub mod support;
pub mod widget;
pub mod wire;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::desk::Desk;
use crate::domain::entry::Entry;
use crate::domain::error::{Error, Kind};
use crate::domain::ids::{ConnId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::principal::{Peer, Person, Principal, Realm};
use crate::domain::session::{Session, Status};
use crate::domain::time::Timestamp;
use crate::http::trust::Trust;
use wire::{Call, Frame};

/// One wire contract.
#[async_trait]
pub trait Dialect: Send + Sync + 'static {
    /// Who vouches for its people; the realm's name is the contract's.
    fn realm(&self) -> Realm;

    /// Whether pages of any origin may open sockets, as those of a contract without cookies or credentials could always do.
    fn admits_any_origin(&self) -> bool;

    /// Lets a new socket in, or refuses it with the text of the contract's `connect_error`.
    ///
    /// # Errors
    /// [`Unadmitted`].
    async fn admit(&self, desk: &Desk, handshake: &Handshake) -> Result<Principal, Unadmitted>;

    /// The state of one admitted socket.
    fn converse(&self, who: Principal, handshake: Handshake) -> Box<dyn Conversation>;

    /// As whom the owner of a socket reads frames of entries; they are encoded once for each such reader.
    fn reader(&self, _who: &Principal) -> Reader {
        Reader::Anybody
    }

    /// The frame by which sockets of this contract learn of an entry; `None` where the contract has no word for it.
    fn entry_frame(&self, entry: &Entry, reader: Reader) -> Option<Frame>;

    /// The frame of a signal; `None` where the contract has no word for it.
    fn signal_frame(&self, signal: &Signal) -> Option<Frame>;

    /// The frame that says why the server is about to close a socket.
    fn farewell(&self, why: Farewell) -> Frame;
}

/// Who reads a frame, where a contract does not show everybody the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Nobody is shown more or less than others.
    Anybody,
    /// Somebody who does not answer visitors.
    Visitor,
    /// Somebody who does.
    Staff,
}

/// What a contract's REST handlers work with.
#[derive(Clone)]
pub struct Context {
    /// The desk.
    pub desk: Arc<Desk>,
    /// Who is trusted.
    pub trust: Arc<Trust>,
    /// The value of `NODE_ENV`, which health pages show.
    pub environment: &'static str,
    /// When this process started, for the uptime.
    pub started: Timestamp,
    /// The path under which the contract is mounted, without a slash at its end.
    pub base: Arc<str>,
    /// The largest attachment, in bytes.
    pub attachment_bytes: u64,
    /// The page for people who open the contract's root in a browser.
    pub page: Arc<str>,
}

impl Context {
    /// For how long this process has run, in seconds.
    pub fn uptime_seconds(&self) -> f64 {
        self.desk.now().since(self.started) as f64 / 1_000.0
    }
}

/// What a new socket shows.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The `auth` object; `Null` where there is none or it cannot be read.
    pub auth: Value,
    /// The names and values of its URL's query, decoded.
    pub query: Vec<(String, String)>,
    /// What the peer's address is worth.
    pub peer: Peer,
    /// The peer's address, as far as it can be known.
    pub address: IpAddr,
    /// The program that calls, in its own words: `Origin` and `User-Agent`.
    pub program: String,
}

/// Why a new socket is not let in.
#[derive(Debug)]
pub enum Unadmitted {
    /// Its credential is wrong or missing: the text of the `connect_error`, after which official clients do not try again.
    Refused(&'static str),
    /// Its credential cannot be judged now, for this reason. The client is to come again.
    Later(Error),
}

impl Unadmitted {
    /// Refused with this text, unless the failure is ours.
    pub fn because(error: Error, text: &'static str) -> Self {
        match error.kind() {
            Kind::Unavailable | Kind::Internal => Unadmitted::Later(error),
            Kind::NotFound | Kind::Unauthenticated | Kind::Forbidden | Kind::Conflict | Kind::RateLimited => Unadmitted::Refused(text),
        }
    }
}

/// Why the server closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The credential has expired.
    Expired,
    /// More calls arrived than can be held.
    Flooded,
}

/// The answer to a call. A client that asked for an acknowledgement gets `ack`, any other the `error`, if there is one.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What the acknowledgement carries.
    pub ack: Value,
    /// The contract's error event.
    pub error: Option<Frame>,
}

/// One socket's side of a contract. Calls come one at a time, in the order in which they arrived.
#[async_trait]
pub trait Conversation: Send {
    /// The socket is connected, and has called nothing yet. Where this fails it is done again a little later, before anything else.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn opened(&mut self, _desk: &Desk, _line: &dyn Line) -> Result<(), Error> {
        Ok(())
    }

    /// The socket's person takes part in the session since the entry numbered `after`, or does no longer: joins or leaves it.
    async fn summoned(&mut self, _desk: &Desk, _line: &dyn Line, _session: &SessionId, _after: u64) {}

    /// Carries a call out.
    async fn call(&mut self, desk: &Desk, line: &dyn Line, call: Call) -> Reply;

    /// The socket is gone, for this reason in Socket.IO's own words.
    async fn closed(&mut self, desk: &Desk, line: &dyn Line, reason: &'static str);
}

/// Draws the frames that greet a socket from the session, the messages to show, ascending, and how many the session has in all.
pub type Greeting = Box<dyn FnOnce(&Session, &[Entry], u64) -> Vec<Frame> + Send>;

/// From where on a socket is delivered a session's entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// From now on; the greeting shows the first messages.
    Now,
    /// From now on; the greeting shows the last messages.
    Latest,
    /// From this entry on, which is the last one that the client has; the greeting shows the messages among those that follow, and counts as
    /// delivered.
    After(u64),
    /// From where the last socket of the same page left off, as far as this node knows; nothing counts as delivered by the greeting.
    LeftOff,
    /// The same for a socket of which nobody knows whether its page is new: from now on where this node knows nothing of the page, unless it has
    /// just started and the page may be older.
    Again {
        /// When the socket comes.
        now: Timestamp,
        /// Before when there was no such page.
        since: Timestamp,
    },
    /// From the entry after this one on; nothing counts as delivered by the greeting.
    Behind(u64),
}

/// How a socket joins a session.
pub struct Admission {
    /// The session, as it was when the socket was let in.
    pub session: Session,
    /// From where on entries are delivered.
    pub start: Start,
    /// How many messages the greeting shows at most.
    pub history: u32,
    /// Whose page this is, for a later socket of the same page that does not know what it has; then further names under which an earlier socket
    /// of it may be remembered. None where the contract replaces the list.
    pub pages: Vec<Arc<str>>,
    /// What the socket is greeted with, before any later entry.
    pub greeting: Greeting,
}

/// How a socket has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The number of the last entry that the greeting takes into account.
    pub reach: u64,
    /// The number of the session's last entry.
    pub head: u64,
    /// How the session stood there.
    pub status: Status,
}

/// A socket as a dialect sees it.
#[async_trait]
pub trait Line: Send + Sync {
    /// Our id of the connection.
    fn id(&self) -> &ConnId;

    /// Joins the session's delivery: greets, then delivers every later entry once and in order. Answers when the greeting is sent.
    ///
    /// # Errors
    /// [`Error::TooManySessions`]; [`Error::Unavailable`] where the store cannot be read. The socket has not joined then.
    async fn join(&self, admission: Admission) -> Result<Joined, Error>;

    /// Makes room for the session, so that joining it will not be refused for want of it: a socket that is in as many as it may leaves those
    /// that are over for good.
    ///
    /// # Errors
    /// [`Error::TooManySessions`].
    async fn make_room(&self, session: &SessionId) -> Result<(), Error>;

    /// Whether the socket is in the session's delivery.
    fn listens_to(&self, session: &SessionId) -> bool;

    /// Leaves the session's delivery, and takes back what the others were told of its typing there.
    async fn leave(&self, desk: &Desk, session: &SessionId);

    /// Makes the socket hear the signals for an audience. Joining a session does so for that session.
    fn attend(&self, audience: &Audience);

    /// Tells the others in a session that the person types, or not any more; after a while without a word it is taken back.
    fn typing(&self, desk: &Desk, typing: Typing);

    /// Sends a frame to this socket alone, as soon as there is room.
    async fn send(&self, frame: &Frame);
}

/// What a socket says of its person's typing.
#[derive(Clone, Debug)]
pub struct Typing {
    /// The session.
    pub session: SessionId,
    /// Who.
    pub person: Person,
    /// Types, or not any more.
    pub is_typing: bool,
    /// What else the client sent, for contracts that pass it on: the inside of a JSON object.
    pub extra: Option<Arc<str>>,
}

/// The contract of a realm.
pub fn of(realm: Realm) -> Arc<dyn Dialect> {
    match realm {
        Realm::Support => Arc::new(support::Support),
        Realm::Operators => Arc::new(operators::Operators),
        Realm::Widget => Arc::new(widget::Widget),
        Realm::Rooms => Arc::new(rooms::Rooms),
    }
}
