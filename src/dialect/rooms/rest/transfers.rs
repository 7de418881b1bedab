//! Who answers a room: assigning, transferring and removing agents, from `/api/chat` and from `/api/admin`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::callers::{Admin, Staff, Told};
use super::{PathId, Problem, room_id, success};
use crate::dialect::Context;
use crate::dialect::wire::filled;
use crate::domain::error::Error;
use crate::domain::ids::{AccountId, SessionId};
use crate::domain::principal::Principal;

/// The longest reason, in characters.
const REASON_LIMIT: usize = 1_000;

/// Names both forms of a transfer by an admin.
const FORMS: &str = "Either chatRoomId and agentId, or fromChatId, toChatId, and agentId are required";

/// `POST /api/chat/assign-agent`, for agents and admins.
pub(super) async fn assign(State(context): State<Context>, Told { who, body, .. }: Told<Staff>) -> Result<Response, Problem> {
    let missing = "Chat room ID and agent ID are required";
    give(&context, &who, &body, ("chatRoomId", "agentId", missing)).await?;
    Ok(success(StatusCode::OK, "Agent assigned successfully", Value::Null))
}

/// `POST /api/chat/transfer`, for agents and admins. Who answers the room now is known; `fromAgentId` is ignored.
pub(super) async fn transfer(State(context): State<Context>, Told { who, body, .. }: Told<Staff>) -> Result<Response, Problem> {
    let missing = "Chat room ID and target agent ID are required";
    give(&context, &who, &body, ("chatRoomId", "toAgentId", missing)).await?;
    Ok(success(StatusCode::OK, "Chat transferred successfully", Value::Null))
}

/// `POST /api/admin/assign-agent`.
pub(super) async fn admin_assign(State(context): State<Context>, Told { who, body, .. }: Told<Admin>) -> Result<Response, Problem> {
    let missing = "Chat room ID and agent ID are required";
    give(&context, &who, &body, ("chatRoomId", "agentId", missing)).await?;
    Ok(success(StatusCode::OK, "Agent assigned successfully", Value::Null))
}

/// `POST /api/admin/transfer-agent`: a room to another agent, or an agent from one room to another.
pub(super) async fn admin_transfer(State(context): State<Context>, Told { who, body, .. }: Told<Admin>) -> Result<Response, Problem> {
    if filled(&body, "fromChatId").is_some() || filled(&body, "toChatId").is_some() {
        swap(&context, &who, &body, FORMS).await?;
    } else {
        give(&context, &who, &body, ("chatRoomId", "agentId", FORMS)).await?;
    }
    Ok(success(StatusCode::OK, "Agent transferred successfully", Value::Null))
}

/// `POST /api/admin/transfer-agent-between-chats`.
pub(super) async fn between(State(context): State<Context>, Told { who, body, .. }: Told<Admin>) -> Result<Response, Problem> {
    swap(&context, &who, &body, "From chat ID, to chat ID, and agent ID are required").await?;
    Ok(success(StatusCode::OK, "Agent transferred between chats successfully", Value::Null))
}

/// `POST /api/admin/remove-agent`. The room is pending until somebody gives it to an agent.
pub(super) async fn admin_remove(State(context): State<Context>, Told { who, body, .. }: Told<Admin>) -> Result<Response, Problem> {
    let named = filled(&body, "chatRoomId").ok_or(Problem::input("Chat room ID is required"))?;
    remove(&context, &who, &room_id(named)?, &body).await
}

/// `POST /api/chat/admin/:chatRoomId/remove-agent`, the same by its other name.
pub(super) async fn remove_by_path(
    State(context): State<Context>,

    PathId { id, .. }: PathId,
    Told { who, body, .. }: Told<Admin>,
) -> Result<Response, Problem> {
    remove(&context, &who, &room_id(&id)?, &body).await
}

async fn remove(context: &Context, who: &Principal, id: &SessionId, body: &Value) -> Result<Response, Problem> {
    context.desk.take_away_session(who, id, &reason(body)).await.map_err(|e| match e {
        Error::AgentNotFound => Problem::input("Failed to remove agent"),
        other => other.into(),
    })?;
    Ok(success(StatusCode::OK, "Agent removed successfully", Value::Null))
}

/// Gives the room of one field to the agent of another.
async fn give(context: &Context, who: &Principal, body: &Value, (room, agent, missing): (&str, &str, &'static str)) -> Result<(), Problem> {
    let (Some(room), Some(agent)) = (filled(body, room), filled(body, agent)) else { return Err(Problem::input(missing)) };
    let agent = AccountId::stored(agent.to_ascii_lowercase());
    context.desk.give_session(who, &room_id(room)?, &agent, &reason(body)).await?;
    Ok(())
}

/// Takes the agent from one room and gives him another.
async fn swap(context: &Context, who: &Principal, body: &Value, missing: &'static str) -> Result<(), Problem> {
    let fields = (filled(body, "fromChatId"), filled(body, "toChatId"), filled(body, "agentId"));
    let (Some(from), Some(to), Some(agent)) = fields else { return Err(Problem::input(missing)) };
    let agent = AccountId::stored(agent.to_ascii_lowercase());
    let (from, to) = (room_id(from)?, room_id(to)?);
    context.desk.move_agent(who, &agent, (&from, &to), &reason(body)).await?;
    Ok(())
}

fn reason(body: &Value) -> String {
    filled(body, "reason").unwrap_or_default().chars().take(REASON_LIMIT).collect()
}
