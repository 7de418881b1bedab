//! `/api/auth/*`: tokens, and agents' availability.

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::{Caller, Input, PathId, Problem, success};
use crate::dialect::Context;
use crate::dialect::support::{named_person, person_id, role_of, views};
use crate::dialect::wire::text;
use crate::domain::agent::Availability;
use crate::domain::error::Error;
use crate::domain::ids::AgentId;
use crate::domain::principal::{Realm, Role};
use crate::http::extract::credential_of;
use crate::http::serve::Remote;

/// `POST /api/auth/token`. Public for visitors, as document 001 needs it; agents and machines must prove themselves.
pub(super) async fn issue(
    State(rest): State<Context>,
    ConnectInfo(remote): ConnectInfo<Remote>,
    headers: HeaderMap,
    Input { body, .. }: Input,
) -> Result<Response, Problem> {
    let id = text(&body, "userId").and_then(person_id);
    let id = id.ok_or(Problem::Invalid("INVALID_USER_ID", "userId is required and must be a non-empty string"))?;
    const WRONG_TYPE: Problem = Problem::Invalid("INVALID_USER_TYPE", "userType must be \"user\", \"agent\", or \"system\"");
    let role = match body.get("userType") {
        None | Some(Value::Null) => Role::Visitor,
        Some(kind) => kind.as_str().and_then(role_of).ok_or(WRONG_TYPE)?,
    };
    let peer = rest.trust.judge(&headers, remote.addr).peer;
    let issued = rest.desk.issue_token(&named_person(id, role), credential_of(&headers).as_ref(), peer).await.map_err(|e| match e {
        Error::Forbidden => Problem::Forbidden("API key required to issue this token"),
        other => other.into(),
    })?;
    let data = json!({
        "token": issued.token,
        "tokenType": "Bearer",
        "expiresInSeconds": issued.expires_in_seconds,
        "expiresInDays": issued.expires_in_seconds / 86_400,
    });
    Ok(success(StatusCode::CREATED, "Token issued successfully", data))
}

/// `PUT /api/auth/:agentId/availability`, of the sibling; any of its fields' names is understood.
pub(super) async fn set_availability(
    State(rest): State<Context>,
    Caller(who): Caller,
    PathId { id, .. }: PathId,
    Input { body, .. }: Input,
) -> Result<Response, Problem> {
    let said = ["isAvailable", "available", "availability", "isOnline"].iter().find_map(|f| body.get(f)).and_then(Value::as_bool);
    let available = said.ok_or(Problem::Invalid("INVALID_AVAILABILITY", "isAvailable must be true or false"))?;
    let availability = if available { Availability::Online } else { Availability::Offline };
    let agent = rest.desk.set_availability(&who, &AgentId::of(Realm::Support, &id), availability).await?;
    Ok(success(StatusCode::OK, "Availability updated successfully", views::agent(&agent)))
}
