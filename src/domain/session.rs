//! The session document: a projection of its log that answers "whose is it, and how does it stand" in one read.

use std::sync::Arc;

use super::entry::Entry;
use super::ids::{AgentId, SessionId};
use super::principal::{Person, Principal, Realm, Role};
use super::time::Timestamp;
use super::topic::{Reassignment, SessionKind, Topic, Transfer};

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Open; no agent yet.
    Waiting,
    /// Open; taken from its agent, and in no queue: it is with nobody until somebody gives it to an agent.
    Pending,
    /// Open; an agent answers it, or needs none.
    Active,
    /// Over: no message is accepted.
    Ended,
}

impl Status {
    /// The stable name that stores carry.
    pub fn name(self) -> &'static str {
        match self {
            Status::Waiting => "waiting",
            Status::Pending => "pending",
            Status::Active => "active",
            Status::Ended => "ended",
        }
    }

    /// The status of a stored name.
    pub fn named(name: &str) -> Option<Self> {
        [Status::Waiting, Status::Pending, Status::Active, Status::Ended].into_iter().find(|s| s.name() == name)
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

impl Assignee {
    /// The person as an agent.
    pub fn of(person: &Person) -> Self {
        Self { id: AgentId::of(person.realm, &person.id), name: person.name.clone().unwrap_or_else(|| Arc::clone(&person.id)) }
    }

    /// The agent as a person.
    pub fn person(&self) -> Person {
        Person { name: Some(Arc::clone(&self.name)), ..Person::new(self.id.realm(), self.id.in_realm(), Role::Agent) }
    }
}

/// One support conversation, opening to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The contract it was opened under.
    pub realm: Realm,
    /// What kind of conversation it is.
    pub kind: SessionKind,
    /// Who asks, or opened it.
    pub visitor: Person,
    /// Everybody who takes part, as they were when they came, where the realm keeps that ([`Realm::has_participants`]), or that of an agent whom
    /// it had: who opened it, whoever was asked to join, and who answers.
    pub participants: Vec<Person>,
    /// What it is about, where that was said.
    pub topic: Option<Arc<Topic>>,
    /// The company or group the visitor belongs to, in the visitor's words.
    pub group: Option<Arc<str>>,
    /// How it stands.
    pub status: Status,
    /// A contract's own word for how an open session stands.
    pub label: Option<Arc<str>>,
    /// Who answers, from the first assignment on until it is taken away; kept after the end.
    pub agent: Option<Assignee>,
    /// How often it was assigned, or taken away; 0 before the first time. Tells the log's repair what is missing there.
    pub assignment: u64,
    /// Through whose hands it went, oldest first, where somebody moved it; the queue's assignments are in the log alone.
    pub transfers: Vec<Transfer>,
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
    /// A new session of support: it waits for an agent, or is active at once where the realm has it so.
    pub fn open(visitor: Person, now: Timestamp) -> Self {
        Self {
            id: SessionId::random(),
            realm: visitor.realm,
            kind: SessionKind::Support,
            status: if visitor.realm.opens_active() { Status::Active } else { Status::Waiting },
            participants: if visitor.realm.has_participants() { vec![visitor.clone()] } else { Vec::new() },
            visitor,
            topic: None,
            group: None,
            label: None,
            agent: None,
            assignment: 0,
            transfers: Vec::new(),
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

    /// Whether those who answer under this contract may have to do with it at all: what is not of support stays in its own.
    pub fn concerns(&self, realm: Realm) -> bool {
        self.realm == realm || self.kind == SessionKind::Support
    }

    /// Whether somebody of another contract answers it.
    pub fn is_answered_elsewhere(&self) -> bool {
        self.agent.as_ref().is_some_and(|a| a.id.realm() != self.realm)
    }

    /// Whether nobody answers it, so that whoever may answer it can take it. One that is active and has no agent is in an inbox of all.
    pub fn is_free(&self) -> bool {
        match self.status {
            Status::Waiting | Status::Pending => true,
            Status::Active => self.agent.is_none() && self.kind == SessionKind::Support,
            Status::Ended => false,
        }
    }

    /// Whether `who` may see and use this session: its visitor, whoever answers it, a privileged caller whom it concerns, or anybody who knows its
    /// id where the realm takes that for a credential. Where contracts are kept apart the desk asks for more.
    pub fn admits(&self, who: &Principal) -> bool {
        match who {
            Principal::Delegate { realm, .. } => self.concerns(*realm),
            Principal::Guest { realm, .. } => *realm == self.realm && self.realm.admits_guests(),
            Principal::Person { person, .. } if person.role == Role::System => self.concerns(person.realm),
            Principal::Person { person, .. } => self.visitor.is(person) || self.is_answered_by(person) || self.has(person),
        }
    }

    /// Everybody who takes part: its participants, or its visitor and its agent where it keeps none.
    pub fn people(&self) -> Vec<Person> {
        if !self.participants.is_empty() {
            return self.participants.clone();
        }
        std::iter::once(self.visitor.clone()).chain(self.agent.as_ref().map(Assignee::person)).collect()
    }

    /// Whether the person is one of those who take part. Who has an account with logins is the same whatever part it plays by now; elsewhere
    /// anybody may come as a visitor by the id of an agent.
    pub fn has(&self, person: &Person) -> bool {
        let is_same = |p: &Person| p.realm.keeps_logins() || p.role.answers() == person.role.answers();
        self.participants.iter().any(|p| p.realm == person.realm && p.id == person.id && is_same(p))
    }

    /// What changes when this agent answers it, or nobody does any more. Who answered takes part no longer, unless he opened it. An agent whose
    /// contract knows sessions by their participants is one of them in those of other contracts too.
    pub fn reassigned_to(&self, agent: Option<Person>, transfer: Option<Transfer>) -> Reassignment {
        let assignee = agent.as_ref().map(Assignee::of);
        let mut participants = self.participants.clone();
        if participants.is_empty() && agent.as_ref().is_some_and(|a| a.realm.has_participants()) {
            participants.push(self.visitor.clone());
        }
        if !participants.is_empty() {
            participants.retain(|p| self.visitor.is(p) || !self.is_of_agent(p));
            participants.extend(agent.filter(|a| !participants.iter().any(|p| p.realm == a.realm && p.id == a.id)));
        }
        Reassignment { agent: assignee, waits: false, participants, transfer }
    }

    /// Whether `person` answers it: its agent, or any agent whose contract shares the sessions that it is concerned with.
    pub fn is_answered_by(&self, person: &Person) -> bool {
        let shared = person.realm.shares_sessions() && self.concerns(person.realm) && person.role.answers();
        shared || self.is_of_agent(person)
    }

    /// Whether `person` is the agent to whom it is assigned.
    pub fn is_of_agent(&self, person: &Person) -> bool {
        person.role.answers() && self.agent.as_ref().is_some_and(|a| a.id == AgentId::of(person.realm, &person.id))
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
            (Principal::Delegate { realm, .. }, role) => Some((Person::new(*realm, id.unwrap_or(unnamed), role), id.is_some())),
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
        message.fate.read_at.is_some() || message.head.ordinal <= self.read_ordinal
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
