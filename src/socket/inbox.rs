//! The inbox of a connection. The library spawns a task for every event, which loses their order; this handler runs in the read loop
//! instead and only queues. While much waits, the connection is not read; what comes nevertheless ends it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use socketioxide::extract::Event;
use socketioxide::handler::{FromMessageParts, MessageHandler, Value};
use socketioxide::socket::Socket;
use tokio::sync::{mpsc, oneshot};

use super::gate::Gate;
use super::{AckSender, Adapter};
use crate::dialect::wire::Call;
use crate::domain::ids::SessionId;

/// From how many waiting calls on the connection is not read.
const PAUSE_CALLS: usize = 1_024;

/// From how many waiting bytes on the connection is not read.
const PAUSE_BYTES: usize = 250_000;

/// How many calls may wait at all: what one long-polling post may bring when nothing is paused yet, for calls of ordinary size.
const MAX_CALLS: usize = 16_384;

/// How many bytes may wait at all, unless a single call is larger: one post of the largest size on top of what pauses.
const MAX_BYTES: usize = 1_500_000;

/// What waits for its turn.
pub(super) enum Item {
    /// A call of the client.
    Called(Called),
    /// The connection is to look whether its person takes part in this session, since the entry with this number.
    Summons {
        /// The session.
        session: SessionId,
        /// The entry.
        after: u64,
        /// Whether it may have been summoned before, and been there.
        again: bool,
    },
}

/// A call as it came, and the way to acknowledge it.
pub(super) struct Called {
    event: String,
    /// The packet's payload, a slice of the frame; read when its turn comes.
    raw: Value,
    /// Present where the client asked for an acknowledgement.
    pub(super) ack: Option<Ack>,
}

impl Called {
    /// The call itself.
    pub(super) fn call(&self) -> Call {
        Call::parse(&self.event, text_of(&self.raw))
    }
}

impl Item {
    fn size(&self) -> usize {
        match self {
            Item::Called(called) => text_of(&called.raw).len(),
            Item::Summons { session, .. } => session.as_str().len(),
        }
    }
}

/// The JSON of a payload; binary payloads are not admitted and count as empty.
fn text_of(raw: &Value) -> &str {
    match raw {
        Value::Str(text, _) => text,
        Value::Bytes(_) => "",
    }
}

/// The way to acknowledge a call. The library's own sender is spent by a try that finds no room; this one makes another.
pub(super) struct Ack {
    socket: Arc<Socket<Adapter>>,
    id: i64,
}

impl Ack {
    pub(super) fn sender(&self) -> Option<AckSender> {
        AckSender::from_message_parts(&self.socket, &mut Value::Bytes(Default::default()), &Some(self.id)).ok()
    }
}

/// Why no more calls will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// The socket is gone, for this reason in Socket.IO's words.
    Gone(&'static str),
    /// More came than may wait. What waits is still carried out.
    Flooded,
}

/// The end that the read loop fills.
#[derive(Clone)]
pub(super) struct Sender {
    /// Boxed, because a channel holds room for 32 of them however few wait.
    calls: mpsc::Sender<Box<Item>>,
    closed: Arc<Mutex<Option<oneshot::Sender<Closed>>>>,
    bytes: Arc<AtomicUsize>,
    /// Whether the task is at a call that it took.
    at_work: Arc<AtomicBool>,
    gate: Arc<Gate>,
}

/// The end that the connection's task empties.
pub(super) struct Inbox {
    calls: mpsc::Receiver<Box<Item>>,
    closed: oneshot::Receiver<Closed>,
    /// Why no more will come, once that is known.
    why: Option<Closed>,
    bytes: Arc<AtomicUsize>,
    at_work: Arc<AtomicBool>,
    gate: Arc<Gate>,
}

/// A pair of ends, and the gate of the connection that fills it.
pub(super) fn pair(gate: Arc<Gate>) -> (Sender, Inbox) {
    let (calls, calls_out) = mpsc::channel(MAX_CALLS);
    let (closed, closed_out) = oneshot::channel();
    let (bytes, at_work) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let closed = Arc::new(Mutex::new(Some(closed)));
    let sender = Sender { calls, closed, bytes: Arc::clone(&bytes), at_work: Arc::clone(&at_work), gate: Arc::clone(&gate) };
    (sender, Inbox { calls: calls_out, closed: closed_out, why: None, bytes, at_work, gate })
}

impl Sender {
    /// No more calls; the first reason counts.
    pub(super) fn close(&self, why: Closed) {
        let sender = self.closed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            let _ = sender.send(why);
        }
    }

    /// Whether every call that came is carried out.
    pub(super) fn is_idle(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) == 0 && self.calls.capacity() == self.calls.max_capacity() && !self.at_work.load(Ordering::SeqCst)
    }

    /// The gate of the connection that fills it.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    fn is_closed(&self) -> bool {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Adds what came last; where no more may wait, the connection is flooded.
    pub(super) fn push(&self, item: Item) {
        if self.is_closed() {
            return;
        }
        let size = item.size();
        let waiting = self.bytes.fetch_add(size, Ordering::SeqCst);
        let too_many_bytes = waiting > 0 && waiting + size > MAX_BYTES;
        if too_many_bytes || self.calls.try_send(Box::new(item)).is_err() {
            return self.close(Closed::Flooded);
        }
        let calls = self.calls.max_capacity() - self.calls.capacity();
        if waiting + size >= PAUSE_BYTES || calls >= PAUSE_CALLS {
            self.gate.shut();
            // The task may have emptied the inbox in between, and nothing that it takes would open the gate again.
            open_if_little_waits(&self.gate, self.bytes.load(Ordering::SeqCst), self.calls.max_capacity() - self.calls.capacity());
        }
    }
}

impl Inbox {
    /// The next call in order of arrival, or, when all were taken and no more will come, why.
    pub(super) async fn next(&mut self) -> Result<Item, Closed> {
        self.at_work.store(false, Ordering::SeqCst);
        if self.why.is_none() {
            tokio::select! {
                biased;
                Some(item) = self.calls.recv() => return Ok(self.took(*item)),
                why = &mut self.closed => self.why = Some(why.unwrap_or(Closed::Gone("transport close"))),
            }
        }
        // What arrived before the close is still carried out.
        match (self.calls.try_recv(), self.why) {
            (Ok(item), _) => Ok(self.took(*item)),
            (Err(_), why) => Err(why.unwrap_or(Closed::Gone("transport close"))),
        }
    }

    /// Accounts for a call that was taken, and lets the connection be read again once half of what paused it is done.
    fn took(&self, item: Item) -> Item {
        self.at_work.store(true, Ordering::SeqCst);
        let size = item.size();
        let bytes = self.bytes.fetch_sub(size, Ordering::SeqCst) - size;
        open_if_little_waits(&self.gate, bytes, self.calls.len());
        item
    }
}

fn open_if_little_waits(gate: &Gate, bytes: usize, calls: usize) {
    if bytes < PAUSE_BYTES / 2 && calls < PAUSE_CALLS / 2 {
        gate.open();
    }
}

/// Marks the implementation as ours among the library's blanket ones.
pub(super) enum InOrder {}

impl MessageHandler<Adapter, InOrder> for Sender {
    fn call(&self, socket: Arc<Socket<Adapter>>, mut raw: Value, ack_id: Option<i64>) {
        let Ok(Event(event)) = Event::from_message_parts(&socket, &mut raw, &ack_id) else { return };
        self.push(Item::Called(Called { event, raw, ack: ack_id.map(|id| Ack { socket, id }) }));
    }
}
