//! The people of `rooms` as its frontends read them, field by field, as the original's documents were printed.

use serde_json::{Value, json};

use super::{DEPARTMENTS, role_word};
use crate::dialect::Reader;
use crate::dialect::wire::without;
use crate::domain::account::{Account, Login};
use crate::domain::agent::{Agent, Availability};
use crate::domain::desk::Known;
use crate::domain::ids::ConnId;
use crate::domain::principal::{Person, Principal, Role};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;

/// The department of an agent of whom nothing else is known.
const GENERAL: &str = "general_support";

/// How many sessions make an agent's load whole.
const FULL_LOAD: usize = 10;

/// A user's document, for some without the e-mail address. Socket ids are not shown.
pub(super) fn user(known: &Known, with_email: bool) -> Value {
    let account = &known.account;
    let view = json!({
        "_id": account.id.as_str(),
        "username": account.username,
        "email": account.email,
        "role": role_word(account.role),
        "status": account.status.name(),
        "isOnline": known.is_here(),
        "lastSeen": account.seen_at.iso(),
        "assignedChats": [],
        "department": account.department.as_deref().unwrap_or_else(|| department_of(account.role)),
        "specialization": account.specialization.as_deref().unwrap_or_default(),
        "createdAt": account.created_at.iso(),
        "updatedAt": account.updated_at.iso(),
        "__v": 0,
    });
    if with_email { view } else { without(view, "email") }
}

/// The department of who names none.
pub(super) fn department_of(role: Role) -> &'static str {
    match role {
        Role::Agent => GENERAL,
        Role::Visitor | Role::Admin | Role::System => DEPARTMENTS.first().copied().unwrap_or_default(),
    }
}

/// What logging in and checking a login answer.
pub(super) fn login(account: &Account, login: &Login, secret: &str, now: Timestamp) -> Value {
    json!({
        "userId": account.id.as_str(),
        "username": account.username,
        "email": account.email,
        "role": role_word(account.role),
        "status": account.status.name(),
        "sessionId": secret,
        "createdAt": login.created_at.iso(),
        "lastActivity": now.iso(),
    })
}

/// A row of `online-users`. `socketId` is an id of ours, with which nobody can do anything.
pub(super) fn online_user(account: &Account, conn: &ConnId) -> Value {
    json!({
        "userId": account.id.as_str(),
        "username": account.username,
        "role": role_word(account.role),
        "socketId": conn.as_str(),
    })
}

/// Whose eyes a document is for. Who answers sees the addresses of all, others their own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Eyes<'a> {
    /// Of somebody who answers.
    Staff,
    /// Of this person; of anybody else where it is not said.
    Person(Option<&'a str>),
}

impl<'a> Eyes<'a> {
    /// Of the caller.
    pub(super) fn of(who: &'a Principal) -> Self {
        if who.is_staff() { Eyes::Staff } else { Eyes::Person(who.person().map(|p| &*p.id)) }
    }

    /// Of whoever reads a frame.
    pub(super) fn of_reader(reader: Reader) -> Self {
        match reader {
            Reader::Staff => Eyes::Staff,
            Reader::Visitor | Reader::Anybody => Eyes::Person(None),
        }
    }

    /// Whether they are of those who answer, or of the person with this id.
    pub(super) fn are_of(self, id: &str) -> bool {
        match self {
            Eyes::Staff => true,
            Eyes::Person(own) => own == Some(id),
        }
    }

    /// The document of the person with this id, as these eyes see it.
    fn on(self, id: &str, document: Value) -> Value {
        if self.are_of(id) { document } else { without(document, "email") }
    }
}

/// Somebody beside a room: who takes part, and who answers.
pub(super) fn member(known: &Known, eyes: Eyes<'_>) -> Value {
    let account = &known.account;
    let view = json!({
        "_id": account.id.as_str(),
        "username": account.username,
        "email": account.email,
        "role": role_word(account.role),
        "status": account.status.name(),
        "isOnline": known.is_here(),
    });
    eyes.on(account.id.as_str(), view)
}

/// Somebody beside a room who came by another contract: as the session knows him, and as his record says if he is its agent. Of visitors other
/// contracts know nothing more.
pub(super) fn outsider(person: &Person, standing: Option<&Agent>, eyes: Eyes<'_>) -> Value {
    let status = standing.map_or(Availability::Offline.name(), agent_status);
    let mut view = author(person, eyes);
    if let Some(fields) = view.as_object_mut() {
        fields.extend([("status".to_owned(), status.into()), ("isOnline".to_owned(), standing.is_some_and(Agent::is_there).into())]);
    }
    view
}

/// The status of an agent of another contract. Who has gone without a word is offline here, and not `away`, which people say of themselves.
pub(super) fn agent_status(agent: &Agent) -> &'static str {
    match agent.availability {
        Availability::Away => Availability::Offline.name(),
        said => said.name(),
    }
}

/// Somebody beside what he said, as he was then.
pub(super) fn author(person: &Person, eyes: Eyes<'_>) -> Value {
    let view = json!({"_id": person.id, "username": shown_name(person), "email": person.email, "role": role_word(person.role)});
    if person.email.is_some() { eyes.on(&person.id, view) } else { without(view, "email") }
}

/// The name that pages show of somebody: his id where he gave none, as people of other contracts may.
pub(super) fn shown_name(person: &Person) -> &str {
    person.name.as_deref().unwrap_or(&person.id)
}

/// An agent with the rooms that he answers.
pub(super) fn workload(known: &Known, rooms: &[Session]) -> Value {
    let account = &known.account;
    let chats: Vec<Value> = rooms.iter().map(super::room::brief).collect();
    json!({
        "_id": account.id.as_str(),
        "username": account.username,
        "email": account.email,
        "status": account.status.name(),
        "isOnline": known.is_here(),
        "department": account.department.as_deref().unwrap_or_else(|| department_of(account.role)),
        "specialization": account.specialization.as_deref().unwrap_or_default(),
        "activeChatsCount": rooms.len(),
        "workloadPercentage": rooms.len() * 100 / FULL_LOAD,
        "assignedChats": chats,
    })
}
