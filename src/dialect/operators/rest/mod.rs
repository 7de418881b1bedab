//! The REST paths of `operators`: routes, callers, bodies. What each path does stands in the files below.

mod sessions;
mod messages;
mod staff;
mod params;
mod problem;

use std::net::IpAddr;

use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::dialect::Context;
use crate::domain::principal::{Principal, Realm};
use crate::http::extract::{self, credential_of};
use problem::Problem;

/// How large a body may be: 10 MB, as the original.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// How many fields of a form are read, as in the original.
const FORM_FIELDS: usize = 1_000;

/// Every path that this contract serves, for the documents and their test.
pub const PATHS: &[&str] = &[
    "GET /api/chat/sessions/active",
    "GET /api/chat/sessions/history",
    "GET /api/chat/sessions/{userId}",
    "POST /api/chat/sessions",
    "PUT /api/chat/sessions/{sessionId}/close",
    "GET /api/chat/messages/{sessionId}",
    "PUT /api/chat/messages/{sessionId}/read",
    "GET /api/chat/messages/{sessionId}/unread-count",
    "GET /api/operators",
    "GET /api/operators/online",
    "GET /api/operators/available",
    "GET /api/operators/pending-sessions",
    "GET /api/operators/active-sessions",
    "GET /api/operators/stats",
    "POST /api/operators/assign",
    "PUT /api/operators/batch-status",
    "GET /api/operators/{id}/status",
    "PUT /api/operators/{id}/status",
    "GET /api/operators/{id}/sessions",
    "POST /api/operators/{id}/assign-session",
    "POST /api/notifications",
    "GET /api/room-exists/{roomId}",
    "GET /users",
];

/// All paths of the contract, its own 404 included.
pub fn router(rest: Context) -> Router {
    Router::new()
        .route("/api/chat/sessions/active", get(sessions::active))
        .route("/api/chat/sessions/history", get(sessions::history))
        .route("/api/chat/sessions/{id}", get(sessions::of_visitor))
        .route("/api/chat/sessions", post(sessions::start))
        .route("/api/chat/sessions/{id}/close", put(sessions::close))
        .route("/api/chat/messages/{id}", get(messages::list))
        .route("/api/chat/messages/{id}/read", put(messages::mark_read))
        .route("/api/chat/messages/{id}/unread-count", get(messages::unread))
        .route("/api/operators", get(staff::all))
        .route("/api/operators/online", get(staff::online))
        .route("/api/operators/available", get(staff::available))
        .route("/api/operators/pending-sessions", get(sessions::pending))
        .route("/api/operators/active-sessions", get(sessions::active))
        .route("/api/operators/stats", get(staff::stats))
        .route("/api/operators/assign", post(staff::choose))
        .route("/api/operators/batch-status", put(staff::set_statuses))
        .route("/api/operators/{id}/status", get(staff::status).put(staff::set_status))
        .route("/api/operators/{id}/sessions", get(staff::sessions))
        .route("/api/operators/{id}/assign-session", post(staff::assign))
        .route("/api/notifications", post(notified))
        .route("/api/room-exists/{id}", get(room_exists))
        .route("/users", get(|| async { "respond with a resource" }))
        .method_not_allowed_fallback(nowhere)
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(extract::finish::<Problem, BODY_LIMIT>))
        .layer(from_fn_with_state(rest.clone(), problem::tell))
        .layer(from_fn(harden))
        .with_state(rest)
}

/// What is not served. A body is read first, as by the original.
async fn nowhere(_: Input) -> Problem {
    Problem::Endpoint
}

async fn notified(_: Input) -> Response {
    Json(json!({"success": true, "message": "Notification received"})).into_response()
}

/// The rooms of the original's video meetings, which are not served: there is none.
async fn room_exists() -> Response {
    let nowhere = json!({"roomExists": false, "full": false});
    Json(json!({"code": "000000", "codeExtra": "000000", "message": "操作成功", "object": nowhere})).into_response()
}

/// The headers that the original sets on every answer.
async fn harden(request: Request, next: Next) -> Response {
    const HEADERS: [(&str, &str); 4] = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-xss-protection", "1; mode=block"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Who sent a request, and from where.
struct Caller {
    who: Principal,
    address: IpAddr,
}

impl FromRequestParts<Context> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Context) -> Result<Self, Problem> {
        let visit = extract::visit_of(&parts.extensions, &parts.headers, &rest.trust);
        let credential = credential_of(&parts.headers);
        let who = rest.desk.receive(Realm::Operators, credential.as_ref(), (visit.peer, visit.client)).await?;
        Ok(Caller { who, address: visit.client })
    }
}

type PathId = extract::PathId<Problem>;

/// The body, JSON or a form, or `{}`.
struct Input(Value);

impl FromRequest<Context> for Input {
    type Rejection = Problem;

    async fn from_request(request: Request, rest: &Context) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if kind.to_ascii_lowercase().contains("x-www-form-urlencoded") {
            let bytes = axum::body::Bytes::from_request(request, rest).await.map_err(|_| Problem::TooLarge)?;
            return Ok(Input(form(&bytes).into()));
        }
        Ok(Input(extract::json_body(request, rest).await?))
    }
}

/// The fields of a form. One that stands there several times, or as `name[]`, is an array.
fn form(bytes: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(bytes).take(FORM_FIELDS) {
        let (name, is_list) = name.strip_suffix("[]").map_or((&*name, false), |n| (n, true));
        let value = Value::String(value.into_owned());
        match fields.get_mut(name) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => drop(fields.insert(name.to_owned(), if is_list { vec![value].into() } else { value })),
        }
    }
    fields
}

/// A success in the contract's envelope.
fn success(status: StatusCode, message: &str, data: Value) -> Response {
    (status, Json(json!({"success": true, "data": data, "message": message}))).into_response()
}
