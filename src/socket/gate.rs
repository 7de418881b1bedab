//! Back-pressure: while an engine session has too many calls waiting, its WebSocket is not read and its posts are not taken.
//! Knows connections, not calls.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use socketioxide::ProtocolVersion;
use tokio::sync::Notify;

use super::SocketRef;
use crate::http::serve::Remote;
use crate::http::watched::Valve;

/// How long a post of a polling client may take, once it is taken.
const POST_LIMIT: Duration = Duration::from_secs(30);

/// At how many known sessions dead ones are looked for first.
const FIRST_SWEEP: usize = 1_024;

/// The gates of all engine sessions, and the WebSockets they read from, by the session's id.
#[derive(Default)]
pub(super) struct Gates {
    known: Mutex<Known>,
    /// Whether no new session is taken.
    is_full: AtomicBool,
    /// Ends a session of a polling client, by its id.
    hang_up: OnceLock<HangUp>,
}

/// Ends a session of a polling client by its id, as if the client did; whether it speaks the older protocol.
pub(super) type HangUp = Box<dyn Fn(&str, bool) + Send + Sync>;

#[derive(Default)]
struct Known {
    sessions: HashMap<String, Session>,
    sweep_at: usize,
}

impl Known {
    /// The place of a session, new or old. Dead ones are forgotten whenever their number may have doubled.
    fn session(&mut self, id: &str) -> &mut Session {
        if self.sessions.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.sessions.retain(|_, s| s.is_alive());
            self.sweep_at = self.sessions.len() * 2;
        }
        self.sessions.entry(id.to_owned()).or_default()
    }
}

/// What is known of one engine session. Its WebSocket may be known before it is admitted, and the other way round.
#[derive(Default)]
struct Session {
    gate: Weak<Gate>,
    valve: Weak<Valve>,
}

impl Session {
    fn is_alive(&self) -> bool {
        self.gate.strong_count() + self.valve.strong_count() > 0
    }
}

/// The gate of one engine session. Opens when it is dropped.
pub(super) struct Gate {
    shut: AtomicBool,
    /// Whether it stays shut.
    is_held: AtomicBool,
    opened: Notify,
    session: String,
    is_old: bool,
    gates: Weak<Gates>,
}

impl Gates {
    /// The gate of the socket's session.
    pub(super) fn gate(self: &Arc<Self>, socket: &SocketRef) -> Arc<Gate> {
        let id = socket.id.to_string();
        let gate = Gate {
            shut: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            opened: Notify::new(),
            session: id.clone(),
            is_old: socket.protocol() == ProtocolVersion::V4,
            gates: Arc::downgrade(self),
        };
        let mut known = self.known();
        let session = known.session(&id);
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

    /// From now on no new session is taken.
    pub(super) fn take_no_more(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }

    /// Says, once, how polling clients are hung up on.
    pub(super) fn hang_up_by(&self, hang_up: HangUp) {
        if self.hang_up.set(hang_up).is_err() {
            tracing::error!("it is said already how polling clients are hung up on");
        }
    }

    /// The session goes on by this WebSocket. Answers its gate, if it is admitted already.
    fn moves_to(&self, id: &str, valve: &Arc<Valve>) -> Option<Arc<Gate>> {
        let mut known = self.known();
        let session = known.session(id);
        session.valve = Arc::downgrade(valve);
        session.gate.upgrade()
    }

    fn find(&self, id: &str) -> Option<Arc<Gate>> {
        self.known().sessions.get(id)?.gate.upgrade()
    }

    fn has(&self, id: &str) -> bool {
        self.known().sessions.contains_key(id)
    }

    fn valve(&self, id: &str) -> Option<Arc<Valve>> {
        self.known().sessions.get(id)?.valve.upgrade()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Nothing more is read from the client, for good.
    pub(super) fn hold(&self) {
        self.is_held.store(true, Ordering::SeqCst);
        self.shut();
    }

    /// The client is read again.
    pub(super) fn open(&self) {
        if !self.is_held.load(Ordering::SeqCst) && self.shut.swap(false, Ordering::SeqCst) {
            if self.is_held.load(Ordering::SeqCst) {
                // Since the look above.
                return self.shut();
            }
            if let Some(valve) = self.valve() {
                valve.open();
            }
            self.opened.notify_waiters();
        }
    }

    /// Ends the session's connection, so that an official client comes back by itself, which it does not after a disconnect packet.
    pub(super) fn cut(&self) {
        match (self.valve(), self.gates.upgrade()) {
            (Some(valve), _) => valve.cut(),
            (None, Some(gates)) => gates.hang_up.get().into_iter().for_each(|hang_up| hang_up(&self.session, self.is_old)),
            (None, None) => {}
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
        self.is_held.store(false, Ordering::SeqCst);
        self.open();
        let Some(gates) = self.gates.upgrade() else { return };
        let mut known = gates.known();
        // The session may have a new gate already, and its WebSocket may outlive this one.
        if known.sessions.get(&self.session).is_some_and(|s| !s.is_alive()) {
            known.sessions.remove(&self.session);
        }
    }
}

/// Makes posts wait at their session's gate, and notes which WebSocket a session goes on by once the library has taken it.
pub(super) async fn pace(State(gates): State<Arc<Gates>>, request: Request, next: Next) -> Response {
    let id = session_of(request.uri()).map(str::to_owned);
    // Behind a balancer a session of another node may still be sent here.
    if gates.is_full.load(Ordering::Relaxed) && !id.as_ref().is_some_and(|id| gates.has(id)) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping").into_response();
    }
    let Some(id) = id else { return next.run(request).await };
    if request.method() == Method::POST {
        if let Some(gate) = gates.find(&id) {
            gate.is_open().await;
        }
        // The library would wait for the rest of a body for ever.
        let answered = tokio::time::timeout(POST_LIMIT, next.run(request)).await;
        return answered.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response());
    }
    let websocket = request.extensions().get::<ConnectInfo<Remote>>().filter(|_| is_websocket(request.uri())).cloned();
    let response = next.run(request).await;
    if let Some(ConnectInfo(remote)) = websocket.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS)
        && let Some(gate) = gates.moves_to(&id, &remote.valve)
        && gate.shut.load(Ordering::SeqCst)
    {
        gate.pause(&remote.valve);
    }
    response
}

fn session_of(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("sid="))
}

fn is_websocket(uri: &Uri) -> bool {
    uri.query().unwrap_or_default().split('&').any(|pair| pair == "transport=websocket")
}
