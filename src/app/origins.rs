//! Which web pages browsers let read answers, for each listener: the contracts decide, and the configuration.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, Method, header, request::Parts};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::Mount;
use crate::dialect;
use crate::domain::principal::Realm;
use crate::http::trust::Trust;

/// Whether the contract serves pages of any origin.
pub(super) fn is_open(realm: Realm) -> bool {
    dialect::of(realm).admits_any_origin()
}

/// Allowed origins are reflected, with credentials (collision R12). Where the contract of a path is open every origin is allowed: it uses no
/// cookies, so a page gains nothing from its visitor's browser. Those of the other mounts of the listener are not open because of it.
pub(super) fn cors(trust: Arc<Trust>, mounts: &[Mount]) -> CorsLayer {
    let open = Open::of(mounts);
    let allowed = move |origin: &HeaderValue, parts: &Parts| {
        open.has(parts.uri.path()) || origin.to_str().is_ok_and(|o| trust.admits_origin(o, &parts.headers))
    };
    let custom = ["x-api-key", "x-session-id"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION].into_iter().chain(custom).collect::<Vec<_>>())
}

/// Which paths of a listener serve pages of any origin.
struct Open {
    /// The bases of its mounts without a slash at the end, and whether each contract is open.
    bases: Vec<(String, bool)>,
}

impl Open {
    fn of(mounts: &[Mount]) -> Self {
        let base = |m: &Mount| (m.base.trim_end_matches('/').to_owned(), is_open(m.realm));
        Self { bases: mounts.iter().map(base).collect() }
    }

    /// The contract of a path is that of the longest base above it. All share the Socket.IO service, which asks the contract at CONNECT.
    fn has(&self, path: &str) -> bool {
        let is_below = |base: &str| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_below("/socket.io") {
            return self.bases.iter().any(|(_, open)| *open);
        }
        let of_path = self.bases.iter().filter(|(base, _)| is_below(base)).max_by_key(|(base, _)| base.len());
        of_path.is_some_and(|(_, open)| *open)
    }
}
