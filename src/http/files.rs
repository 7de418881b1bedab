//! The files this server hands out: the Socket.IO client, as the Node server does, the page for people who open `/` in a browser,
//! and, outside production, the documents that it links to.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

/// The page for browsers.
const PAGE: &str = include_str!("../../static/index.html");

/// The documents that the page links to.
const DOCUMENTS: [(&str, &str); 6] = [
    ("/docs/support.md", include_str!("../../docs/dialects/support.md")),
    ("/docs/operators.md", include_str!("../../docs/dialects/operators.md")),
    ("/docs/rooms.md", include_str!("../../docs/dialects/rooms.md")),
    ("/docs/widget.md", include_str!("../../docs/dialects/widget.md")),
    ("/docs/ARCHITECTURE.md", include_str!("../../docs/ARCHITECTURE.md")),
    ("/docs/README.md", include_str!("../../README.md")),
];

/// What the page may load: itself and this server. Unlike REST answers it must not upgrade to https, or `http://localhost` breaks.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; img-src 'self' data:; object-src 'none'";

const FILES: [(&str, &str); 6] = [
    ("socket.io.js", "application/javascript; charset=utf-8"),
    ("socket.io.min.js", "application/javascript; charset=utf-8"),
    ("socket.io.js.map", "application/json; charset=utf-8"),
    ("socket.io.min.js.map", "application/json; charset=utf-8"),
    ("socket.io.esm.min.js", "application/javascript; charset=utf-8"),
    ("socket.io.esm.min.js.map", "application/json; charset=utf-8"),
];

/// The client's files under `/socket.io/`, from the folder in which npm installed them; 404 with a hint where they are not.
pub fn client_router(folder: &Path) -> Router {
    let folder: Arc<PathBuf> = Arc::new(folder.to_owned());
    FILES
        .iter()
        .fold(Router::new(), |router, (name, kind)| {
            let serve =
                async move |State(folder): State<Arc<PathBuf>>, request: HeaderMap| client_file(&folder, name, kind, &request).await;
            router.route(&format!("/socket.io/{name}"), get(serve))
        })
        .with_state(folder)
}

/// The documents as plain text.
pub fn documents_router() -> Router {
    let plain = |text: &'static str| get(async move || ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text));
    DOCUMENTS.iter().fold(Router::new(), |router, (path, text)| router.route(path, plain(text)))
}

/// What the page says of one contract.
pub struct Served {
    /// Its name.
    pub dialect: &'static str,
    /// The port, where it is not the page's own.
    pub port: Option<u16>,
    /// The base path, `/` or without a slash at its end.
    pub base: String,
}

/// The page, with a row for each contract that is served.
pub fn page_of(mounts: &[Served]) -> Arc<str> {
    let row = |served: &Served| {
        let Served { dialect, port, base } = served;
        let host = port.map_or(String::new(), |p| format!("port {p}, "));
        let rest = base.trim_end_matches('/');
        format!("<tr><td><code>{dialect}</code></td><td>{host}<code>{rest}/api/…</code></td><td>namespace <code>{base}</code></td></tr>")
    };
    PAGE.replace("<!-- mounts -->", &mounts.iter().map(row).collect::<String>()).into()
}

/// The page as an answer, with headers that let it work.
pub fn page(text: &Arc<str>) -> Response {
    let policy = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY))];
    (policy, Html(text.to_string())).into_response()
}

/// A file of the client, to be cached and asked for again: a new version shows at once.
async fn client_file(folder: &Path, name: &str, kind: &'static str, request: &HeaderMap) -> Response {
    let path = folder.join(name);
    let Ok(Ok((bytes, tag))) = tokio::task::spawn_blocking(move || read(&path)).await else {
        let hint = "The Socket.IO client is not installed here: run `npm ci --prefix static`, or set SOCKET_IO_CLIENT_DIR.\n";
        return (StatusCode::NOT_FOUND, hint).into_response();
    };
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|t| t.as_bytes() == tag.as_bytes());
    let headers = [
        (header::CACHE_CONTROL, "public, max-age=0"),
        (header::ETAG, tag.as_str()),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(header::CONTENT_TYPE, kind)], bytes).into_response()
}

/// A file and the tag of its present version.
fn read(path: &Path) -> io::Result<(Vec<u8>, String)> {
    let changed = std::fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let bytes = std::fs::read(path)?;
    let tag = format!("W/\"{:x}-{:x}\"", bytes.len(), changed.as_millis());
    Ok((bytes, tag))
}
