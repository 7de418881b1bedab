//! `/api/operators`: operators, their availability, who is next, and whose a session is.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::params::Params;
use super::problem::Problem;
use super::sessions::with_latest;
use super::{Caller, Input, PathId, success};
use crate::dialect::Context;
use crate::dialect::operators::{WRONG_AVAILABILITY, availability_of, availability_word, person_id, views};
use crate::dialect::wire::{filled, text};
use crate::domain::agent::{Agent, Availability, Strategy};
use crate::domain::desk::Choice;
use crate::domain::error::Error;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::principal::{Principal, Realm};
use crate::domain::session::Status;
use crate::domain::store::SessionQuery;

/// How many sessions of an operator are listed at most.
const SESSIONS_LIMIT: u32 = 100;

/// `GET /api/operators`, as the documents have it; the original's running application has no such path.
pub(super) async fn all(State(rest): State<Context>, Caller { who, .. }: Caller, params: Params) -> Result<Response, Problem> {
    let limit = params.text("limit").map_or(Some(50), |l| l.parse().ok()).filter(|l| (1..=100).contains(l));
    let limit: u32 = limit.ok_or(Problem::missing("INVALID_LIMIT", "Limit must be between 1 and 100"))?;
    let offset: Option<u64> = params.text("offset").map_or(Some(0), |o| o.parse().ok());
    let offset = offset.ok_or(Problem::missing("INVALID_OFFSET", "Offset must be a non-negative number"))?;
    let status = match params.text("status") {
        None => None,
        Some(word) => Some(availability_of(word).ok_or(Problem::missing("INVALID_STATUS", WRONG_AVAILABILITY))?),
    };
    let agents = rest.desk.agents(&who).await?;
    let fits = |a: &&Agent| status.is_none_or(|s| availability_word(s) == availability_word(a.availability));
    let matching: Vec<&Agent> = agents.iter().filter(fits).collect();
    let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    for agent in matching.iter().skip(skipped).take(limit as usize) {
        let mut row = views::operator(agent);
        if params.flag("includeActiveSessions") {
            let sessions = active_sessions(&rest, &who, &agent.id).await?;
            row = views::with(row, [("activeSessions", sessions.into())]);
        }
        rows.push(row);
    }
    let pagination = views::pagination(matching.len() as u64, limit, offset, rows.len());
    let mut data = json!({"operators": rows, "pagination": pagination});
    if params.flag("includeStats") {
        data = views::with(data, [("stats", views::stats(&agents))]);
    }
    Ok(success(StatusCode::OK, "Operators retrieved successfully", data))
}

/// `GET /api/operators/online`.
pub(super) async fn online(State(rest): State<Context>, Caller { who, .. }: Caller, params: Params) -> Result<Response, Problem> {
    let agents = rest.desk.agents(&who).await?;
    let online: Vec<Value> = agents.iter().filter(|a| a.is_available()).map(views::operator).collect();
    let stats = params.flag("includeStats").then(|| views::stats(&agents));
    let data = json!({"count": online.len(), "operators": online, "stats": stats});
    Ok(success(StatusCode::OK, "Online operators retrieved successfully", data))
}

/// `GET /api/operators/available`.
pub(super) async fn available(State(rest): State<Context>, Caller { who, .. }: Caller) -> Result<Response, Problem> {
    let agents = rest.desk.agents(&who).await?;
    let free: Vec<Value> = agents.iter().filter(|a| a.has_room()).map(views::operator).collect();
    Ok(success(StatusCode::OK, "Available operators retrieved successfully", json!({"count": free.len(), "operators": free})))
}

/// `GET /api/operators/stats`.
pub(super) async fn stats(State(rest): State<Context>, Caller { who, .. }: Caller) -> Result<Response, Problem> {
    let stats = views::stats(&rest.desk.agents(&who).await?);
    Ok(success(StatusCode::OK, "Operator statistics retrieved successfully", json!({ "stats": stats })))
}

/// `GET /api/operators/:id/status`.
pub(super) async fn status(
    State(rest): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
) -> Result<Response, Problem> {
    let known = operator(&rest, &who, &id).await?;
    let status = known.map_or("unknown", |a| availability_word(a.availability));
    Ok(success(StatusCode::OK, "Operator status retrieved", json!({"operatorId": id, "status": status})))
}

/// `PUT /api/operators/:id/status`. An operator who is not known yet is from now on.
pub(super) async fn set_status(
    State(rest): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    Input(body): Input,
) -> Result<Response, Problem> {
    let (word, to) = wanted_status(&body)?;
    let agent = register(&rest, &who, &id).await?;
    let agent = rest.desk.set_availability(&who, &agent.id, to).await?;
    let data = json!({"operator": views::operator(&agent), "actualOperatorId": agent.id.in_realm()});
    Ok(success(StatusCode::OK, &format!("Operator status updated to {word} successfully"), data))
}

/// `PUT /api/operators/batch-status`: of the operators who are known.
pub(super) async fn set_statuses(State(rest): State<Context>, Caller { who, .. }: Caller, Input(body): Input) -> Result<Response, Problem> {
    let ids = body.get("operatorIds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let ids: Vec<AgentId> = ids.map(|id| AgentId::of(Realm::Operators, id)).collect();
    if ids.is_empty() {
        return Err(Problem::missing("MISSING_OPERATOR_IDS", "Operator IDs are required"));
    }
    let (word, to) = wanted_status(&body)?;
    let count = rest.desk.set_availability_of(&who, &ids, to).await?;
    Ok(success(StatusCode::OK, &format!("{count} operators updated to {word} status"), json!({ "updatedCount": count })))
}

/// `GET /api/operators/:id/sessions`: those that the operator has now.
pub(super) async fn sessions(
    State(rest): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
) -> Result<Response, Problem> {
    // Quirk: an operator whom nobody knows is a failure of the server (document 000).
    const UNKNOWN: (StatusCode, &str, &str) = (StatusCode::INTERNAL_SERVER_ERROR, "SESSIONS_RETRIEVAL_FAILED", "Operator does not exist");
    let agent = operator(&rest, &who, &id).await?.ok_or(Problem::Because(Error::AgentNotFound, UNKNOWN.0, UNKNOWN.1, UNKNOWN.2))?;
    let sessions = active_sessions(&rest, &who, &agent.id).await?;
    let data = json!({"operator": views::operator(&agent), "count": sessions.len(), "sessions": sessions});
    Ok(success(StatusCode::OK, "Operator sessions retrieved successfully", data))
}

/// `POST /api/operators/:id/assign-session`.
pub(super) async fn assign(
    State(rest): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    Input(body): Input,
) -> Result<Response, Problem> {
    let session = filled(&body, "sessionId").ok_or(Problem::missing("MISSING_SESSION_ID", "Session ID is required"))?;
    let agent = register(&rest, &who, &id).await?;
    let session = SessionId::parse(session).ok_or(Error::SessionNotFound)?;
    let (session, _) = rest.desk.take_session(&who, &agent, &session, (None, None)).await?;
    let data = json!({"session": views::session(&session), "operator": views::operator(&agent)});
    Ok(success(StatusCode::OK, "Session assigned successfully", data))
}

/// `POST /api/operators/assign`: who would be next. Quirk: nothing is given to anybody (document 000).
pub(super) async fn choose(State(rest): State<Context>, Caller { who, .. }: Caller, Input(body): Input) -> Result<Response, Problem> {
    let id = |text: &str| AgentId::of(Realm::Operators, text);
    let excluded = body.get("excludeOperatorIds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    // Quirk: a strategy that nobody knows is one after the other, under its own name (document 000).
    let named = filled(&body, "strategy").unwrap_or("round_robin");
    let strategy = match named {
        "least_busy" => Some(Strategy::LeastBusy),
        "most_recent" => Some(Strategy::MostRecent),
        _ => None,
    };
    let preferred = text(&body, "preferredOperatorId").map(id);
    let choice = Choice { preferred, excluded: excluded.map(id).collect(), strategy };
    let (agent, is_preferred) = rest.desk.choose_agent(&who, &choice).await.map_err(|e| match e {
        Error::NobodyAvailable => Problem::Invalid(
            // Quirk: that nobody is there is a failure of the server (document 000).
            StatusCode::INTERNAL_SERVER_ERROR,
            "OPERATOR_ASSIGNMENT_FAILED",
            "No operators are currently available",
            Some("No available operators"),
        ),
        other => other.into(),
    })?;
    let (strategy, message) = match is_preferred {
        true => ("preferred", "Preferred operator assigned successfully".to_owned()),
        false => (named, format!("Operator assigned using {named} strategy")),
    };
    Ok(success(StatusCode::OK, &message, json!({"operator": views::operator(&agent), "strategy": strategy})))
}

/// The word and the availability that a body asks for.
fn wanted_status(body: &Value) -> Result<(&str, Availability), Problem> {
    let given = body.get("status").filter(|s| !s.is_null() && s.as_str() != Some(""));
    let given = given.ok_or(Problem::missing("MISSING_STATUS", "Status is required"))?;
    let known = given.as_str().and_then(|word| Some((word, availability_of(word)?)));
    known.ok_or(Problem::Invalid(
        // Quirk: a wrong word is a failure of the server (document 000).
        StatusCode::INTERNAL_SERVER_ERROR,
        "STATUS_UPDATE_FAILED",
        WRONG_AVAILABILITY,
        Some("Invalid status"),
    ))
}

/// The operator's record, made where there is none.
async fn register(rest: &Context, who: &Principal, id: &str) -> Result<Agent, Problem> {
    let id = person_id(id).ok_or_else(|| {
        let rule = "Operator ID must be between 1 and 255 characters without control characters";
        Problem::Validation(vec![json!({"field": "id", "message": rule, "value": id})])
    })?;
    Ok(rest.desk.register_agent(who, id).await?)
}

/// The operator whom the caller may see.
async fn operator(rest: &Context, who: &Principal, id: &str) -> Result<Option<Agent>, Problem> {
    let wanted = AgentId::of(Realm::Operators, id);
    Ok(rest.desk.agents(who).await?.into_iter().find(|a| a.id == wanted))
}

/// The sessions that an operator has now, each with the last thing said.
async fn active_sessions(rest: &Context, who: &Principal, agent: &AgentId) -> Result<Vec<Value>, Problem> {
    let query =
        SessionQuery { agent: Some(agent.clone()), status: Some(Status::Active), ..SessionQuery::of(Realm::Operators, SESSIONS_LIMIT) };
    let listed = rest.desk.list_sessions(who, query).await?;
    with_latest(rest, who, &listed.sessions).await
}
