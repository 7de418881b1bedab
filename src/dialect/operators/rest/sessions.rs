//! `/api/chat/sessions`, and the lists of sessions below `/api/operators`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::params::{Params, StatusFilter, user_id};
use super::problem::Problem;
use super::{Caller, Input, PathId, success};
use crate::dialect::Context;
use crate::dialect::operators::{name, person_id, views};
use crate::dialect::wire::text;
use crate::domain::desk::{Ending, Opening, Reading};
use crate::domain::entry::{Body, Entry};
use crate::domain::principal::{Person, Principal, Realm, Role};
use crate::domain::session::{Session, Status};
use crate::domain::store::{Listed, SessionQuery};

/// How many messages of a session are shown in a list of sessions.
const SHOWN_MESSAGES: u32 = 50;

/// `GET /api/chat/sessions/active` and `GET /api/operators/active-sessions`: those that wait first, then those that an operator has.
pub(super) async fn active(State(rest): State<Context>, Caller { who, .. }: Caller, mut params: Params) -> Result<Response, Problem> {
    let (limit, offset) = (params.limit(50), params.offset());
    params.check()?;
    let query = |status, offset, limit| SessionQuery { status: Some(status), offset, ..SessionQuery::of(Realm::Operators, limit) };
    let waiting = rest.desk.list_sessions(&who, query(Status::Waiting, offset, limit)).await?;
    let left = limit.saturating_sub(u32::try_from(waiting.sessions.len()).unwrap_or(limit));
    let active = rest.desk.list_sessions(&who, query(Status::Active, offset.saturating_sub(waiting.total), left)).await?;
    let sessions: Vec<Value> = waiting.sessions.iter().chain(&active.sessions).map(views::session).collect();
    let page = offset / u64::from(limit) + 1;
    let pagination = json!({"total": waiting.total + active.total, "page": page, "limit": limit, "offset": offset});
    let data = json!({"sessions": sessions, "pagination": pagination});
    Ok(success(StatusCode::OK, "Active sessions retrieved successfully", data))
}

/// `GET /api/chat/sessions/history`: sessions in which a person has said something, last changed first.
pub(super) async fn history(State(rest): State<Context>, Caller { who, .. }: Caller, mut params: Params) -> Result<Response, Problem> {
    let (limit, status) = (params.limit(100), params.status());
    let (since, until) = (params.moment("startDate"), params.moment("endDate"));
    let keyword = params.text("keyword").map(str::to_owned);
    let page: u64 = params.text("page").map_or(Some(1), |p| p.parse().ok()).unwrap_or(0);
    params.check()?;
    if page < 1 {
        return Err(Problem::missing("INVALID_PAGE", "Page must be greater than 0"));
    }
    let offset = page.saturating_sub(1).saturating_mul(limit.into()).min(i64::MAX as u64);
    let query = SessionQuery { spoken_only: true, keyword, since, until, offset, ..SessionQuery::of(Realm::Operators, limit) };
    let Listed { sessions, total } = list(&rest, &who, status, query).await?;
    let last = rest.desk.last_messages(&who, &sessions, false).await?;
    let rows: Vec<Value> = sessions.iter().zip(&last).map(|(s, l)| views::history_row(s, l.as_ref())).collect();
    let pages = total.div_ceil(limit.into());
    let message = match rows.len() {
        0 => "No sessions with user messages found".to_owned(),
        count => format!("Retrieved {count} history sessions"),
    };
    let pagination =
        json!({"page": page, "limit": limit, "total": total, "totalPages": pages, "hasNext": page < pages, "hasPrev": page > 1});
    Ok(success(StatusCode::OK, &message, json!({"sessions": rows, "pagination": pagination})))
}

/// `GET /api/chat/sessions/:userId`.
pub(super) async fn of_visitor(
    State(rest): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    mut params: Params,
) -> Result<Response, Problem> {
    params.user_id(&id);
    let (limit, offset, status) = (params.limit(10), params.offset(), params.status());
    let (with_messages, with_operator) = (params.flag("includeMessages"), params.flag("includeOperator"));
    params.check()?;
    let query = SessionQuery { visitor: Some(id.into()), offset, ..SessionQuery::of(Realm::Operators, limit) };
    let Listed { sessions, total } = list(&rest, &who, status, query).await?;
    let mut rows = Vec::new();
    for session in &sessions {
        let mut row = views::session(session);
        if with_messages {
            let all = Reading { limit: SHOWN_MESSAGES, ..Reading::default() };
            let messages = rest.desk.read(&who, &session.id, all).await?.messages;
            row = views::session_with(session, messages.iter().map(|m| views::message(m, session)).collect());
        }
        if with_operator {
            let agent = match &session.agent {
                Some(assignee) => rest.desk.agent(&assignee.id).await?,
                None => None,
            };
            row = views::with(row, [("operator", agent.as_ref().map(views::operator).into())]);
        }
        rows.push(row);
    }
    let pagination = views::pagination(total, limit, offset, rows.len());
    Ok(success(StatusCode::OK, "User sessions retrieved successfully", json!({"sessions": rows, "pagination": pagination})))
}

/// `GET /api/operators/pending-sessions`: those that wait, each with the last thing said.
pub(super) async fn pending(State(rest): State<Context>, Caller { who, .. }: Caller, mut params: Params) -> Result<Response, Problem> {
    let (limit, offset) = (params.limit(10), params.offset());
    params.check()?;
    let query = SessionQuery { status: Some(Status::Waiting), offset, ..SessionQuery::of(Realm::Operators, limit) };
    let Listed { sessions, total } = rest.desk.list_sessions(&who, query).await?;
    let rows = with_latest(&rest, &who, &sessions).await?;
    let pagination = views::pagination(total, limit, offset, rows.len());
    Ok(success(StatusCode::OK, "Pending sessions retrieved successfully", json!({"sessions": rows, "pagination": pagination})))
}

/// `POST /api/chat/sessions`.
pub(super) async fn start(State(rest): State<Context>, Caller { who, address }: Caller, Input(body): Input) -> Result<Response, Problem> {
    let id = user_id(&body)?;
    let short = |field: &str| text(&body, field).and_then(name);
    let visitor = Person { name: short("userName"), ..Person::new(Realm::Operators, id, Role::Visitor) };
    let opening = Opening { visitor, group: short("groupName"), address: Some(address) };
    let opened = rest.desk.start_session(&who, opening).await?;
    let (status, message) = match opened.is_new {
        true => (StatusCode::CREATED, "New chat session created successfully"),
        false => (StatusCode::OK, "Found existing active session"),
    };
    Ok(success(status, message, json!({"session": views::session(&opened.session), "isNew": opened.is_new})))
}

/// `PUT /api/chat/sessions/:sessionId/close`. Who closes it stands in the log; the room hears `session-ended`.
pub(super) async fn close(
    State(rest): State<Context>,
    Caller { who, .. }: Caller,
    PathId { id, .. }: PathId,
    params: Params,
    Input(body): Input,
) -> Result<Response, Problem> {
    let id = params.session_id(&id)?;
    let named = text(&body, "closedBy").and_then(person_id);
    let open = rest.desk.session(&who, &id).await?;
    let note = named.map(|by| Body::stored(format!("Session closed by {}", open.signature(&who, by))));
    let closed = rest.desk.end_session_so(&who, &id, Ending { reason: "closed".into(), author: None, note }).await?;
    let message = if closed.is_new { "Chat session closed successfully" } else { "Session was already closed" };
    let session = rest.desk.session(&who, &id).await?;
    Ok(success(StatusCode::OK, message, json!({"session": views::session(&session)})))
}

/// Sessions that stand as the filter says.
async fn list(rest: &Context, who: &Principal, status: StatusFilter, query: SessionQuery) -> Result<Listed, Problem> {
    let wanted = match status {
        StatusFilter::Any => query,
        StatusFilter::Only(status) => SessionQuery { status: Some(status), ..query },
        StatusFilter::Nothing => SessionQuery { limit: 0, ..query },
    };
    let listed = rest.desk.list_sessions(who, wanted).await?;
    Ok(if status == StatusFilter::Nothing { Listed::default() } else { listed })
}

/// ChatSessions, each with the last thing said in it.
pub(super) async fn with_latest(rest: &Context, who: &Principal, sessions: &[Session]) -> Result<Vec<Value>, Problem> {
    let last = rest.desk.last_messages(who, sessions, true).await?;
    let shown =
        |session: &Session, last: &Option<Entry>| views::session_with(session, last.iter().map(|m| views::message(m, session)).collect());
    Ok(sessions.iter().zip(&last).map(|(s, l)| shown(s, l)).collect())
}
