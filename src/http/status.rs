//! The one table from families of errors to HTTP status codes, and the one place where refused and failed calls are logged and counted.

use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderName, StatusCode, header};

use crate::domain::error::{Error, Kind};

/// How many refused and failed calls of each family came here, in the order of [`Kind::ALL`]. Of the process, as the log is.
static REFUSED: [AtomicU64; Kind::ALL.len()] = [const { AtomicU64::new(0) }; Kind::ALL.len()];

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

/// How many calls were refused or failed since the process started, by family.
pub fn refused() -> impl Iterator<Item = (Kind, u64)> {
    Kind::ALL.into_iter().zip(REFUSED.iter().map(|count| count.load(Ordering::Relaxed)))
}

/// Logs a failure of ours with its causes, and what was refused for lack of rights or patience. Other mistakes of callers are their own affair, and
/// only counted.
pub fn log(error: &Error) {
    if let Some(count) = REFUSED.get(error.kind() as usize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
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
