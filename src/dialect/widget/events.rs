//! Domain events as frames of `widget`. The contract knows messages and typing; the rest has no word.

use serde_json::{Map, Value, json};

use super::sender_type;
use super::views::live_message;
use crate::dialect::wire::Frame;
use crate::domain::entry::{Content, Entry};
use crate::domain::ports::Signal;

/// How the sockets of a session learn of an entry.
pub(super) fn of_entry(entry: &Entry) -> Option<Frame> {
    match &entry.content {
        Content::Message(_) if entry.is_notice() => None,
        Content::Message(_) => Some(Frame::new("new_message", &live_message(entry))),
        Content::Assigned(_) | Content::Ended(_) | Content::Opened(_) | Content::Edited(_) => None,
    }
}

/// How the others in a session learn of a signal.
pub(super) fn of_signal(signal: &Signal) -> Option<Frame> {
    let Signal::Typing { session, person, is_typing, extra, .. } = signal else { return None };
    let mut payload = json!({"sessionId": session.as_str(), "userType": sender_type(person.role), "isTyping": is_typing});
    let more = extra.as_deref().and_then(|e| serde_json::from_str::<Map<String, Value>>(&format!("{{{e}}}")).ok());
    if let (Some(fields), Some(more)) = (payload.as_object_mut(), more) {
        for (name, value) in more {
            fields.entry(name).or_insert(value);
        }
    }
    Some(Frame::new("user_typing", &payload))
}

/// The contract's `error` event.
pub(super) fn error(message: &str) -> Frame {
    Frame::new("error", &json!({ "message": message }))
}
