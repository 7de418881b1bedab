//! What clients of `rooms` say, read out of calls and bodies: messages and what they tell of files.

use std::sync::Arc;

use serde_json::Value;

use super::form_of;
use crate::dialect::wire::{client_key, filled, text};
use crate::domain::desk::{Caption, Post};
use crate::domain::entry::{Body, BodyError, FileNote, Form, trim};
use crate::domain::ids::EntryId;

/// The longest text of a field beside a message, in bytes.
const FIELD_LIMIT: usize = 2_048;

/// A message that is no message: why, as a code.
pub(super) struct BadMessage(pub(super) &'static str);

/// The message of `{content, messageType, replyTo?, metadata?, clientKey?}`. The content loses the white space around it, and has no limit but
/// that of every contract.
pub(super) fn post(payload: &Value) -> Result<Post, BadMessage> {
    let said = content(payload)?;
    let form = match payload.get("messageType") {
        None | Some(Value::Null) => Form::Text,
        Some(word) => word.as_str().and_then(form_of).ok_or(BadMessage("INVALID_MESSAGE_TYPE"))?,
    };
    let reply_to = reply_to(payload)?;
    let file = payload.get("metadata").filter(|m| m.is_object()).map(file).transpose()?.filter(|f| *f != FileNote::default());
    let client_key = client_key(payload).map_err(|_| BadMessage("INVALID_CLIENT_KEY"))?;
    Ok(Post { form, reply_to, file: file.map(Arc::new), ..Post::text(said, client_key) })
}

/// What is said with a file: `{content?, replyTo?, clientKey?}`.
pub(super) fn caption(fields: &Value) -> Result<Caption, BadMessage> {
    let body = filled(fields, "content").map(|_| content(fields)).transpose()?;
    Ok(Caption { body, reply_to: reply_to(fields)?, client_key: client_key(fields).map_err(|_| BadMessage("INVALID_CLIENT_KEY"))? })
}

fn reply_to(payload: &Value) -> Result<Option<EntryId>, BadMessage> {
    match payload.get("replyTo") {
        None | Some(Value::Null) => Ok(None),
        Some(id) => id.as_str().and_then(EntryId::parse).map(Some).ok_or(BadMessage("INVALID_REPLY")),
    }
}

/// The text of `{content}`.
pub(super) fn content(payload: &Value) -> Result<Body, BadMessage> {
    let said = text(payload, "content").map(trim).ok_or(BadMessage("INVALID_MESSAGE"))?;
    Body::parse(said, Body::MAX_BYTES).map_err(|e| match e {
        BodyError::Blank => BadMessage("INVALID_MESSAGE"),
        BodyError::TooLong => BadMessage("MESSAGE_TOO_LONG"),
    })
}

/// What is wrong with a content, in words.
pub(super) fn content_text(bad: &BadMessage) -> &'static str {
    match bad.0 {
        "MESSAGE_TOO_LONG" => "Content is too long",
        _ => "Content is required",
    }
}

/// What a message tells of a file. Other fields are dropped, as the original's schema did.
fn file(metadata: &Value) -> Result<FileNote, BadMessage> {
    let field = |name: &str| match filled(metadata, name) {
        Some(text) if text.len() > FIELD_LIMIT => Err(BadMessage("INVALID_METADATA")),
        text => Ok(text.map(Arc::from)),
    };
    let size = metadata.get("fileSize").and_then(Value::as_u64);
    Ok(FileNote { name: field("fileName")?, size, mime_type: field("mimeType")?, url: field("imageUrl")? })
}
