//! Fields of an original's document, as they are or as they can be understood: nothing is taken for granted. What they mean is not known here.

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document};

use crate::domain::time::Timestamp;

/// Reads fields of one document.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Document);

impl<'a> Fields<'a> {
    /// The document's own id, as text.
    pub(super) fn id(self) -> String {
        self.key("_id").unwrap_or_else(|| self.0.get("_id").map_or_else(|| "without id".to_owned(), Bson::to_string))
    }

    /// A text that is not blank.
    pub(super) fn text(self, field: &str) -> Option<&'a str> {
        self.0.get_str(field).ok().filter(|text| !text.trim().is_empty())
    }

    /// The same, to be kept.
    pub(super) fn shared(self, field: &str) -> Option<Arc<str>> {
        self.text(field).map(Arc::from)
    }

    /// Something that names a document: an ObjectId, a text or a number.
    pub(super) fn key(self, field: &str) -> Option<String> {
        self.0.get(field).and_then(key)
    }

    /// A moment: a date, a number of milliseconds, or a text in ISO-8601.
    pub(super) fn moment(self, field: &str) -> Option<Timestamp> {
        match self.0.get(field)? {
            Bson::DateTime(at) => Some(Timestamp(at.timestamp_millis())),
            Bson::Int64(ms) => Some(Timestamp(*ms)),
            Bson::Double(ms) if ms.is_finite() => Some(Timestamp(*ms as i64)),
            Bson::String(text) => Timestamp::parse(text),
            _ => None,
        }
    }

    /// When the document was made, as far as its id says so.
    pub(super) fn made_at(self) -> Option<Timestamp> {
        let id = self.0.get_object_id("_id").ok()?;
        Some(Timestamp(id.timestamp().timestamp_millis()))
    }

    /// A whole number that is not negative.
    pub(super) fn number(self, field: &str) -> Option<u64> {
        match self.0.get(field)? {
            Bson::Int32(n) => u64::try_from(*n).ok(),
            Bson::Int64(n) => u64::try_from(*n).ok(),
            Bson::Double(n) if *n >= 0.0 && n.fract() == 0.0 => Some(*n as u64),
            _ => None,
        }
    }

    /// Yes or no, which some databases write as 1 and 0.
    pub(super) fn flag(self, field: &str) -> Option<bool> {
        self.0.get_bool(field).ok().or_else(|| self.number(field).map(|n| n != 0))
    }

    /// What is in a list; nothing where there is none.
    pub(super) fn list(self, field: &str) -> &'a [Bson] {
        self.0.get_array(field).map_or(&[], Vec::as_slice)
    }

    /// The documents in a list.
    pub(super) fn rows(self, field: &str) -> impl Iterator<Item = Fields<'a>> {
        self.list(field).iter().filter_map(|row| row.as_document().map(Fields))
    }

    /// A document in this one.
    pub(super) fn inside(self, field: &str) -> Option<Fields<'a>> {
        self.0.get_document(field).ok().map(Fields)
    }

    /// Whether something stands there that is not null.
    pub(super) fn has(self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| !matches!(value, Bson::Null))
    }
}

/// What a value names, as text.
pub(super) fn key(value: &Bson) -> Option<String> {
    match value {
        Bson::ObjectId(id) => Some(id.to_hex()),
        Bson::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Bson::Int32(n) => Some(n.to_string()),
        Bson::Int64(n) => Some(n.to_string()),
        _ => None,
    }
}

/// The values that may stand where a document with this id is named.
pub(super) fn values(key: &str) -> Vec<Bson> {
    let id = ObjectId::parse_str(key).ok().map(Bson::ObjectId);
    [Bson::String(key.to_owned())].into_iter().chain(id).chain(key.parse::<i64>().ok().map(Bson::Int64)).collect()
}
