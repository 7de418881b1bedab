//! The one table from families of errors to HTTP status codes, and the one place where refused and failed calls are logged.

use std::error::Error as _;

use axum::http::{HeaderName, StatusCode, header};

use crate::domain::error::{Error, Kind};

/// The status of a family.
pub fn of(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The header that says when a refused call may be tried again, in seconds.
pub fn retry_after(error: &Error) -> Option<[(HeaderName, String); 1]> {
    error.retry_after_ms().map(|ms| [(header::RETRY_AFTER, ms.div_ceil(1_000).to_string())])
}

/// Logs a failure of ours with its causes, and what was refused for lack of rights or patience. Other mistakes of callers are their own affair.
pub fn log(error: &Error) {
    match error.kind() {
        Kind::Unavailable | Kind::Internal => {}
        Kind::Forbidden | Kind::Unauthenticated | Kind::RateLimited => {
            return tracing::info!(error.code = error.code(), "a call was refused");
        }
        Kind::NotFound | Kind::Conflict => return,
    }
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    tracing::error!(error.code = error.code(), error.causes = causes.join(": "), "a call failed");
}
