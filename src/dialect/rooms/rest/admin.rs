//! `/api/admin/*`: what admins see and change of everybody.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::{Input, PathId, Problem, Shown, role_required, success};
use crate::dialect::Context;
use crate::dialect::rooms::{status_of, views};
use crate::dialect::wire::{filled, without};
use crate::domain::ids::AccountId;
use crate::domain::principal::{Principal, Role};

/// `GET /api/admin/users`, newest first.
pub(super) async fn users(State(context): State<Context>, shown: Shown) -> Result<Response, Problem> {
    let who = admin(&context, &shown, &Value::Null).await?;
    let all = context.desk.accounts(&who, &[Role::Visitor, Role::Agent, Role::Admin]).await?;
    let rows = all.iter().map(|a| without(views::user(&context.desk, a, true), "__v")).collect();
    Ok(success(StatusCode::OK, "Users fetched", rows))
}

/// `PUT /api/admin/users/:userId/status`.
pub(super) async fn set_status(
    State(context): State<Context>,
    shown: Shown,
    PathId { id, .. }: PathId,
    Input { body, .. }: Input,
) -> Result<Response, Problem> {
    let who = admin(&context, &shown, &body).await?;
    let said = filled(&body, "status").ok_or(Problem::input("User ID and status are required"))?;
    let status = status_of(said).ok_or(Problem::input("Invalid status"))?;
    let account = context.desk.declare_status(&who, &AccountId::stored(id), status).await?;
    let shown = without(views::user(&context.desk, &account, true), "__v");
    Ok(success(StatusCode::OK, "User status updated", shown))
}

/// The caller, who must be an admin.
async fn admin(context: &Context, shown: &Shown, body: &Value) -> Result<Principal, Problem> {
    let who = shown.caller(context, body).await?;
    role_required(context.desk.demand_admin(&who), "admin role required")?;
    Ok(who)
}
