//! `/api/chat/messages*`: what was said, saying something, and that it was read.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::{Caller, Input, PathId, Problem, session_id};
use crate::dialect::Context;
use crate::dialect::widget::{MESSAGE_LIMIT, SOME_ADMIN, role_of, stored_text, views};
use crate::dialect::wire::{client_key, text};
use crate::domain::desk::{Post, Reading};
use crate::domain::entry::Body;
use crate::domain::error::Error;
use crate::domain::ids::EntryId;
use crate::domain::principal::Principal;

/// How many messages a history shows unless the caller asks for fewer: the last ones, and fewer where they are many bytes. The contract has no
/// pages.
const HISTORY_LIMIT: u32 = 5_000;

/// `GET /api/chat/messages/:sessionId`, for whoever knows the id. `limit` and `offset` (from the newest backwards) are additions.
pub(super) async fn list(
    State(context): State<Context>,
    caller: Caller,
    PathId { id, .. }: PathId,
    Query(page): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let id = session_id(Some(&id))?;
    let limit = page.get("limit").and_then(|l| l.parse().ok()).unwrap_or(HISTORY_LIMIT).min(HISTORY_LIMIT);
    let offset = page.get("offset").and_then(|o| o.parse().ok()).unwrap_or(0);
    let wanted = Reading { offset, limit, newest_first: true, ..Reading::default() };
    let rows: Vec<Value> = match context.desk.read(&caller.who, &id, wanted).await {
        // The contract has no word for lines of the system, which other contracts write.
        Ok(history) => history.messages.iter().rev().filter(|m| !m.is_notice()).map(|m| views::past_message(&history.session, m)).collect(),
        // Quirk: a session that does not exist has no messages (document 004).
        Err(Error::SessionNotFound) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Json(rows).into_response())
}

/// `POST /api/chat/messages`. The sockets of the session get it as `new_message`, as if it had come by one.
pub(super) async fn send(State(context): State<Context>, caller: Caller, Input { body, .. }: Input) -> Result<Response, Problem> {
    let id = session_id(text(&body, "sessionId"))?;
    let role = text(&body, "senderType").and_then(role_of).ok_or(Problem::Server)?;
    let said = text(&body, "content").and_then(|t| Body::parse(t, MESSAGE_LIMIT).ok()).ok_or(Problem::Server)?;
    let key = client_key(&body).map_err(|_| Problem::Server)?;
    let session = context.desk.session(&caller.who, &id).await?;
    let sender = stored_text(&body, "senderId");
    let (author, signed) = session.speaker(&caller.who, role, sender.as_deref(), SOME_ADMIN).ok_or(match caller.who {
        Principal::Guest { .. } => Error::Unauthenticated,
        Principal::Person { .. } | Principal::Delegate { .. } => Error::Forbidden,
    })?;
    let post = Post { signed, ..Post::text(said, key) };
    let posted = context.desk.post_message(&caller.who, author, &id, post).await?;
    Ok(Json(views::live_message(&posted.entry)).into_response())
}

/// `PATCH /api/chat/messages/:id/read`, for those who answer.
pub(super) async fn mark_read(State(context): State<Context>, caller: Caller, PathId { id, .. }: PathId) -> Result<Response, Problem> {
    let id = EntryId::parse(&id).ok_or(Problem::Server)?;
    let (session, message) = context.desk.mark_message_read(&caller.who, &id).await?;
    Ok(Json(views::past_message(&session, &message)).into_response())
}
