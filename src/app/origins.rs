//! Which web pages browsers let read answers, for each listener: the contracts decide, and the configuration.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, Method, header, request::Parts};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::dialect;
use crate::domain::principal::Realm;
use crate::http::trust::Trust;

/// Whether the contract serves pages of any origin.
pub(super) fn is_open(realm: Realm) -> bool {
    dialect::of(realm).admits_any_origin()
}

/// Allowed origins are reflected, with credentials (collision R12). Below the given paths every origin is allowed: those contracts use no
/// cookies, so a page gains nothing from its visitor's browser.
pub(super) fn cors(trust: Arc<Trust>, open: Vec<String>) -> CorsLayer {
    let allowed = move |origin: &HeaderValue, parts: &Parts| {
        let path = parts.uri.path();
        let is_open = open.iter().any(|base| path.strip_prefix(base.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        is_open || origin.to_str().is_ok_and(|o| trust.admits_origin(o, &parts.headers))
    };
    let custom = ["x-api-key", "x-session-id"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION].into_iter().chain(custom).collect::<Vec<_>>())
}
