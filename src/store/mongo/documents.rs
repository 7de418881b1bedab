//! Domain words as documents and back, by hand. User text becomes a BSON string value and nothing else, never a field name or an operator.

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};

use crate::domain::account::{Account, Login, PasswordHash};
use crate::domain::agent::{Agent, Availability};
use crate::domain::entry::{Assignment, Body, Content, Edit, Entry, Fate, Head, Message, Receipt};
use crate::domain::error::StoreError;
use crate::domain::ids::{AccountId, AgentId, ClientKey, EntryId, LoginId, SessionId};
use crate::domain::principal::{Person, Role};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::time::Timestamp;
use crate::domain::topic::{SessionKind, Transfer};
use crate::store::{search, shape};

use super::reader::Reader;

/// An id as it is stored: 24 lower-case hex digits as an ObjectId, all else as a string.
pub(super) fn id(text: &str) -> Bson {
    let canonical = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match ObjectId::parse_str(text) {
        Ok(object_id) if canonical => Bson::ObjectId(object_id),
        _ => Bson::String(text.to_owned()),
    }
}

/// A moment as it is stored.
pub(super) fn moment(at: Timestamp) -> Bson {
    Bson::DateTime(DateTime::from_millis(at.0))
}

/// A count as it is stored.
pub(super) fn number(n: u64) -> Bson {
    Bson::Int64(i64::try_from(n).unwrap_or(i64::MAX))
}

/// The document of a session.
pub(super) fn from_session(session: &Session) -> Document {
    let mut document = doc! { "_id": id(session.id.as_str()), "realm": session.realm.name() };
    put_person(&mut document, ["userRealm", "userId", "userType", "userName", "userEmail"], &session.visitor);
    put_agent(&mut document, session.agent.as_ref());
    document.insert("status", session.status.name());
    document.insert("assignment", number(session.assignment));
    document.insert("createdAt", moment(session.created_at));
    document.insert("updatedAt", moment(session.updated_at));
    put(&mut document, "endedAt", session.ended_at.map(moment));
    put(&mut document, "endReason", session.end_reason.as_deref().map(Bson::from));
    put(&mut document, "group", session.group.as_deref().map(Bson::from));
    put(&mut document, "label", session.label.as_deref().map(Bson::from));
    document.insert("stateSeq", number(session.state_seq));
    document.insert("readOrdinal", number(session.read_ordinal));
    document.insert("spoken", session.spoken);
    document.insert("search", search::text(session));
    document.insert("type", session.kind.name());
    put(&mut document, "topic", session.topic.as_deref().map(|t| nested(shape::from_topic(t))));
    if !session.participants.is_empty() {
        document.extend(participants(&session.participants));
    }
    if !session.transfers.is_empty() {
        document.insert("transfers", session.transfers.iter().map(transfer).collect::<Vec<_>>());
    }
    document
}

/// The fields that say who takes part: `members` is what sessions are found by.
pub(super) fn participants(people: &[Person]) -> Document {
    let members: Vec<String> = people.iter().map(Person::key).collect();
    doc! { "participants": nested(shape::from_people(people)), "members": members }
}

/// A change of hands in a session's document.
pub(super) fn transfer(transfer: &Transfer) -> Bson {
    nested(shape::from_transfer(transfer))
}

/// The receipts of a message's document.
pub(super) fn receipts(receipts: &[Receipt]) -> Bson {
    nested(shape::from_receipts(receipts))
}

/// What is kept as it is. The field names in it are ours, so none of them can be taken for extended JSON.
fn nested(value: serde_json::Value) -> Bson {
    match value {
        serde_json::Value::Null => Bson::Null,
        serde_json::Value::Bool(flag) => Bson::Boolean(flag),
        serde_json::Value::Number(n) => n.as_i64().map_or(Bson::Null, Bson::Int64),
        serde_json::Value::String(text) => Bson::String(text),
        serde_json::Value::Array(items) => Bson::Array(items.into_iter().map(nested).collect()),
        serde_json::Value::Object(fields) => Bson::Document(fields.into_iter().map(|(name, v)| (name, nested(v))).collect()),
    }
}

/// The session of a document. One of an earlier version lacks the fields of the last lines.
pub(super) fn to_session(document: &Document) -> Result<Session, StoreError> {
    let read = Reader::new("session", document);
    let status = read.text("status")?;
    Ok(Session {
        id: SessionId::stored(read.id("_id")?),
        realm: read.realm("realm")?,
        visitor: read.person(["userRealm", "userId", "userType", "userName", "userEmail"])?,
        status: Status::named(status).ok_or_else(|| read.corrupt("status"))?,
        agent: read.agent()?,
        assignment: read.number("assignment")?,
        created_at: read.moment("createdAt")?,
        updated_at: read.moment("updatedAt")?,
        ended_at: read.optional_moment("endedAt")?,
        end_reason: read.optional_text("endReason")?,
        group: read.optional_text("group")?,
        label: read.optional_text("label")?,
        state_seq: read.number_or("stateSeq", 0)?,
        read_ordinal: read.number_or("readOrdinal", 0)?,
        spoken: read.flag_or("spoken", false)?,
        kind: read.named_or("type", SessionKind::named, SessionKind::Support)?,
        topic: read.nested("topic", shape::to_topic)?.map(Arc::new),
        participants: read.nested("participants", shape::to_people)?.unwrap_or_default(),
        transfers: read.nested("transfers", shape::to_transfers)?.unwrap_or_default(),
    })
}

/// The document of an entry.
pub(super) fn from_entry(entry: &Entry) -> Document {
    let Entry { session, id: entry_id, at, author, client_key, content, fate: _, head } = entry;
    let mut document = doc! {
        "_id": id(entry_id.as_str()),
        "sessionId": id(session.as_str()),
        "seq": number(head.seq),
        "ordinal": number(head.ordinal),
        "notices": number(head.notices),
        "assignment": number(head.assignment),
        "state": if head.ended { "ended" } else { "open" },
        "kind": content.kind(),
        "timestamp": moment(*at),
    };
    put_person(&mut document, ["senderRealm", "senderId", "senderType", "senderName", "senderEmail"], author);
    put(&mut document, "clientKey", client_key.as_ref().map(|k| Bson::from(k.as_str())));
    match content {
        Content::Message(Message { body, form, signed, reply_to, file }) => {
            document.extend(doc! { "message": body.as_str(), "form": form.name(), "signed": *signed });
            put(&mut document, "replyTo", reply_to.as_ref().map(|m| id(m.as_str())));
            put(&mut document, "file", file.as_deref().map(|f| nested(shape::from_file(f))));
        }
        Content::Assigned(Assignment { agent, former, reason }) => {
            put_agent(&mut document, agent.as_ref());
            put(&mut document, "formerAgentId", former.as_ref().map(|a| id(a.as_str())));
            put(&mut document, "reason", reason.as_deref().map(Bson::from));
        }
        Content::Edited(Edit { message, body, .. }) => {
            document.extend(doc! { "messageId": id(message.as_str()), "message": body.as_str(), "applied": false });
        }
        Content::Ended(reason) => drop(document.insert("endReason", &**reason)),
        Content::Opened(word) => drop(document.insert("label", &**word)),
    }
    document
}

/// The entry of a document.
pub(super) fn to_entry(document: &Document) -> Result<Entry, StoreError> {
    let read = Reader::new("message", document);
    let content = match read.text("kind")? {
        "message" => Content::Message(read.message()?),
        "assigned" => Content::Assigned(Assignment {
            agent: read.agent()?,
            former: read.optional_id("formerAgentId")?.map(AgentId::stored),
            reason: read.optional_text("reason")?,
        }),
        kind @ ("edited" | "deleted") => Content::Edited(Edit {
            message: EntryId::stored(read.id("messageId")?),
            body: Body::stored(read.text("message")?),
            is_deletion: kind == "deleted",
        }),
        "ended" => Content::Ended(read.text("endReason")?.into()),
        "opened" => Content::Opened(read.text("label")?.into()),
        _ => return Err(read.corrupt("kind")),
    };
    let key = read.optional_text("clientKey")?;
    Ok(Entry {
        session: SessionId::stored(read.id("sessionId")?),
        id: EntryId::stored(read.id("_id")?),
        at: read.moment("timestamp")?,
        author: read.person(["senderRealm", "senderId", "senderType", "senderName", "senderEmail"])?,
        client_key: key.map(|k| ClientKey::parse(&k).ok_or_else(|| read.corrupt("clientKey"))).transpose()?,
        content,
        fate: Fate {
            read_at: read.optional_moment("readAt")?,
            receipts: read.nested("receipts", shape::to_receipts)?.unwrap_or_default(),
            edited_at: read.optional_moment("editedAt")?,
            edit_seq: read.number_or("editSeq", 0)?,
            is_deleted: read.flag_or("deleted", false)?,
        },
        head: to_head(document)?,
    })
}

/// The head that an entry's document carries; these fields suffice: `seq`, `ordinal`, `notices`, `assignment`, `state`.
pub(super) fn to_head(document: &Document) -> Result<Head, StoreError> {
    let read = Reader::new("message", document);
    let ended = match read.text("state")? {
        "open" => false,
        "ended" => true,
        _ => return Err(read.corrupt("state")),
    };
    Ok(Head {
        seq: read.number("seq")?,
        ordinal: read.number("ordinal")?,
        notices: read.number_or("notices", 0)?,
        assignment: read.number("assignment")?,
        ended,
    })
}

/// The document of an agent, the `position`-th of its realm; its sessions hold their slots since `at`.
pub(super) fn from_agent(agent: &Agent, position: u64, at: Timestamp) -> Document {
    let slots: Vec<Bson> = agent.sessions.iter().map(|s| slot(s, at).into()).collect();
    let mut document = doc! {
        "_id": id(agent.id.as_str()),
        "realm": agent.realm.name(),
        "position": number(position),
        "name": &*agent.name,
        "maxUsers": i64::from(agent.capacity),
        "availability": agent.availability.name(),
        "createdAt": moment(agent.created_at),
        "activeAt": moment(agent.active_at),
        "attended": agent.attended,
        "slots": slots,
    };
    put(&mut document, "email", agent.email.as_deref().map(Bson::from));
    put(&mut document, "absentSince", agent.absent_since.map(moment));
    document
}

/// A session's slot in its agent's document.
pub(super) fn slot(session: &SessionId, at: Timestamp) -> Document {
    doc! { "session": id(session.as_str()), "at": moment(at) }
}

/// The position of an agent's document among those of its realm.
pub(super) fn to_position(document: &Document) -> Result<u64, StoreError> {
    Reader::new("agent", document).number("position")
}

/// The agent of a document. One of an earlier version says `isOnline` and not when it was created.
pub(super) fn to_agent(document: &Document) -> Result<Agent, StoreError> {
    let read = Reader::new("agent", document);
    Ok(Agent {
        id: AgentId::stored(read.id("_id")?),
        realm: read.realm("realm")?,
        name: read.text("name")?.into(),
        capacity: u32::try_from(read.number("maxUsers")?).map_err(|_| read.corrupt("maxUsers"))?,
        email: read.optional_text("email")?,
        availability: read.availability()?,
        created_at: read.optional_moment("createdAt")?.unwrap_or(Timestamp(0)),
        active_at: read.optional_moment("activeAt")?.unwrap_or(Timestamp(0)),
        attended: read.flag_or("attended", false)?,
        absent_since: read.optional_moment("absentSince")?,
        sessions: to_slots(document)?.into_iter().map(|(session, _)| session).collect(),
    })
}

/// The slots of an agent's document, each with the moment it was reserved.
pub(super) fn to_slots(document: &Document) -> Result<Vec<(SessionId, Timestamp)>, StoreError> {
    let agent = Reader::new("agent", document);
    let slots = document.get_array("slots").map_err(|_| agent.corrupt("slots"))?;
    let read = |slot: &Bson| {
        let slot = agent.inside(slot.as_document().ok_or_else(|| agent.corrupt("slots"))?);
        Ok((SessionId::stored(slot.id("session")?), slot.moment("at")?))
    };
    slots.iter().map(read).collect()
}

/// The document of an account.
pub(super) fn from_account(account: &Account) -> Document {
    let mut document = doc! {
        "_id": id(account.id.as_str()),
        "realm": account.realm.name(),
        "role": account.role.name(),
        "email": &*account.email,
        "password": account.password.expose(),
        "status": account.status.name(),
        "createdAt": moment(account.created_at),
        "updatedAt": moment(account.updated_at),
        "seenAt": moment(account.seen_at),
    };
    put(&mut document, "username", account.username.as_deref().map(Bson::from));
    put(&mut document, "name", account.name.as_deref().map(Bson::from));
    put(&mut document, "department", account.department.as_deref().map(Bson::from));
    put(&mut document, "specialization", account.specialization.as_deref().map(Bson::from));
    document
}

/// The account of a document. One of an earlier version is an agent's, who was last there when it was created.
pub(super) fn to_account(document: &Document) -> Result<Account, StoreError> {
    let read = Reader::new("account", document);
    let created_at = read.moment("createdAt")?;
    Ok(Account {
        id: AccountId::stored(read.id("_id")?),
        realm: read.realm("realm")?,
        role: read.named_or("role", Role::named, Role::Agent)?,
        email: read.text("email")?.into(),
        username: read.optional_text("username")?,
        name: read.optional_text("name")?,
        password: PasswordHash::stored(read.text("password")?),
        department: read.optional_text("department")?,
        specialization: read.optional_text("specialization")?,
        status: read.named_or("status", Availability::named, Availability::Offline)?,
        created_at,
        updated_at: read.optional_moment("updatedAt")?.unwrap_or(created_at),
        seen_at: read.optional_moment("seenAt")?.unwrap_or(created_at),
    })
}

/// The document of a login.
pub(super) fn from_login(login: &Login) -> Document {
    doc! {
        "_id": id(login.id.as_str()),
        "account": id(login.account.as_str()),
        "createdAt": moment(login.created_at),
        "expiresAt": moment(login.expires_at),
    }
}

/// The login of a document.
pub(super) fn to_login(document: &Document) -> Result<Login, StoreError> {
    let read = Reader::new("login", document);
    Ok(Login {
        id: LoginId::stored(read.id("_id")?),
        account: AccountId::stored(read.id("account")?),
        created_at: read.moment("createdAt")?,
        expires_at: read.moment("expiresAt")?,
    })
}

/// The id of a document, for ids that are no more than that.
pub(super) fn to_id(document: &Document) -> Result<Arc<str>, StoreError> {
    Reader::new("document", document).id("_id")
}

/// The session of an entry's document, of which nothing else was asked for.
pub(super) fn to_session_id(document: &Document) -> Result<Arc<str>, StoreError> {
    Reader::new("message", document).id("sessionId")
}

/// The moment in a document's field.
pub(super) fn to_moment(document: &Document, field: &str) -> Result<Timestamp, StoreError> {
    Reader::new("document", document).moment(field)
}

/// Writes a field that has a value; absent fields are not written, since indexes tell them from null.
fn put(document: &mut Document, field: &str, value: Option<Bson>) {
    if let Some(value) = value {
        document.insert(field, value);
    }
}

/// Writes a person under the names of realm, id, role, name and e-mail address.
fn put_person(document: &mut Document, [realm, id, role, name, email]: [&str; 5], person: &Person) {
    document.insert(realm, person.realm.name());
    document.insert(id, &*person.id);
    document.insert(role, person.role.name());
    put(document, name, person.name.as_deref().map(Bson::from));
    put(document, email, person.email.as_deref().map(Bson::from));
}

fn put_agent(document: &mut Document, agent: Option<&Assignee>) {
    if let Some(agent) = agent {
        document.insert("agentId", id(agent.id.as_str()));
        document.insert("agentName", &*agent.name);
    }
}
