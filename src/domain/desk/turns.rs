//! One after the other: whoever does something to the same thing on this node queues for his turn. Knows nothing of what is done.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// The queues, one for each key that anybody waits for or works on.
#[derive(Debug)]
pub(super) struct Turns<K: Clone + Eq + Hash> {
    queues: Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>,
}

/// A turn, or a place in the queue for one. It ends when it is dropped.
pub(super) struct Turn<'a, K: Clone + Eq + Hash> {
    turns: &'a Turns<K>,
    key: K,
    lock: Option<Arc<tokio::sync::Mutex<()>>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl<K: Clone + Eq + Hash> Default for Turns<K> {
    fn default() -> Self {
        Self { queues: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// Waits until all who asked for this key before have had their turn.
    pub(super) async fn take(&self, key: &K) -> Turn<'_, K> {
        let lock = Arc::clone(self.queues().entry(key.clone()).or_default());
        // Made before the wait, so that whoever gives up leaves nothing behind.
        let mut turn = Turn { turns: self, key: key.clone(), lock: Some(Arc::clone(&lock)), held: None };
        turn.held = Some(lock.lock_owned().await);
        turn
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<K, Arc<tokio::sync::Mutex<()>>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut queues = self.turns.queues();
        drop(self.lock.take());
        if queues.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            queues.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_key_has_one_turn_at_a_time_and_nothing_stays_behind() {
        let turns = Turns::default();
        let first = turns.take(&1).now_or_never().expect("it is free");
        let other = turns.take(&2).now_or_never().expect("it is another");
        assert!(turns.take(&1).now_or_never().is_none(), "it is taken, and who waited gave up");
        drop(first);
        let second = turns.take(&1).now_or_never().expect("it is free again");
        drop((second, other));
        assert!(turns.queues().is_empty());
    }
}
