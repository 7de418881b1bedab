//! The session document: a projection of its log that answers "whose is it, and how does it stand" in one read.

use std::sync::Arc;

use super::entry::Entry;
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
    /// The company or group the visitor belongs to, in the visitor's words.
    pub group: Option<Arc<str>>,
    /// How it stands.
    pub status: Status,
    /// A contract's own word for how an open session stands.
    pub label: Option<Arc<str>>,
    /// Who answers, from the first assignment on; kept after the end.
    pub agent: Option<Assignee>,
    /// How often an agent was assigned; 0 before the first time. Tells the log's repair what is missing there.
    pub assignment: u64,
    /// The number of the last end or re-opening in the log that this document reflects; 0 before the first.
    pub state_seq: u64,
    /// The ordinal up to which its messages are read; later ones may have been read one by one.
    pub read_ordinal: u64,
    /// Whether a person has said something in it, as far as the desk keeps that ([`Realm::lists_by_activity`]).
    pub spoken: bool,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When the document last changed; messages touch it only in realms that list sessions by activity, and then not each of them at once.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended, in the words of who ended it.
    pub end_reason: Option<Arc<str>>,
}

impl Session {
    /// A new session: it waits for an agent, or is active at once where the realm has it so.
    pub fn open(visitor: Person, now: Timestamp) -> Self {
        Self {
            id: SessionId::random(),
            realm: visitor.realm,
            status: if visitor.realm.opens_active() { Status::Active } else { Status::Waiting },
            visitor,
            group: None,
            label: None,
            agent: None,
            assignment: 0,
            state_seq: 0,
            read_ordinal: 0,
            spoken: false,
            created_at: now,
            updated_at: now,
            ended_at: None,
            end_reason: None,
        }
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.status != Status::Ended
    }

    /// Whether `who` may see and use this session: its visitor, whoever answers it, a privileged caller of its realm, or anybody who knows its
    /// id where the realm takes that for a credential.
    pub fn admits(&self, who: &Principal) -> bool {
        match who {
            Principal::Delegate { realm, .. } => *realm == self.realm,
            Principal::Guest { realm, .. } => *realm == self.realm && self.realm.admits_guests(),
            Principal::Person { person, .. } if person.role == Role::System => person.realm == self.realm,
            Principal::Person { person, .. } => self.visitor.is(person) || self.is_answered_by(person),
        }
    }

    /// Whether `person` answers it: its agent, or any agent where the realm shares its sessions.
    pub fn is_answered_by(&self, person: &Person) -> bool {
        let shared = self.realm.shares_sessions() && person.realm == self.realm && person.role == Role::Agent;
        shared || self.is_of_agent(person)
    }

    /// Whether `person` is the agent to whom it is assigned.
    pub fn is_of_agent(&self, person: &Person) -> bool {
        person.role == Role::Agent && self.agent.as_ref().is_some_and(|a| a.id == AgentId::of(person.realm, &person.id))
    }

    /// Who speaks in it when `who` calls as this role and names this id, and whether the id is to be shown; `None` where the caller may not.
    ///
    /// A credential that names a person decides who it is. A delegate speaks for whom the call names, by default for the visitor or for `unnamed`
    /// who answers. A guest is the session's visitor and nothing else; another id than the visitor's is ignored.
    pub fn speaker(&self, who: &Principal, role: Role, id: Option<&str>, unnamed: &str) -> Option<(Person, bool)> {
        match (who, role) {
            (Principal::Guest { .. }, Role::Visitor) => Some((self.visitor.clone(), id == Some(&*self.visitor.id))),
            (Principal::Person { person, .. }, role) if person.role == role => Some((person.clone(), true)),
            (Principal::Delegate { .. }, Role::Visitor) => {
                let named = id.filter(|id| **id != *self.visitor.id).map(|id| Person::new(self.realm, id, role));
                Some((named.unwrap_or_else(|| self.visitor.clone()), id.is_some()))
            }
            (Principal::Delegate { .. }, role) => Some((Person::new(self.realm, id.unwrap_or(unnamed), role), id.is_some())),
            _ => None,
        }
    }

    /// The id under which `who` signs what it does to the session: its own whatever the call names, the visitor's where it is a guest, and the
    /// named one where it is privileged.
    pub fn signature<'a>(&'a self, who: &'a Principal, named: &'a str) -> &'a str {
        match who {
            Principal::Guest { .. } => &self.visitor.id,
            Principal::Person { person, .. } if !who.is_privileged() => &person.id,
            Principal::Person { .. } | Principal::Delegate { .. } => named,
        }
    }

    /// Whether somebody has read the message: by itself, or with all up to it.
    pub fn has_read(&self, message: &Entry) -> bool {
        message.read_at.is_some() || message.head.ordinal <= self.read_ordinal
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
