//! Domain words as documents and back, by hand. User text becomes a BSON string value and nothing else, never a field name or an operator.

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};

use crate::domain::account::{Account, PasswordHash};
use crate::domain::agent::{Agent, Availability};
use crate::domain::entry::{Body, Content, Entry, Form, Head, Message};
use crate::domain::error::StoreError;
use crate::domain::ids::{AccountId, AgentId, ClientKey, EntryId, SessionId};
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::time::Timestamp;
use crate::store::search;

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
    document
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
    })
}

/// The document of an entry.
pub(super) fn from_entry(entry: &Entry) -> Document {
    let Entry { session, id: entry_id, at, author, client_key, content, read_at, head } = entry;
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
        Content::Message(Message { body, form, signed }) => {
            document.extend(doc! { "message": body.as_str(), "form": form.name(), "signed": *signed });
        }
        Content::Assigned(agent) => put_agent(&mut document, Some(agent)),
        Content::Ended(reason) => drop(document.insert("endReason", &**reason)),
        Content::Opened(word) => drop(document.insert("label", &**word)),
    }
    put(&mut document, "readAt", read_at.map(moment));
    document
}

/// The entry of a document.
pub(super) fn to_entry(document: &Document) -> Result<Entry, StoreError> {
    let read = Reader::new("message", document);
    let content = match read.text("kind")? {
        "message" => Content::Message(read.message()?),
        "assigned" => Content::Assigned(read.agent()?.ok_or_else(|| read.corrupt("agentId"))?),
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
        read_at: read.optional_moment("readAt")?,
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
        sessions: to_slots(document)?.into_iter().map(|(session, _)| session).collect(),
    })
}

/// The slots of an agent's document, each with the moment it was reserved.
pub(super) fn to_slots(document: &Document) -> Result<Vec<(SessionId, Timestamp)>, StoreError> {
    let agent = Reader::new("agent", document);
    let slots = document.get_array("slots").map_err(|_| agent.corrupt("slots"))?;
    let read = |slot: &Bson| {
        let slot = Reader { document: slot.as_document().ok_or_else(|| agent.corrupt("slots"))?, ..agent };
        Ok((SessionId::stored(slot.id("session")?), slot.moment("at")?))
    };
    slots.iter().map(read).collect()
}

/// The document of an account.
pub(super) fn from_account(account: &Account) -> Document {
    let mut document = doc! {
        "_id": id(account.id.as_str()),
        "realm": account.realm.name(),
        "email": &*account.email,
        "password": account.password.expose(),
        "createdAt": moment(account.created_at),
    };
    put(&mut document, "name", account.name.as_deref().map(Bson::from));
    document
}

/// The account of a document.
pub(super) fn to_account(document: &Document) -> Result<Account, StoreError> {
    let read = Reader::new("account", document);
    Ok(Account {
        id: AccountId::stored(read.id("_id")?),
        realm: read.realm("realm")?,
        email: read.text("email")?.into(),
        name: read.optional_text("name")?,
        password: PasswordHash::stored(read.text("password")?),
        created_at: read.moment("createdAt")?,
    })
}

/// The id of a document, for ids that are no more than that.
pub(super) fn to_id(document: &Document) -> Result<Arc<str>, StoreError> {
    Reader::new("document", document).id("_id")
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

/// Reads fields of one document; its errors name the document and the field, never a value.
#[derive(Clone, Copy)]
struct Reader<'a> {
    what: &'static str,
    of: &'a Document,
    document: &'a Document,
}

impl<'a> Reader<'a> {
    fn new(what: &'static str, document: &'a Document) -> Self {
        Self { what, of: document, document }
    }

    fn corrupt(&self, field: &str) -> StoreError {
        let id = match self.of.get("_id") {
            Some(Bson::ObjectId(id)) => id.to_hex(),
            Some(Bson::String(id)) => id.clone(),
            _ => "without id".to_owned(),
        };
        StoreError::Corrupt(format!("field {field} of {} {id}", self.what))
    }

    /// The value of a field; null counts as absent.
    fn optional(&self, field: &str) -> Option<&'a Bson> {
        self.document.get(field).filter(|v| !matches!(v, Bson::Null))
    }

    fn text(&self, field: &str) -> Result<&'a str, StoreError> {
        self.optional(field).and_then(Bson::as_str).ok_or_else(|| self.corrupt(field))
    }

    fn optional_text(&self, field: &str) -> Result<Option<Arc<str>>, StoreError> {
        self.optional(field).map(|_| self.text(field).map(Arc::from)).transpose()
    }

    fn id(&self, field: &str) -> Result<Arc<str>, StoreError> {
        match self.optional(field) {
            Some(Bson::ObjectId(id)) => Ok(id.to_hex().into()),
            Some(Bson::String(id)) => Ok(id.as_str().into()),
            _ => Err(self.corrupt(field)),
        }
    }

    fn number(&self, field: &str) -> Result<u64, StoreError> {
        let number = match self.optional(field) {
            Some(Bson::Int32(n)) => u64::try_from(*n).ok(),
            Some(Bson::Int64(n)) => u64::try_from(*n).ok(),
            _ => None,
        };
        number.ok_or_else(|| self.corrupt(field))
    }

    fn number_or(&self, field: &str, absent: u64) -> Result<u64, StoreError> {
        self.optional(field).map_or(Ok(absent), |_| self.number(field))
    }

    fn flag_or(&self, field: &str, absent: bool) -> Result<bool, StoreError> {
        self.optional(field).map_or(Ok(absent), |v| v.as_bool().ok_or_else(|| self.corrupt(field)))
    }

    fn moment(&self, field: &str) -> Result<Timestamp, StoreError> {
        let date = self.optional(field).and_then(Bson::as_datetime).ok_or_else(|| self.corrupt(field))?;
        Ok(Timestamp(date.timestamp_millis()))
    }

    fn optional_moment(&self, field: &str) -> Result<Option<Timestamp>, StoreError> {
        self.optional(field).map(|_| self.moment(field)).transpose()
    }

    fn realm(&self, field: &str) -> Result<Realm, StoreError> {
        Realm::named(self.text(field)?).ok_or_else(|| self.corrupt(field))
    }

    fn person(&self, [realm, id, role, name, email]: [&str; 5]) -> Result<Person, StoreError> {
        Ok(Person {
            realm: self.realm(realm)?,
            id: self.text(id)?.into(),
            role: Role::named(self.text(role)?).ok_or_else(|| self.corrupt(role))?,
            name: self.optional_text(name)?,
            email: self.optional_text(email)?,
        })
    }

    fn agent(&self) -> Result<Option<Assignee>, StoreError> {
        if self.optional("agentId").is_none() {
            return Ok(None);
        }
        Ok(Some(Assignee { id: AgentId::stored(self.id("agentId")?), name: self.text("agentName")?.into() }))
    }
    fn availability(&self) -> Result<Availability, StoreError> {
        match self.optional("availability") {
            Some(_) => Availability::named(self.text("availability")?).ok_or_else(|| self.corrupt("availability")),
            None if self.flag_or("isOnline", false)? => Ok(Availability::Online),
            None => Ok(Availability::Offline),
        }
    }

    fn message(&self) -> Result<Message, StoreError> {
        let form = self.optional("form").map(|_| self.text("form")).transpose()?;
        Ok(Message {
            body: Body::stored(self.text("message")?),
            form: form.map_or(Some(Form::Text), Form::named).ok_or_else(|| self.corrupt("form"))?,
            signed: self.flag_or("signed", true)?,
        })
    }
}
