//! Fan-out to the sockets of this node: entries go by the bus to the tails, signals to the rooms of every mount. Implements the domain's port.

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;

use super::SocketIo;
use super::conn::{own_room, room};
use super::mount::Sockets;
use super::outlet::EmitErrors;
use super::roster::Roster;
use super::tails::Tails;
use crate::cluster::bus::{News, SessionBus};
use crate::dialect::Dialect;
use crate::domain::entry::Entry;
use crate::domain::error::StoreError;
use crate::domain::ids::{ConnId, SessionId};
use crate::domain::ports::{Announce, Audience, Signal};
use crate::domain::store::Store;
use crate::domain::time::Timestamp;

/// The sockets of one mount's namespace, for broadcasts.
#[derive(Clone)]
pub(super) struct Floor {
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) io: SocketIo,
    pub(super) namespace: String,
    pub(super) is_alone: bool,
}

/// The node's fan-out.
pub struct Gateway {
    bus: Arc<dyn SessionBus>,
    tails: Arc<Tails>,
    floors: Arc<OnceLock<Vec<Floor>>>,
    errors: Arc<EmitErrors>,
    roster: Arc<Roster>,
}

impl Gateway {
    /// A gateway that hears entries from the bus and heals from the store. `started` is the present: what is stored later, no socket of an
    /// earlier process has seen.
    pub fn new(store: Arc<dyn Store>, bus: Arc<dyn SessionBus>, started: Timestamp) -> Arc<Self> {
        let tails = Arc::new(Tails::new(store, Arc::clone(&bus), started));
        let roster = Arc::new(Roster::default());
        let heard = (Arc::clone(&tails), Arc::clone(&roster));
        bus.listen(Box::new(move |news| match news {
            News::Summons { person, session, after } => heard.1.summon(&person, &session, after),
            news => heard.0.hear(news),
        }));
        Arc::new(Self { bus, tails, floors: Arc::default(), errors: Arc::default(), roster })
    }

    /// How often sending to a socket failed.
    pub fn emit_errors(&self) -> &Arc<EmitErrors> {
        &self.errors
    }

    /// Finds out what other nodes have stored without a word reaching this one, and delivers it. To be called every few seconds where other nodes
    /// use the same store.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn heal(&self) -> Result<(), StoreError> {
        self.tails.heal().await
    }

    /// Waits until word of other nodes may have been lost.
    pub async fn lost(&self) {
        self.tails.lost().await;
    }

    /// Whether there are other nodes of which no word comes now.
    pub fn is_cut(&self) -> bool {
        self.bus.is_cut()
    }

    pub(super) fn roster(&self) -> &Arc<Roster> {
        &self.roster
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
        // Whoever also listens to the session gets the message itself first.
        let (Signal::Said { entry, .. } | Signal::Receipt { message: entry, .. }) = &signal else {
            return send(&self.floors, to, &signal, origin);
        };
        let session = entry.session.clone();
        let (floors, to, origin) = (Arc::clone(&self.floors), to.to_vec(), origin.cloned());
        self.tails.afterwards(&session, Box::new(move || send(&floors, &to, &signal, origin.as_ref())));
    }

    fn summon(&self, person: &str, session: &SessionId, after: u64) {
        self.bus.summon(person, session, after);
    }
}

/// Sends a signal to the audiences on every floor whose contract has a word for it, at once, so that what a connection says first is heard first
/// and whoever joins later does not hear it.
fn send(floors: &OnceLock<Vec<Floor>>, to: &[Audience], signal: &Signal, origin: Option<&ConnId>) {
    for floor in floors.get().into_iter().flatten() {
        let Some(frame) = floor.dialect.signal_frame(signal) else { continue };
        let Some(everybody) = floor.io.of(&floor.namespace) else { continue };
        let mut others = everybody.within(to.iter().map(room).collect::<Vec<_>>());
        if let Some(origin) = origin {
            others = others.except(own_room(origin));
        }
        if floor.is_alone {
            others = others.local();
        }
        // The sockets of this node are served without waiting; what would have to wait is best effort, and dropped.
        match others.emit(frame.event, &*frame.payload).now_or_never() {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(event = frame.event, %error, "a signal did not reach every socket"),
            None => tracing::debug!(event = frame.event, "a signal was dropped"),
        }
    }
}
