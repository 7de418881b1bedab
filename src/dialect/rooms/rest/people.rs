//! Who answers, and who of them is there.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::callers::{Admin, Caller};
use super::{Problem, success};
use crate::dialect::Context;
use crate::dialect::rooms::views;
use crate::domain::principal::{Principal, Role};

/// `GET /api/auth/agents/online`. The original answered it to anybody.
pub(super) async fn agents_online(State(context): State<Context>, Caller { who, .. }: Caller) -> Result<Response, Problem> {
    Ok(success(StatusCode::OK, "Online agents fetched", online(&context, &who).await?))
}

/// `GET /api/chat/online-users`. Quirk: it lists agents and admins, as its sister does (document 002).
pub(super) async fn online_users(State(context): State<Context>, Caller { who, .. }: Caller) -> Result<Response, Problem> {
    Ok(success(StatusCode::OK, "Online users fetched", online(&context, &who).await?))
}

/// `GET /api/chat/online-agents`.
pub(super) async fn online_agents(State(context): State<Context>, Caller { who, .. }: Caller) -> Result<Response, Problem> {
    Ok(success(StatusCode::OK, "Online agents fetched", online(&context, &who).await?))
}

/// `GET /api/auth/agents/all`, for admins.
pub(super) async fn agents_all(State(context): State<Context>, Caller { who, .. }: Caller<Admin>) -> Result<Response, Problem> {
    let agents = context.desk.accounts(&who, &[Role::Agent, Role::Admin]).await?;
    let rows = context.desk.known(agents).await?.iter().map(|a| views::user(a, true)).collect();
    Ok(success(StatusCode::OK, "All agents fetched", rows))
}

/// Agents and admins with a connection; visitors do not see their addresses.
async fn online(context: &Context, who: &Principal) -> Result<Value, Problem> {
    let agents = context.desk.accounts(who, &[Role::Agent, Role::Admin]).await?;
    let known = context.desk.known(agents).await?;
    Ok(known.iter().filter(|k| k.is_here()).map(|k| views::user(k, who.is_staff())).collect())
}
