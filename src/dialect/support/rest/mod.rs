//! The REST paths of `support`: routes, credentials, envelopes and errors. What each path does stands in the files below.

mod chat;
mod system;
mod tokens;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::dialect::Context;
use crate::domain::error::{Error, Kind};
use crate::domain::ids::SessionId;
use crate::domain::principal::{Principal, Realm};
use crate::http::extract::{self, Unserved, credential_of};
use crate::http::status;

/// How large a body may be: 10 MB, as the original.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// Every path that this contract serves, for the documents and their test.
pub const PATHS: &[&str] = &[
    "GET /",
    "GET /api/health",
    "POST /api/auth/token",
    "PUT /api/auth/{agentId}/availability",
    "POST /api/chat/start-session",
    "GET /api/chat/session/{sessionId}",
    "POST /api/chat/session/{sessionId}/end",
    "GET /api/chat/messages/{sessionId}",
    "POST /api/chat/send-message/{sessionId}",
    "POST /api/chat/end-session/{sessionId}",
    "GET /api/chat/agent/{agentId}/sessions",
    "GET /api/chat/stats",
];

/// All paths of the contract, its own 404 included.
pub fn router(rest: Context) -> Router {
    let chat = Router::new()
        .route("/api/chat/start-session", post(chat::start_session))
        .route("/api/chat/session/{id}", get(chat::session))
        .route("/api/chat/session/{id}/end", post(chat::end_session))
        .route("/api/chat/messages/{id}", get(chat::messages))
        .route("/api/chat/send-message/{id}", post(chat::send_message))
        .route("/api/chat/end-session/{id}", post(chat::end_session))
        .route("/api/chat/agent/{id}/sessions", get(chat::sessions_of_agent))
        .route("/api/chat/stats", get(chat::stats))
        .route("/api/chat", axum::routing::any(|| async { Problem::Endpoint }))
        .route("/api/chat/", axum::routing::any(|| async { Problem::Endpoint }))
        .route("/api/chat/{*rest}", axum::routing::any(|| async { Problem::Endpoint }))
        .route("/api/auth/{id}/availability", put(tokens::set_availability))
        .method_not_allowed_fallback(|| async { Problem::Endpoint })
        .layer(from_fn(extract::finish::<Problem, BODY_LIMIT>))
        .layer(from_fn_with_state(rest.clone(), authenticate));
    Router::new()
        .route("/", get(system::root))
        .route("/api/health", get(system::health))
        .route("/api/auth/token", post(tokens::issue))
        .merge(chat)
        .method_not_allowed_fallback(|| async { Problem::Endpoint })
        .fallback(|| async { Problem::Endpoint })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(harden))
        .with_state(rest)
}

/// Lets only callers with a valid credential through.
async fn authenticate(State(rest): State<Context>, mut request: Request, next: Next) -> Result<Response, Problem> {
    if request.method() == Method::OPTIONS {
        return Ok(next.run(request).await);
    }
    let credential = credential_of(request.headers());
    let peer = extract::visit_of(request.extensions(), request.headers(), &rest.trust).peer;
    let who = rest.desk.authenticate(Realm::Support, credential.as_ref(), peer).await?;
    request.extensions_mut().insert(Caller(who));
    Ok(next.run(request).await)
}

/// The headers that the original's `helmet` sets on every answer.
async fn harden(request: Request, next: Next) -> Response {
    const HELMET: [(&str, &str); 12] = [
        (
            "content-security-policy",
            "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';frame-ancestors 'self';img-src 'self' data:;\
             object-src 'none';script-src 'self';script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests",
        ),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("origin-agent-cluster", "?1"),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", "max-age=15552000; includeSubDomains"),
        ("x-content-type-options", "nosniff"),
        ("x-dns-prefetch-control", "off"),
        ("x-download-options", "noopen"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-permitted-cross-domain-policies", "none"),
        ("x-xss-protection", "0"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HELMET {
        response.headers_mut().entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The authenticated caller of a request.
#[derive(Clone)]
struct Caller(Principal);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or(Problem::Refused(Error::Unauthenticated))
    }
}

type PathId = extract::PathId<Problem>;
type Input = extract::Input<Problem>;

/// Why a request was not served, in the contract's words.
enum Problem {
    /// The desk refused or failed.
    Refused(Error),
    /// The credential is good for other things.
    Forbidden(&'static str),
    /// A field is wrong.
    Invalid(&'static str, &'static str),
    /// The id in the path is no id.
    MalformedId,
    /// The body is no JSON.
    Malformed,
    /// The body is over the limit.
    TooLarge,
    /// A defect of ours.
    Panicked,
    /// There is no such path.
    Endpoint,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::Refused(error)
    }
}

impl From<Unserved> for Problem {
    fn from(unserved: Unserved) -> Self {
        match unserved {
            Unserved::BadId => Problem::MalformedId,
            Unserved::TooLarge => Problem::TooLarge,
            Unserved::Malformed(_) => Problem::Malformed,
            Unserved::Panicked => Problem::Panicked,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let plain = |status: StatusCode, message: &str| (status, Json(json!({"success": false, "message": message}))).into_response();
        let coded = |status: StatusCode, code: &str, message: &str| {
            (status, Json(json!({"success": false, "message": message, "code": code}))).into_response()
        };
        match self {
            Problem::Refused(error) => {
                status::log(&error);
                let status = status::of(error.kind());
                let response = match error {
                    Error::SessionNotFound => plain(status, "Session not found"),
                    Error::AgentNotFound => plain(status, "Agent not found"),
                    Error::Unauthenticated | Error::WrongKey => plain(status, "Access token or API key required"),
                    Error::InvalidToken => plain(status, "Invalid or expired token"),
                    _ => coded(status, error.code(), message_of(&error)),
                };
                (status::retry_after(&error), response).into_response()
            }
            Problem::Forbidden(message) => coded(StatusCode::FORBIDDEN, "FORBIDDEN", message),
            Problem::Invalid(code, message) => coded(StatusCode::BAD_REQUEST, code, message),
            Problem::MalformedId => plain(StatusCode::NOT_FOUND, "Resource not found"),
            // Quirk: a body that is no JSON answers 500 (document 001).
            Problem::Malformed | Problem::Panicked => plain(StatusCode::INTERNAL_SERVER_ERROR, "Server Error"),
            Problem::TooLarge => plain(StatusCode::PAYLOAD_TOO_LARGE, "Request body is larger than 10 MB"),
            Problem::Endpoint => (StatusCode::NOT_FOUND, Json(system::unknown_endpoint())).into_response(),
        }
    }
}

fn message_of(error: &Error) -> &'static str {
    match error.kind() {
        Kind::Forbidden => "Not allowed",
        Kind::Conflict if matches!(error, Error::ClientKeyReused) => "clientKey was used for another message",
        Kind::Conflict => "Session has ended",
        Kind::RateLimited => "Too many requests",
        Kind::Unavailable => "Service temporarily unavailable",
        Kind::NotFound | Kind::Unauthenticated | Kind::Internal => "Server Error",
    }
}

/// A success in the contract's envelope.
fn success(status: StatusCode, message: &str, data: Value) -> Response {
    (status, Json(json!({"success": true, "message": message, "data": data}))).into_response()
}

/// The session id in a path.
fn session_id(text: &str) -> Result<SessionId, Problem> {
    SessionId::parse(text).ok_or(Problem::MalformedId)
}
