//! `/api/chat/rooms/:id/messages`, search, unread counts, and `/api/chat/messages/:id`: what was said, and changing it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::callers::{Caller, Told};
use super::params::Params;
use super::{PathId, Problem, room_id, success};
use crate::dialect::Context;
use crate::dialect::rooms::views::Eyes;
use crate::dialect::rooms::{form_of, room, said};
use crate::domain::desk::{Filter, History, Reading};
use crate::domain::entry::{Body, Entry};
use crate::domain::error::Error;
use crate::domain::ids::{EntryId, SessionId};
use crate::domain::principal::Principal;

/// How many messages a page has where nothing is said, and at most.
const PAGE: (u32, u32) = (50, 1_000);

/// How many messages a search finds where nothing is said, and at most.
const FOUND: (u32, u32) = (20, 200);

/// `GET /api/chat/rooms/:id/messages`, oldest first. `offset` counts where `page` is not given.
pub(super) async fn list(
    State(context): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    params: Params,
) -> Result<Response, Problem> {
    let limit = params.limit(PAGE.0, PAGE.1);
    let offset = match params.text("page") {
        Some(page) => page.parse::<u64>().unwrap_or(1).saturating_sub(1).saturating_mul(limit.into()),
        None => params.number("offset").unwrap_or(0),
    };
    let only = Filter { after: params.moment("after"), before: params.moment("before"), ..Filter::default() };
    let wanted = Reading { offset, limit, newest_first: false, only };
    let history = context.desk.read(&who, &room_id(&id)?, wanted).await?;
    let messages = populated(&context, &who, &history).await?;
    Ok(success(StatusCode::OK, "Messages fetched", messages.into()))
}

/// `GET /api/chat/rooms/:id/search`: the newest that hold the text, oldest first.
pub(super) async fn search(
    State(context): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    params: Params,
) -> Result<Response, Problem> {
    // The original's versions and its frontend have a name for it each.
    let term = ["searchTerm", "q", "query"].into_iter().find_map(|name| params.text(name));
    let term = term.ok_or(Problem::input("Chat room ID and search term are required"))?;
    let form = params.text("messageType").map(form_of);
    if form == Some(None) {
        context.desk.session(&who, &room_id(&id)?).await?;
        return Ok(success(StatusCode::OK, "Messages searched", Value::Array(Vec::new())));
    }
    let only = Filter {
        form: form.flatten(),
        text: Some(term.to_owned()),
        after: params.moment("startDate"),
        before: params.moment("endDate"),
        ..Filter::default()
    };
    let wanted = Reading { offset: 0, limit: params.limit(FOUND.0, FOUND.1), newest_first: true, only };
    let mut history = context.desk.read(&who, &room_id(&id)?, wanted).await?;
    history.messages.reverse();
    let messages = populated(&context, &who, &history).await?;
    Ok(success(StatusCode::OK, "Messages searched", messages.into()))
}

/// The messages with those that they answer.
async fn populated(context: &Context, who: &Principal, history: &History) -> Result<Vec<Value>, Problem> {
    let shown = |id: &EntryId| history.messages.iter().any(|m| m.id == *id);
    let answered = |m: &Entry| m.message().and_then(|m| m.reply_to.clone()).filter(|id| !shown(id));
    let mut missing: Vec<EntryId> = history.messages.iter().filter_map(answered).collect();
    missing.sort();
    missing.dedup();
    let answered = context.desk.messages(&history.session, &missing).await?;
    Ok(room::history(&history.messages, &answered, Eyes::of(who)))
}

/// `GET /api/chat/unread-count`: of all the caller's open rooms, or of one.
pub(super) async fn unread(State(context): State<Context>, Caller { who, .. }: Caller, params: Params) -> Result<Response, Problem> {
    let data = match params.text("chatRoomId") {
        Some(named) => {
            let id = SessionId::parse(named).ok_or(Problem::input("Invalid chat room ID format"))?;
            let count = context.desk.unread_count(&who, &id).await.map_err(|e| match e {
                Error::SessionNotFound | Error::Forbidden => Problem::Role("Access denied to chat room"),
                other => other.into(),
            })?;
            json!({"chatRoomId": id.as_str(), "count": count})
        }
        None => {
            let counts = context.desk.unread_counts(&who).await?;
            let total: u64 = counts.iter().map(|(_, n)| n).sum();
            let rooms = counts.into_iter().filter(|(_, n)| *n > 0).map(|(id, n)| (id.to_string(), Value::from(n)));
            json!({"total": total, "perRoom": rooms.collect::<Map<_, _>>()})
        }
    };
    Ok(success(StatusCode::OK, "Unread count fetched", data))
}

/// `PATCH /api/chat/messages/:id`: one's own, also in a closed room.
pub(super) async fn edit(
    State(context): State<Context>,

    PathId { id, .. }: PathId,
    Told { who, body, .. }: Told,
) -> Result<Response, Problem> {
    let content = said::content(&body).map_err(|e| Problem::input(said::content_text(&e)))?;
    let (_, message) = context.desk.edit_message(&who, &message_id(&id)?, content).await.map_err(not_ones_own)?;
    Ok(success(StatusCode::OK, "Message edited successfully", room::message(&message, Eyes::of(&who))))
}

/// `DELETE /api/chat/messages/:id`: one's own, and for admins any.
pub(super) async fn delete(State(context): State<Context>, PathId { id, .. }: PathId, Told { who, .. }: Told) -> Result<Response, Problem> {
    let deleted = context.desk.delete_message(&who, &message_id(&id)?, Body::stored(room::DELETED)).await;
    let (_, message) = deleted.map_err(not_ones_own)?;
    Ok(success(StatusCode::OK, "Message deleted successfully", room::message(&message, Eyes::of(&who))))
}

fn message_id(id: &str) -> Result<EntryId, Problem> {
    EntryId::parse(id).ok_or(Problem::input("Invalid message ID format"))
}

fn not_ones_own(error: Error) -> Problem {
    match error {
        Error::Forbidden => Problem::Role("You can only change your own messages"),
        other => other.into(),
    }
}
