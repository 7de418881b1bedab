//! The sending side of one socket, for whoever delivers to it. Knows buffers, not sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socketioxide::{SendError, SocketError};

use super::SocketRef;
use super::inbox::Ack;
use crate::dialect::wire::Frame;
use crate::domain::figures::PerRealm;
use crate::domain::principal::Realm;

/// How often a full send buffer is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(20);

/// What is counted of the sockets of this node.
#[derive(Debug, Default)]
pub struct Tally {
    /// Sockets that are open now.
    pub open: PerRealm,
    /// Frames that found a full buffer since the start; they were tried again.
    pub full: AtomicU64,
    /// Frames that found their socket gone since the start.
    pub gone: AtomicU64,
}

/// One of the open sockets, until it is dropped.
pub(super) struct Counted {
    tally: Arc<Tally>,
    realm: Realm,
}

impl Tally {
    /// Counts a socket of this contract.
    pub(super) fn count(self: &Arc<Self>, realm: Realm) -> Counted {
        self.open.of(realm).fetch_add(1, Ordering::Relaxed);
        Counted { tally: Arc::clone(self), realm }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.tally.open.of(self.realm).fetch_sub(1, Ordering::Relaxed);
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is in the socket's send buffer.
    Buffered,
    /// The buffer is full; nothing was sent.
    Full,
    /// The socket is gone.
    Gone,
}

/// Sends to one socket.
#[derive(Clone)]
pub(super) struct Outlet {
    socket: SocketRef,
    tally: Arc<Tally>,
}

impl Outlet {
    pub(super) fn new(socket: SocketRef, tally: Arc<Tally>) -> Self {
        Self { socket, tally }
    }

    /// Puts a frame into the socket's buffer, if there is room.
    pub(super) fn send(&self, frame: &Frame) -> Sent {
        match self.socket.emit(frame.event, &*frame.payload) {
            Ok(()) => Sent::Buffered,
            Err(SendError::Socket(SocketError::InternalChannelFull)) => {
                self.tally.full.fetch_add(1, Ordering::Relaxed);
                Sent::Full
            }
            Err(SendError::Socket(SocketError::Closed)) => {
                self.tally.gone.fetch_add(1, Ordering::Relaxed);
                Sent::Gone
            }
            Err(SendError::Serialize(error)) => {
                tracing::error!(%error, event = frame.event, "a frame could not be encoded");
                Sent::Buffered
            }
        }
    }

    /// Sends a frame as soon as there is room, or finds the socket gone. The listener's stall limit bounds the wait.
    pub(super) async fn send_when_able(&self, frame: &Frame) {
        let mut again = tokio::time::interval(RETRY);
        while self.send(frame) == Sent::Full {
            again.tick().await;
        }
    }

    /// Answers a call as soon as there is room, or finds the socket gone.
    pub(super) async fn acknowledge(&self, ack: &Ack, answer: &serde_json::Value) {
        let mut again = tokio::time::interval(RETRY);
        while let Err(SendError::Socket(SocketError::InternalChannelFull)) = ack.sender().map_or(Ok(()), |s| s.send(answer)) {
            again.tick().await;
        }
    }

    /// Whether the socket is connected.
    pub(super) fn is_open(&self) -> bool {
        self.socket.connected()
    }

    /// Makes the socket hear broadcasts to a room.
    pub(super) fn enter(&self, room: String) {
        self.socket.join(room);
    }

    /// The opposite.
    pub(super) fn exit(&self, room: String) {
        self.socket.leave(room);
    }

    /// Disconnects the socket as soon as the packet that says so fits into its buffer.
    pub(super) async fn disconnect(&self) {
        let mut again = tokio::time::interval(RETRY);
        while let Err(SocketError::InternalChannelFull) = self.socket.clone().disconnect() {
            again.tick().await;
        }
    }
}
