//! The documents of document 001: agents, sessions and messages as they stand here. What its schema demands may be missing all the same.

use std::sync::Arc;

use super::fields::Fields;
use super::{People, Plan, Report, Said};
use crate::domain::agent::{Agent, Availability};
use crate::domain::entry::{Assignment, Body, Content, Draft};
use crate::domain::ids::{AgentId, EntryId, SessionId};
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::time::Timestamp;

/// How many sessions an agent takes who says nothing of it, and at most (document 001).
const CAPACITY: u32 = 2;
const MOST: u32 = 10;

/// Why a session ended that does not say so (document 001).
const REASON: &str = "User ended session";

/// An agent, without sessions: whose they are, the sessions say.
pub(super) fn agent(row: Fields<'_>, now: Timestamp, report: &mut Report) -> Agent {
    let key = row.id();
    let name = row.shared("name").unwrap_or_else(|| {
        report.note("agents without a name: named by their ids", &key);
        key.as_str().into()
    });
    let wanted = row.number("maxUsers").and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=MOST).contains(n));
    if wanted.is_none() && row.has("maxUsers") {
        report.note("agents whose maxUsers is not 1 to 10: take 2 sessions", &key);
    }
    let created_at = row.moment("createdAt").or_else(|| row.made_at()).unwrap_or(now);
    let fresh = Agent::new(Realm::Support, AgentId::of(Realm::Support, &key), name, wanted.unwrap_or(CAPACITY), created_at);
    let availability = if row.flag("isOnline").unwrap_or(true) { Availability::Online } else { Availability::Offline };
    Agent { email: row.shared("email"), availability, active_at: row.moment("updatedAt").unwrap_or(created_at), ..fresh }
}

/// A session.
pub(super) fn session(row: Fields<'_>, people: &People, report: &mut Report) -> Plan {
    let key = row.id();
    let id = session_id(&key, report);
    let visitor = visitor(row, &id, report);
    let created_at = row.moment("createdAt").or_else(|| row.made_at());
    if created_at.is_none() {
        report.note("sessions that do not say when they began: in 1970", &key);
    }
    let created_at = created_at.unwrap_or(Timestamp(0));
    let (status, agent) = standing(row, people, report);
    let is_over = status == Status::Ended;
    let ended_at = row.moment("endedAt").or_else(|| row.moment("updatedAt")).filter(|_| is_over);
    if is_over && !row.has("endedAt") {
        report.note("ended sessions without endedAt: ended when they last changed", &key);
    }
    let ended_at = ended_at.or(is_over.then_some(created_at));
    let reason: Arc<str> = row.shared("endReason").unwrap_or_else(|| REASON.into());
    let session = Session {
        id,
        status,
        assignment: u64::from(agent.is_some()),
        updated_at: ended_at.or_else(|| row.moment("updatedAt")).unwrap_or(created_at),
        ended_at,
        end_reason: ended_at.map(|_| reason),
        agent,
        ..Session::open(visitor, created_at)
    };
    plan_of(session)
}

/// A session that its visitor finds again while it is open, and that has one agent at most, from its beginning.
pub(super) fn plan_of(session: Session) -> Plan {
    let key = session.is_open().then(|| session.visitor.key());
    let assignments = session.agent.iter().map(|agent| assigned(&session, agent)).collect();
    let end = session.ended_at.zip(session.end_reason.clone()).map(|(at, reason)| ended(&session, at, reason));
    Plan { key, assignments, end, session }
}

/// A message; `None` where it says nothing.
pub(super) fn message(row: Fields<'_>, session: &Session, people: &People, report: &mut Report) -> Option<Said> {
    let key = row.id();
    let Some(text) = row.text("message").or_else(|| row.text("content")) else {
        report.note("messages without a text: left out", &key);
        return None;
    };
    let content = Content::Message(body(text, &key, report).into());
    let at = said_at(row, "timestamp", session, report);
    let draft = Draft {
        session: session.id.clone(),
        id: entry_id(&key, report),
        at,
        author: author(row, session, people, report),
        client_key: None,
        content,
    };
    Some(Said::of(draft))
}

/// The id under which a session goes on: its own, unless no page could name it here.
pub(super) fn session_id(key: &str, report: &mut Report) -> SessionId {
    SessionId::parse(key).unwrap_or_else(|| {
        report.note("sessions whose id is neither 24 hex digits nor a UUID: given another", key);
        SessionId::imported(key)
    })
}

/// The id under which a message goes on.
pub(super) fn entry_id(key: &str, report: &mut Report) -> EntryId {
    EntryId::parse(key).unwrap_or_else(|| {
        report.note("messages whose id is neither 24 hex digits nor a UUID: given another", key);
        EntryId::imported("message", key)
    })
}

/// A text, whole.
pub(super) fn body(text: &str, key: &str, report: &mut Report) -> Body {
    if text.len() > Body::MAX_BYTES {
        report.note("messages longer than 256 KiB: kept whole", key);
    }
    Body::stored(text)
}

/// When a message was said.
pub(super) fn said_at(row: Fields<'_>, field: &str, session: &Session, report: &mut Report) -> Timestamp {
    row.moment(field).unwrap_or_else(|| {
        report.note("messages without a time: first in their session, as old as their id or the session", &row.id());
        row.moment("createdAt").or_else(|| row.made_at()).unwrap_or(session.created_at)
    })
}

/// That an agent answers, from the beginning on.
pub(super) fn assigned(session: &Session, agent: &Assignee) -> Draft {
    let author = Person { name: Some(Arc::clone(&agent.name)), ..Person::new(session.realm, agent.id.in_realm(), Role::Agent) };
    Draft {
        session: session.id.clone(),
        id: EntryId::imported("assigned", session.id.as_str()),
        at: session.created_at,
        author,
        client_key: None,
        content: Content::Assigned(Assignment::from(agent.clone())),
    }
}

/// That it is over.
pub(super) fn ended(session: &Session, at: Timestamp, reason: Arc<str>) -> Draft {
    Draft {
        session: session.id.clone(),
        id: EntryId::imported("ended", session.id.as_str()),
        at,
        author: Person::new(session.realm, "system", Role::System),
        client_key: None,
        content: Content::Ended(reason),
    }
}

fn visitor(row: Fields<'_>, id: &SessionId, report: &mut Report) -> Person {
    let key = row.id();
    let user = row.key("userId").unwrap_or_else(|| {
        report.note("sessions without a userId: their own id is their visitor's", &key);
        id.to_string()
    });
    let role = role(row.text("userType")).unwrap_or_else(|| {
        report.note("sessions with an unknown userType: a user's", &key);
        Role::Visitor
    });
    Person { name: row.shared("userName"), email: row.shared("userEmail"), ..Person::new(Realm::Support, user, role) }
}

/// How a session stands, and whose it is.
fn standing(row: Fields<'_>, people: &People, report: &mut Report) -> (Status, Option<Assignee>) {
    let key = row.id();
    let agent = row.key("agentId").map(|agent| {
        let known = people.get(&agent).map(Assignee::of);
        known.unwrap_or_else(|| {
            report.note("sessions of an agent who is not there: they stay his", &key);
            Assignee { id: AgentId::of(Realm::Support, &agent), name: agent.as_str().into() }
        })
    });
    let status = match row.text("status").and_then(Status::named).filter(|s| *s != Status::Pending) {
        Some(status) => status,
        None => {
            report
                .note("sessions with an unknown status: over if they have an end, else their agent's if they have one, else waiting", &key);
            if row.has("endedAt") { Status::Ended } else { Status::Active }
        }
    };
    match (status, agent) {
        (Status::Active, None) if row.text("status") == Some("active") => {
            report.note("active sessions without an agent: they wait", &key);
            (Status::Waiting, None)
        }
        (Status::Active, None) => (Status::Waiting, None),
        (Status::Waiting, Some(_)) => {
            report.note("waiting sessions with an agent: they wait, without", &key);
            (Status::Waiting, None)
        }
        standing => standing,
    }
}

fn author(row: Fields<'_>, session: &Session, people: &People, report: &mut Report) -> Person {
    let sender = row.key("senderId");
    let is_of = |id: &str| sender.as_deref() == Some(id);
    let role = role(row.text("senderType")).unwrap_or_else(|| {
        report.note("messages with an unknown senderType: an agent's if an agent's id says so, else a user's", &row.id());
        if sender.as_ref().is_some_and(|id| people.contains_key(id)) && !is_of(&session.visitor.id) { Role::Agent } else { Role::Visitor }
    });
    let id: Arc<str> = match (sender, role, &session.agent) {
        (Some(sender), ..) => sender.into(),
        (None, role, agent) => {
            report.note("messages without a senderId: of the session's visitor, its agent, or the system", &row.id());
            match (role, agent) {
                (Role::Agent, Some(agent)) => agent.id.in_realm().into(),
                (Role::System, _) => "system".into(),
                _ => Arc::clone(&session.visitor.id),
            }
        }
    };
    let named = Person { name: row.shared("senderName"), ..Person::new(Realm::Support, id, role) };
    let known = people.get(&*named.id).filter(|_| role == Role::Agent).and_then(|p| p.name.clone());
    let named = Person { name: named.name.or(known), ..named };
    session.introduce(named)
}

/// Of a kind of user in this contract's words.
fn role(word: Option<&str>) -> Option<Role> {
    match word {
        Some("user") => Some(Role::Visitor),
        Some("agent") => Some(Role::Agent),
        Some("system") => Some(Role::System),
        _ => None,
    }
}
