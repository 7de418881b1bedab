//! Fields of one document, read by hand. Its errors name the document and the field, never a value; what a document is for is not known here.

use std::sync::Arc;

use bson::{Bson, Document};
use serde_json::Value;

use crate::domain::agent::Availability;
use crate::domain::entry::{Body, Form, Message};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, EntryId};
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::Assignee;
use crate::domain::time::Timestamp;
use crate::store::shape;

/// What is kept as it is, as it came. What cannot have been written reads as null.
fn plain(kept: &Bson) -> Value {
    match kept {
        Bson::Boolean(flag) => Value::Bool(*flag),
        Bson::Int32(n) => Value::from(*n),
        Bson::Int64(n) => Value::from(*n),
        Bson::String(text) => Value::from(text.as_str()),
        Bson::Array(items) => items.iter().map(plain).collect(),
        Bson::Document(fields) => Value::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect()),
        _ => Value::Null,
    }
}

/// Reads fields of one document; its errors name the document and the field, never a value.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    what: &'static str,
    of: &'a Document,
    document: &'a Document,
}

impl<'a> Reader<'a> {
    pub(super) fn new(what: &'static str, document: &'a Document) -> Self {
        Self { what, of: document, document }
    }

    /// A reader of a document inside this one, in whose name it reports.
    pub(super) fn inside(self, document: &'a Document) -> Self {
        Self { document, ..self }
    }

    pub(super) fn corrupt(&self, field: &str) -> StoreError {
        let id = match self.of.get("_id") {
            Some(Bson::ObjectId(id)) => id.to_hex(),
            Some(Bson::String(id)) => id.clone(),
            _ => "without id".to_owned(),
        };
        StoreError::Corrupt(format!("field {field} of {} {id}", self.what))
    }

    /// The value of a field; null counts as absent.
    pub(super) fn optional(&self, field: &str) -> Option<&'a Bson> {
        self.document.get(field).filter(|v| !matches!(v, Bson::Null))
    }

    pub(super) fn text(&self, field: &str) -> Result<&'a str, StoreError> {
        self.optional(field).and_then(Bson::as_str).ok_or_else(|| self.corrupt(field))
    }

    pub(super) fn optional_text(&self, field: &str) -> Result<Option<Arc<str>>, StoreError> {
        self.optional(field).map(|_| self.text(field).map(Arc::from)).transpose()
    }

    pub(super) fn id(&self, field: &str) -> Result<Arc<str>, StoreError> {
        match self.optional(field) {
            Some(Bson::ObjectId(id)) => Ok(id.to_hex().into()),
            Some(Bson::String(id)) => Ok(id.as_str().into()),
            _ => Err(self.corrupt(field)),
        }
    }

    pub(super) fn optional_id(&self, field: &str) -> Result<Option<Arc<str>>, StoreError> {
        self.optional(field).map(|_| self.id(field)).transpose()
    }

    /// What is kept as it is; `None` where there is nothing.
    pub(super) fn nested<T>(&self, field: &str, read: fn(&Value) -> Result<T, shape::Damage>) -> Result<Option<T>, StoreError> {
        let Some(kept) = self.optional(field) else { return Ok(None) };
        read(&plain(kept)).map(Some).map_err(|_| self.corrupt(field))
    }

    pub(super) fn number(&self, field: &str) -> Result<u64, StoreError> {
        let number = match self.optional(field) {
            Some(Bson::Int32(n)) => u64::try_from(*n).ok(),
            Some(Bson::Int64(n)) => u64::try_from(*n).ok(),
            _ => None,
        };
        number.ok_or_else(|| self.corrupt(field))
    }

    pub(super) fn number_or(&self, field: &str, absent: u64) -> Result<u64, StoreError> {
        self.optional(field).map_or(Ok(absent), |_| self.number(field))
    }

    pub(super) fn flag_or(&self, field: &str, absent: bool) -> Result<bool, StoreError> {
        self.optional(field).map_or(Ok(absent), |v| v.as_bool().ok_or_else(|| self.corrupt(field)))
    }

    /// The value of a stored name.
    pub(super) fn named_or<T>(&self, field: &str, named: fn(&str) -> Option<T>, absent: T) -> Result<T, StoreError> {
        self.optional(field).map_or(Ok(absent), |_| named(self.text(field)?).ok_or_else(|| self.corrupt(field)))
    }

    pub(super) fn moment(&self, field: &str) -> Result<Timestamp, StoreError> {
        let date = self.optional(field).and_then(Bson::as_datetime).ok_or_else(|| self.corrupt(field))?;
        Ok(Timestamp(date.timestamp_millis()))
    }

    pub(super) fn optional_moment(&self, field: &str) -> Result<Option<Timestamp>, StoreError> {
        self.optional(field).map(|_| self.moment(field)).transpose()
    }

    pub(super) fn realm(&self, field: &str) -> Result<Realm, StoreError> {
        Realm::named(self.text(field)?).ok_or_else(|| self.corrupt(field))
    }

    pub(super) fn person(&self, [realm, id, role, name, email]: [&str; 5]) -> Result<Person, StoreError> {
        Ok(Person {
            realm: self.realm(realm)?,
            id: self.text(id)?.into(),
            role: Role::named(self.text(role)?).ok_or_else(|| self.corrupt(role))?,
            name: self.optional_text(name)?,
            email: self.optional_text(email)?,
        })
    }

    pub(super) fn agent(&self) -> Result<Option<Assignee>, StoreError> {
        if self.optional("agentId").is_none() {
            return Ok(None);
        }
        Ok(Some(Assignee { id: AgentId::stored(self.id("agentId")?), name: self.text("agentName")?.into() }))
    }

    pub(super) fn availability(&self) -> Result<Availability, StoreError> {
        match self.optional("availability") {
            Some(_) => Availability::named(self.text("availability")?).ok_or_else(|| self.corrupt("availability")),
            None if self.flag_or("isOnline", false)? => Ok(Availability::Online),
            None => Ok(Availability::Offline),
        }
    }

    pub(super) fn message(&self) -> Result<Message, StoreError> {
        Ok(Message {
            body: Body::stored(self.text("message")?),
            form: self.named_or("form", Form::named, Form::Text)?,
            signed: self.flag_or("signed", true)?,
            reply_to: self.optional_id("replyTo")?.map(EntryId::stored),
            file: self.nested("file", |file| Ok(shape::to_file(file)))?.map(Arc::new),
        })
    }
}
