//! What is known of a session besides its log: its kind, what it is about, and through whose hands it went.

use std::sync::Arc;

use super::entry::Body;
use super::ids::{AgentId, EntryId};
use super::principal::Person;
use super::session::Assignee;
use super::time::Timestamp;

/// What kind of conversation a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// Somebody asks, and somebody of the company answers.
    #[default]
    Support,
    /// Between two people.
    Direct,
    /// Between several people.
    Group,
}

impl SessionKind {
    /// The stable name that stores carry.
    pub fn name(self) -> &'static str {
        match self {
            SessionKind::Support => "support",
            SessionKind::Direct => "direct",
            SessionKind::Group => "group",
        }
    }

    /// The kind of a stored name.
    pub fn named(name: &str) -> Option<Self> {
        [SessionKind::Support, SessionKind::Direct, SessionKind::Group].into_iter().find(|k| k.name() == name)
    }
}

/// How urgent a session is, in the words of who opened it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// Not at all.
    Low,
    /// As most are.
    #[default]
    Medium,
    /// More than others.
    High,
    /// At once.
    Urgent,
}

impl Priority {
    /// The stable name that stores carry.
    pub fn name(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
            Priority::Urgent => "urgent",
        }
    }

    /// The priority of a stored name.
    pub fn named(name: &str) -> Option<Self> {
        [Priority::Low, Priority::Medium, Priority::High, Priority::Urgent].into_iter().find(|p| p.name() == name)
    }
}

/// Whom a session is about, where it is not who opened it. Never logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// The name.
    pub name: Option<Arc<str>>,
    /// The e-mail address.
    pub email: Option<Arc<str>>,
    /// The telephone number.
    pub phone: Option<Arc<str>>,
}

/// What a session is about, as whoever opened it said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// The name under which it is listed.
    pub name: Option<Arc<str>>,
    /// In a few words.
    pub subject: Option<Arc<str>>,
    /// How urgent it is.
    pub priority: Priority,
    /// Words by which it is found.
    pub tags: Vec<Arc<str>>,
    /// Whom it is about.
    pub customer: Option<Customer>,
}

impl Topic {
    /// The line with which a session about a subject begins; `None` without one, or where it is no text of a message.
    pub fn first_line(&self) -> Option<Body> {
        let subject = self.subject.as_deref()?;
        Body::parse(&format!("Hello! I need help with: **{subject}**"), Body::MAX_BYTES).ok()
    }
}

/// One change of who answers a session, made by somebody and not by the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The id of the log's entry that records it.
    pub id: EntryId,
    /// Who answered before.
    pub from: Option<AgentId>,
    /// Who answers since; nobody where it was taken away.
    pub to: Option<AgentId>,
    /// When.
    pub at: Timestamp,
    /// Why, in the words of who made it.
    pub reason: Arc<str>,
}

/// What changes in a session's document when somebody else answers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reassignment {
    /// Who answers now; nobody where it is taken away.
    pub agent: Option<Assignee>,
    /// Where nobody answers: whether it waits for the queue to give it to somebody, or is pending until a person does.
    pub waits: bool,
    /// Everybody who takes part then, where the realm keeps that.
    pub participants: Vec<Person>,
    /// What is added to the history.
    pub transfer: Option<Transfer>,
}
