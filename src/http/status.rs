//! The one table from families of errors to HTTP status codes, and the one place where failures of ours are logged.

use std::error::Error as _;

use axum::http::StatusCode;

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

/// Logs an error with its causes if it is the server's: callers' mistakes are their own affair.
pub fn log_failure(error: &Error) {
    if !matches!(error.kind(), Kind::Unavailable | Kind::Internal) {
        return;
    }
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    tracing::error!(error.code = error.code(), error.causes = causes.join(": "), "a call failed");
}
