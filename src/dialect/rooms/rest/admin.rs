//! `/api/admin/*`: what admins see and change of everybody, and figures.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::callers::{Admin, Caller, Told};
use super::{PathId, Problem, success};
use crate::dialect::Context;
use crate::dialect::rooms::views::Eyes;
use crate::dialect::rooms::{room, status_of, status_word, views};
use crate::dialect::wire::{filled, without};
use crate::domain::desk::Known;
use crate::domain::ids::AccountId;
use crate::domain::principal::{Realm, Role};
use crate::domain::session::{Session, Status};

/// How many rooms are listed at most.
const ROOMS_LIMIT: u32 = 500;

/// `GET /api/admin/users`, newest first.
pub(super) async fn users(State(context): State<Context>, Caller { who, .. }: Caller<Admin>) -> Result<Response, Problem> {
    let all = context.desk.accounts(&who, &[Role::Visitor, Role::Agent, Role::Admin]).await?;
    let rows = context.desk.known(all).await?.iter().map(|k| without(views::user(k, true), "__v")).collect();
    Ok(success(StatusCode::OK, "Users fetched", rows))
}

/// `PUT /api/admin/users/:userId/status`.
pub(super) async fn set_status(
    State(context): State<Context>,

    PathId { id, .. }: PathId,
    Told { who, body, .. }: Told<Admin>,
) -> Result<Response, Problem> {
    let said = filled(&body, "status").ok_or(Problem::input("User ID and status are required"))?;
    let status = status_of(said).ok_or(Problem::input("Invalid status"))?;
    let account = context.desk.declare_status(&who, &AccountId::stored(id.to_ascii_lowercase()), status).await?;
    let shown = without(views::user(&context.desk.known_one(account).await?, true), "__v");
    Ok(success(StatusCode::OK, "User status updated", shown))
}

/// `GET /api/admin/chat-rooms`: all open rooms.
pub(super) async fn chat_rooms(State(context): State<Context>, Caller { who, .. }: Caller<Admin>) -> Result<Response, Problem> {
    let sessions = context.desk.open_sessions(&who, ROOMS_LIMIT).await?;
    let rooms = context.desk.overviews(sessions).await?.iter().map(|r| room::listed_room(r, Eyes::Staff)).collect();
    Ok(success(StatusCode::OK, "All chat rooms fetched", rooms))
}

/// `GET /api/admin/stats`.
pub(super) async fn stats(State(context): State<Context>, Caller { who, .. }: Caller<Admin>) -> Result<Response, Problem> {
    let totals = context.desk.totals(Realm::Rooms).await?;
    let agents = context.desk.known(context.desk.accounts(&who, &[Role::Agent, Role::Admin]).await?).await?;
    let data = json!({
        "totalUsers": context.desk.count_accounts(&who).await?,
        "activeAgents": agents.iter().filter(|a| a.is_here()).count(),
        "activeChats": totals.waiting + totals.active + totals.pending,
        "onlineUsers": context.desk.count_present(Realm::Rooms).await?,
    });
    Ok(success(StatusCode::OK, "Admin stats fetched", data))
}

/// `GET /api/admin/chat-stats`, with the fields of both of the original's dashboards.
pub(super) async fn chat_stats(State(context): State<Context>, Caller { who, .. }: Caller<Admin>) -> Result<Response, Problem> {
    let totals = context.desk.totals(Realm::Rooms).await?;
    let active = totals.waiting + totals.active;
    let words = [(Status::Active, active), (Status::Pending, totals.pending), (Status::Ended, totals.ended)];
    let counts = words.into_iter().filter(|(_, n)| *n > 0).map(|(status, n)| json!({"_id": status_word(status), "count": n}));
    let load = |(known, rooms): &(Known, Vec<Session>)| {
        let id = known.account.id.as_str();
        json!({"_id": id, "agentId": id, "agentName": known.account.username, "activeChatCount": rooms.len()})
    };
    let loads = context.desk.workloads(&who).await?;
    let data = json!({
        "statusCounts": counts.collect::<Vec<_>>(),
        "agentWorkload": loads.iter().filter(|(_, rooms)| !rooms.is_empty()).map(load).collect::<Vec<_>>(),
        "totalRooms": active + totals.pending + totals.ended,
        "activeRooms": active,
        "pendingRooms": totals.pending,
        "closedRooms": totals.ended,
    });
    Ok(success(StatusCode::OK, "Chat stats fetched", data))
}

/// `GET /api/admin/agent-workloads`, and `GET /api/chat/admin/agent-workload`: whoever has most first.
pub(super) async fn workloads(State(context): State<Context>, Caller { who, .. }: Caller<Admin>) -> Result<Response, Problem> {
    let loads = context.desk.workloads(&who).await?;
    let rows = loads.iter().map(|(known, rooms)| views::workload(known, rooms)).collect();
    Ok(success(StatusCode::OK, "Agent workloads fetched", rows))
}
