//! Not built yet.

use axum::Router;

use crate::dialect::Context;

/// Nothing.
pub fn router(_: Context) -> Router {
    Router::new()
}
