//! `/api/chat/rooms*`: opening, listing and closing rooms.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::callers::{Caller, Staff, Told};
use super::params::Params;
use super::{PathId, Problem, role_required, room_id, success};
use crate::dialect::Context;
use crate::dialect::rooms::views::Eyes;
use crate::dialect::rooms::{kind_word, room, status_word};
use crate::dialect::wire::filled;
use crate::domain::desk::NewRoom;
use crate::domain::entry::trim;
use crate::domain::error::Error;
use crate::domain::ids::AccountId;
use crate::domain::session::Status;
use crate::domain::topic::{Customer, Priority, SessionKind, Topic};

/// How many people may be asked into a new room.
const MOST: usize = 100;

/// The longest text that a room is described with, in bytes.
const TEXT_LIMIT: usize = 2_000;

/// `POST /api/chat/rooms`. The caller takes part; whoever does has it on all his sockets at once.
pub(super) async fn create(State(context): State<Context>, Told { who, body, .. }: Told) -> Result<Response, Problem> {
    let kind = match body.get("type") {
        None | Some(Value::Null) => return Err(Problem::input("Type is required")),
        Some(Value::String(word)) if word.is_empty() => return Err(Problem::input("Type is required")),
        Some(kind) => kind.as_str().and_then(SessionKind::named).ok_or(Problem::Internal)?,
    };
    let invited = match body.get("participants") {
        None | Some(Value::Null) => Vec::new(),
        Some(named) => named.as_array().ok_or(Problem::Internal)?.iter().map(account_id).collect::<Option<_>>().ok_or(NOT_FOUND)?,
    };
    if invited.len() > MOST {
        return Err(Problem::input("Too many participants"));
    }
    let agent = match body.get("assignedAgent") {
        None | Some(Value::Null) => None,
        Some(named) => Some(account_id(named).ok_or(Problem::Internal)?),
    };
    let new = NewRoom { kind, topic: topic(&body)?, invited, agent };
    let opened = context.desk.open_room(&who, new).await.map_err(|e| match e {
        Error::AccountNotFound => NOT_FOUND,
        other => other.into(),
    })?;
    Ok(success(StatusCode::CREATED, "Chat room created", room::room(&opened, Eyes::of(&who))))
}

const NOT_FOUND: Problem = Problem::Invalid(StatusCode::BAD_REQUEST, "Some participants not found");

fn account_id(named: &Value) -> Option<AccountId> {
    let id = named.as_str().filter(|id| !id.is_empty() && id.len() <= TEXT_LIMIT)?;
    Some(AccountId::stored(id.to_ascii_lowercase()))
}

/// What the room is about. Fields that the contract does not know are dropped, as the original's schema did; what that refused is 500.
fn topic(body: &Value) -> Result<Topic, Problem> {
    let nothing = Value::Null;
    let metadata = body.get("metadata").unwrap_or(&nothing);
    if !metadata.is_object() && !metadata.is_null() {
        return Err(Problem::Internal);
    }
    let text = |of: &Value, field: &str| match of.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= TEXT_LIMIT => Ok(Some(Arc::from(trim(text))).filter(|t: &Arc<str>| !t.is_empty())),
        Some(_) => Err(Problem::Internal),
    };
    let tags = match metadata.get("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(tags)) => {
            let tag = |t: &Value| t.as_str().filter(|t| t.len() <= TEXT_LIMIT).map(Arc::from);
            tags.iter().map(tag).collect::<Option<_>>().ok_or(Problem::Internal)?
        }
        Some(_) => return Err(Problem::Internal),
    };
    let priority = match metadata.get("priority") {
        None | Some(Value::Null) => Priority::default(),
        Some(word) => word.as_str().and_then(Priority::named).ok_or(Problem::Internal)?,
    };
    let customer = match metadata.get("customerInfo") {
        None | Some(Value::Null) => None,
        Some(c) => Some(Customer { name: text(c, "name")?, email: text(c, "email")?, phone: text(c, "phone")? }),
    };
    Ok(Topic { name: text(body, "name")?, subject: text(metadata, "subject")?, priority, tags, customer })
}

/// `GET /api/chat/rooms`: the caller's open rooms, of one type if it is named.
pub(super) async fn list(State(context): State<Context>, Caller { who, .. }: Caller, params: Params) -> Result<Response, Problem> {
    let mut sessions = context.desk.own_sessions(&who).await?;
    if let Some(kind) = params.text("type") {
        sessions.retain(|s| kind_word(s.kind) == kind);
    }
    let mut rooms = context.desk.overviews(sessions).await?;
    // The store's order may be some seconds old.
    rooms.sort_by_key(|r| std::cmp::Reverse(r.active_at()));
    let rooms = rooms.iter().map(|r| room::listed_room(r, Eyes::of(&who))).collect();
    Ok(success(StatusCode::OK, "User chat rooms fetched", rooms))
}

/// `GET /api/chat/rooms/agent`: the rooms that the caller answers, as they stand if that is named.
pub(super) async fn of_agent(State(context): State<Context>, Caller { who, .. }: Caller, params: Params) -> Result<Response, Problem> {
    let known = [Status::Active, Status::Pending, Status::Ended];
    let status = params.text("status").map(|word| known.into_iter().find(|s| status_word(*s) == word));
    let sessions = match status {
        // A word that no room here has: the role counts, and nothing is found.
        Some(None) => context.desk.answered_sessions(&who, Some(Status::Waiting)).await,
        Some(status) => context.desk.answered_sessions(&who, status).await,
        None => context.desk.answered_sessions(&who, None).await,
    };
    let sessions = role_required(sessions, "Agent access required")?;
    let rooms = context.desk.overviews(sessions).await?.iter().map(room::agents_room).collect();
    Ok(success(StatusCode::OK, "Agent chat rooms fetched", rooms))
}

/// `GET /api/chat/rooms/:id`, also after it was closed.
pub(super) async fn one(
    State(context): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
) -> Result<Response, Problem> {
    let session = context.desk.session(&who, &room_id(&id)?).await?;
    let overview = context.desk.overview(session).await?;
    Ok(success(StatusCode::OK, "Chat room fetched", room::room(&overview, Eyes::of(&who))))
}

/// `DELETE /api/chat/rooms/:id`, for agents in their rooms and for admins. The id in the path counts, whatever a body says.
pub(super) async fn close(
    State(context): State<Context>,

    PathId { id, .. }: PathId,
    Told { who, body, .. }: Told<Staff>,
) -> Result<Response, Problem> {
    let reason = filled(&body, "reason").unwrap_or("closed").chars().take(TEXT_LIMIT).collect::<String>();
    context.desk.close_session(&who, &room_id(&id)?, &reason).await?;
    Ok(success(StatusCode::OK, "Chat room closed successfully", Value::Null))
}
