//! Back-pressure: while an engine session has too many calls waiting, its WebSocket is not read and its posts are not taken.
//! Knows connections, not calls.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use socketioxide::extract::SocketRef;
use tokio::sync::Notify;

use crate::http::serve::Remote;
use crate::http::watched::Valve;

/// From how many known WebSockets on the dead ones are looked for.
const SWEEP_AT: usize = 1_024;

/// The gates of all engine sessions, and the WebSockets they read from, by the session's id.
#[derive(Default)]
pub(super) struct Gates {
    sessions: Mutex<HashMap<String, Session>>,
}

/// What is known of one engine session. Its WebSocket may be known before it is admitted, and the other way round.
#[derive(Default)]
struct Session {
    gate: Weak<Gate>,
    valve: Weak<Valve>,
}

/// The gate of one engine session. Opens when it is dropped.
pub(super) struct Gate {
    shut: AtomicBool,
    opened: Notify,
    session: String,
    gates: Weak<Gates>,
}

impl Gates {
    /// The gate of the socket's session.
    pub(super) fn gate(self: &Arc<Self>, socket: &SocketRef) -> Arc<Gate> {
        let id = socket.id.to_string();
        let gate = Gate { shut: AtomicBool::new(false), opened: Notify::new(), session: id.clone(), gates: Arc::downgrade(self) };
        let mut sessions = self.sessions();
        let session = sessions.entry(id).or_default();
        if let Some(gate) = session.gate.upgrade() {
            return gate;
        }
        let gate = Arc::new(gate);
        session.gate = Arc::downgrade(&gate);
        let parts = socket.req_parts();
        if let Some(ConnectInfo(remote)) = parts.extensions.get::<ConnectInfo<Remote>>().filter(|_| is_websocket(&parts.uri)) {
            session.valve = Arc::downgrade(&remote.valve);
        }
        gate
    }

    /// The session goes on by this WebSocket. Answers its gate, if it is admitted already.
    fn moves_to(&self, id: &str, valve: &Arc<Valve>) -> Option<Arc<Gate>> {
        let mut sessions = self.sessions();
        if sessions.len() >= SWEEP_AT && sessions.len().is_power_of_two() {
            sessions.retain(|_, s| s.gate.strong_count() + s.valve.strong_count() > 0);
        }
        let session = sessions.entry(id.to_owned()).or_default();
        session.valve = Arc::downgrade(valve);
        session.gate.upgrade()
    }

    fn find(&self, id: &str) -> Option<Arc<Gate>> {
        self.sessions().get(id)?.gate.upgrade()
    }

    fn valve(&self, id: &str) -> Option<Arc<Valve>> {
        self.sessions().get(id)?.valve.upgrade()
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// Nothing more is read from the client.
    pub(super) fn shut(&self) {
        if !self.shut.swap(true, Ordering::SeqCst)
            && let Some(valve) = self.valve()
        {
            self.pause(&valve);
        }
    }

    /// The client is read again.
    pub(super) fn open(&self) {
        if self.shut.swap(false, Ordering::SeqCst) {
            if let Some(valve) = self.valve() {
                valve.open();
            }
            self.opened.notify_waiters();
        }
    }

    /// Shuts the valve while this gate is shut.
    fn pause(&self, valve: &Valve) {
        valve.shut();
        // The gate may have opened in between, and nobody would open the valve again.
        if !self.shut.load(Ordering::SeqCst) {
            valve.open();
        }
    }

    async fn is_open(&self) {
        loop {
            let opened = self.opened.notified();
            if !self.shut.load(Ordering::SeqCst) {
                return;
            }
            opened.await;
        }
    }

    fn valve(&self) -> Option<Arc<Valve>> {
        self.gates.upgrade()?.valve(&self.session)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
        if let Some(gates) = self.gates.upgrade() {
            gates.sessions().remove(&self.session);
        }
    }
}

/// Makes posts wait at their session's gate, and notes which WebSocket a session goes on by.
pub(super) async fn pace(State(gates): State<Arc<Gates>>, request: Request, next: Next) -> Response {
    if let Some(id) = session_of(request.uri()) {
        if request.method() == Method::POST {
            if let Some(gate) = gates.find(id) {
                gate.is_open().await;
            }
        } else if let Some(ConnectInfo(remote)) = request.extensions().get::<ConnectInfo<Remote>>().filter(|_| is_websocket(request.uri()))
            && let Some(gate) = gates.moves_to(id, &remote.valve)
            && gate.shut.load(Ordering::SeqCst)
        {
            gate.pause(&remote.valve);
        }
    }
    next.run(request).await
}

fn session_of(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("sid="))
}

fn is_websocket(uri: &Uri) -> bool {
    uri.query().unwrap_or_default().split('&').any(|pair| pair == "transport=websocket")
}
