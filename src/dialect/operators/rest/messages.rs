//! `/api/chat/messages`: what was said, and that it was read. A session's id is the capability.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::params::Params;
use super::problem::Problem;
use super::{Caller, Input, PathId, success};
use crate::dialect::Context;
use crate::dialect::operators::views;
use crate::domain::desk::{Filter, Reading};

/// `GET /api/chat/messages/:sessionId`. Quirk: the oldest come first, also where there are more than the limit (document 000).
pub(super) async fn list(
    State(rest): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    mut params: Params,
) -> Result<Response, Problem> {
    let (limit, offset, newest_first) = (params.limit(50), params.offset(), params.newest_first());
    let only = Filter { unread_only: !params.include_read(), form: params.message_type(), ..Filter::default() };
    let id = params.session_id(&id)?;
    let history = rest.desk.read(&who, &id, Reading { offset, limit, newest_first, only }).await?;
    let messages: Vec<Value> = history.messages.iter().map(|m| views::message(m, &history.session)).collect();
    let pagination = views::pagination(history.total, limit, offset, messages.len());
    let data = json!({"messages": messages, "session": views::session(&history.session), "pagination": pagination});
    Ok(success(StatusCode::OK, "Message history retrieved successfully", data))
}

/// `PUT /api/chat/messages/:sessionId/read`. Quirk: the reader's own messages count as read too (document 000).
pub(super) async fn mark_read(
    State(rest): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    params: Params,
    _: Input,
) -> Result<Response, Problem> {
    let id = params.session_id(&id)?;
    let (session, count) = rest.desk.mark_session_read(&who, &id).await?;
    let data = json!({"updatedCount": count, "session": views::session(&session)});
    Ok(success(StatusCode::OK, &format!("{count} messages marked as read"), data))
}

/// `GET /api/chat/messages/:sessionId/unread-count`.
pub(super) async fn unread(
    State(rest): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    params: Params,
) -> Result<Response, Problem> {
    let id = params.session_id(&id)?;
    let (session, count) = rest.desk.unread(&who, &id).await?;
    let data = json!({"unreadCount": count, "session": views::session(&session)});
    Ok(success(StatusCode::OK, "Unread message count retrieved successfully", data))
}
