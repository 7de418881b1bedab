//! Admission: who may open a socket, and everything that must stand before the library says CONNECT, because the client may call at once.

use std::sync::Arc;

use axum::extract::ConnectInfo;
use futures_util::future::ready;
use serde_json::Value;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::socket::DisconnectReason;
use tokio::sync::oneshot;

use super::conn::Conn;
use super::gate::Gates;
use super::inbox::{self, Closed};
use super::outlet::{EmitErrors, Outlet};
use super::tails::Tails;
use crate::dialect::{Dialect, Handshake};
use crate::domain::desk::Desk;
use crate::domain::ids::ConnId;
use crate::domain::principal::Peer;
use crate::http::serve::Remote;
use crate::http::trust::{Trust, Visit};
use crate::limit::{PerAddress, Place};

/// What the middleware of a namespace works with.
pub(super) struct Door {
    pub(super) desk: Arc<Desk>,
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) trust: Arc<Trust>,
    pub(super) tails: Arc<Tails>,
    pub(super) places: PerAddress,
    pub(super) gates: Arc<Gates>,
    pub(super) errors: Arc<EmitErrors>,
}

/// Fires when the library has connected the socket; kept in the socket's extensions.
type Connected = Arc<std::sync::Mutex<Option<oneshot::Sender<()>>>>;

impl Door {
    /// Admits and registers a socket, or answers the text of its `connect_error`.
    #[allow(clippy::disallowed_methods, reason = "the connection's task ends with its socket")]
    pub(super) fn admit(&self, socket: SocketRef, auth: TryData<Value>) -> Result<(), &'static str> {
        let visit = self.visit(&socket);
        let peer = visit.map_or(Peer::Unknown, |v| v.peer);
        let place = match visit.filter(|_| peer == Peer::Unknown) {
            Some(visit) => Some(self.place(visit)?),
            None => None,
        };
        let handshake = Handshake { auth: auth.0.unwrap_or(Value::Null), peer };
        let who = self.dialect.admit(&self.desk, &handshake).inspect_err(|_| {
            tracing::info!(dialect = self.dialect.name(), "socket refused");
        })?;
        let (sender, inbox) = inbox::pair(self.gates.gate(&socket));
        let (connected, is_connected) = oneshot::channel();
        socket.extensions.insert::<Connected>(Arc::new(std::sync::Mutex::new(Some(connected))));
        socket.on_fallback(sender.clone());
        socket.on_disconnect(move |reason: DisconnectReason| {
            sender.close(Closed::Gone(words(reason)));
            ready(())
        });
        let conn = Conn {
            id: ConnId::random(),
            outlet: Outlet::new(socket, Arc::clone(&self.errors)),
            dialect: Arc::clone(&self.dialect),
            tails: Arc::clone(&self.tails),
            expires: who.expires(),
            _place: place,
        };
        let conversation = self.dialect.converse(who);
        tokio::spawn(conn.run(Arc::clone(&self.desk), conversation, inbox, is_connected));
        Ok(())
    }

    fn place(&self, visit: Visit) -> Result<Place, &'static str> {
        self.places.take(visit.client).ok_or_else(|| {
            tracing::warn!("an address holds MAX_CONNECTIONS_PER_IP sockets, more are refused; behind a proxy set TRUSTED_PROXIES");
            "Too many connections"
        })
    }

    fn visit(&self, socket: &SocketRef) -> Option<Visit> {
        let parts = socket.req_parts();
        let ConnectInfo(remote) = parts.extensions.get::<ConnectInfo<Remote>>()?;
        Some(self.trust.judge(&parts.headers, remote.addr))
    }
}

/// The connect handler: the socket may now be sent to.
pub(super) fn connected(socket: &SocketRef) {
    let waiting = socket.extensions.remove::<Connected>();
    let sender = waiting.and_then(|w| w.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
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
