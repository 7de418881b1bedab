//! Fan-out to the sockets of this node: entries go by the bus to the tails, signals to the rooms of every mount. Implements the domain's port.

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use socketioxide::operators::BroadcastOperators;

use super::conn::room;
use super::mount::Sockets;
use super::outlet::Tally;
use super::roster::Roster;
use super::tails::Tails;
use super::{Adapter, SocketIo};
use crate::cluster::bus::{Command, News, SessionBus};
use crate::dialect::Dialect;
use crate::domain::entry::Entry;
use crate::domain::error::StoreError;
use crate::domain::ids::SessionId;
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
    tally: Arc<Tally>,
    roster: Arc<Roster>,
}

impl Gateway {
    /// A gateway that hears entries from the bus and heals from the store. `started` is the present: what is stored later, no socket of an
    /// earlier process has seen.
    pub fn new(store: Arc<dyn Store>, bus: Arc<dyn SessionBus>, started: Timestamp) -> Arc<Self> {
        let tails = Arc::new(Tails::new(store, Arc::clone(&bus), started));
        let gateway = Arc::new(Self { bus, tails, floors: Arc::default(), tally: Arc::default(), roster: Arc::default() });
        let hearing = Arc::downgrade(&gateway);
        gateway.bus.listen(Box::new(move |news| {
            if let Some(gateway) = hearing.upgrade() {
                gateway.hear(news);
            }
        }));
        gateway
    }

    /// What is counted of the sockets of this node.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
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

    /// Tells the gateway, once, who is told of each entry that is delivered on this node; must return at once.
    pub fn tell(&self, told: impl Fn(&Entry) + Send + Sync + 'static) {
        if self.tails.told().set(Box::new(told)).is_err() {
            tracing::error!("somebody is told of entries already");
        }
    }

    /// Notes how it stands with other nodes: whether there are any, and since when one of them is silent.
    pub fn see_others(&self, now: Timestamp, has_others: bool, silent_since: Option<Timestamp>) {
        self.tails.memory().see(now, has_others, silent_since);
    }

    /// Whether there are other nodes to which sockets can go.
    pub fn has_others(&self) -> bool {
        self.tails.memory().has_others()
    }

    /// Summons the person with this key on this node alone, in case the word of it was lost.
    pub fn summon_again(&self, person: &str, session: &SessionId, after: u64) {
        self.roster.summon(person, session, after, true);
    }

    fn floors(&self) -> &[Floor] {
        self.floors.get().map_or(&[], Vec::as_slice)
    }

    fn hear(&self, news: News) {
        match news {
            News::Asked(Command::Summon { session, after, person }) => self.roster.summon(&person, &session, after, false),
            News::Asked(Command::Follow { session, after, packet }) => match serde_json::from_str(&packet) {
                Ok(packet) => {
                    self.tails.wake(&session, after);
                    self.follow(&session, packet);
                }
                Err(error) => tracing::debug!(%error, "a signal of a node of another version was passed over"),
            },
            news => self.tails.hear(news),
        }
    }

    /// Sends a signal to the sockets of this node when the entries are delivered that it follows.
    fn follow(&self, session: &SessionId, packet: Packet) {
        let floors = Arc::clone(&self.floors);
        let send = move || packet.send(floors.get().map_or(&[], Vec::as_slice));
        self.tails.afterwards(session, Box::new(send));
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

    fn signal(&self, to: &[Audience], signal: Signal, except: Option<&Audience>) {
        if to.is_empty() {
            return; // To the library no room means every socket.
        }
        let Some(entry) = signal.follows() else {
            return self.floors().iter().for_each(|floor| floor.send(to, &signal, except));
        };
        for (floor, n) in self.floors().iter().zip(0..) {
            let Some(packet) = Packet::of(floor, n, to, &signal, except) else { continue };
            if !floor.is_alone {
                self.bus.ask(Command::Follow { session: entry.session.clone(), after: entry.seq(), packet: packet.packed().into() });
            }
            self.follow(&entry.session, packet);
        }
    }

    fn summon(&self, person: &str, session: &SessionId, after: u64) {
        self.roster.summon(person, session, after, false);
        self.bus.ask(Command::Summon { session: session.clone(), after, person: person.into() });
    }
}

impl Floor {
    /// Sends a signal to the audiences, on every node, if the contract has a word for it. At once, so that what a connection says first is heard
    /// first and whoever joins later does not hear it.
    fn send(&self, to: &[Audience], signal: &Signal, except: Option<&Audience>) {
        let Some(frame) = self.dialect.signal_frame(signal) else { return };
        let Some(others) = self.others(to.iter().map(room).collect(), except.map(room)) else { return };
        let others = if self.is_alone { others.local() } else { others };
        emit(others, frame.event, &frame.payload);
    }

    fn others(&self, rooms: Vec<String>, except: Option<String>) -> Option<BroadcastOperators<Adapter>> {
        let others = self.io.of(&self.namespace)?.within(rooms);
        Some(match except {
            Some(except) => others.except(except),
            None => others,
        })
    }
}

/// The sockets of this node are served without waiting; what would have to wait is best effort, and dropped.
fn emit(others: BroadcastOperators<Adapter>, event: &str, payload: &RawValue) {
    match others.emit(event, payload).now_or_never() {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(event, %error, "a signal did not reach every socket"),
        None => tracing::debug!(event, "a signal was dropped"),
    }
}

/// A signal that follows an entry, packed for other nodes, which know the floors by the same numbers.
#[derive(Serialize, Deserialize)]
struct Packet {
    floor: usize,
    rooms: Vec<String>,
    except: Option<String>,
    event: String,
    payload: Box<RawValue>,
}

impl Packet {
    fn of(floor: &Floor, n: usize, to: &[Audience], signal: &Signal, except: Option<&Audience>) -> Option<Self> {
        let frame = floor.dialect.signal_frame(signal)?;
        let (rooms, except) = (to.iter().map(room).collect(), except.map(room));
        Some(Self { floor: n, rooms, except, event: frame.event.to_owned(), payload: (*frame.payload).to_owned() })
    }

    /// Cannot fail: there are texts and numbers only.
    fn packed(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Sends it to the sockets of this node.
    fn send(self, floors: &[Floor]) {
        if let Some(others) = floors.get(self.floor).and_then(|floor| floor.others(self.rooms, self.except)) {
            emit(others.local(), &self.event, &self.payload);
        }
    }
}
