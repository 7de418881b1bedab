//! The library keeps the head of a session's first request for as long as the session lives. Parsed heads point into the connection's read
//! buffer, 8 KiB; a copy of the little that is looked at later does not.

use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// What the library looks at, and what admission does.
const KEPT: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_KEY,
    header::HOST,
    header::ORIGIN,
    header::USER_AGENT,
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
];

/// Passes on a request whose head is a copy of its own.
pub(super) async fn detach(mut request: Request, next: Next) -> Response {
    if let Ok(uri) = request.uri().to_string().parse() {
        *request.uri_mut() = uri;
    }
    let mut kept = HeaderMap::with_capacity(KEPT.len() - 1);
    for name in KEPT {
        for value in request.headers().get_all(&name) {
            kept.extend(HeaderValue::from_bytes(value.as_bytes()).map(|copy| (name.clone(), copy)));
        }
    }
    *request.headers_mut() = kept;
    request.extensions_mut().remove::<OriginalUri>();
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn what_admission_looks_at_is_kept_and_nothing_else() {
        let seen = async |request: Request| {
            assert_eq!(request.uri(), "/socket.io/?EIO=4&transport=polling");
            let forwarded: Vec<_> = request.headers().get_all("x-forwarded-for").iter().collect();
            assert_eq!(forwarded, ["10.0.0.1", "10.0.0.2"]);
            assert_eq!(request.headers().get(header::HOST).unwrap(), "desk.example");
            assert_eq!(request.headers().len(), 3);
            StatusCode::NO_CONTENT
        };
        let router = Router::new().route("/socket.io/", get(seen)).layer(from_fn(detach));
        let request = Request::get("/socket.io/?EIO=4&transport=polling").header("host", "desk.example").header("cookie", "a=b");
        let request = request.header("x-forwarded-for", "10.0.0.1").header("x-forwarded-for", "10.0.0.2").body(Body::empty()).unwrap();
        assert_eq!(router.oneshot(request).await.unwrap().status(), StatusCode::NO_CONTENT);
    }
}
