//! The REST paths of `rooms`: routes, logins, the envelope and errors. What each path does stands in the files below.

mod admin;
mod attachments;
mod auth;
mod callers;
mod messages;
mod params;
mod people;
mod rooms;
mod transfers;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::dialect::Context;
use crate::domain::error::{Error, Kind};
use crate::domain::ids::SessionId;
use crate::http::extract::{self, Unserved};
use crate::http::status;
use crate::http::upload::{self, Unreadable};

/// How large a body may be: 10 MB, as the original.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// Every path that this contract serves, for the documents and their test.
pub const PATHS: &[&str] = &[
    "GET /api/health",
    "POST /api/auth/register",
    "POST /api/auth/login",
    "POST /api/auth/logout",
    "POST /api/auth/validate-session",
    "GET /api/auth/profile",
    "PUT /api/auth/status",
    "GET /api/auth/agents/online",
    "GET /api/auth/agents/all",
    "GET /api/chat/online-users",
    "GET /api/chat/online-agents",
    "POST /api/chat/rooms",
    "GET /api/chat/rooms",
    "GET /api/chat/rooms/agent",
    "GET /api/chat/rooms/{id}",
    "DELETE /api/chat/rooms/{id}",
    "GET /api/chat/rooms/{id}/messages",
    "GET /api/chat/rooms/{id}/search",
    "POST /api/chat/rooms/{id}/attachments",
    "GET /api/chat/attachments/{id}",
    "GET /api/chat/unread-count",
    "PATCH /api/chat/messages/{id}",
    "DELETE /api/chat/messages/{id}",
    "POST /api/chat/assign-agent",
    "POST /api/chat/transfer",
    "POST /api/chat/admin/transfer-agent",
    "POST /api/chat/admin/{chatRoomId}/remove-agent",
    "GET /api/chat/admin/agent-workload",
    "GET /api/admin/stats",
    "GET /api/admin/chat-stats",
    "GET /api/admin/chat-rooms",
    "GET /api/admin/users",
    "PUT /api/admin/users/{userId}/status",
    "GET /api/admin/agent-workloads",
    "POST /api/admin/transfer-agent",
    "POST /api/admin/assign-agent",
    "POST /api/admin/remove-agent",
    "POST /api/admin/transfer-agent-between-chats",
];

/// All paths of the contract, its own 404 included.
pub fn router(context: Context) -> Router {
    Router::new()
        .route("/api/auth/register", post(auth::register))
        .route("/api/auth/login", post(auth::login))
        .route("/api/auth/logout", post(auth::logout))
        .route("/api/auth/validate-session", post(auth::validate))
        .route("/api/auth/profile", get(auth::profile))
        .route("/api/auth/status", put(auth::set_status))
        .route("/api/auth/agents/online", get(people::agents_online))
        .route("/api/auth/agents/all", get(people::agents_all))
        .route("/api/chat/online-users", get(people::online_users))
        .route("/api/chat/online-agents", get(people::online_agents))
        .route("/api/chat/rooms", get(rooms::list).post(rooms::create))
        .route("/api/chat/rooms/agent", get(rooms::of_agent))
        .route("/api/chat/rooms/{id}", get(rooms::one).delete(rooms::close))
        .route("/api/chat/rooms/{id}/messages", get(messages::list))
        .route("/api/chat/rooms/{id}/search", get(messages::search))
        .route("/api/chat/attachments/{id}", get(attachments::download))
        .route("/api/chat/unread-count", get(messages::unread))
        .route("/api/chat/messages/{id}", patch(messages::edit).delete(messages::delete))
        .route("/api/chat/assign-agent", post(transfers::assign))
        .route("/api/chat/transfer", post(transfers::transfer))
        .merge(admins())
        .layer(from_fn(extract::finish::<Problem, BODY_LIMIT>))
        .route("/api/health", get(health))
        .method_not_allowed_fallback(|| async { Problem::Route })
        .fallback(|| async { Problem::Route })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(context)
}

/// The paths whose bodies are read piece by piece, and may take longer than any other.
pub fn uploads(context: Context) -> Router {
    Router::new()
        .route("/api/chat/rooms/{id}/attachments", post(attachments::upload))
        .method_not_allowed_fallback(|| async { Problem::Route })
        // What is too much is told apart by part of the form.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(upload::bounded))
        .with_state(context)
}

/// What only admins may do.
fn admins() -> Router<Context> {
    Router::new()
        .route("/api/chat/admin/transfer-agent", post(transfers::admin_transfer))
        .route("/api/chat/admin/{id}/remove-agent", post(transfers::remove_by_path))
        .route("/api/chat/admin/agent-workload", get(admin::workloads))
        .route("/api/admin/stats", get(admin::stats))
        .route("/api/admin/chat-stats", get(admin::chat_stats))
        .route("/api/admin/chat-rooms", get(admin::chat_rooms))
        .route("/api/admin/users", get(admin::users))
        .route("/api/admin/users/{id}/status", put(admin::set_status))
        .route("/api/admin/agent-workloads", get(admin::workloads))
        .route("/api/admin/transfer-agent", post(transfers::admin_transfer))
        .route("/api/admin/assign-agent", post(transfers::admin_assign))
        .route("/api/admin/remove-agent", post(transfers::admin_remove))
        .route("/api/admin/transfer-agent-between-chats", post(transfers::between))
}

/// `GET /api/health`: without the envelope, as the original.
async fn health(State(context): State<Context>) -> Response {
    let (code, condition) = match context.desk.ready().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(error) => {
            status::log(&error);
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    };
    let now = context.desk.now().iso();
    let body = json!({"status": condition, "timestamp": now, "uptime": context.uptime_seconds(), "message": "Chat API is running"});
    (code, Json(body)).into_response()
}

type PathId = extract::PathId<Problem>;
type Input = extract::Input<Problem>;

/// Why a request was not served, in the contract's words.
enum Problem {
    /// The desk refused or failed.
    Refused(Error),
    /// The caller's role does not suffice.
    Role(&'static str),
    /// Fields are missing or wrong.
    Invalid(StatusCode, &'static str),
    /// What the original's schema refused; or a defect of ours.
    Internal,
    /// There is no such path.
    Route,
}

impl Problem {
    fn input(message: &'static str) -> Self {
        Problem::Invalid(StatusCode::BAD_REQUEST, message)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::Refused(error)
    }
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Missing => Problem::input("No file uploaded"),
            Unreadable::TooLarge => Problem::Invalid(StatusCode::PAYLOAD_TOO_LARGE, "The form has too much beside the file"),
            Unreadable::Malformed => Problem::input("Malformed form"),
            Unreadable::Stalled => Problem::Invalid(StatusCode::REQUEST_TIMEOUT, "The upload has stalled"),
        }
    }
}

impl From<Unserved> for Problem {
    fn from(unserved: Unserved) -> Self {
        match unserved {
            Unserved::TooLarge => Problem::Invalid(StatusCode::PAYLOAD_TOO_LARGE, "Request body is larger than 10 MB"),
            // Quirk: whatever is no deliberate answer is 500 (document 002).
            Unserved::BadId => Problem::input("Invalid ID format"),
            Unserved::Malformed(_) | Unserved::Panicked => Problem::Internal,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Problem::Refused(error) => refused(&error),
            Problem::Role(message) => failure(StatusCode::FORBIDDEN, message),
            Problem::Invalid(status, message) => failure(status, message),
            Problem::Internal => failure(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
            Problem::Route => failure(StatusCode::NOT_FOUND, "Route not found"),
        }
    }
}

fn refused(error: &Error) -> Response {
    status::log(error);
    let (status, message) = match error {
        // The original answered 500 where a request without a body showed no login; its frontend waits for 401.
        Error::Unauthenticated => (StatusCode::UNAUTHORIZED, "Session ID required"),
        Error::InvalidToken | Error::WrongKey => (StatusCode::UNAUTHORIZED, "Invalid or expired session"),
        Error::WrongPassword => (StatusCode::UNAUTHORIZED, "Invalid email or password"),
        Error::AccountExists => (StatusCode::BAD_REQUEST, "User with this email or username already exists"),
        Error::AccountNotFound => (StatusCode::NOT_FOUND, "User not found"),
        Error::SessionNotFound => (StatusCode::NOT_FOUND, "Chat room not found"),
        Error::MessageNotFound => (StatusCode::NOT_FOUND, "Message not found"),
        Error::AttachmentNotFound => (StatusCode::NOT_FOUND, "Attachment not found"),
        Error::AttachmentTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Attachment is too large"),
        Error::AttachmentRefused => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "File type is not allowed"),
        Error::AgentNotFound => (StatusCode::BAD_REQUEST, "Invalid agent or insufficient permissions"),
        Error::SessionEnded(_) => (StatusCode::BAD_REQUEST, "Chat room is closed"),
        Error::TooManySessions => (StatusCode::CONFLICT, "Too many open chat rooms"),
        Error::MessageDeleted => (StatusCode::BAD_REQUEST, "Message was deleted"),
        Error::ClientKeyReused => (StatusCode::CONFLICT, "Client key was used for another message"),
        other => match other.kind() {
            Kind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable"),
            Kind::Forbidden => (StatusCode::FORBIDDEN, "Access denied"),
            kind => (status::of(kind), "Internal server error"),
        },
    };
    (status::retry_after(error), failure(status, message)).into_response()
}

fn failure(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"success": false, "message": message, "data": null}))).into_response()
}

/// The id of a room, from a path or a body.
fn room_id(named: &str) -> Result<SessionId, Problem> {
    SessionId::parse(named).ok_or(Problem::input("Invalid chat room ID format"))
}

/// A success in the contract's envelope.
fn success(status: StatusCode, message: &str, data: Value) -> Response {
    (status, Json(json!({"success": true, "message": message, "data": data}))).into_response()
}

/// What the desk answered, where a refusal for lack of a role has a text of its own.
fn role_required<T>(answer: Result<T, Error>, message: &'static str) -> Result<T, Problem> {
    answer.map_err(|e| match e {
        Error::Forbidden => {
            status::log(&e);
            Problem::Role(message)
        }
        other => other.into(),
    })
}
