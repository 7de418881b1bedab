//! A session as one JSON object, an entry a line. All fields are there, null where nothing is known. Which session it is, is not decided here.

use serde_json::{Value, json};

use crate::domain::attachment::Attachment;
use crate::domain::desk::Exported;
use crate::domain::entry::{Content, Entry, FileNote, Head, Receipt};
use crate::domain::ids::AgentId;
use crate::domain::principal::Person;
use crate::domain::session::{Assignee, Session};
use crate::domain::time::Timestamp;
use crate::domain::topic::{Topic, Transfer};

/// What follows the last entry.
pub(super) const CLOSING: &str = "\n]}\n";

/// What comes before the first entry.
pub(super) fn opening(session: &Session, head: Head) -> String {
    format!("{{\"session\":{},\"entries\":[", session_view(session, head))
}

/// An entry, with the comma that parts it from the one before.
pub(super) fn entry(exported: &Exported) -> String {
    let comma = if exported.entry.seq() > 1 { "," } else { "" };
    format!("{comma}\n{}", entry_view(exported))
}

fn session_view(session: &Session, head: Head) -> Value {
    json!({
        "id": session.id.as_str(),
        "realm": session.realm.name(),
        "kind": session.kind.name(),
        "status": session.status.name(),
        "label": session.label,
        "visitor": person(&session.visitor),
        "participants": session.participants.iter().map(person).collect::<Vec<_>>(),
        "agent": session.agent.as_ref().map(assignee),
        "group": session.group,
        "topic": session.topic.as_deref().map(topic),
        "transfers": session.transfers.iter().map(transfer).collect::<Vec<_>>(),
        "createdAt": session.created_at.iso(),
        "updatedAt": session.updated_at.iso(),
        "endedAt": session.ended_at.map(Timestamp::iso),
        "endReason": session.end_reason,
        "readOrdinal": session.read_ordinal,
        "entries": head.seq,
        "messages": head.ordinal,
    })
}

fn entry_view(Exported { entry, attachments }: &Exported) -> Value {
    let mut view = json!({
        "seq": entry.seq(),
        "id": entry.id.as_str(),
        "kind": entry.content.kind(),
        "at": entry.at.iso(),
        "author": person(&entry.author),
        "clientKey": entry.client_key.as_ref().map(|k| k.as_str()),
    });
    let more = match &entry.content {
        Content::Message(_) => message(entry, attachments),
        Content::Assigned(made) => {
            json!({"agent": made.agent.as_ref().map(assignee), "former": agent_id(made.former.as_ref()), "reason": made.reason})
        }
        Content::Ended(reason) => json!({"reason": reason}),
        Content::Opened(label) => json!({"label": label}),
        Content::Edited(edit) => json!({"messageId": edit.message.as_str(), "body": edit.body.as_str()}),
    };
    if let (Some(view), Value::Object(more)) = (view.as_object_mut(), more) {
        view.extend(more);
    }
    view
}

fn message(entry: &Entry, attachments: &[Attachment]) -> Value {
    let (said, fate) = (entry.message(), &entry.fate);
    json!({
        "body": said.map(|m| m.body.as_str()),
        "form": said.map(|m| m.form.name()),
        "replyTo": said.and_then(|m| m.reply_to.as_ref()).map(|id| id.as_str()),
        "file": said.and_then(|m| m.file.as_deref()).map(file),
        "attachments": attachments.iter().map(attachment).collect::<Vec<_>>(),
        "editedAt": fate.edited_at.map(Timestamp::iso),
        "isDeleted": fate.is_deleted,
        "readAt": fate.read_at.map(Timestamp::iso),
        "receipts": fate.receipts.iter().map(receipt).collect::<Vec<_>>(),
    })
}

fn person(person: &Person) -> Value {
    json!({"realm": person.realm.name(), "id": person.id, "role": person.role.name(), "name": person.name, "email": person.email})
}

fn assignee(agent: &Assignee) -> Value {
    json!({"id": agent.id.in_realm(), "name": agent.name})
}

fn agent_id(agent: Option<&AgentId>) -> Option<&str> {
    agent.map(AgentId::in_realm)
}

fn topic(topic: &Topic) -> Value {
    let customer = topic.customer.as_ref().map(|c| json!({"name": c.name, "email": c.email, "phone": c.phone}));
    json!({"name": topic.name, "subject": topic.subject, "priority": topic.priority.name(), "tags": topic.tags, "customer": customer})
}

fn transfer(transfer: &Transfer) -> Value {
    let (from, to) = (agent_id(transfer.from.as_ref()), agent_id(transfer.to.as_ref()));
    json!({"id": transfer.id.as_str(), "from": from, "to": to, "at": transfer.at.iso(), "reason": transfer.reason})
}

fn file(file: &FileNote) -> Value {
    json!({"name": file.name, "size": file.size, "mimeType": file.mime_type, "url": file.url})
}

fn attachment(attachment: &Attachment) -> Value {
    json!({
        "id": attachment.id.as_str(),
        "name": attachment.name,
        "mimeType": attachment.mime_type,
        "size": attachment.size,
        "createdAt": attachment.created_at.iso(),
    })
}

fn receipt(receipt: &Receipt) -> Value {
    json!({
        "realm": receipt.realm.name(),
        "reader": receipt.reader,
        "deliveredAt": receipt.delivered_at.iso(),
        "readAt": receipt.read_at.map(Timestamp::iso),
    })
}
