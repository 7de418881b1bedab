//! `/`, `/api/health`, and the answer to unknown paths.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::dialect::Context;
use crate::domain::principal::Realm;
use crate::http::{files, status};

/// The version that the contract shows.
const VERSION: &str = "1.0.0";

/// `GET /`: the contract's JSON for programs, the page for browsers.
pub(super) async fn root(State(rest): State<Context>, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        return files::page(&rest.page);
    }
    Json(json!({
        "success": true,
        "message": "Chat Support System API",
        "version": VERSION,
        "documentation": "/api/health",
        "timestamp": rest.desk.now().iso(),
    }))
    .into_response()
}

/// `GET /api/health`.
pub(super) async fn health(State(rest): State<Context>) -> Response {
    let (code, condition, database, (open, all)) = match rest.desk.count_sessions(Realm::Support).await {
        Ok(counts) => (StatusCode::OK, "healthy", "connected", counts),
        Err(error) => {
            status::log(&error);
            (StatusCode::SERVICE_UNAVAILABLE, "unhealthy", "disconnected", Default::default())
        }
    };
    let data = json!({
        "status": condition,
        "timestamp": rest.desk.now().iso(),
        "uptime": rest.uptime_seconds(),
        "environment": rest.environment,
        "version": VERSION,
        "services": {"database": database, "sessions": {"active": open, "total": all}},
    });
    (code, Json(json!({"success": code == StatusCode::OK, "data": data}))).into_response()
}

/// The body for a path that does not exist.
pub(super) fn unknown_endpoint() -> Value {
    json!({
        "success": false,
        "message": "Endpoint not found",
        "availableEndpoints": {
            "health": "GET /api/health",
            "auth": "POST /api/auth/token",
            "startSession": "POST /api/chat/start-session",
            "getMessages": "GET /api/chat/messages/:sessionId",
            "sendMessage": "POST /api/chat/send-message/:sessionId",
            "endSession": "POST /api/chat/end-session/:sessionId",
            "getStats": "GET /api/chat/stats",
        },
    })
}
