//! The other ports of the domain: where events go, and who checks credentials. Implementations live in outer layers.

use std::sync::Arc;

use async_trait::async_trait;

use super::account::PasswordHash;
use super::agent::{Agent, Availability};
use super::desk::Overview;
use super::entry::Entry;
use super::error::Error;
use super::ids::{AgentId, ConnId, LoginId, SessionId};
use super::principal::{Person, Principal, Realm};
use super::session::Session;
use super::time::Timestamp;

/// Whom a passing event is for, or not for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everybody in a session.
    Session(SessionId),
    /// All connections of a person, by the key.
    Person(Arc<str>),
    /// Every agent of a realm who is there.
    Agents(Realm),
    /// Every admin of a realm who is there.
    Admins(Realm),
    /// One connection.
    Connection(ConnId),
}

/// A best-effort event; it is never stored, and a full buffer may drop it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A person joined the session with a connection.
    Joined {
        /// The session.
        session: SessionId,
        /// Who.
        person: Person,
        /// When.
        at: Timestamp,
    },
    /// A person's connection left the session.
    Left {
        /// The session.
        session: SessionId,
        /// Who.
        person: Person,
        /// When.
        at: Timestamp,
        /// Why, in Socket.IO's own words.
        reason: &'static str,
    },
    /// Somebody came with his first connection whose contract tells that by itself, and not by who looks at a session: for those of another contract
    /// in a session with him.
    Came {
        /// The session.
        session: SessionId,
        /// Who.
        person: Person,
        /// When.
        at: Timestamp,
    },
    /// The same of somebody who went with his last connection.
    Went {
        /// The session.
        session: SessionId,
        /// Who.
        person: Person,
        /// When.
        at: Timestamp,
    },
    /// A person began or stopped typing.
    Typing {
        /// The session.
        session: SessionId,
        /// Who.
        person: Person,
        /// Began, or stopped.
        is_typing: bool,
        /// When.
        at: Timestamp,
        /// What else the client sent, for contracts that pass it on: the inside of a JSON object.
        extra: Option<Arc<str>>,
    },
    /// A visitor opened a session.
    Opened {
        /// The session.
        session: Arc<Session>,
    },
    /// A visitor said something; agents who do not listen to the session hear of it so.
    Said {
        /// The session.
        session: Arc<Session>,
        /// What was said.
        entry: Arc<Entry>,
    },
    /// A message reached somebody, or was read.
    Receipt {
        /// The message.
        message: Arc<Entry>,
        /// Whom it reached.
        reader: Person,
        /// Whether it was read.
        is_read: bool,
    },
    /// Somebody else answers a session, or nobody any more; its document is as it was then.
    Reassigned {
        /// The session.
        overview: Arc<Overview>,
        /// Why, in the words of who made it.
        reason: Arc<str>,
        /// Whether this is for those who answer; others are shown no addresses.
        to_staff: bool,
    },
    /// To an agent: a session is his now.
    Given {
        /// The session.
        overview: Arc<Overview>,
        /// Why, in the words of who made it.
        reason: Arc<str>,
    },
    /// To a session: it was taken from its agent, and given to nobody.
    Taken {
        /// The session.
        session: SessionId,
        /// Who answered it.
        former: AgentId,
        /// Why, in the words of who made it.
        reason: Arc<str>,
        /// When.
        at: Timestamp,
    },
    /// To an agent: a session is not his any more, and nobody's.
    Dismissed {
        /// The session.
        session: SessionId,
        /// Why, in the words of who made it.
        reason: Arc<str>,
    },
    /// Somebody came or went, or said whether he is there.
    Presence {
        /// Who.
        person: Person,
        /// How it stands.
        status: Availability,
        /// When.
        at: Timestamp,
    },
    /// An agent's availability changed.
    Availability {
        /// Who, as it is now.
        agent: Arc<Agent>,
        /// Whether the agent's last connection went, without a word.
        vanished: bool,
        /// When.
        at: Timestamp,
        /// The entry that shows why, for those who listen to its session.
        after: Option<Arc<Entry>>,
    },
}

impl Signal {
    /// The entry that whoever listens to its session gets before the signal.
    pub fn follows(&self) -> Option<&Entry> {
        match self {
            Self::Said { entry, .. } | Self::Receipt { message: entry, .. } => Some(entry),
            Self::Availability { after, .. } => after.as_deref(),
            _ => None,
        }
    }
}

/// Fan-out. No method blocks or fails: what cannot be delivered now is healed from the store (entries) or dropped (signals).
pub trait Announce: Send + Sync + 'static {
    /// An entry is stored. Announcing one again is harmless.
    fn appended(&self, entry: Arc<Entry>);

    /// Something passing happened; a connection that is in several of the audiences hears of it once, and who is in `except` not at all.
    fn signal(&self, to: &[Audience], signal: Signal, except: Option<&Audience>);

    /// The person with this key takes part in the session since the entry numbered `after`, or does no longer: its connections look, and join or
    /// leave. What the person calls afterwards is carried out after that.
    fn summon(&self, person: &str, session: &SessionId, after: u64);
}

/// What a caller shows to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A signed token.
    Token(String),
    /// The company's API key.
    ApiKey(String),
    /// The secret of a login.
    Login(String),
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
    /// The caller that the credential proves in this realm, or [`Error::WrongKey`] or [`Error::InvalidToken`]. Logins are in the store, and
    /// proved by the desk.
    fn verify(&self, realm: Realm, credential: &Credential, now: Timestamp) -> Result<Principal, Error>;

    /// A token that names this person, valid from `now`.
    fn issue(&self, person: &Person, now: Timestamp) -> Result<IssuedToken, Error>;

    /// Whether tokens of visitors are issued to anybody who asks (`VISITOR_TOKENS=open`).
    fn visitor_tokens_are_open(&self) -> bool;

    /// Who may sign up for an account (`ADMIN_SIGNUP`).
    fn sign_up(&self) -> SignUp;

    /// Whether a trusted peer without a credential may open a socket (`ALLOW_ANONYMOUS=true`).
    fn anonymous_sockets_are_allowed(&self) -> bool;
}

/// Who may sign up for an account that answers visitors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUp {
    /// Anybody.
    Open,
    /// Anybody, while there is no account at all.
    #[default]
    First,
    /// Nobody; accounts are made on the command line.
    Closed,
}

/// Whether a password is the one of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not.
    Wrong,
    /// It is.
    Right,
    /// It is, and the hash is of an older kind that should be replaced.
    RightButOld,
}

/// Hashes and checks passwords. Both are slow on purpose and run beside the async threads, few at a time.
#[async_trait]
pub trait Passwords: Send + Sync + 'static {
    /// The fingerprint under which the login with this secret is stored; the same on every node and after every start.
    fn fingerprint(&self, secret: &str) -> LoginId;

    /// A hash of the present kind, with a salt of its own.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where too many wait already.
    async fn hash(&self, password: &str) -> Result<PasswordHash, Error>;

    /// Whether the password is that of the hash. Without a hash it takes as long, and is wrong.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where too many wait already.
    async fn check(&self, password: &str, hash: Option<&PasswordHash>) -> Result<Verdict, Error>;
}
