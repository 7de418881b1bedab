//! Domain events as frames of `rooms`.

use serde_json::{Value, json};

use super::room;
use super::views::{Eyes, agent_status, shown_name};
use crate::dialect::wire::Frame;
use crate::domain::entry::Entry;
use crate::domain::ids::SessionId;
use crate::domain::ports::Signal;
use crate::domain::principal::Person;
use crate::domain::session::Session;

/// How those whom it concerns learn of a signal.
pub(super) fn of_signal(signal: &Signal) -> Option<Frame> {
    match signal {
        Signal::Joined { session, person, .. } => Some(Frame::new("user-joined-room", &of_person(session, person))),
        Signal::Left { session, person, .. } => Some(Frame::new("user-left-room", &of_person(session, person))),
        Signal::Typing { session, person, is_typing, .. } => {
            let typing =
                json!({"userId": person.id, "username": shown_name(person), "chatRoomId": session.as_str(), "isTyping": is_typing});
            Some(Frame::new("user-typing", &typing))
        }
        Signal::Presence { person, status, at } => {
            Some(Frame::new("user-status-changed", &json!({"userId": person.id, "status": status.name(), "timestamp": at.iso()})))
        }
        Signal::Receipt { message, reader, is_read } => {
            let status = if *is_read { "read" } else { "delivered" };
            let receipt = json!({"messageId": message.id.as_str(), "status": status, "userId": reader.id});
            Some(Frame::new("message-status-updated", &receipt))
        }
        Signal::Reassigned { overview, reason, to_staff } => {
            let action = overview.session.agent.as_ref().map_or("agent-removed", |_| "agent-assigned");
            let eyes = if *to_staff { Eyes::Staff } else { Eyes::Person(None) };
            let updated = json!({"chatRoom": room::room(overview, eyes), "action": action, "reason": reason});
            Some(Frame::new("chat-room-updated", &updated))
        }
        Signal::Given { overview, reason } => {
            Some(Frame::new("agent-assignment-received", &json!({"chatRoom": room::room(overview, Eyes::Staff), "reason": reason})))
        }
        Signal::Taken { session, former, reason, at } => {
            let removed = json!({
                "chatRoomId": session.as_str(), "removedAgentId": former.in_realm(), "newAgent": null, "reason": reason,
                "timestamp": at.iso(),
            });
            Some(Frame::new("agent-removed", &removed))
        }
        Signal::Dismissed { session, reason } => {
            Some(Frame::new("agent-assignment-removed", &json!({"chatRoomId": session.as_str(), "reason": reason})))
        }
        // People with accounts are told by their presence.
        Signal::Availability { agent, at, .. } if !agent.realm.keeps_logins() => {
            let changed = json!({"userId": agent.id.in_realm(), "status": agent_status(agent), "timestamp": at.iso()});
            Some(Frame::new("user-status-changed", &changed))
        }
        // Sessions are not shared; who comes and goes is told by his presence.
        Signal::Opened { .. } | Signal::Said { .. } | Signal::Availability { .. } | Signal::Came { .. } | Signal::Went { .. } => None,
    }
}

fn of_person(session: &SessionId, person: &Person) -> Value {
    json!({"userId": person.id, "username": shown_name(person), "chatRoomId": session.as_str()})
}

/// The messages that greet a socket which joins a room.
pub(super) fn chat_history(session: &Session, messages: &[Entry], eyes: Eyes<'_>) -> Frame {
    Frame::new("chat-history", &json!({"chatRoomId": session.id.as_str(), "messages": room::history(messages, &[], eyes)}))
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
