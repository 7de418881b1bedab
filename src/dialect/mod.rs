//! What a wire contract is to the rest of the server: a translation between its events and the desk. A dialect decides nothing,
//! knows no socket library, and never names another dialect.

pub mod support;
pub mod json;
pub mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::desk::Desk;
use crate::domain::entry::Entry;
use crate::domain::error::Error;
use crate::domain::ids::{ConnId, SessionId};
use crate::domain::ports::Signal;
use crate::domain::principal::{Peer, Principal, Realm};
use crate::domain::session::{Session, Status};
use wire::{Call, Frame};

/// One wire contract.
pub trait Dialect: Send + Sync + 'static {
    /// Its name in logs, configuration and documents.
    fn name(&self) -> &'static str;

    /// Lets a new socket in, or refuses it with the text of the contract's `connect_error`.
    ///
    /// # Errors
    /// The text.
    fn admit(&self, desk: &Desk, handshake: &Handshake) -> Result<Principal, &'static str>;

    /// The state of one admitted socket.
    fn converse(&self, who: Principal) -> Box<dyn Conversation>;

    /// The frame by which sockets of this contract learn of an entry; `None` where the contract has no word for it.
    fn entry_frame(&self, entry: &Entry) -> Option<Frame>;

    /// The frame of a signal; `None` where the contract has no word for it.
    fn signal_frame(&self, session: &SessionId, signal: &Signal) -> Option<Frame>;

    /// The frame that says why the server is about to close a socket.
    fn farewell(&self, why: Farewell) -> Frame;
}

/// What a new socket shows.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The `auth` object; `Null` where there is none or it cannot be read.
    pub auth: Value,
    /// What the peer's address is worth.
    pub peer: Peer,
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
    /// Carries a call out.
    async fn call(&mut self, desk: &Desk, line: &dyn Line, call: Call) -> Reply;

    /// The socket is gone, for this reason in Socket.IO's own words.
    async fn closed(&mut self, desk: &Desk, line: &dyn Line, reason: &'static str);
}

/// Draws the frames that greet a socket from the session and its first messages, ascending.
pub type Greeting = Box<dyn FnOnce(&Session, &[Entry]) -> Vec<Frame> + Send>;

/// How a socket joins a session.
pub struct Admission {
    /// The session, as it was when the socket was let in.
    pub session: Session,
    /// The last entry the client has, where it knows; what follows is then delivered, each entry once.
    pub last_seq: Option<u64>,
    /// How many messages the greeting shows at most.
    pub history: u32,
    /// What the socket is greeted with, before any later entry.
    pub greeting: Greeting,
}

/// How a socket has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The number of the last entry that the greeting takes into account.
    pub reach: u64,
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
    /// [`Error::Unavailable`] where the store cannot be read; the socket has not joined then.
    async fn join(&self, admission: Admission) -> Result<Joined, Error>;

    /// Leaves the session's delivery.
    async fn leave(&self, session: &SessionId);
}

/// The contract of a realm.
pub fn of(realm: Realm) -> Arc<dyn Dialect> {
    match realm {
        Realm::Support => Arc::new(support::Support),
    }
}
