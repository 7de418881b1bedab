//! The rows of documents 000 and 003: operators, sessions and messages as they stand here.

use std::sync::Arc;

use super::fields::Fields;
use super::support::{body, entry_id, plan_of, said_at, session_id};
use super::{People, Plan, Report, Said};
use crate::domain::agent::{Agent, Availability};
use crate::domain::entry::{Content, Draft, Form, Message};
use crate::domain::ids::AgentId;
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::time::Timestamp;

/// An operator. Nobody is connected yet, so he is offline whatever the row says.
pub(super) fn agent(row: Fields<'_>, now: Timestamp, report: &mut Report) -> Agent {
    let key = row.id();
    let name = row.shared("name").unwrap_or_else(|| {
        report.note("agents without a name: named by their ids", &key);
        key.as_str().into()
    });
    let created_at = row.moment("createdAt").unwrap_or(now);
    let fresh = Agent::new(Realm::Operators, AgentId::of(Realm::Operators, &key), name, Agent::NO_LIMIT, created_at);
    Agent {
        email: row.shared("email"),
        active_at: row.moment("lastActiveAt").unwrap_or(created_at),
        availability: Availability::Offline,
        ..fresh
    }
}

/// A session.
pub(super) fn session(row: Fields<'_>, people: &People, report: &mut Report) -> Plan {
    let key = row.id();
    let id = session_id(&key, report);
    let user = row.key("userId").unwrap_or_else(|| {
        report.note("sessions without a userId: their own id is their visitor's", &key);
        id.to_string()
    });
    let visitor = Person { name: row.shared("userName"), ..Person::new(Realm::Operators, user, Role::Visitor) };
    let created_at = row.moment("createdAt").unwrap_or_else(|| {
        report.note("sessions that do not say when they began: in 1970", &key);
        Timestamp(0)
    });
    let (status, agent) = standing(row, people, report);
    let updated_at = row.moment("updatedAt").unwrap_or(created_at);
    let ended_at = (status == Status::Ended).then(|| row.moment("closedAt").unwrap_or(updated_at));
    // Which of its words for the end it was is kept as the reason.
    let reason: Arc<str> = row.shared("status").unwrap_or_else(|| "closed".into());
    let session = Session {
        id,
        status,
        group: row.shared("groupName"),
        assignment: u64::from(agent.is_some()),
        updated_at,
        ended_at,
        end_reason: ended_at.map(|_| reason),
        agent,
        ..Session::open(visitor, created_at)
    };
    plan_of(session)
}

/// How a session stands, and whose it is.
fn standing(row: Fields<'_>, people: &People, report: &mut Report) -> (Status, Option<Assignee>) {
    let key = row.id();
    let agent = row.key("operatorId").map(|agent| {
        people.get(&agent).map(Assignee::of).unwrap_or_else(|| {
            report.note("sessions of an agent who is not there: they stay his", &key);
            Assignee { id: AgentId::of(Realm::Operators, &agent), name: agent.as_str().into() }
        })
    });
    match (row.text("status"), agent) {
        (Some("completed" | "closed" | "timeout" | "cancelled"), agent) => (Status::Ended, agent),
        (Some("active"), Some(agent)) => (Status::Active, Some(agent)),
        (Some("waiting"), None) => (Status::Waiting, None),
        (Some("active"), None) => {
            report.note("active sessions without an agent: they wait", &key);
            (Status::Waiting, None)
        }
        (Some("waiting"), Some(_)) => {
            report.note("waiting sessions with an agent: they wait, without", &key);
            (Status::Waiting, None)
        }
        (_, agent) => {
            report
                .note("sessions with an unknown status: over if they have an end, else their agent's if they have one, else waiting", &key);
            match agent {
                agent if row.has("closedAt") => (Status::Ended, agent),
                Some(agent) => (Status::Active, Some(agent)),
                None => (Status::Waiting, None),
            }
        }
    }
}

/// A message; `None` where it says nothing.
pub(super) fn message(row: Fields<'_>, session: &Session, people: &People, report: &mut Report) -> Option<Said> {
    let key = row.id();
    let Some(text) = row.text("content") else {
        report.note("messages without a text: left out", &key);
        return None;
    };
    let role = match row.text("senderType") {
        Some("user") => Role::Visitor,
        Some("operator") => Role::Agent,
        Some("system") => Role::System,
        _ => {
            report.note("messages with an unknown senderType: an agent's if an agent's id says so, else a user's", &key);
            if row.key("senderId").is_some_and(|id| people.contains_key(&id)) { Role::Agent } else { Role::Visitor }
        }
    };
    let sender = row.key("senderId").map(Arc::from).unwrap_or_else(|| match (role, &session.agent) {
        (Role::System, _) => "system".into(),
        (Role::Agent, Some(agent)) => agent.id.in_realm().into(),
        _ => Arc::clone(&session.visitor.id),
    });
    let known = people.get(&*sender).filter(|_| role == Role::Agent).and_then(|p| p.name.clone());
    let author = session.introduce(Person { name: known, ..Person::new(Realm::Operators, sender, role) });
    let form = match row.text("messageType") {
        Some("text") | None => Form::Text,
        Some("image") => Form::Image,
        Some("system") => Form::Notice,
        Some(_) => {
            report.note("messages with an unknown messageType: text", &key);
            Form::Text
        }
    };
    let at = said_at(row, "createdAt", session, report);
    let content = Content::Message(Message { form, ..Message::from(body(text, &key, report)) });
    let draft = Draft { session: session.id.clone(), id: entry_id(&key, report), at, author, client_key: None, content };
    Some(Said { read_at: read_at(row, at), ..Said::of(draft) })
}

/// When a message was read, as far as the row knows: it says no more than that it was.
pub(super) fn read_at(row: Fields<'_>, at: Timestamp) -> Option<Timestamp> {
    let is_read = row.flag("isRead") == Some(true);
    is_read.then(|| row.moment("updatedAt").unwrap_or(at).max(at))
}
