//! The session bus: a port that carries stored entries to every node with sockets in their session, and its implementation
//! for nodes of one process. What the bus loses, tails heal from the store.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::entry::Entry;

/// Hears of entries. Must return at once.
pub type Listener = Box<dyn Fn(Arc<Entry>) + Send + Sync>;

/// Carries entries, best effort: it may lose, repeat and reorder.
pub trait SessionBus: Send + Sync + 'static {
    /// Tells all listeners, the publisher's own included. Neither blocks nor fails.
    fn publish(&self, entry: Arc<Entry>);

    /// Adds a listener for as long as the bus lives.
    fn listen(&self, listener: Listener);
}

/// The bus of one process.
#[derive(Default)]
pub struct LocalBus {
    listeners: RwLock<Vec<Listener>>,
}

impl SessionBus for LocalBus {
    fn publish(&self, entry: Arc<Entry>) {
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(Arc::clone(&entry));
        }
    }

    fn listen(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }
}
