//! The other ports of the domain: where events go, and who checks credentials. Implementations live in outer layers.

use std::sync::Arc;

use super::entry::Entry;
use super::error::Error;
use super::ids::{ConnId, SessionId};
use super::principal::{Person, Principal, Realm};
use super::time::Timestamp;

/// A best-effort event; it is never stored, and a full buffer may drop it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A person joined the session with a connection.
    Joined {
        /// Who.
        person: Person,
        /// When.
        at: Timestamp,
    },
    /// A person's connection left the session.
    Left {
        /// Who.
        person: Person,
        /// When.
        at: Timestamp,
        /// Why, in Socket.IO's own words.
        reason: &'static str,
    },
    /// A person began or stopped typing.
    Typing {
        /// Who.
        person: Person,
        /// Began, or stopped.
        is_typing: bool,
    },
}

/// Fan-out. Neither method blocks or fails: what cannot be delivered now is healed from the store (entries) or dropped (signals).
pub trait Announce: Send + Sync + 'static {
    /// An entry is stored. Announcing one again is harmless.
    fn appended(&self, entry: Arc<Entry>);

    /// Something passing happened in a session; `origin` is the connection that need not hear of it.
    fn signal(&self, session: &SessionId, signal: Signal, origin: Option<&ConnId>);
}

/// What a caller shows to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A signed token.
    Token(String),
    /// The company's API key.
    ApiKey(String),
}

/// A token that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token itself.
    pub token: String,
    /// For how long it is valid, in seconds.
    pub expires_in_seconds: i64,
}

/// Checks and issues credentials.
pub trait Authority: Send + Sync + 'static {
    /// The caller that the credential proves in this realm, or [`Error::WrongKey`] or [`Error::InvalidToken`].
    fn verify(&self, realm: Realm, credential: &Credential, now: Timestamp) -> Result<Principal, Error>;

    /// A token that names this person, valid from `now`.
    fn issue(&self, person: &Person, now: Timestamp) -> Result<IssuedToken, Error>;

    /// Whether tokens of visitors are issued to anybody who asks (`VISITOR_TOKENS=open`).
    fn visitor_tokens_are_open(&self) -> bool;

    /// Whether a trusted peer without a credential may open a socket (`ALLOW_ANONYMOUS=true`).
    fn anonymous_sockets_are_allowed(&self) -> bool;
}
