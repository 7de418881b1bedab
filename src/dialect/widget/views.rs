//! The shapes of `widget`: what its frontends read, field by field. `seq` is an addition of ours.

use serde_json::{Value, json};

use super::sender_type;
use crate::domain::account::Account;
use crate::domain::desk::LoggedIn;
use crate::domain::entry::{Content, Entry};
use crate::domain::session::{Session, Status};

/// The word for a session that has ended.
pub(super) const CLOSED: &str = "closed";

/// The word for an open session that nobody has given another.
const ACTIVE: &str = "active";

/// A message as `new_message` and the answer to a post carry it.
pub(super) fn live_message(entry: &Entry) -> Value {
    json!({
        "id": entry.id.as_str(),
        "isRead": entry.fate.read_at.is_some(),
        "sessionId": entry.session.as_str(),
        "senderType": sender_type(entry.author.role),
        "senderId": sender_id(entry),
        "content": entry.body().map_or("", |b| b.as_str()),
        "updatedAt": entry.fate.read_at.unwrap_or(entry.at).iso(),
        "createdAt": entry.at.iso(),
        "seq": entry.seq(),
    })
}

/// A message as histories show it; `session_id` says the same as `sessionId`, as the original's ORM had it.
pub(super) fn past_message(session: &Session, entry: &Entry) -> Value {
    json!({
        "id": entry.id.as_str(),
        "sessionId": entry.session.as_str(),
        "senderType": sender_type(entry.author.role),
        "senderId": sender_id(entry),
        "content": entry.body().map_or("", |b| b.as_str()),
        "isRead": session.has_read(entry),
        "createdAt": entry.at.iso(),
        "updatedAt": entry.fate.read_at.unwrap_or(entry.at).iso(),
        "session_id": entry.session.as_str(),
        "seq": entry.seq(),
    })
}

/// The sender's id, where the client named one.
fn sender_id(entry: &Entry) -> Option<&str> {
    let signed = entry.message().is_some_and(|m| m.signed);
    signed.then_some(&*entry.author.id)
}

/// What a resuming client gets of an entry: a message as in `new_message`, else its kind; always with `type` and `seq`. Who answers, and with which
/// word, is for those who answer.
pub(super) fn resumed_entry(entry: &Entry, to_staff: bool) -> Value {
    let mut view = match &entry.content {
        Content::Message(_) => live_message(entry),
        Content::Assigned(_) | Content::Opened(_) if !to_staff => json!({"seq": entry.seq(), "createdAt": entry.at.iso()}),
        Content::Assigned(made) => {
            let admin = made.agent.as_ref().map(|a| a.id.in_realm());
            json!({"seq": entry.seq(), "adminId": admin, "createdAt": entry.at.iso()})
        }
        Content::Ended(_) => json!({"seq": entry.seq(), "status": CLOSED, "createdAt": entry.at.iso()}),
        Content::Opened(status) => json!({"seq": entry.seq(), "status": status, "createdAt": entry.at.iso()}),
        Content::Edited(edit) => {
            json!({"seq": entry.seq(), "messageId": edit.message.as_str(), "content": edit.body.as_str(), "createdAt": entry.at.iso()})
        }
    };
    if let Some(fields) = view.as_object_mut() {
        fields.insert("type".into(), entry.content.kind().into());
    }
    view
}

/// The contract's word for how a session stands.
fn status(session: &Session) -> &str {
    match session.status {
        Status::Ended => CLOSED,
        Status::Waiting | Status::Pending | Status::Active => session.label.as_deref().unwrap_or(ACTIVE),
    }
}

/// A session as creating it and changing its status answer it.
pub(super) fn session(session: &Session) -> Value {
    json!({
        "id": session.id.as_str(),
        "status": status(session),
        "userId": session.visitor.id,
        "userName": session.visitor.name,
        "userEmail": session.visitor.email,
        "updatedAt": session.updated_at.iso(),
        "createdAt": session.created_at.iso(),
    })
}

/// A row of the inbox, with the latest message or none; of its text so many characters, if that is given.
pub(super) fn inbox_row(session: &Session, latest: Option<&Entry>, shown: Option<usize>) -> Value {
    let mut messages: Vec<Value> = latest.into_iter().map(|m| past_message(session, m)).collect();
    let content = messages.first_mut().and_then(|m| m.get_mut("content"));
    if let (Some(shown), Some(content)) = (shown, content) {
        *content = content.as_str().unwrap_or_default().chars().take(shown).collect::<String>().into();
    }
    json!({
        "id": session.id.as_str(),
        "userId": session.visitor.id,
        "userName": session.visitor.name,
        "userEmail": session.visitor.email,
        "status": status(session),
        "createdAt": session.created_at.iso(),
        "updatedAt": session.updated_at.iso(),
        "messages": messages,
    })
}

/// The answer to signing up and logging in.
pub(super) fn logged_in(login: &LoggedIn) -> Value {
    let Account { id, email, name, .. } = &login.account;
    json!({"token": login.token, "admin": {"id": id.as_str(), "email": email, "fullName": name}})
}
