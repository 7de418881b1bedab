//! The session bus: a port that carries word of stored entries to every node with sockets in their session, and its implementation for nodes of
//! one process. What the bus loses, tails heal from the store.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::entry::Entry;
use crate::domain::ids::SessionId;

/// What is heard on the bus.
#[derive(Clone, Debug)]
pub enum News {
    /// This entry is stored.
    Entry(Arc<Entry>),
    /// The session's log goes at least up to this number.
    Ahead(SessionId, u64),
    /// Word of the session comes from now on: what was stored before may have come without.
    Followed(SessionId),
    /// Another node asks for something.
    Asked(Command),
    /// Word of any session may have been lost.
    Lost,
}

/// What a node asks of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Summon the person with this key to the session, in which it takes part since this entry, or does no longer.
    Summon {
        /// The session.
        session: SessionId,
        /// The number of the entry.
        after: u64,
        /// The person.
        person: Arc<str>,
    },
    /// Remember that a page's socket is gone, which had got everything up to this entry.
    Remember {
        /// The session.
        session: SessionId,
        /// The number of the entry.
        cursor: u64,
        /// The page.
        page: Arc<str>,
    },
    /// Send a signal that follows an entry, when that is delivered.
    Follow {
        /// The session.
        session: SessionId,
        /// The number of the entry.
        after: u64,
        /// The signal, as the node that asks has packed it.
        packet: Arc<str>,
    },
}

/// Hears of entries. Must return at once.
pub type Listener = Box<dyn Fn(News) + Send + Sync>;

/// Carries word of entries, best effort: it may lose, repeat and reorder.
pub trait SessionBus: Send + Sync + 'static {
    /// Tells all listeners, the publisher's own included. Neither blocks nor fails.
    fn publish(&self, entry: Arc<Entry>);

    /// Asks all other nodes for something; what cannot be said now is lost. Neither blocks nor fails.
    fn ask(&self, _command: Command) {}

    /// Adds a listener for as long as the bus lives.
    fn listen(&self, listener: Listener);

    /// This node wants word of the session from other nodes. Neither blocks nor fails.
    fn follow(&self, _session: &SessionId) {}

    /// It does not any more.
    fn unfollow(&self, _session: &SessionId) {}

    /// Whether there are other nodes of which no word comes now.
    fn is_cut(&self) -> bool {
        false
    }
}

/// The bus of one process.
#[derive(Default)]
pub struct LocalBus {
    listeners: RwLock<Vec<Listener>>,
}

impl LocalBus {
    /// Tells all listeners.
    pub(super) fn tell(&self, news: &News) {
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(news.clone());
        }
    }
}

impl SessionBus for LocalBus {
    fn publish(&self, entry: Arc<Entry>) {
        self.tell(&News::Entry(entry));
    }

    fn listen(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }
}
