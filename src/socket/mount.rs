//! The Socket.IO service of a listener: its limits, its namespaces, and the checks in front of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use socketioxide::ParserConfig;
use socketioxide::extract::TryData;
use socketioxide::handler::ConnectHandler;
use socketioxide_redis::{InitRes, RedisAdapterConfig, RedisAdapterCtr};
use tokio::sync::watch;

use super::admit::{self, Door};
use super::drain::Stay;
use super::gate::{self, Gates};
use super::gateway::{Floor, Gateway};
use super::outlet::Tally;
use super::roster::Roster;
use super::tails::Tails;
use super::{Adapter, SocketIo, SocketRef, abandon, head};
use crate::cluster::driver::Signals;
use crate::dialect::Dialect;
use crate::domain::desk::Desk;
use crate::http::trust::Trust;
use crate::limit::PerAddress;

/// How long a socket may take to complete CONNECT.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many packets wait for a socket. Entries beyond are fed from the store, so this need not be large.
const SEND_BUFFER: usize = 128;

/// The read buffer of a WebSocket; support messages are small, and every idle socket holds one.
const READ_BUFFER: usize = 1_024;

/// How many signals of other nodes may wait for a namespace.
const SIGNALS: usize = 4_096;

/// How long closing all sockets may take: a stalled one never answers.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What one client may send at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest packet, in bytes, on polling and WebSocket alike.
    pub max_message_bytes: usize,
    /// How many sockets one address may hold; trusted peers are not counted.
    pub sockets_per_address: PerAddress,
}

/// How signals of a listener's sockets reach those of the same listener on other nodes.
#[derive(Clone)]
pub struct Way {
    /// What carries them.
    pub signals: Signals,
    /// What the channels are called: the same for this listener on every node of the installation, and of no other.
    pub prefix: String,
}

/// The Socket.IO side of a listener: one service, with a namespace for each contract that is mounted.
pub struct Sockets {
    io: SocketIo,
    /// Whether no other node can hear.
    is_alone: bool,
    router: Router,
    floors: Vec<Floor>,
    trust: Arc<Trust>,
    tails: Arc<Tails>,
    places: PerAddress,
    gates: Arc<Gates>,
    tally: Arc<Tally>,
    roster: Arc<Roster>,
    /// Whether sockets may stay. Every connection's task listens here, so that its end can be waited for.
    stay: Arc<watch::Sender<Stay>>,
}

impl Sockets {
    /// A service without contracts. Its namespace `/` exists, because clients of Socket.IO 2.x open it before any other; it can do nothing.
    /// `any_origin` says whether a contract that admits pages of any origin will be mounted; the others then refuse foreign pages at CONNECT.
    pub fn new(gateway: &Gateway, way: Way, trust: Arc<Trust>, limits: Limits, any_origin: bool) -> Self {
        let config = RedisAdapterConfig::new().with_prefix(way.prefix).with_stream_buffer(SIGNALS);
        let is_alone = !way.signals.has_link();
        let (service, io) = socketioxide::SocketIo::builder()
            .with_adapter::<Adapter>(RedisAdapterCtr::new_with_driver(way.signals, config))
            .max_payload(limits.max_message_bytes as u64)
            .ws_max_message_size(limits.max_message_bytes)
            .ws_max_frame_size(limits.max_message_bytes)
            .ws_read_buffer_size(READ_BUFFER)
            .max_buffer_size(SEND_BUFFER)
            .connect_timeout(CONNECT_TIMEOUT)
            .with_parser(ParserConfig::common().max_incoming_binaries(0).max_incoming_binary_buf_size(0))
            .build_svc();
        opened(io.ns("/", async || {}));
        let gates = Arc::new(Gates::default());
        gates.hang_up_by(abandon::hang_up(service.clone()));
        let routes = Router::new().route_service("/socket.io", service.clone()).route_service("/socket.io/", service.clone());
        let paced =
            abandon::watched(routes, service).layer(from_fn(head::detach)).layer(from_fn_with_state(Arc::clone(&gates), gate::pace));
        let router = if any_origin { paced } else { paced.layer(from_fn_with_state(Arc::clone(&trust), check_origin)) };
        let (tails, places) = (Arc::clone(gateway.tails()), limits.sockets_per_address);
        let (tally, roster) = (Arc::clone(gateway.tally()), Arc::clone(gateway.roster()));
        Self { io, is_alone, router, floors: Vec::new(), trust, tails, places, gates, tally, roster, stay: Arc::default() }
    }

    /// Mounts a contract on the namespace of its base path, with and without a slash at its end.
    pub fn mount(&mut self, desk: &Arc<Desk>, dialect: &Arc<dyn Dialect>, base: &str) {
        let namespaces = if base == "/" { vec![base.to_owned()] } else { vec![base.to_owned(), format!("{base}/")] };
        for namespace in namespaces {
            let door = Arc::new(Door {
                desk: Arc::clone(desk),
                dialect: Arc::clone(dialect),
                trust: Arc::clone(&self.trust),
                tails: Arc::clone(&self.tails),
                places: self.places.clone(),
                gates: Arc::clone(&self.gates),
                tally: Arc::clone(&self.tally),
                roster: Arc::clone(&self.roster),
                stay: Arc::clone(&self.stay),
            });
            let admit = move |socket: SocketRef, auth: TryData<serde_json::Value>| {
                let door = Arc::clone(&door);
                async move { door.admit(socket, auth).await }
            };
            let connected = async |socket: SocketRef| admit::connected(&socket);
            opened(self.io.ns(namespace.clone(), connected.with(admit)));
            self.floors.push(Floor { dialect: Arc::clone(dialect), io: self.io.clone(), namespace, is_alone: self.is_alone });
        }
    }

    pub(super) fn floors(&self) -> &[Floor] {
        &self.floors
    }

    /// The routes of `/socket.io/`.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Takes no new socket, and sends those that there are away over this time, each when its calls are answered: they come back to another node.
    pub async fn drain(&self, window: Duration) {
        self.gates.take_no_more();
        self.stay.send_replace(Stay::Until(window));
        if tokio::time::timeout(window + CLOSE_LIMIT, self.stay.closed()).await.is_err() {
            tracing::warn!("some sockets did not go in time");
        }
    }

    /// Closes every socket, as far as they let themselves be closed within two seconds. Then waits until what they called before is carried out
    /// and their conversations have left.
    pub async fn close(&self) {
        if tokio::time::timeout(CLOSE_LIMIT, self.io.close()).await.is_err() {
            tracing::warn!("some sockets did not close in time");
        }
        // Closing everything is the one end of a socket of which the library does not tell.
        self.stay.send_replace(Stay::Closed);
        self.stay.closed().await;
    }
}

/// The way of signals never waits, and so no namespace does.
fn opened(opening: InitRes<Signals>) {
    if !matches!(opening.now_or_never(), Some(Ok(()))) {
        tracing::error!("a namespace could not be opened; no socket will connect there");
    }
}

/// Refuses pages of foreign origins, on polling and WebSocket alike; the library does not look.
async fn check_origin(State(trust): State<Arc<Trust>>, request: Request, next: Next) -> Response {
    if trust.admits_origin_of(request.headers()) {
        next.run(request).await
    } else {
        let origin =
            request.headers().get(header::ORIGIN).map(|o| String::from_utf8_lossy(o.as_bytes()).chars().take(100).collect::<String>());
        tracing::info!(origin, "a page of a foreign origin was refused a socket; FRONTEND_URL names the pages that may call");
        (StatusCode::FORBIDDEN, "Origin not allowed").into_response()
    }
}
