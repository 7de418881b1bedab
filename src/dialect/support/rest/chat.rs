//! `/api/chat/*`: sessions and messages.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Caller, Input, PathId, Problem, session_id, success};
use crate::dialect::Context;
use crate::dialect::support::views::{self, MessageView};
use crate::dialect::support::{MESSAGE_LIMIT, named_person, person_id, role_of};
use crate::dialect::wire::{client_key, filled, text};
use crate::domain::agent::Agent;
use crate::domain::desk::{Opening, Post};
use crate::domain::entry::{Body, BodyError, trim};
use crate::domain::error::Error;
use crate::domain::ids::AgentId;
use crate::domain::principal::{Person, Principal, Realm, Role};
use crate::domain::session::{Session, Status};
use crate::http::vitals;

/// The longest reason of an end, in UTF-16 code units.
const REASON_LIMIT: usize = 1_000;

/// `POST /api/chat/start-session`.
pub(super) async fn start_session(
    State(rest): State<Context>,
    Caller(who): Caller,
    Input { body, .. }: Input,
) -> Result<Response, Problem> {
    let id = text(&body, "userId").and_then(person_id);
    let id = id.ok_or(Problem::Invalid("INVALID_USER_ID", "userId is required and must be a non-empty string"))?;
    let claimed = match body.get("userType") {
        None | Some(Value::Null) => Role::Visitor,
        Some(kind) => kind.as_str().and_then(role_of).filter(|r| *r != Role::System).ok_or(WRONG_USER_TYPE)?,
    };
    // A token decides the role; what the body says of it is ignored.
    let role = who.person().filter(|_| !who.is_privileged()).map_or(claimed, |p| p.role);
    let short = |field: &str| text(&body, field).and_then(person_id).map(Into::into);
    let visitor = Person { name: short("userName"), email: short("userEmail"), ..named_person(id, role) };
    let opened = rest.desk.start_session(&who, Opening::by(visitor)).await.map_err(|e| match e {
        Error::Forbidden => Problem::Forbidden("userId does not match the token"),
        other => Problem::from(other),
    })?;
    let session = opened.session;
    let agent = agent_of(&rest, &session).await?;
    Ok(success(StatusCode::CREATED, "Chat session created successfully", views::started(&session, agent.as_ref())))
}

const WRONG_USER_TYPE: Problem = Problem::Invalid("INVALID_USER_TYPE", "userType must be either \"user\" or \"agent\"");

/// `GET /api/chat/session/:sessionId`.
pub(super) async fn session(State(rest): State<Context>, Caller(who): Caller, PathId { id, .. }: PathId) -> Result<Response, Problem> {
    let (session, head) = rest.desk.head(&who, &session_id(&id)?).await?;
    let agent = agent_of(&rest, &session).await?;
    let data = views::session(&session, agent.as_ref(), Some(head.ordinal), rest.desk.now());
    Ok(Json(json!({"success": true, "data": data})).into_response())
}

/// `GET /api/chat/messages/:sessionId`.
pub(super) async fn messages(
    State(rest): State<Context>,
    Caller(who): Caller,
    PathId { id, .. }: PathId,
    Query(page): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let limit = page.get("limit").map_or(Some(50), |l| l.parse().ok()).filter(|l| (1..=100).contains(l));
    let limit: u32 = limit.ok_or(Problem::Invalid("INVALID_LIMIT", "limit must be a number between 1 and 100"))?;
    let offset: Option<u64> = page.get("offset").map_or(Some(0), |o| o.parse().ok()).filter(|o| i64::try_from(*o).is_ok());
    let offset = offset.ok_or(Problem::Invalid("INVALID_OFFSET", "offset must be a non-negative number"))?;
    let history = match session_id(&id) {
        Ok(session) => match rest.desk.history(&who, &session, offset, limit).await {
            Ok(history) => Some(history),
            Err(Error::SessionNotFound) => None,
            Err(error) => return Err(error.into()),
        },
        Err(_) => None,
    };
    // Quirk: a session that does not exist, or is not the caller's, has no messages (document 001).
    let (messages, total) = history.map_or((Vec::new(), 0), |h| (h.messages, h.total));
    let has_more = offset + (messages.len() as u64) < total;
    let data = json!({
        "sessionId": id,
        "messages": messages.iter().map(MessageView::past).collect::<Vec<_>>(),
        "pagination": {"total": total, "limit": limit, "offset": offset, "hasMore": has_more},
    });
    Ok(success(StatusCode::OK, "Messages retrieved successfully", data))
}

/// `POST /api/chat/send-message/:sessionId`.
pub(super) async fn send_message(
    State(rest): State<Context>,
    Caller(who): Caller,
    PathId { id, .. }: PathId,
    Input { body, .. }: Input,
) -> Result<Response, Problem> {
    const MISSING: Problem = Problem::Invalid("INVALID_MESSAGE", "message is required and must be a non-empty string");
    let said = text(&body, "message").or_else(|| text(&body, "content")).ok_or(MISSING)?;
    let text = Body::parse(trim(said), MESSAGE_LIMIT).map_err(|e| match e {
        BodyError::Blank => MISSING,
        BodyError::TooLong => Problem::Invalid("MESSAGE_TOO_LONG", "message cannot exceed 1000 characters"),
    })?;
    let author = author(&who, &body)?;
    let key = client_key(&body).map_err(|_| Problem::Invalid("INVALID_CLIENT_KEY", "clientKey must be a string of 1 to 128 bytes"))?;
    let posted = rest.desk.post_message(&who, author, &session_id(&id)?, Post::text(text, key)).await?;
    Ok(success(StatusCode::CREATED, "Message sent successfully", views::posted(&posted)))
}

/// Who says it: the person of the token, whatever the body claims; behind the API key or a `system` token whom the body names,
/// behind the key `anonymous` by default.
fn author(who: &Principal, body: &Value) -> Result<Person, Problem> {
    let id = match body.get("senderId") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => person_id(id),
        Some(_) => return Err(Problem::Invalid("INVALID_SENDER_ID", "senderId must be a string")),
    };
    let role = match body.get("senderType") {
        None | Some(Value::Null) => Role::Visitor,
        Some(kind) => kind
            .as_str()
            .and_then(role_of)
            .ok_or(Problem::Invalid("INVALID_SENDER_TYPE", "senderType must be \"user\", \"agent\", or \"system\""))?,
    };
    // A `system` token speaks as itself unless it names somebody.
    if let Some(person) = who.person().filter(|p| p.role != Role::System || id.is_none()) {
        return Ok(person.clone());
    }
    let name = text(body, "senderName").and_then(person_id).map(Into::into);
    Ok(Person { name, ..named_person(id.unwrap_or("anonymous"), role) })
}

/// `POST /api/chat/end-session/:sessionId`, and the sibling's `POST /api/chat/session/:sessionId/end`.
pub(super) async fn end_session(
    State(rest): State<Context>,
    Caller(who): Caller,
    PathId { id, .. }: PathId,
    Input { body, .. }: Input,
) -> Result<Response, Problem> {
    let reason = filled(&body, "reason").unwrap_or("User ended session");
    if reason.encode_utf16().count() > REASON_LIMIT {
        return Err(Problem::Invalid("REASON_TOO_LONG", "reason cannot exceed 1000 characters"));
    }
    let closed = rest.desk.end_session(&who, &session_id(&id)?, reason).await?;
    Ok(success(StatusCode::OK, "Session ended successfully", views::closed(&closed, reason)))
}

/// `GET /api/chat/agent/:agentId/sessions?status=`, of the sibling.
pub(super) async fn sessions_of_agent(
    State(rest): State<Context>,
    Caller(who): Caller,
    PathId { id, .. }: PathId,
    Query(filter): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let status = match filter.get("status").map(String::as_str).filter(|s| !s.is_empty() && *s != "all") {
        None => None,
        Some(name) => Some(Status::named(name).ok_or(Problem::Invalid("INVALID_STATUS", "status must be waiting, active, or ended"))?),
    };
    let id = AgentId::of(Realm::Support, &id);
    let sessions = rest.desk.sessions_of_agent(&who, &id, status).await?;
    let agent = rest.desk.agent(&id).await?;
    let rows: Vec<Value> = sessions.iter().map(|s| views::session(s, agent.as_ref(), None, rest.desk.now())).collect();
    let envelope = json!({"success": true, "message": "Sessions retrieved successfully", "data": {"sessions": rows}, "sessions": rows});
    Ok(Json(envelope).into_response())
}

/// `GET /api/chat/stats`.
pub(super) async fn stats(State(rest): State<Context>, Caller(who): Caller) -> Result<Response, Problem> {
    let mut data = views::stats(&rest.desk.report(&who).await?);
    let memory = vitals::memory();
    let health = json!({
        "status": "operational",
        "uptime": rest.uptime_seconds(),
        "memory": {"used": memory.used_mb, "total": memory.total_mb},
        "timestamp": rest.desk.now().iso(),
    });
    if let Some(fields) = data.as_object_mut() {
        fields.insert("systemHealth".into(), health);
    }
    Ok(success(StatusCode::OK, "Statistics retrieved successfully", data))
}

async fn agent_of(rest: &Context, session: &Session) -> Result<Option<Agent>, Problem> {
    match &session.agent {
        Some(assignee) => Ok(rest.desk.agent(&assignee.id).await?),
        None => Ok(None),
    }
}
