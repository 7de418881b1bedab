//! The shapes of `support`: what its frontends read, field by field. Additions of ours are marked; they never replace a field.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::{status_word, user_type};
use crate::domain::agent::Agent;
use crate::domain::desk::{Closed, Posted, Report};
use crate::domain::entry::{Content, Entry};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;

/// A message in histories and in `new_message`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageView<'a> {
    id: &'a str,
    sender_id: &'a str,
    sender_type: &'static str,
    message: &'a str,
    timestamp: String,
    /// Only in histories.
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted_time: Option<String>,
    /// Addition for the sibling's agent page, which filters on it.
    session_id: &'a str,
    /// Addition for the sibling, which shows it.
    sender_name: &'a str,
    /// Addition for the design card's union; only in events.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    /// Addition: the number in the session.
    seq: u64,
}

impl<'a> MessageView<'a> {
    /// A message as an event carries it.
    pub(super) fn live(entry: &'a Entry) -> Self {
        let text = entry.body().map_or("", |b| b.as_str());
        Self {
            id: entry.id.as_str(),
            sender_id: &entry.author.id,
            sender_type: user_type(entry.author.role),
            message: text,
            timestamp: entry.at.iso(),
            formatted_time: None,
            session_id: entry.session.as_str(),
            sender_name: entry.author.name.as_deref().unwrap_or(&entry.author.id),
            content: Some(text),
            seq: entry.seq(),
        }
    }

    /// A message as a history shows it.
    pub(super) fn past(entry: &'a Entry) -> Self {
        Self { formatted_time: Some(entry.at.local_en_us()), content: None, ..Self::live(entry) }
    }
}

/// What a resuming client gets of an entry: a message as in `new_message`, else its kind; always with `type` and `seq`.
pub(super) fn resumed_entry(entry: &Entry) -> Value {
    let mut view = match &entry.content {
        Content::Message(_) => serde_json::to_value(MessageView::live(entry)).unwrap_or_default(),
        Content::Assigned(made) => {
            let (id, name) = (made.agent.as_ref().map(|a| a.id.in_realm()), made.agent.as_ref().map(|a| &a.name));
            json!({"seq": entry.seq(), "agentId": id, "agentName": name, "timestamp": entry.at.iso()})
        }
        Content::Ended(reason) => json!({"seq": entry.seq(), "reason": reason, "endedAt": entry.at.iso()}),
        Content::Opened(status) => json!({"seq": entry.seq(), "status": status, "timestamp": entry.at.iso()}),
        Content::Edited(edit) => {
            json!({"seq": entry.seq(), "messageId": edit.message.as_str(), "message": edit.body.as_str(), "timestamp": entry.at.iso()})
        }
    };
    if let Some(fields) = view.as_object_mut() {
        fields.insert("type".into(), entry.content.kind().into());
    }
    view
}

/// `session_joined`.
pub(super) fn session_joined(session: &Session, messages: &[Entry]) -> Value {
    json!({
        "sessionId": session.id.as_str(),
        "status": status_word(session.status),
        "agentId": agent_id(session),
        "agentName": agent_name(session),
        "messages": messages.iter().map(MessageView::past).collect::<Vec<_>>(),
    })
}

/// `data` of `start-session`.
pub(super) fn started(session: &Session, agent: Option<&Agent>) -> Value {
    let id = session.id.as_str();
    let waiting_message = match agent_name(session) {
        Some(name) => format!("Connected to support agent {name}"),
        None => "Waiting for available agent...".to_owned(),
    };
    json!({
        "sessionId": id,
        "status": status_word(session.status),
        "agentId": agent_id(session),
        "agentName": agent_name(session),
        "agent": agent_view(session, agent),
        "createdAt": session.created_at.iso(),
        "waitingMessage": waiting_message,
        "instructions": {
            "websocket": format!("Connect to Socket.io and join room: {id}"),
            "http": format!("Use POST /api/chat/send-message/{id} to send messages"),
        },
    })
}

/// `data` of `GET session/:id`, and a row of an agent's session list.
pub(super) fn session(session: &Session, agent: Option<&Agent>, message_count: Option<u64>, now: Timestamp) -> Value {
    let mut view = json!({
        "id": session.id.as_str(),
        "sessionId": session.id.as_str(),
        "userId": session.visitor.id,
        "userName": session.visitor.name,
        "userType": user_type(session.visitor.role),
        "status": status_word(session.status),
        "agentId": agent_id(session),
        "agentName": agent_name(session),
        "createdAt": session.created_at.iso(),
        "updatedAt": session.updated_at.iso(),
        "endedAt": session.ended_at.map(Timestamp::iso),
        "agent": agent_view(session, agent),
        "duration": session.ended_at.unwrap_or(now).since(session.created_at),
    });
    if let (Some(count), Some(fields)) = (message_count, view.as_object_mut()) {
        fields.insert("messageCount".into(), count.into());
    }
    view
}

/// `data` of `end-session`.
pub(super) fn closed(closed: &Closed, reason: &str) -> Value {
    let duration = closed.at.since(closed.session.created_at);
    json!({
        "sessionId": closed.session.id.as_str(),
        "endedAt": closed.at.iso(),
        "reason": reason,
        "statistics": {
            "duration": duration,
            "totalMessages": closed.head.ordinal,
            "averageResponseTime": (duration + 500) / 1_000,
        },
    })
}

/// `data` of `send-message`.
pub(super) fn posted(posted: &Posted) -> Value {
    json!({
        "messageId": posted.entry.id.as_str(),
        "sessionId": posted.entry.session.as_str(),
        "message": MessageView::live(&posted.entry),
        "sessionStatus": status_word(posted.session.status),
        "seq": posted.entry.seq(),
        "duplicate": posted.duplicate,
    })
}

/// An agent with its availability.
pub(super) fn agent(agent: &Agent) -> Value {
    json!({"id": agent.id.in_realm(), "name": agent.name, "isOnline": agent.is_available(), "isAvailable": agent.is_available()})
}

/// The figures of `GET stats`, without `systemHealth`.
pub(super) fn stats(report: &Report) -> Value {
    let totals = &report.totals;
    let waiting = totals.waiting + totals.pending;
    let all = waiting + totals.active + totals.ended;
    let capacity: u64 = report.agents.iter().map(|a| u64::from(a.capacity)).sum();
    json!({
        "sessions": {"active": totals.active, "total": all, "waiting": waiting, "ended": totals.ended},
        "messages": {"total": totals.messages, "averagePerSession": rounded(totals.messages, all)},
        "agents": report.agents.iter().map(agent_load).collect::<Vec<_>>(),
        "performance": {
            "averageSessionDuration": rounded(u64::try_from(totals.ended_duration_ms).unwrap_or(0), totals.ended),
            "systemLoad": percent(totals.active + waiting, capacity),
        },
    })
}

fn agent_load(agent: &Agent) -> Value {
    let load = agent.sessions.len() as u64;
    json!({
        "id": agent.id.in_realm(), "name": agent.name, "activeUsers": load, "maxUsers": agent.capacity,
        "isOnline": agent.is_available(), "utilizationRate": percent(load, u64::from(agent.capacity)),
    })
}

fn percent(part: u64, whole: u64) -> String {
    format!("{}%", rounded(part * 100, whole))
}

/// The quotient, rounded; zero where there is nothing to divide by.
fn rounded(sum: u64, count: u64) -> u64 {
    (sum + count / 2).checked_div(count).unwrap_or(0)
}

fn agent_id(session: &Session) -> Option<&str> {
    session.agent.as_ref().map(|a| a.id.in_realm())
}

fn agent_name(session: &Session) -> Option<&Arc<str>> {
    session.agent.as_ref().map(|a| &a.name)
}

fn agent_view(session: &Session, record: Option<&Agent>) -> Option<Value> {
    let assignee = session.agent.as_ref()?;
    let online = record.is_some_and(Agent::is_available);
    Some(json!({"id": assignee.id.in_realm(), "name": assignee.name, "isOnline": online}))
}
