//! Fan-out to the sockets of this node: entries go by the bus to the tails, signals to the rooms of every mount. Implements the domain's port.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use socketioxide::SocketIo;
use tokio::sync::mpsc;

use super::conn::{own_room, room};
use super::mount::Sockets;
use super::outlet::EmitErrors;
use super::tails::Tails;
use crate::cluster::bus::SessionBus;
use crate::dialect::Dialect;
use crate::domain::entry::Entry;
use crate::domain::ids::ConnId;
use crate::domain::ports::{Announce, Audience, Signal};
use crate::domain::store::Store;
use crate::domain::time::Timestamp;

/// How many signals may wait; more are dropped, for they are best effort.
const QUEUE: usize = 4_096;

/// The sockets of one mount's namespace, for broadcasts.
#[derive(Clone)]
pub(super) struct Floor {
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) io: SocketIo,
    pub(super) namespace: String,
}

/// The node's fan-out.
pub struct Gateway {
    bus: Arc<dyn SessionBus>,
    tails: Arc<Tails>,
    signals: Arc<Signals>,
    floors: Arc<OnceLock<Vec<Floor>>>,
    errors: Arc<EmitErrors>,
}

/// The way of signals to the task that sends them.
struct Signals {
    queue: mpsc::Sender<Passing>,
    dropped: AtomicU64,
}

/// A signal on its way.
struct Passing {
    to: Vec<Audience>,
    signal: Signal,
    origin: Option<ConnId>,
}

impl Gateway {
    /// A gateway that hears entries from the bus and heals from the store. `started` is the present: what is stored later, no socket of an
    /// earlier process has seen.
    #[allow(clippy::disallowed_methods, reason = "the task that sends signals ends when the gateway is dropped")]
    pub fn new(store: Arc<dyn Store>, bus: Arc<dyn SessionBus>, started: Timestamp) -> Arc<Self> {
        let tails = Arc::new(Tails::new(store, started));
        let heard = Arc::clone(&tails);
        bus.listen(Box::new(move |entry| heard.hear(entry)));
        let (sender, queue) = mpsc::channel(QUEUE);
        let signals = Arc::new(Signals { queue: sender, dropped: AtomicU64::new(0) });
        let floors: Arc<OnceLock<Vec<Floor>>> = Arc::default();
        tokio::spawn(send_signals(queue, Arc::clone(&floors)));
        Arc::new(Self { bus, tails, signals, floors, errors: Arc::default() })
    }

    /// How often sending to a socket failed.
    pub fn emit_errors(&self) -> &Arc<EmitErrors> {
        &self.errors
    }

    pub(super) fn tails(&self) -> &Arc<Tails> {
        &self.tails
    }

    /// Tells the gateway, once, of all listeners whose sockets signals are for.
    pub fn attach<'s>(&self, listeners: impl Iterator<Item = &'s Sockets>) {
        let floors = listeners.flat_map(Sockets::floors).cloned().collect();
        if self.floors.set(floors).is_err() {
            tracing::error!("the gateway has its floors already");
        }
    }
}

impl Announce for Gateway {
    fn appended(&self, entry: Arc<Entry>) {
        self.bus.publish(entry);
    }

    fn signal(&self, to: &[Audience], signal: Signal, origin: Option<&ConnId>) {
        let passing = Passing { to: to.to_vec(), signal, origin: origin.cloned() };
        let Signal::Said { entry, .. } = &passing.signal else { return self.signals.push(passing) };
        // Whoever also listens to the session gets the message itself first.
        let (session, signals) = (entry.session.clone(), Arc::clone(&self.signals));
        self.tails.afterwards(&session, Box::new(move || signals.push(passing)));
    }
}

impl Signals {
    fn push(&self, passing: Passing) {
        if self.queue.try_send(passing).is_err() {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                tracing::warn!(signals.dropped = dropped, "signals come faster than they can be sent; the surplus is dropped");
            }
        }
    }
}

/// Sends signals one after the other, so that a typing start never overtakes its stop.
async fn send_signals(mut queue: mpsc::Receiver<Passing>, floors: Arc<OnceLock<Vec<Floor>>>) {
    while let Some(passing) = queue.recv().await {
        let floors = floors.get().into_iter().flatten();
        if AssertUnwindSafe(send_signal(&passing, floors)).catch_unwind().await.is_err() {
            tracing::error!("a panic while a signal was sent");
        }
    }
}

async fn send_signal(passing: &Passing, floors: impl Iterator<Item = &Floor>) {
    let Passing { to, signal, origin } = passing;
    for floor in floors {
        let Some(frame) = floor.dialect.signal_frame(signal) else { continue };
        let Some(everybody) = floor.io.of(&floor.namespace) else { continue };
        let mut others = everybody.within(to.iter().map(room).collect::<Vec<_>>());
        if let Some(origin) = origin {
            others = others.except(own_room(origin));
        }
        if let Err(error) = others.emit(frame.event, &*frame.payload).await {
            tracing::debug!(event = frame.event, %error, "a signal did not reach every socket");
        }
    }
}
