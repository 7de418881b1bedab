//! What can go wrong, said once. Dialects draw the words and HTTP the status; neither is known here.

use super::ids::SessionId;

/// What a store answers when it cannot do what was asked. Absence is not an error: it is an `Option`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or refuses to work now. Retrying may help.
    #[error("store unavailable: {0}")]
    Unavailable(Cause),
    /// No answer in time; the outcome is unknown unless the method says otherwise. Retrying may help.
    #[error("store did not answer in time during {0}")]
    Timeout(&'static str),
    /// Writers kept getting in each other's way. Retrying may help.
    #[error("too many conflicting writers on {0}")]
    Conflict(String),
    /// What was read is not what this server writes. Retrying does not help.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// The data belongs to another program, or to a newer version of this one. Retrying does not help.
    #[error("{0}")]
    Foreign(String),
    /// The store was described in a way that cannot be understood. Retrying does not help.
    #[error("{0}")]
    Misconfigured(String),
}

/// The library's error below a [`StoreError`].
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a call was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session does not exist, or the caller may not know that it does.
    #[error("session not found")]
    SessionNotFound,
    /// The caller would have to be the session's visitor.
    #[error("caller is not the visitor of the session")]
    NotTheVisitor,
    /// The caller would have to be the session's agent.
    #[error("caller is not the agent of the session")]
    NotTheAgent,
    /// The session is over and takes no more messages.
    #[error("session {0} has ended")]
    SessionEnded(SessionId),
    /// The client key was used for another text by the same sender.
    #[error("client key was used for another message")]
    ClientKeyReused,
    /// No such message, or the caller may not know that there is.
    #[error("message not found")]
    MessageNotFound,
    /// The message was taken back, and is not changed any more.
    #[error("message was deleted")]
    MessageDeleted,
    /// No such attachment, or the caller may not know that there is.
    #[error("attachment not found")]
    AttachmentNotFound,
    /// The attachment has more bytes than are taken.
    #[error("attachment is too large")]
    AttachmentTooLarge,
    /// The attachment is empty, or of a kind that is not taken.
    #[error("attachment is of a kind that is not taken")]
    AttachmentRefused,
    /// The socket listens to as many sessions as it may.
    #[error("too many sessions on one socket")]
    TooManySessions,
    /// The agent takes no session now: absent, busy, or full.
    #[error("agent takes no session now")]
    AgentUnavailable,
    /// No agent takes a session now.
    #[error("no agent takes a session now")]
    NobodyAvailable,
    /// No such account, or not in the caller's realm.
    #[error("account not found")]
    AccountNotFound,
    /// The e-mail address has an account already.
    #[error("account exists")]
    AccountExists,
    /// No account has this e-mail address and password.
    #[error("wrong e-mail address or password")]
    WrongPassword,
    /// No such agent.
    #[error("agent not found")]
    AgentNotFound,
    /// No credential was given where one is needed.
    #[error("no credential")]
    Unauthenticated,
    /// The API key is wrong.
    #[error("wrong api key")]
    WrongKey,
    /// The token is malformed, forged, expired, or for another audience.
    #[error("invalid token")]
    InvalidToken,
    /// The caller is known, and may not do this.
    #[error("not allowed")]
    Forbidden,
    /// Too many calls; the same call may succeed after the wait.
    #[error("rate limited, retry after {retry_after_ms} ms")]
    RateLimited {
        /// How long to wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// The store is away or overloaded; the same call may succeed later.
    #[error("unavailable")]
    Unavailable(#[source] StoreError),
    /// A defect on our side.
    #[error("internal error")]
    Internal(#[source] StoreError),
}

/// The families of errors, from which HTTP draws its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It does not exist.
    NotFound,
    /// The caller is not known.
    Unauthenticated,
    /// The caller may not.
    Forbidden,
    /// It clashes with the state of things.
    Conflict,
    /// Too many, too fast.
    RateLimited,
    /// Not now.
    Unavailable,
    /// Our fault.
    Internal,
}

impl Kind {
    /// All families, in the order of their declaration.
    pub const ALL: [Kind; 7] =
        [Kind::NotFound, Kind::Unauthenticated, Kind::Forbidden, Kind::Conflict, Kind::RateLimited, Kind::Unavailable, Kind::Internal];

    /// The stable name, for figures.
    pub fn name(self) -> &'static str {
        match self {
            Kind::NotFound => "not_found",
            Kind::Unauthenticated => "unauthenticated",
            Kind::Forbidden => "forbidden",
            Kind::Conflict => "conflict",
            Kind::RateLimited => "rate_limited",
            Kind::Unavailable => "unavailable",
            Kind::Internal => "internal",
        }
    }
}

impl Error {
    /// The family.
    pub fn kind(&self) -> Kind {
        match self {
            Error::SessionNotFound | Error::MessageNotFound | Error::AttachmentNotFound | Error::AgentNotFound | Error::AccountNotFound => {
                Kind::NotFound
            }
            Error::Unauthenticated | Error::WrongKey | Error::WrongPassword => Kind::Unauthenticated,
            Error::NotTheVisitor | Error::NotTheAgent | Error::InvalidToken | Error::Forbidden => Kind::Forbidden,
            Error::SessionEnded(_)
            | Error::ClientKeyReused
            | Error::MessageDeleted
            | Error::AttachmentTooLarge
            | Error::AttachmentRefused
            | Error::TooManySessions
            | Error::AgentUnavailable
            | Error::NobodyAvailable
            | Error::AccountExists => Kind::Conflict,
            Error::RateLimited { .. } => Kind::RateLimited,
            Error::Unavailable(_) => Kind::Unavailable,
            Error::Internal(_) => Kind::Internal,
        }
    }

    /// The stable code that acknowledgements and bodies carry.
    pub fn code(&self) -> &'static str {
        match self {
            Error::SessionNotFound => "SESSION_NOT_FOUND",
            Error::NotTheVisitor | Error::NotTheAgent | Error::Forbidden => "FORBIDDEN",
            Error::SessionEnded(_) => "SESSION_ENDED",
            Error::ClientKeyReused => "CLIENT_KEY_REUSED",
            Error::MessageNotFound => "MESSAGE_NOT_FOUND",
            Error::MessageDeleted => "MESSAGE_DELETED",
            Error::AttachmentNotFound => "ATTACHMENT_NOT_FOUND",
            Error::AttachmentTooLarge => "ATTACHMENT_TOO_LARGE",
            Error::AttachmentRefused => "ATTACHMENT_REFUSED",
            Error::TooManySessions => "TOO_MANY_SESSIONS",
            Error::AgentUnavailable => "AGENT_UNAVAILABLE",
            Error::NobodyAvailable => "NOBODY_AVAILABLE",
            Error::AccountNotFound => "ACCOUNT_NOT_FOUND",
            Error::AccountExists => "ACCOUNT_EXISTS",
            Error::WrongPassword => "WRONG_PASSWORD",
            Error::AgentNotFound => "AGENT_NOT_FOUND",
            Error::Unauthenticated | Error::WrongKey => "UNAUTHENTICATED",
            Error::InvalidToken => "INVALID_TOKEN",
            Error::RateLimited { .. } => "RATE_LIMITED",
            Error::Unavailable(_) => "UNAVAILABLE",
            Error::Internal(_) => "INTERNAL",
        }
    }

    /// After how many milliseconds the same call may succeed; `None` where it never will.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Error::RateLimited { retry_after_ms } => Some(*retry_after_ms),
            Error::Unavailable(_) => Some(1_000),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Timeout(_) | StoreError::Conflict(_) => Error::Unavailable(error),
            StoreError::Corrupt(_) | StoreError::Foreign(_) | StoreError::Misconfigured(_) => Error::Internal(error),
        }
    }
}
