//! Admission: who may open a socket, and everything that must stand before the library says CONNECT, because the client may call at once.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use futures_util::future::ready;
use serde_json::Value;
use socketioxide::extract::TryData;
use socketioxide::socket::DisconnectReason;
use tokio::sync::{oneshot, watch};

use super::SocketRef;
use super::conn::Conn;
use super::drain::{Stay, send_away};
use super::gate::Gates;
use super::inbox::{self, Closed};
use super::mount::CONNECT_TIMEOUT;
use super::outlet::{Outlet, Tally};
use super::roster::Roster;
use super::tails::Tails;
use crate::dialect::{Dialect, Handshake, Unadmitted};
use crate::domain::desk::Desk;
use crate::domain::error::Error;
use crate::domain::ids::ConnId;
use crate::domain::principal::Peer;
use crate::http::trust::{Trust, Visit};
use crate::http::{extract, status};
use crate::limit::{PerAddress, Place};

/// How much of each header is kept, in characters.
const PROGRAM_LIMIT: usize = 200;

/// What the middleware of a namespace works with.
pub(super) struct Door {
    pub(super) desk: Arc<Desk>,
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) trust: Arc<Trust>,
    pub(super) tails: Arc<Tails>,
    pub(super) places: PerAddress,
    pub(super) gates: Arc<Gates>,
    pub(super) tally: Arc<Tally>,
    pub(super) roster: Arc<Roster>,
    /// Whether sockets may stay; every connection's task listens.
    pub(super) stay: Arc<watch::Sender<Stay>>,
}

/// Fires when the library has connected the socket; kept in the socket's extensions.
type Connected = Arc<Mutex<Option<oneshot::Sender<()>>>>;

impl Door {
    /// Admits and registers a socket, or answers the text of its `connect_error`.
    #[allow(clippy::disallowed_methods, reason = "the connection's task ends with its socket, and the stop waits for it")]
    pub(super) async fn admit(&self, socket: SocketRef, auth: TryData<Value>) -> Result<(), &'static str> {
        let parts = socket.req_parts();
        let visit = extract::visit_of(&parts.extensions, &parts.headers, &self.trust);
        if !self.dialect.admits_any_origin() && !self.trust.admits_origin_of(&parts.headers) {
            tracing::info!(dialect = self.dialect.realm().name(), "a page of a foreign origin was refused a socket");
            return Err("Origin not allowed");
        }
        let place = match visit.peer {
            Peer::Unknown => Some(self.place(visit)?),
            Peer::Trusted => None,
        };
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let handshake = Handshake {
            auth: auth.0.unwrap_or(Value::Null),
            query,
            peer: visit.peer,
            address: visit.client,
            program: program(&parts.headers),
        };
        let who = match self.dialect.admit(&self.desk, &handshake).await {
            Ok(who) => who,
            Err(Unadmitted::Refused(text)) => {
                tracing::info!(dialect = self.dialect.realm().name(), "socket refused");
                return Err(text);
            }
            Err(Unadmitted::Later(error)) => return Err(put_off(&error).await),
        };
        let (sender, inbox) = inbox::pair(self.gates.gate(&socket));
        let (connected, is_connected) = oneshot::channel();
        socket.extensions.insert::<Connected>(Arc::new(Mutex::new(Some(connected))));
        socket.on_fallback(sender.clone());
        let ending = sender.clone();
        socket.on_disconnect(move |reason: DisconnectReason| {
            sender.close(Closed::Gone(words(reason)));
            ready(())
        });
        let id = ConnId::random();
        let listed = who.person().map(|person| self.roster.list(person.key(), id.clone(), ending.clone()));
        let conn = Box::new(Conn {
            id,
            outlet: Outlet::new(socket, Arc::clone(&self.tally)),
            dialect: Arc::clone(&self.dialect),
            tails: Arc::clone(&self.tails),
            who: who.clone(),
            joined: Mutex::default(),
            known: Mutex::default(),
            typing: Mutex::default(),
            told: Mutex::default(),
            _place: place,
            _counted: self.tally.count(self.dialect.realm()),
            _listed: listed,
        });
        let conversation = self.dialect.converse(who, handshake);
        let (id, mut stay) = (conn.id.clone(), self.stay.subscribe());
        // Boxed, because the task would hold room for it twice.
        let mut running = Box::pin(conn.run(Arc::clone(&self.desk), conversation, inbox, is_connected));
        tokio::spawn(async move {
            tokio::select! {
                () = &mut running => return,
                () = send_away(&mut stay, &id, &ending) => ending.close(Closed::Gone(words(DisconnectReason::ClosingServer))),
            }
            running.await;
            // Only now the stop need not wait for it any more.
            drop(stay);
        });
        Ok(())
    }

    fn place(&self, visit: Visit) -> Result<Place, &'static str> {
        self.places.take(visit.client).ok_or_else(|| {
            tracing::warn!("an address holds MAX_CONNECTIONS_PER_IP sockets, more are refused; behind a proxy set TRUSTED_PROXIES");
            "Too many connections"
        })
    }
}

/// What a client says of itself.
fn program(headers: &HeaderMap) -> String {
    let said = |name| headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).chars().take(PROGRAM_LIMIT).collect::<String>());
    format!("{} {}", said(header::ORIGIN).unwrap_or_default(), said(header::USER_AGENT).unwrap_or_default())
}

/// Leaves CONNECT without an answer until the library cuts the connection for that, after which official clients come back by themselves; any
/// `connect_error` would be final to them. The text is for a connection that stands, because another namespace was connected on it.
#[allow(clippy::disallowed_methods, reason = "the library's own timer cannot be awaited")]
async fn put_off(error: &Error) -> &'static str {
    status::log(error);
    tokio::time::sleep(CONNECT_TIMEOUT).await;
    "Service temporarily unavailable"
}

/// The connect handler: the socket may now be sent to.
pub(super) fn connected(socket: &SocketRef) {
    let waiting = socket.extensions.remove::<Connected>();
    let sender = waiting.and_then(|w| w.lock().unwrap_or_else(PoisonError::into_inner).take());
    if let Some(sender) = sender {
        let _ = sender.send(());
    }
}

/// Node's words for why a socket is gone, which contracts show to clients.
fn words(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::TransportClose => "transport close",
        DisconnectReason::TransportError | DisconnectReason::MultipleHttpPollingError => "transport error",
        DisconnectReason::PacketParsingError => "parse error",
        DisconnectReason::HeartbeatTimeout => "ping timeout",
        DisconnectReason::ClientNSDisconnect => "client namespace disconnect",
        DisconnectReason::ServerNSDisconnect => "server namespace disconnect",
        DisconnectReason::ClosingServer => "server shutting down",
    }
}
