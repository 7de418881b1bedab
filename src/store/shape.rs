//! The parts of a session and of a message that stores keep as they are and look into only here: their JSON, with field names of ours. No
//! database is known here.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::domain::entry::{FileNote, Receipt};
use crate::domain::ids::{AgentId, EntryId};
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::time::Timestamp;
use crate::domain::topic::{Customer, Priority, Topic, Transfer};

/// The name of the field that is not what was written.
pub(super) type Damage = &'static str;

/// Participants as they are stored.
pub(super) fn from_people(people: &[Person]) -> Value {
    let one = |p: &Person| {
        filled([
            ("realm", Some(p.realm.name().into())),
            ("id", text(Some(&p.id))),
            ("role", Some(p.role.name().into())),
            ("name", text(p.name.as_ref())),
            ("email", text(p.email.as_ref())),
        ])
    };
    people.iter().map(one).collect()
}

/// Participants of what is stored.
pub(super) fn to_people(stored: &Value) -> Result<Vec<Person>, Damage> {
    let one = |row: &Value| {
        let (realm, role) = (named(row, "realm", Realm::named), named(row, "role", Role::named));
        let (realm, id, role) = (realm?, read(row, "id")?, role?);
        Some(Person { name: read(row, "name"), email: read(row, "email"), ..Person::new(realm, id, role) })
    };
    rows(stored, one).ok_or("participants")
}

/// A topic as it is stored.
pub(super) fn from_topic(topic: &Topic) -> Value {
    let customer = topic
        .customer
        .as_ref()
        .map(|c| filled([("name", text(c.name.as_ref())), ("email", text(c.email.as_ref())), ("phone", text(c.phone.as_ref()))]));
    filled([
        ("name", text(topic.name.as_ref())),
        ("subject", text(topic.subject.as_ref())),
        ("priority", Some(topic.priority.name().into())),
        ("tags", Some(topic.tags.iter().map(|t| Value::from(&**t)).collect())),
        ("customer", customer),
    ])
}

/// The topic of what is stored.
pub(super) fn to_topic(stored: &Value) -> Result<Topic, Damage> {
    let customer = |c: &Value| Customer { name: read(c, "name"), email: read(c, "email"), phone: read(c, "phone") };
    Ok(Topic {
        name: read(stored, "name"),
        subject: read(stored, "subject"),
        priority: named(stored, "priority", Priority::named).ok_or("topic")?,
        tags: rows(stored.get("tags").unwrap_or(&Value::Null), |t| t.as_str().map(Arc::from)).ok_or("topic")?,
        customer: stored.get("customer").map(customer),
    })
}

/// A transfer as it is stored.
pub(super) fn from_transfer(transfer: &Transfer) -> Value {
    let agent = |id: Option<&AgentId>| id.map(|id| id.as_str().into());
    filled([
        ("id", Some(transfer.id.as_str().into())),
        ("from", agent(transfer.from.as_ref())),
        ("to", agent(transfer.to.as_ref())),
        ("at", Some(transfer.at.0.into())),
        ("reason", text(Some(&transfer.reason))),
    ])
}

/// The history of what is stored.
pub(super) fn to_transfers(stored: &Value) -> Result<Vec<Transfer>, Damage> {
    let one = |row: &Value| {
        Some(Transfer {
            id: EntryId::stored(read(row, "id")?),
            from: read(row, "from").map(AgentId::stored),
            to: read(row, "to").map(AgentId::stored),
            at: moment(row, "at")?,
            reason: read(row, "reason")?,
        })
    };
    rows(stored, one).ok_or("transfers")
}

/// What is told of a file as it is stored.
pub(super) fn from_file(file: &FileNote) -> Value {
    let size = file.size.map(|n| i64::try_from(n).unwrap_or(i64::MAX).into());
    filled([
        ("name", text(file.name.as_ref())),
        ("size", size),
        ("mimeType", text(file.mime_type.as_ref())),
        ("url", text(file.url.as_ref())),
    ])
}

/// What is told of a file.
pub(super) fn to_file(stored: &Value) -> FileNote {
    let size = stored.get("size").and_then(Value::as_u64);
    FileNote { name: read(stored, "name"), size, mime_type: read(stored, "mimeType"), url: read(stored, "url") }
}

/// Receipts as they are stored.
pub(super) fn from_receipts(receipts: &[Receipt]) -> Value {
    let one = |r: &Receipt| {
        filled([
            ("realm", Some(r.realm.name().into())),
            ("reader", text(Some(&r.reader))),
            ("deliveredAt", Some(r.delivered_at.0.into())),
            ("readAt", r.read_at.map(|at| at.0.into())),
        ])
    };
    receipts.iter().map(one).collect()
}

/// The receipts of what is stored.
pub(super) fn to_receipts(stored: &Value) -> Result<Vec<Receipt>, Damage> {
    let one = |row: &Value| {
        let (realm, reader) = (named(row, "realm", Realm::named)?, read(row, "reader")?);
        Some(Receipt { realm, reader, delivered_at: moment(row, "deliveredAt")?, read_at: moment(row, "readAt") })
    };
    rows(stored, one).ok_or("receipts")
}

/// The receipts with what is noted now, or `None` where that was noted before.
pub(super) fn with_receipt(receipts: &[Receipt], person: &Person, at: Timestamp, is_read: bool) -> Option<Vec<Receipt>> {
    let mut receipts = receipts.to_vec();
    let read_at = is_read.then_some(at);
    match receipts.iter_mut().find(|r| r.realm == person.realm && r.reader == person.id) {
        Some(known) if known.read_at.is_some() || !is_read => return None,
        Some(known) => known.read_at = read_at,
        None => receipts.push(Receipt { realm: person.realm, reader: Arc::clone(&person.id), delivered_at: at, read_at }),
    }
    Some(receipts)
}

/// An object of the fields that have a value.
fn filled<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

fn text(value: Option<&Arc<str>>) -> Option<Value> {
    value.map(|v| json!(**v))
}

fn read(row: &Value, field: &str) -> Option<Arc<str>> {
    row.get(field)?.as_str().map(Arc::from)
}

fn named<T>(row: &Value, field: &str, named: fn(&str) -> Option<T>) -> Option<T> {
    named(row.get(field)?.as_str()?)
}

fn moment(row: &Value, field: &str) -> Option<Timestamp> {
    row.get(field)?.as_i64().map(Timestamp)
}

fn rows<T>(stored: &Value, one: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    stored.as_array()?.iter().map(one).collect()
}
