//! What REST answers when a call is refused or fails, in the contract's error envelope.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::dialect::Context;
use crate::dialect::operators::views::with;
use crate::domain::error::Error;
use crate::http::extract::Unserved;
use crate::http::status;

/// Why a request is not served.
pub(super) enum Problem {
    /// The desk refused or failed.
    Refused(Error),
    /// The same, under this status, code and text of the contract.
    Because(Error, StatusCode, &'static str, &'static str),
    /// A field is wrong, with the contract's code and text, and perhaps details.
    Invalid(StatusCode, &'static str, &'static str, Option<&'static str>),
    /// Fields break their rules: an entry for every rule.
    Validation(Vec<Value>),
    /// The body is no JSON, for this reason.
    Malformed(String),
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
            Unserved::BadId => Problem::Endpoint,
            Unserved::TooLarge => Problem::TooLarge,
            Unserved::Malformed(why) => Problem::Malformed(why),
            Unserved::Panicked => Problem::Panicked,
        }
    }
}

impl Problem {
    /// A field is missing.
    pub(super) fn missing(code: &'static str, message: &'static str) -> Self {
        Problem::Invalid(StatusCode::BAD_REQUEST, code, message, None)
    }
}

/// The error of an answer that is not written yet.
#[derive(Clone)]
struct Fault {
    error: Value,
    /// Whether it says when it happened.
    is_timed: bool,
}

/// Writes the error envelope of an answer, with the time where the contract shows it.
pub(super) async fn tell(State(rest): State<Context>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(Fault { error, is_timed }) = response.extensions_mut().remove::<Fault>() else { return response };
    let error = if is_timed { with(error, [("timestamp", rest.desk.now().iso().into())]) } else { error };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let wait = parts.headers.remove(header::RETRY_AFTER).map(|w| [(header::RETRY_AFTER, w)]);
    (parts.status, wait, Json(json!({"success": false, "error": error}))).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let plain = |code: &str, message: &str| json!({"code": code, "message": message});
        let last_resort = |status: StatusCode, message: &str| fault(status, plain("INTERNAL_ERROR", message), true);
        match self {
            Problem::Refused(error) => refused(&error),
            Problem::Because(error, status, code, message) => {
                status::log(&error);
                fault(status, plain(code, message), false)
            }
            Problem::Invalid(status, code, message, details) => {
                let error = plain(code, message);
                fault(status, details.map_or(error.clone(), |d| with(error, [("details", d.into())])), false)
            }
            Problem::Validation(details) => {
                let error = plain("VALIDATION_ERROR", "Request validation failed");
                fault(StatusCode::BAD_REQUEST, with(error, [("details", details.into())]), true)
            }
            Problem::Malformed(why) => last_resort(StatusCode::BAD_REQUEST, &why),
            Problem::TooLarge => last_resort(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large"),
            Problem::Panicked => last_resort(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
            Problem::Endpoint => last_resort(StatusCode::NOT_FOUND, "Not Found"),
        }
    }
}

fn refused(error: &Error) -> Response {
    status::log(error);
    let (code, message) = words(error);
    let said = json!({"code": code, "message": message});
    let said = match error {
        Error::SessionNotFound => with(said, [("details", "Session not found".into())]),
        _ => said,
    };
    let response = fault(status::of(error.kind()), said, matches!(error, Error::Internal(_)));
    (status::retry_after(error), response).into_response()
}

/// Code and text of what the desk refuses.
fn words(error: &Error) -> (&'static str, &'static str) {
    match error {
        Error::SessionNotFound => ("SESSION_NOT_FOUND", "Chat session does not exist"),
        Error::AgentNotFound => ("OPERATOR_NOT_FOUND", "Operator does not exist"),
        Error::SessionEnded(_) => ("SESSION_ENDED", "Chat session has ended"),
        Error::AgentUnavailable => ("OPERATOR_ASSIGNMENT_FAILED", "Operator is not available for assignment"),
        Error::Unauthenticated | Error::WrongKey => ("UNAUTHORIZED", "Authentication required"),
        Error::InvalidToken => ("FORBIDDEN", "Invalid or expired token"),
        Error::Forbidden => ("FORBIDDEN", "Not authorized"),
        Error::RateLimited { .. } => ("RATE_LIMITED", "Too many requests"),
        Error::Unavailable(_) => ("UNAVAILABLE", "Service temporarily unavailable"),
        _ => ("INTERNAL_ERROR", "Internal server error"),
    }
}

fn fault(status: StatusCode, error: Value, is_timed: bool) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(Fault { error, is_timed });
    response
}
