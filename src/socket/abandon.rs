//! Closes the engine's session when a client gives up its pending long poll. The library would keep it until the heartbeat fails,
//! up to 45 s, and the others would see somebody who is gone.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tower::{Service, ServiceExt};

use super::gate::HangUp;

/// Puts the watch in front of the routes of the library's service.
pub(super) fn watched<S>(routes: Router, service: S) -> Router
where
    S: Service<Request> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
{
    routes.layer(from_fn_with_state(service, watch::<S>))
}

async fn watch<S>(State(service): State<S>, request: Request, next: Next) -> Response
where
    S: Service<Request> + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
{
    let waits = request.method() == Method::GET && has(request.uri(), "transport=polling") && has(request.uri(), "sid=");
    let mut pending = waits.then(|| Pending { service: Some(service), uri: request.uri().clone() });
    let response = next.run(request).await;
    if let Some(answered) = &mut pending {
        answered.service = None;
    }
    response
}

/// A poll without an answer yet. When it is dropped so, the client has hung up.
struct Pending<S>
where
    S: Service<Request> + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
{
    service: Option<S>,
    uri: Uri,
}

impl<S> Drop for Pending<S>
where
    S: Service<Request> + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
{
    fn drop(&mut self) {
        if let Some(service) = self.service.take() {
            close(service, self.uri.clone());
        }
    }
}

/// How polling clients are hung up on.
pub(super) fn hang_up<S>(service: S) -> HangUp
where
    S: Service<Request> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
{
    Box::new(move |session, is_old| {
        let protocol = if is_old { 3 } else { 4 };
        if let Ok(uri) = format!("/socket.io/?EIO={protocol}&transport=polling&sid={session}").parse() {
            close(service.clone(), uri);
        }
    })
}

/// Posts an ordinary close packet, as the client would have posted it, framed as its protocol frames it.
#[allow(clippy::disallowed_methods, reason = "the task posts one packet and ends")]
fn close<S>(service: S, uri: Uri)
where
    S: Service<Request> + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
{
    let close = if has(&uri, "EIO=3") { "1:1" } else { "1" };
    let request = Request::builder().method(Method::POST).uri(uri).header("content-type", "text/plain;charset=UTF-8");
    let Ok(request) = request.body(Body::from(close)) else { return };
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(service.oneshot(request));
    }
}

fn has(uri: &Uri, parameter: &str) -> bool {
    uri.query().unwrap_or_default().split('&').any(|pair| pair.starts_with(parameter))
}
