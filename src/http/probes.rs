//! `/healthz` and `/readyz`, for load balancers and supervisors; outside every contract.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::domain::desk::Desk;

/// What readiness depends on.
#[derive(Clone)]
pub struct Probes {
    /// Asked whether the store answers.
    pub desk: Arc<Desk>,
    /// Set when the node is about to stop.
    pub stopping: Arc<AtomicBool>,
}

/// The two routes: liveness is 200 while the process runs; readiness is 503 while the store is away or the node is stopping.
pub fn router(probes: Probes) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(probes)
}

async fn ready(State(probes): State<Probes>) -> (StatusCode, &'static str) {
    if probes.stopping.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match probes.desk.ready().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
    }
}
