//! Domain events as frames of `rooms`.

use serde_json::{Value, json};

use crate::dialect::wire::Frame;
use crate::domain::ports::Signal;

/// How those whom it concerns learn of a signal.
pub(super) fn of_signal(signal: &Signal) -> Option<Frame> {
    let Signal::Presence { person, status, at } = signal else { return None };
    Some(Frame::new("user-status-changed", &json!({"userId": person.id, "status": status.name(), "timestamp": at.iso()})))
}

/// Everybody who is there, as far as the caller may know.
pub(super) fn online_users(rows: &[Value]) -> Frame {
    Frame::new("online-users", &rows)
}

/// Those who answer and are there, as far as the caller may know.
pub(super) fn online_agents(rows: &[Value]) -> Frame {
    Frame::new("online-agents", &rows)
}

/// The contract's `error` event.
pub(super) fn error(message: &str) -> Frame {
    Frame::new("error", &json!({ "message": message }))
}
