//! How far pages were delivered whose sockets have gone, for those that come back without saying what they have. Knows no sockets.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

/// How many pages are remembered in each of two generations; the older one is forgotten when the younger is full.
const GENERATION: usize = 10_000;

/// A session, and whose page it was.
type Page = (SessionId, Arc<str>);

/// The memory of a node.
pub(super) struct Departed {
    /// When this process began. What is stored later, no earlier socket has seen.
    pub(super) started: Timestamp,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Page, u64>,
    old: HashMap<Page, u64>,
}

impl Departed {
    pub(super) fn new(started: Timestamp) -> Self {
        Self { started, generations: Mutex::default() }
    }

    /// Notes how far a page's socket was delivered when it went; the farthest counts, whichever of several sockets goes last.
    pub(super) fn remember(&self, session: &SessionId, page: &Arc<str>, cursor: u64) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= GENERATION {
            generations.old = mem::take(&mut generations.young);
        }
        let page = (session.clone(), Arc::clone(page));
        let known = generations.young.get(&page).or_else(|| generations.old.get(&page)).copied();
        generations.young.insert(page, known.map_or(cursor, |known| known.max(cursor)));
    }

    /// How far it was.
    pub(super) fn recall(&self, session: &SessionId, page: &Arc<str>) -> Option<u64> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let page = (session.clone(), Arc::clone(page));
        generations.young.get(&page).or_else(|| generations.old.get(&page)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_pages_are_remembered_and_memory_is_bounded() {
        let (departed, session) = (Departed::new(Timestamp(0)), SessionId::random());
        let page = |n: usize| Arc::from(n.to_string());
        for n in 0..3 * GENERATION {
            departed.remember(&session, &page(n), n as u64);
        }
        assert_eq!(departed.recall(&session, &page(0)), None);
        assert_eq!(departed.recall(&session, &page(3 * GENERATION - 1)), Some(3 * GENERATION as u64 - 1));
        assert_eq!(departed.recall(&session, &page(2 * GENERATION - 1)), Some(2 * GENERATION as u64 - 1));
        departed.remember(&session, &page(3 * GENERATION - 1), 7);
        assert_eq!(departed.recall(&session, &page(3 * GENERATION - 1)), Some(3 * GENERATION as u64 - 1), "an older socket went later");
        let generations = departed.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
    }
}
