//! The documents of document 002: users, rooms and messages as they stand here. What its schema demands may be missing all the same.

use std::collections::VecDeque;
use std::sync::Arc;

use super::fields::{Fields, key};
use super::support::{assigned, body, ended, entry_id, said_at, session_id};
use super::{People, Plan, Report, Said};
use crate::domain::account::{Account, PasswordHash};
use crate::domain::agent::{Agent, Availability};
use crate::domain::entry::{Assignment, Content, Draft, Edit, FileNote, Form, Message, Receipt};
use crate::domain::error::StoreError;
use crate::domain::ids::{AccountId, AgentId, EntryId};
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::store::Store;
use crate::domain::time::Timestamp;
use crate::domain::topic::{Customer, Priority, SessionKind, Topic, Transfer};

/// What a message of the original says that was taken back.
const DELETED: &str = "This message was deleted";

/// Imports an account as it is, but for being there: nobody is connected. Who answers gets an agent's record, which holds his sessions.
pub(super) async fn take_account(
    row: Fields<'_>,
    target: Option<&dyn Store>,
    now: Timestamp,
    report: &mut Report,
) -> Result<Option<Person>, StoreError> {
    let key = row.id();
    let Some(account) = account(row, now, report) else {
        report.note("users without an e-mail address: no accounts here, but known beside what they said", &key);
        return Ok(Some(Person { name: row.shared("username"), ..Person::new(Realm::Rooms, key, role(row)) }));
    };
    let person = account.person();
    let Some(store) = target else { return Ok(Some(person)) };
    if !store.insert_account(&account).await? && store.find_account(&account.id).await?.is_none() {
        report.note("users whose address or username another account has here: left out, but known beside what they said", &key);
    } else if account.role.answers() {
        let agent = Agent::new(Realm::Rooms, AgentId::of(Realm::Rooms, &key), name(&person), Agent::NO_LIMIT, account.created_at);
        store.insert_agent(&agent).await?;
    }
    Ok(Some(person))
}

fn account(row: Fields<'_>, now: Timestamp, report: &mut Report) -> Option<Account> {
    let (key, email) = (row.id(), row.text("email")?.to_lowercase());
    if !row.has("password") {
        report.note("users without a password: nobody logs in with it until `helpline admin password`", &key);
    }
    if !matches!(row.text("role"), Some("user" | "agent" | "admin")) {
        report.note("users with an unknown role: user", &key);
    }
    let created_at = row.moment("createdAt").or_else(|| row.made_at()).unwrap_or(now);
    let updated_at = row.moment("updatedAt").unwrap_or(created_at);
    Some(Account {
        id: AccountId::stored(key),
        realm: Realm::Rooms,
        role: role(row),
        email: email.into(),
        username: row.shared("username"),
        name: None,
        password: PasswordHash::stored(row.text("password").unwrap_or_default()),
        department: row.shared("department"),
        specialization: row.shared("specialization"),
        status: Availability::Offline,
        created_at,
        updated_at,
        seen_at: row.moment("lastSeen").unwrap_or(updated_at),
    })
}

fn role(row: Fields<'_>) -> Role {
    match row.text("role") {
        Some("admin") => Role::Admin,
        Some("agent") => Role::Agent,
        _ => Role::Visitor,
    }
}

/// A room.
pub(super) fn session(row: Fields<'_>, people: &People, report: &mut Report) -> Plan {
    let key = row.id();
    let id = session_id(&key, report);
    let participants = participants(row, people, report);
    let creator = row.key("createdBy").map(|creator| person(&creator, &key, people, report));
    let visitor = creator.or_else(|| participants.first().cloned()).unwrap_or_else(|| {
        report.note("rooms that nobody opened: their own id is who did", &key);
        Person::new(Realm::Rooms, id.as_str(), Role::Visitor)
    });
    let kind = row.text("type").and_then(SessionKind::named).unwrap_or_else(|| {
        report.note("rooms with an unknown type: support", &key);
        SessionKind::Support
    });
    let created_at = row.moment("createdAt").or_else(|| row.made_at()).unwrap_or_else(|| {
        report.note("rooms that do not say when they began: in 1970", &key);
        Timestamp(0)
    });
    let agent = row.key("assignedAgent").map(|agent| Assignee::of(&person(&agent, &key, people, report)));
    let status = standing(row, kind, agent.is_some(), report);
    let updated_at = row.moment("updatedAt").unwrap_or(created_at);
    let ended_at = (status == Status::Ended).then_some(updated_at);
    let updated_at = updated_at.max(row.moment("lastActivity").unwrap_or(updated_at));
    let mut session = Session {
        id,
        kind,
        status,
        participants,
        topic: topic(row, report).map(Arc::new),
        agent,
        updated_at,
        ended_at,
        end_reason: ended_at.map(|_| Arc::default()),
        ..Session::open(visitor, created_at)
    };
    if let Some(answers) = row.key("assignedAgent").and_then(|agent| people.get(&agent)).filter(|p| session.is_open() && !session.has(p)) {
        report.note("rooms whose agent takes no part: he does here", &key);
        session.participants.push(answers.clone());
    }
    session.transfers = transfers(row, &session);
    let assignments = assignments(&session);
    session.assignment = assignments.len() as u64;
    let end = ended_at.map(|at| ended(&session, at, Arc::default()));
    Plan { key: None, assignments, end, session }
}

fn participants(row: Fields<'_>, people: &People, report: &mut Report) -> Vec<Person> {
    let mut found: Vec<Person> = Vec::new();
    for id in row.list("participants").iter().filter_map(key) {
        if !found.iter().any(|p| *p.id == *id) {
            found.push(person(&id, &row.id(), people, report));
        }
    }
    found
}

/// Somebody whom a room or a message names.
fn person(id: &str, by: &str, people: &People, report: &mut Report) -> Person {
    people.get(id).cloned().unwrap_or_else(|| {
        report.note("rooms and messages of users who are not there: these are known by their ids alone", by);
        Person::new(Realm::Rooms, id, Role::Visitor)
    })
}

fn name(person: &Person) -> Arc<str> {
    person.name.clone().unwrap_or_else(|| Arc::clone(&person.id))
}

fn standing(row: Fields<'_>, kind: SessionKind, has_agent: bool, report: &mut Report) -> Status {
    let word = row.text("status");
    if !matches!(word, Some("active" | "closed" | "pending" | "transferred")) {
        report.note("rooms with an unknown status: active", &row.id());
    }
    let needs_agent = kind == SessionKind::Support && !has_agent;
    match word {
        Some("closed") => Status::Ended,
        _ if row.flag("isActive") == Some(false) => Status::Ended,
        Some("pending") if !has_agent => Status::Pending,
        _ if needs_agent => {
            report.note("rooms of support that nobody answers: they wait for an agent", &row.id());
            Status::Waiting
        }
        _ => Status::Active,
    }
}

fn topic(row: Fields<'_>, report: &mut Report) -> Option<Topic> {
    let about = row.inside("metadata");
    let priority = about.and_then(|m| m.text("priority")).map(|word| {
        Priority::named(word).unwrap_or_else(|| {
            report.note("rooms with an unknown priority: medium", &row.id());
            Priority::default()
        })
    });
    let customer = about.and_then(|m| m.inside("customerInfo")).map(|c| Customer {
        name: c.shared("name"),
        email: c.shared("email"),
        phone: c.shared("phone"),
    });
    let topic = Topic {
        name: row.shared("name"),
        subject: about.and_then(|m| m.shared("subject")),
        priority: priority.unwrap_or_default(),
        tags: about.map(|m| m.list("tags").iter().filter_map(|t| t.as_str().map(Arc::from)).collect()).unwrap_or_default(),
        customer: customer.filter(|c| *c != Customer::default()),
    };
    (topic != Topic::default()).then_some(topic)
}

/// Through whose hands it went, oldest first.
fn transfers(row: Fields<'_>, session: &Session) -> Vec<Transfer> {
    let agent = |id: Option<String>| id.map(|id| AgentId::of(Realm::Rooms, &id));
    let one = |(n, t): (usize, Fields<'_>)| Transfer {
        id: t
            .key("_id")
            .and_then(|id| EntryId::parse(&id))
            .unwrap_or_else(|| EntryId::imported("transfer", &format!("{} {n}", session.id))),
        from: agent(t.key("fromAgent")),
        to: agent(t.key("toAgent")),
        at: t.moment("transferredAt").unwrap_or(session.created_at),
        reason: t.shared("reason").unwrap_or_default(),
    };
    let mut transfers: Vec<Transfer> = row.rows("transferHistory").enumerate().map(one).collect();
    transfers.sort_by_key(|t| t.at);
    transfers
}

/// Who came to answer it: at the beginning, by each transfer, and whoever does now where these do not lead to him.
fn assignments(session: &Session) -> VecDeque<Draft> {
    let mut made = VecDeque::new();
    let first = match session.transfers.first() {
        Some(transfer) => transfer.from.clone(),
        None => session.agent.as_ref().map(|a| a.id.clone()),
    };
    made.extend(first.map(|id| assigned(session, &assignee(session, id))));
    for transfer in &session.transfers {
        let agent = transfer.to.clone().map(|id| assignee(session, id));
        let content = Content::Assigned(Assignment { agent, former: transfer.from.clone(), reason: Some(Arc::clone(&transfer.reason)) });
        made.push_back(by_system(session, transfer.id.clone(), transfer.at, content));
    }
    let reached = session.transfers.last().and_then(|t| t.to.as_ref());
    let present = session.agent.as_ref();
    if !session.transfers.is_empty() && reached != present.map(|a| &a.id) {
        let content = Content::Assigned(Assignment { agent: present.cloned(), former: reached.cloned(), reason: None });
        made.push_back(by_system(session, EntryId::imported("present", session.id.as_str()), session.updated_at, content));
    }
    made
}

/// An agent by the name that the session knows.
fn assignee(session: &Session, id: AgentId) -> Assignee {
    let present = session.agent.clone().filter(|a| a.id == id);
    let member = session.participants.iter().find(|p| *p.id == *id.in_realm()).map(name);
    present.unwrap_or_else(|| Assignee { name: member.unwrap_or_else(|| id.in_realm().into()), id })
}

fn by_system(session: &Session, id: EntryId, at: Timestamp, content: Content) -> Draft {
    let author = Person::new(session.realm, "system", Role::System);
    Draft { session: session.id.clone(), id, at, author, client_key: None, content }
}

/// A message; `None` where it says nothing.
pub(super) fn message(row: Fields<'_>, session: &Session, people: &People, report: &mut Report) -> Option<Said> {
    let key = row.id();
    let Some(text) = row.text("content") else {
        report.note("messages without a text: left out", &key);
        return None;
    };
    let (id, at, body) = (entry_id(&key, report), said_at(row, "createdAt", session, report), body(text, &key, report));
    let author = match row.key("senderId") {
        Some(sender) => person(&sender, &key, people, report),
        None => {
            report.note("messages without a senderId: of who opened the room", &key);
            session.visitor.clone()
        }
    };
    let said = Message {
        form: form(row, report),
        reply_to: row.key("replyTo").and_then(|id| EntryId::parse(&id)),
        file: row.inside("metadata").and_then(file).map(Arc::new),
        ..Message::from(body.clone())
    };
    let touched_at = row.moment("editedAt").or_else(|| row.moment("updatedAt")).unwrap_or(at);
    let draft = Draft {
        session: session.id.clone(),
        id: id.clone(),
        at,
        author: author.clone(),
        client_key: None,
        content: Content::Message(said),
    };
    let edit = (row.flag("isEdited") == Some(true)).then(|| {
        let content = Content::Edited(Edit { message: id.clone(), is_deletion: text == DELETED, body });
        Draft { id: EntryId::imported("edited", id.as_str()), at: touched_at, content, ..draft.clone() }
    });
    Some(Said { receipts: receipts(row, touched_at, report), edit, ..Said::of(draft) })
}

fn form(row: Fields<'_>, report: &mut Report) -> Form {
    match row.text("messageType") {
        Some("text") | None => Form::Text,
        Some("image") => Form::Image,
        Some("file") => Form::File,
        Some("system") => Form::Notice,
        Some(_) => {
            report.note("messages with an unknown messageType: text", &row.id());
            Form::Text
        }
    }
}

fn file(metadata: Fields<'_>) -> Option<FileNote> {
    let note = FileNote {
        name: metadata.shared("fileName"),
        size: metadata.number("fileSize"),
        mime_type: metadata.shared("mimeType"),
        url: metadata.shared("imageUrl"),
    };
    (note != FileNote::default()).then_some(note)
}

/// Whom the message reached; who read it has it.
fn receipts(row: Fields<'_>, changed_at: Timestamp, report: &mut Report) -> Vec<Receipt> {
    let mut found: Vec<Receipt> = Vec::new();
    for (list, moment) in [("deliveredTo", "deliveredAt"), ("readBy", "readAt")] {
        for receipt in row.rows(list) {
            let (Some(reader), at) = (receipt.key("userId"), receipt.moment(moment).unwrap_or(changed_at)) else {
                report.note("receipts without a userId: left out", &row.id());
                continue;
            };
            let read_at = (list == "readBy").then_some(at);
            match found.iter_mut().find(|r| *r.reader == *reader) {
                Some(known) => known.read_at = known.read_at.or(read_at),
                None => found.push(Receipt { realm: Realm::Rooms, reader: reader.into(), delivered_at: at, read_at }),
            }
        }
    }
    let has_read = found.iter().any(|r| r.read_at.is_some());
    match row.text("status") {
        Some("sent") | None => {}
        Some("delivered") if !found.is_empty() => {}
        Some("read") if has_read => {}
        Some(_) => report.note("messages whose status no receipt bears out, or is unknown: as their receipts say", &row.id()),
    }
    found
}
