//! The REST paths of `widget`: routes, credentials and errors. What each path does stands in the files below.

mod auth;
mod messages;
mod sessions;

use std::convert::Infallible;

use axum::extract::{DefaultBodyLimit, FromRequestParts, OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::dialect::Context;
use crate::domain::error::{Error, Kind};
use crate::domain::ids::SessionId;
use crate::domain::principal::{Principal, Realm};
use crate::http::extract::{self, Unserved, credential_of};
use crate::http::status;
use crate::http::trust::Visit;

/// How large a body may be: Express's default.
const BODY_LIMIT: usize = 100 * 1024;

/// Every path that this contract serves, for the documents and their test.
pub const PATHS: &[&str] = &[
    "POST /api/auth/register",
    "POST /api/auth/login",
    "GET /api/sessions",
    "POST /api/sessions",
    "PATCH /api/sessions/{id}/status",
    "GET /api/chat/messages/{sessionId}",
    "POST /api/chat/messages",
    "PATCH /api/chat/messages/{id}/read",
];

/// All paths of the contract, its own 404 included.
pub fn router(context: Context) -> Router {
    let credentials = from_fn_with_state(context.clone(), receive);
    // A page attaches the token that it has to every request. Who signs up or logs in shows none yet, or one that has ended.
    let accounts = Router::new()
        .route("/api/auth/register", post(auth::register))
        .route("/api/auth/login", post(auth::login))
        .layer(from_fn(extract::finish::<Problem, BODY_LIMIT>));
    Router::new()
        .route("/api/sessions", get(sessions::list).post(sessions::create))
        .route("/api/sessions/{id}/status", patch(sessions::set_status))
        .route("/api/chat/messages", post(messages::send))
        .route("/api/chat/messages/{id}", get(messages::list))
        .route("/api/chat/messages/{id}/read", patch(messages::mark_read))
        .layer(from_fn(extract::finish::<Problem, BODY_LIMIT>))
        .layer(credentials)
        .merge(accounts)
        .method_not_allowed_fallback(unknown_path)
        .fallback(unknown_path)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(context)
}

/// Finds out who calls. What the caller may do, the desk decides.
async fn receive(State(context): State<Context>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let visit = extract::visit_of(request.extensions(), request.headers(), &context.trust);
    let credential = credential_of(request.headers());
    let who = context.desk.receive(Realm::Widget, credential.as_ref(), (visit.peer, visit.client)).await?;
    request.extensions_mut().insert(Caller { who, visit, has_credential: credential.is_some() });
    Ok(next.run(request).await)
}

/// Whoever sent a request.
#[derive(Clone)]
struct Caller {
    who: Principal,
    visit: Visit,
    has_credential: bool,
}

impl Caller {
    /// The caller, where the original too demanded a token: trust alone does not do.
    fn with_credential(self) -> Result<Principal, Problem> {
        if self.has_credential { Ok(self.who) } else { Err(Error::Unauthenticated.into()) }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or(Problem::Refused(Error::Unauthenticated))
    }
}

/// Whence a request comes that needs no credential.
struct Whence(Visit);

impl FromRequestParts<Context> for Whence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Infallible> {
        Ok(Whence(extract::visit_of(&parts.extensions, &parts.headers, &context.trust)))
    }
}

type PathId = extract::PathId<Problem>;
type Input = extract::Input<Problem>;

/// Why a request was not served, in the contract's words.
enum Problem {
    /// The desk refused or failed.
    Refused(Error),
    /// Fields are wrong.
    Invalid(Vec<Value>),
    /// The session does not exist, or no status was given: the original answers both in the same way.
    NoSession,
    /// A field is missing or malformed, which the original's database found out; or a defect of ours.
    Server,
    /// The body is no JSON.
    Malformed,
    /// The body is over the limit.
    TooLarge,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::Refused(error)
    }
}

impl From<Unserved> for Problem {
    fn from(unserved: Unserved) -> Self {
        match unserved {
            Unserved::BadId | Unserved::Panicked => Problem::Server,
            Unserved::TooLarge => Problem::TooLarge,
            Unserved::Malformed(_) => Problem::Malformed,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Problem::Refused(error) => refused(&error),
            Problem::Invalid(errors) => (StatusCode::BAD_REQUEST, Json(json!({ "errors": errors }))).into_response(),
            Problem::NoSession => plain(StatusCode::NOT_FOUND, "Session not found"),
            Problem::Server => plain(StatusCode::INTERNAL_SERVER_ERROR, "Server error"),
            // Express answers these two as pages, with a stack that nobody should see.
            Problem::Malformed => page(StatusCode::BAD_REQUEST, "SyntaxError: the body is not valid JSON"),
            Problem::TooLarge => page(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeError: request entity too large"),
        }
    }
}

/// Statuses are those of every contract but where this one's frontends know another.
fn refused(error: &Error) -> Response {
    status::log(error);
    let (status, message) = match error {
        Error::SessionNotFound => (StatusCode::INTERNAL_SERVER_ERROR, "Server error"),
        Error::MessageNotFound => (StatusCode::NOT_FOUND, "Message not found"),
        Error::Unauthenticated | Error::WrongKey => (StatusCode::UNAUTHORIZED, "Access token required"),
        Error::InvalidToken => (StatusCode::FORBIDDEN, "Invalid or expired token"),
        Error::WrongPassword => (StatusCode::BAD_REQUEST, "Invalid credentials"),
        Error::AccountExists => (StatusCode::BAD_REQUEST, "Admin already exists"),
        Error::SessionEnded(_) => (StatusCode::CONFLICT, "Session is closed"),
        Error::ClientKeyReused => (StatusCode::CONFLICT, "clientKey was used for another message"),
        other => match other.kind() {
            Kind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable"),
            Kind::Forbidden => (StatusCode::FORBIDDEN, "Not allowed"),
            kind => (status::of(kind), "Server error"),
        },
    };
    (status::retry_after(error), plain(status, message)).into_response()
}

fn plain(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

/// Express's answer to a path that does not exist.
async fn unknown_path(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    page(StatusCode::NOT_FOUND, &format!("Cannot {method} {}", uri.path()))
}

/// A page with one line, as Express answers what no handler answers.
fn page(status: StatusCode, line: &str) -> Response {
    let escaped = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;");
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n<body>\n<pre>{escaped}</pre>\n</body>\n</html>\n"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, Html(html)).into_response()
}

/// The session id in a path or a body; the original's database refused anything else.
fn session_id(text: Option<&str>) -> Result<SessionId, Problem> {
    text.and_then(SessionId::parse).ok_or(Problem::Server)
}
