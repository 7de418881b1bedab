//! Domain events as frames of `operators`, and the frames that greet a socket.

use serde_json::{Value, json};

use super::views::{self, live_message, operator_id};
use super::{GREETING_LIMIT, availability_word, message_type, sender_type, status_word};
use crate::dialect::wire::Frame;
use crate::domain::agent::Agent;
use crate::domain::desk::History;
use crate::domain::entry::{Content, Entry};
use crate::domain::ids::SessionId;
use crate::domain::ports::Signal;
use crate::domain::principal::{Person, Role};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;

/// The name that operators see of a visitor who gives none.
const NAMELESS_VISITOR: &str = "访客";

/// The group that operators see of a visitor who names none.
const NAMELESS_GROUP: &str = "企业";

/// How the sockets of a session learn of an entry.
pub(super) fn of_entry(entry: &Entry) -> Option<Frame> {
    let (session, at) = (&entry.session, entry.at);
    match &entry.content {
        // Quirk: lines of the system stand in histories only (document 000).
        Content::Message(_) if entry.author.role == Role::System => None,
        Content::Message(_) => Some(Frame::new("message-received", &live_message(entry))),
        Content::Assigned(made) => {
            let agent = made.agent.as_ref()?;
            Some(operator_joined(session, (agent.id.in_realm(), Some(&agent.name)), at, Some(entry.seq())))
        }
        Content::Ended(reason) => Some(Frame::new(
            "session-ended",
            &json!({
                "sessionId": session.as_str(), "operatorId": operator_id(entry), "timestamp": at.iso(), "reason": reason,
                "seq": entry.seq(),
            }),
        )),
        // In this contract's own sessions nothing is opened again or changed.
        Content::Opened(_) | Content::Edited(_) => None,
    }
}

/// How operators, or the others in a session, learn of a signal.
pub(super) fn of_signal(signal: &Signal) -> Option<Frame> {
    match signal {
        // Of whom his coming and going is told, what he looks at is not.
        Signal::Joined { person, .. } | Signal::Left { person, .. } if person.realm.keeps_logins() => None,
        Signal::Joined { session, person, at } if person.role == Role::Agent => {
            Some(operator_joined(session, (&person.id, person.name.as_deref()), *at, None))
        }
        Signal::Left { session, person, at, .. } | Signal::Went { session, person, at } => (person.role != Role::System).then(|| {
            let who = json!({
                "sessionId": session.as_str(), "participantType": sender_type(person.role), "participantId": person.id,
                "timestamp": at.iso(),
            });
            Frame::new("participant-disconnected", &who)
        }),
        Signal::Typing { session, person, is_typing, at, .. } => typing(session, person, *is_typing, *at),
        Signal::Opened { session } => Some(Frame::new(
            "new-chat-notification",
            &json!({
                "sessionId": session.id.as_str(), "userId": session.visitor.id, "userName": visitor_name(session),
                "groupName": session.group, "timestamp": session.created_at.iso(), "message": "用户发起了聊天请求",
            }),
        )),
        Signal::Said { session, entry } => entry.message().map(|message| {
            let said = json!({
                "sessionId": session.id.as_str(), "userId": session.visitor.id, "userName": visitor_name(session),
                "groupName": session.group.as_deref().unwrap_or(NAMELESS_GROUP), "content": message.body.as_str(),
                "timestamp": entry.at.iso(), "messageType": message_type(message.form),
            });
            Frame::new("new-message-notification", &said)
        }),
        Signal::Availability { agent, vanished, at, .. } => {
            let changed =
                json!({"operatorId": agent.id.in_realm(), "status": availability_word(agent.availability), "timestamp": at.iso()});
            let named = if *vanished { changed } else { views::with(changed, [("operatorName", (*agent.name).into())]) };
            Some(Frame::new("operator-status-changed", &named))
        }
        // The rest has no word.
        _ => None,
    }
}

/// The contract's `chat-error` event.
pub(super) fn error((code, message): (&str, &str)) -> Frame {
    Frame::new("chat-error", &json!({"error": message, "code": code}))
}

/// Tells a visitor which session is his.
pub(super) fn session_created(session: &Session, is_new: bool, at: Timestamp) -> Frame {
    Frame::new(
        "chat-session-created",
        &json!({
            "sessionId": session.id.as_str(), "userId": session.visitor.id, "status": status_word(session.status), "isNew": is_new,
            "timestamp": at.iso(),
        }),
    )
}

/// A page of messages that was asked for.
pub(super) fn history(history: &History, limit: u32, offset: u64) -> Frame {
    message_history(&history.session, &history.messages, (history.total, limit, offset))
}

/// The last messages of a session, for a socket that joins it.
pub(super) fn latest(session: &Session, messages: &[Entry], total: u64) -> Frame {
    let offset = messages.first().map_or(total, |m| m.head.ordinal.saturating_sub(1));
    message_history(session, messages, (total, GREETING_LIMIT, offset))
}

/// The same after the last messages of the session before, for a visitor who goes on and has not seen those.
pub(super) fn latest_after(before: &History, (session, messages, total): (&Session, &[Entry], u64)) -> Frame {
    let earlier = before.messages.iter().map(|m| views::message(m, &before.session));
    let mut shown: Vec<Value> = earlier.chain(messages.iter().map(|m| views::message(m, session))).collect();
    shown.drain(..shown.len().saturating_sub(GREETING_LIMIT as usize));
    let total = before.total + total;
    let offset = total.saturating_sub(shown.len() as u64);
    Frame::new("message-history", &views::message_history(&before.session, shown, (total, GREETING_LIMIT, offset)))
}

fn message_history(session: &Session, messages: &[Entry], page: (u64, u32, u64)) -> Frame {
    let shown = messages.iter().map(|m| views::message(m, session)).collect();
    Frame::new("message-history", &views::message_history(session, shown, page))
}

/// Tells an operator that he is in.
pub(super) fn operator_session_joined(session: &Session, agent: &Agent, at: Timestamp) -> Frame {
    Frame::new(
        "operator-session-joined",
        &json!({
            "sessionId": session.id.as_str(), "operatorId": agent.id.in_realm(), "operatorName": agent.name,
            "sessionStatus": status_word(session.status), "timestamp": at.iso(),
        }),
    )
}

/// Tells an operator that he is in again.
pub(super) fn operator_session_rejoined(session: &Session, agent: &Agent, at: Timestamp) -> Frame {
    Frame::new(
        "operator-session-joined",
        &json!({"sessionId": session.id.as_str(), "operatorId": agent.id.in_realm(), "timestamp": at.iso(), "reconnected": true}),
    )
}

/// Tells an operator how he stands.
pub(super) fn status_updated(agent: &Agent, at: Timestamp) -> Frame {
    let status = availability_word(agent.availability);
    Frame::new("operator-status-updated", &json!({"operatorId": agent.id.in_realm(), "status": status, "timestamp": at.iso()}))
}

/// Tells an operator who goes online of a session that waits.
pub(super) fn waiting(session: &Session) -> Frame {
    Frame::new(
        "new-chat-notification",
        &json!({
            "sessionId": session.id.as_str(), "userId": session.visitor.id, "userName": visitor_name(session),
            "timestamp": session.created_at.iso(), "lastMessage": "用户等待客服接入",
        }),
    )
}

fn operator_joined(session: &SessionId, (id, name): (&str, Option<&str>), at: Timestamp, seq: Option<u64>) -> Frame {
    let joined = json!({"sessionId": session.as_str(), "operatorId": id, "operatorName": name, "timestamp": at.iso()});
    let numbered = match seq {
        Some(seq) => views::with(joined, [("seq", seq.into())]),
        None => joined,
    };
    Frame::new("operator-joined", &numbered)
}

fn typing(session: &SessionId, person: &Person, is_typing: bool, at: Timestamp) -> Option<Frame> {
    let id = match person.role {
        Role::Visitor => "userId",
        Role::Agent | Role::Admin => "operatorId",
        Role::System => return None,
    };
    let who = json!({"sessionId": session.as_str(), "senderType": sender_type(person.role), id: person.id, "timestamp": at.iso()});
    Some(if is_typing { Frame::new("typing-indicator", &who) } else { Frame::new("stop-typing-indicator", &who) })
}

fn visitor_name(session: &Session) -> &str {
    session.visitor.name.as_deref().unwrap_or(NAMELESS_VISITOR)
}
