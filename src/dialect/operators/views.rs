//! The shapes of `operators`: what its frontends read, field by field. Additions of ours are marked; they never replace a field.

use serde_json::{Value, json};

use super::{availability_word, message_type, sender_type, status_word};
use crate::domain::agent::Agent;
use crate::domain::entry::{Content, Entry};
use crate::domain::principal::Role;
use crate::domain::session::Session;
use crate::domain::time::Timestamp;

/// A ChatSession.
pub(super) fn session(session: &Session) -> Value {
    json!({
        "id": session.id.as_str(),
        "userId": session.visitor.id,
        "userName": session.visitor.name,
        "groupName": session.group,
        "operatorId": session.agent.as_ref().map(|a| a.id.in_realm()),
        "status": status_word(session.status),
        "closedAt": session.ended_at.map(Timestamp::iso),
        "createdAt": session.created_at.iso(),
        "updatedAt": session.updated_at.iso(),
    })
}

/// A ChatSession with what was said in it.
pub(super) fn session_with(about: &Session, messages: Vec<Value>) -> Value {
    with(session(about), [("messages", messages.into())])
}

/// A row of the history: a ChatSession with the last thing that a person said, and how many such there are.
pub(super) fn history_row(about: &Session, last: Option<&Entry>) -> Value {
    let text = last.and_then(Entry::body).map(|b| b.as_str());
    let count = last.map_or(0, |e| e.head.ordinal.saturating_sub(e.head.notices));
    with(session(about), [("lastMessage", text.into()), ("messageCount", count.into())])
}

/// A ChatMessage. `seq` is an addition: the number in the session.
pub(super) fn message(entry: &Entry, session: &Session) -> Value {
    let (content, kind) = said(entry);
    json!({
        "id": entry.id.as_str(),
        "sessionId": entry.session.as_str(),
        "senderId": sender_id(entry),
        "senderType": sender_type(entry.author.role),
        "groupName": session.group,
        "messageType": kind,
        "content": content,
        "isRead": session.has_read(entry),
        "createdAt": entry.at.iso(),
        "updatedAt": entry.fate.read_at.unwrap_or(entry.at).iso(),
        "seq": entry.seq(),
    })
}

/// `message-received`. An operator's carries `createdAt` too, as the original's, whose `timestamp` was missing.
pub(super) fn live_message(entry: &Entry) -> Value {
    let (content, kind) = said(entry);
    let view = json!({
        "id": entry.id.as_str(),
        "sessionId": entry.session.as_str(),
        "senderId": sender_id(entry),
        "senderType": sender_type(entry.author.role),
        "content": content,
        "messageType": kind,
        "timestamp": entry.at.iso(),
        "seq": entry.seq(),
    });
    match entry.author.role {
        Role::Visitor => view,
        Role::Agent | Role::Admin | Role::System => with(view, [("groupName", Value::Null), ("createdAt", entry.at.iso().into())]),
    }
}

/// `message-history`: `shown` of `total` messages, from `offset` on.
pub(super) fn message_history(session: &Session, shown: Vec<Value>, (total, limit, offset): (u64, u32, u64)) -> Value {
    let pagination = pagination(total, limit, offset, shown.len());
    json!({"sessionId": session.id.as_str(), "messages": shown, "pagination": pagination})
}

/// Where a page of `shown` lies.
pub(super) fn pagination(total: u64, limit: u32, offset: u64, shown: usize) -> Value {
    let has_more = offset.saturating_add(shown as u64) < total;
    json!({"total": total, "limit": limit, "offset": offset, "hasMore": has_more})
}

/// What a resuming client gets of an entry: a message as in `message-received`, else its kind; always with `type` and `seq`.
pub(super) fn resumed_entry(entry: &Entry) -> Value {
    let (seq, at) = (entry.seq(), entry.at.iso());
    let view = match &entry.content {
        Content::Message(_) => live_message(entry),
        Content::Assigned(made) => {
            let agent = made.agent.as_ref();
            json!({"seq": seq, "operatorId": agent.map(|a| a.id.in_realm()), "operatorName": agent.map(|a| &a.name), "timestamp": at})
        }
        Content::Ended(reason) => json!({"seq": seq, "operatorId": operator_id(entry), "reason": reason, "timestamp": at}),
        Content::Opened(status) => json!({"seq": seq, "status": status, "timestamp": at}),
        Content::Edited(edit) => json!({"seq": seq, "messageId": edit.message.as_str(), "content": edit.body.as_str(), "timestamp": at}),
    };
    with(view, [("type", entry.content.kind().into())])
}

/// An Operator.
pub(super) fn operator(agent: &Agent) -> Value {
    json!({
        "id": agent.id.in_realm(),
        "name": agent.name,
        "email": agent.email,
        "status": availability_word(agent.availability),
        "lastActiveAt": agent.active_at.iso(),
        "createdAt": agent.created_at.iso(),
        "updatedAt": agent.active_at.iso(),
    })
}

/// The figures over all operators. Their use is how many of them are there, in per cent.
pub(super) fn stats(agents: &[Agent]) -> Value {
    let count = |word: &str| agents.iter().filter(|a| availability_word(a.availability) == word).count();
    let (online, busy, total) = (count("online"), count("busy"), agents.len());
    let utilization = match total {
        0 => "0".to_owned(),
        _ => format!("{:.2}", (online + busy) as f64 * 100.0 / total as f64),
    };
    json!({
        "total": total, "online": online, "offline": count("offline"), "busy": busy,
        "available": agents.iter().filter(|a| a.has_room()).count(), "utilization": utilization,
    })
}

/// The operator who did this, if it was one.
pub(super) fn operator_id(entry: &Entry) -> Option<&str> {
    entry.author.role.answers().then_some(&*entry.author.id)
}

/// Text and kind of a message.
fn said(entry: &Entry) -> (&str, &'static str) {
    entry.message().map_or(("", ""), |m| (m.body.as_str(), message_type(m.form)))
}

/// Lines of the system have one sender, whoever wrote them.
fn sender_id(entry: &Entry) -> &str {
    match entry.author.role {
        Role::System => "system",
        Role::Visitor | Role::Agent | Role::Admin => &entry.author.id,
    }
}

/// The object with these fields too.
pub(super) fn with<const N: usize>(mut view: Value, more: [(&str, Value); N]) -> Value {
    if let Some(fields) = view.as_object_mut() {
        fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    view
}
