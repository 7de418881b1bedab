//! The session document: a projection of its log that answers "whose is it, and how does it stand" in one read.

use std::sync::Arc;

use super::ids::{AgentId, SessionId};
use super::principal::{Person, Principal, Realm, Role};
use super::time::Timestamp;

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Open; no agent yet.
    Waiting,
    /// Open; an agent answers it.
    Active,
    /// Over: no message is accepted.
    Ended,
}

impl Status {
    /// The stable name that stores carry.
    pub fn name(self) -> &'static str {
        match self {
            Status::Waiting => "waiting",
            Status::Active => "active",
            Status::Ended => "ended",
        }
    }

    /// The status of a stored name.
    pub fn named(name: &str) -> Option<Self> {
        [Status::Waiting, Status::Active, Status::Ended].into_iter().find(|s| s.name() == name)
    }
}

/// The agent of a session, as a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignee {
    /// Whose slot the session holds.
    pub id: AgentId,
    /// The agent's name at the time.
    pub name: Arc<str>,
}

/// One support conversation, opening to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The contract it was opened under.
    pub realm: Realm,
    /// Who asks.
    pub visitor: Person,
    /// How it stands.
    pub status: Status,
    /// Who answers, from the first assignment on; kept after the end.
    pub agent: Option<Assignee>,
    /// How often an agent was assigned; 0 before the first time. Tells the log's repair what is missing there.
    pub assignment: u64,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When the document last changed. Messages do not touch it.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended, in the words of who ended it.
    pub end_reason: Option<Arc<str>>,
}

impl Session {
    /// A session that waits for an agent.
    pub fn open(visitor: Person, now: Timestamp) -> Self {
        Self {
            id: SessionId::random(),
            realm: visitor.realm,
            visitor,
            status: Status::Waiting,
            agent: None,
            assignment: 0,
            created_at: now,
            updated_at: now,
            ended_at: None,
            end_reason: None,
        }
    }

    /// The key under which at most one open session of a visitor exists; `None` once it has ended.
    pub fn open_key(&self) -> Option<String> {
        (self.status != Status::Ended).then(|| self.visitor.key())
    }

    /// Whether `who` may see and use this session: its visitor, its agent, or a privileged caller of its realm.
    pub fn admits(&self, who: &Principal) -> bool {
        let Some(person) = who.person() else { return who.realm() == self.realm };
        match person.role {
            Role::Visitor => self.visitor.is(person),
            Role::Agent => self.is_of_agent(person) || self.visitor.is(person),
            Role::System => person.realm == self.realm,
        }
    }

    /// Whether `person` is the agent who answers.
    pub fn is_of_agent(&self, person: &Person) -> bool {
        let mine = self.agent.as_ref().is_some_and(|a| *a.id.as_str() == *person.id);
        mine && person.role == Role::Agent && person.realm == self.realm
    }

    /// Gives a person without a name the one under which the session knows it.
    pub fn introduce(&self, person: Person) -> Person {
        if person.name.is_some() {
            return person;
        }
        let name = if self.visitor.is(&person) {
            self.visitor.name.clone()
        } else if self.is_of_agent(&person) {
            self.agent.as_ref().map(|a| Arc::clone(&a.name))
        } else {
            None
        };
        Person { name, ..person }
    }
}
