//! Rooms and messages as the frontends of `rooms` read them, with other documents in the place of their ids as the original filled them in.

use serde_json::{Map, Value, json};

use super::views::{Eyes, author, member, outsider, shown_name};
use super::{kind_word, message_type, role_word, status_word};
use crate::dialect::wire::Frame;
use crate::domain::desk::Overview;
use crate::domain::entry::{Content, Entry, FileNote, Form, Receipt};
use crate::domain::ids::AgentId;
use crate::domain::principal::Person;
use crate::domain::session::{Session, Status};
use crate::domain::topic::Topic;

/// What takes the place of a message that was deleted.
pub(super) const DELETED: &str = "This message was deleted";

/// A room with its people filled in.
pub(super) fn room(overview: &Overview, eyes: Eyes<'_>) -> Value {
    let mut view = listed_room(overview, eyes);
    let visitor = &overview.session.visitor;
    let creator = match overview.known(visitor) {
        Some(known) => Some(author(&known.account.person(), eyes)),
        None => (!visitor.realm.keeps_logins()).then(|| author(visitor, eyes)),
    };
    put(&mut view, "createdBy", creator);
    view
}

/// A room as lists show it: who opened it is an id.
pub(super) fn listed_room(overview: &Overview, eyes: Eyes<'_>) -> Value {
    let session = &overview.session;
    let shown = |person: &Person| match overview.known(person) {
        Some(known) => Some(member(known, eyes)),
        // Whose account is gone is shown no more; who never had one here is shown as he came.
        None => (!person.realm.keeps_logins()).then(|| outsider(person, overview.standing(person), eyes)),
    };
    let participants: Vec<Value> = session.people().iter().filter_map(shown).collect();
    let last = overview.last.as_ref();
    let mut view = json!({
        "_id": session.id.as_str(),
        "type": kind_word(session.kind),
        "status": status_word(session.status),
        "participants": participants,
        "createdBy": session.visitor.id,
        "lastActivity": overview.active_at().iso(),
        "isActive": is_active(session.status),
        "metadata": metadata(session.topic.as_deref(), eyes.are_of(&session.visitor.id)),
        "transferHistory": transfers(session),
        "createdAt": session.created_at.iso(),
        "updatedAt": session.updated_at.iso(),
        "__v": 0,
    });
    let agent = session.agent.as_ref().map(|a| shown(&a.person()).unwrap_or_default());
    put(&mut view, "assignedAgent", agent.or_else(|| (!session.transfers.is_empty()).then_some(Value::Null)));
    put(&mut view, "lastMessage", last.map(last_message));
    put(&mut view, "name", session.topic.as_ref().and_then(|t| t.name.as_deref()).map(Value::from));
    view
}

/// A room as its agent's list shows it: he is an id.
pub(super) fn agents_room(overview: &Overview) -> Value {
    let mut view = listed_room(overview, Eyes::Staff);
    put(&mut view, "assignedAgent", overview.session.agent.as_ref().map(|a| a.id.in_realm().into()));
    view
}

/// A room beside the agent who answers it.
pub(super) fn brief(session: &Session) -> Value {
    json!({
        "_id": session.id.as_str(),
        "type": kind_word(session.kind),
        "status": status_word(session.status),
        "lastActivity": session.updated_at.iso(),
        "metadata": metadata(session.topic.as_deref(), true),
    })
}

fn is_active(status: Status) -> bool {
    match status {
        Status::Waiting | Status::Pending | Status::Active => true,
        Status::Ended => false,
    }
}

/// What a room is about. How its customer is reached is for those who answer, and for who said it.
fn metadata(topic: Option<&Topic>, with_contact: bool) -> Value {
    let topic = topic.cloned().unwrap_or_default();
    let mut view = json!({"priority": topic.priority.name(), "tags": topic.tags});
    put(&mut view, "subject", topic.subject.as_deref().map(Value::from));
    let customer = topic.customer.map(|c| {
        let mut customer = json!({});
        for (field, value) in [("name", c.name), ("email", c.email.filter(|_| with_contact)), ("phone", c.phone.filter(|_| with_contact))] {
            put(&mut customer, field, value.as_deref().map(Value::from));
        }
        customer
    });
    put(&mut view, "customerInfo", customer);
    view
}

fn transfers(session: &Session) -> Vec<Value> {
    let id = |agent: Option<&AgentId>| agent.map(|a| a.in_realm().to_owned());
    let row = |t: &crate::domain::topic::Transfer| {
        json!({
            "_id": t.id.as_str(), "fromAgent": id(t.from.as_ref()), "toAgent": id(t.to.as_ref()), "transferredAt": t.at.iso(),
            "reason": t.reason,
        })
    };
    session.transfers.iter().map(row).collect()
}

fn last_message(entry: &Entry) -> Value {
    let message = entry.message();
    json!({
        "_id": entry.id.as_str(),
        "senderId": entry.author.id,
        "content": message.map(|m| m.body.as_str()),
        "messageType": message.map(|m| message_type(m.form)),
        "createdAt": entry.at.iso(),
    })
}

/// A message as events show it: what it answers is an id.
pub(super) fn message(entry: &Entry, eyes: Eyes<'_>) -> Value {
    let fate = &entry.fate;
    let read: Vec<&Receipt> = fate.receipts.iter().filter(|r| r.read_at.is_some()).collect();
    let status = match (read.is_empty(), fate.receipts.is_empty()) {
        (false, _) => "read",
        (true, false) => "delivered",
        (true, true) => "sent",
    };
    let touched = fate.receipts.iter().flat_map(|r| [Some(r.delivered_at), r.read_at]).chain([fate.edited_at]).flatten().max();
    let said = entry.message();
    let mut view = json!({
        "_id": entry.id.as_str(),
        "chatRoomId": entry.session.as_str(),
        "senderId": author(&entry.author, eyes),
        "content": said.map(|m| m.body.as_str()),
        // What is deleted shows as a text, whatever it was.
        "messageType": said.map(|m| message_type(if fate.is_deleted { Form::Text } else { m.form })),
        "status": status,
        "isEdited": fate.edited_at.is_some(),
        // In an array of the original every row has an id of its own; here the reader's will do.
        "readBy": read.iter().map(|r| json!({"_id": r.reader, "userId": r.reader, "readAt": r.read_at.map(|t| t.iso())})).collect::<Vec<_>>(),
        "deliveredTo": fate.receipts.iter().map(|r| json!({"_id": r.reader, "userId": r.reader, "deliveredAt": r.delivered_at.iso()})).collect::<Vec<_>>(),
        "createdAt": entry.at.iso(),
        "updatedAt": touched.unwrap_or(entry.at).max(entry.at).iso(),
        "__v": 0,
        "seq": entry.seq(),
    });
    put(&mut view, "editedAt", fate.edited_at.map(|t| t.iso().into()));
    put(&mut view, "metadata", said.and_then(|m| m.file.as_deref()).map(file));
    put(&mut view, "replyTo", said.and_then(|m| m.reply_to.as_ref()).map(|r| r.as_str().into()));
    view
}

/// Messages as histories show them: what they answer is filled in, as far as it is among `answered` or themselves.
pub(super) fn history(messages: &[Entry], answered: &[Entry], eyes: Eyes<'_>) -> Vec<Value> {
    let view = |entry: &Entry| {
        let mut view = message(entry, eyes);
        let reply_to = entry.message().and_then(|m| m.reply_to.as_ref());
        let found = reply_to.and_then(|id| answered.iter().chain(messages).find(|m| m.id == *id));
        if let Some(found) = found {
            put(&mut view, "replyTo", Some(message(found, eyes)));
        }
        view
    };
    messages.iter().map(view).collect()
}

fn file(note: &FileNote) -> Value {
    let mut view = Map::new();
    let texts = [("fileName", &note.name), ("mimeType", &note.mime_type), ("imageUrl", &note.url)];
    view.extend(texts.into_iter().filter_map(|(field, text)| Some((field.to_owned(), Value::from(text.as_deref()?)))));
    view.extend(note.size.map(|size| ("fileSize".to_owned(), Value::from(size))));
    Value::Object(view)
}

/// How the sockets of a room learn of an entry. Who answers is told beside the log, and the end not at all (document 002).
pub(super) fn of_entry(entry: &Entry, eyes: Eyes<'_>) -> Option<Frame> {
    match &entry.content {
        Content::Message(_) if entry.is_notice() => None,
        Content::Message(_) => {
            let sender = json!({"id": entry.author.id, "username": shown_name(&entry.author), "role": role_word(entry.author.role)});
            Some(Frame::new("new-message", &json!({"message": message(entry, eyes), "sender": sender})))
        }
        Content::Edited(edit) => {
            let changed = changed(entry);
            Some(if edit.is_deletion { Frame::new("message-deleted", &changed) } else { Frame::new("message-edited", &changed) })
        }
        Content::Assigned(_) | Content::Ended(_) | Content::Opened(_) => None,
    }
}

/// A change of a message.
fn changed(entry: &Entry) -> Value {
    let Content::Edited(edit) = &entry.content else { return Value::Null };
    json!({
        "messageId": edit.message.as_str(), "chatRoomId": entry.session.as_str(), "content": edit.body.as_str(), "isEdited": true,
        "editedAt": entry.at.iso(), "userId": entry.author.id, "seq": entry.seq(),
    })
}

/// What a resuming client gets of an entry: a message as in `new-message`, else its kind; always with `type` and `seq`.
pub(super) fn resumed_entry(entry: &Entry, eyes: Eyes<'_>) -> Value {
    let (seq, at) = (entry.seq(), entry.at.iso());
    let mut view = match &entry.content {
        Content::Message(_) => message(entry, eyes),
        Content::Edited(_) => changed(entry),
        Content::Assigned(made) => {
            let agent = made.agent.as_ref().map(|a| a.id.in_realm());
            json!({"seq": seq, "toAgent": agent, "fromAgent": made.former.as_ref().map(AgentId::in_realm), "timestamp": at})
        }
        Content::Ended(_) | Content::Opened(_) => json!({"seq": seq, "timestamp": at}),
    };
    put(&mut view, "type", Some(entry.content.kind().into()));
    view
}

/// Sets a field that has a value.
fn put(view: &mut Value, field: &str, value: Option<Value>) {
    if let (Some(fields), Some(value)) = (view.as_object_mut(), value) {
        fields.insert(field.to_owned(), value);
    }
}
