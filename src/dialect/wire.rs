//! Calls and frames as data: lenient readers for what clients send, and payloads that are encoded once. No contract's words.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::desk::Posted;
use crate::domain::error::Error;
use crate::domain::ids::ClientKey;
use crate::domain::ports::Credential;
use crate::http::{json, status};

/// An event for clients, encoded once for all of them.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The event's name.
    pub event: &'static str,
    /// Its one argument.
    pub payload: Arc<RawValue>,
}

impl Frame {
    /// Encodes a payload. Views hold text, numbers and flags only, so this cannot fail; if it does, `null` is sent.
    pub fn new(event: &'static str, payload: &impl Serialize) -> Self {
        let payload = serde_json::value::to_raw_value(payload).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { event, payload: payload.into() }
    }
}

/// A request from a client.
#[derive(Clone, Debug)]
pub struct Call {
    /// The event's name.
    pub event: String,
    /// Its first argument, read three levels deep; `Null` where there is none or it cannot be read. All others are ignored.
    pub payload: Value,
}

impl Call {
    /// Reads `["event",argument,…]` as it came. An argument that is no JSON counts as absent.
    pub fn parse(event: &str, packet: &str) -> Self {
        Self { event: event.to_owned(), payload: json::first_argument(packet).unwrap_or_default() }
    }
}

/// `auth.apiKey`, else `auth.token`; a token that is no text is a wrong one, not an absent one.
pub fn handshake_credential(auth: &Value) -> Option<Credential> {
    if let Some(key) = filled(auth, "apiKey") {
        return Some(Credential::ApiKey(key.to_owned()));
    }
    match auth.get("token") {
        None | Some(Value::Null | Value::Bool(false)) => None,
        Some(Value::String(token)) if token.is_empty() => None,
        Some(Value::String(token)) => Some(Credential::Token(token.strip_prefix("Bearer ").unwrap_or(token).to_owned())),
        Some(_) => Some(Credential::Token(String::new())),
    }
}

/// The text of a field; `None` where it is absent or no text.
pub fn text<'a>(payload: &'a Value, field: &str) -> Option<&'a str> {
    payload.get(field)?.as_str()
}

/// The object without a field.
pub fn without(mut object: Value, field: &str) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove(field);
    }
    object
}

/// The text of a field, where it is not empty.
pub fn filled<'a>(payload: &'a Value, field: &str) -> Option<&'a str> {
    text(payload, field).filter(|t| !t.is_empty())
}

/// A client key that is no text, or not of 1 to 128 bytes.
#[derive(Clone, Copy, Debug)]
pub struct BadClientKey;

/// The optional `clientKey` of a call: absent, or 1 to 128 bytes of text.
///
/// # Errors
/// Anything else.
pub fn client_key(payload: &Value) -> Result<Option<ClientKey>, BadClientKey> {
    match payload.get("clientKey") {
        None | Some(Value::Null) => Ok(None),
        Some(key) => key.as_str().and_then(ClientKey::parse).map(Some).ok_or(BadClientKey),
    }
}

/// The acknowledgement of a stored message.
pub fn posted_ack(posted: &Posted) -> Value {
    let entry = &posted.entry;
    serde_json::json!({"ok": true, "id": entry.id.as_str(), "seq": entry.seq(), "createdAt": entry.at.iso(), "duplicate": posted.duplicate})
}

/// The acknowledgement of a refused or failed call, which is logged.
pub fn refusal(error: &Error, message: &str) -> Value {
    status::log(error);
    let mut ack = serde_json::json!({
        "ok": false, "code": error.code(), "message": message, "retryable": error.retry_after_ms().is_some(),
    });
    if let (Some(wait), Some(fields)) = (error.retry_after_ms(), ack.as_object_mut()) {
        fields.insert("retryAfterMs".into(), wait.into());
    }
    ack
}

/// The acknowledgement of a call whose arguments are wrong.
pub fn invalid(code: &str, message: &str) -> Value {
    serde_json::json!({ "ok": false, "code": code, "message": message, "retryable": false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_leniently() {
        let payload = |raw: &str| Call::parse("ev", raw).payload;
        assert_eq!(payload(r#"["ev"]"#), Value::Null);
        assert_eq!(payload(r#"["ev",{"a":1},null]"#), serde_json::json!({"a": 1}));
        assert_eq!(payload(r#"["ev",{"a":"#), Value::Null);
        let deep = format!(r#"["ev",{{"a":{}{}}}]"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(payload(&deep), serde_json::json!({"a": [[]]}));
    }
}
