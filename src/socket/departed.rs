//! How far pages were delivered whose sockets have gone, for those that come back without saying what they have. Knows no sockets.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cluster::bus::{Command, SessionBus};
use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

/// How many pages are remembered in each of two generations; the older one is forgotten when the younger is full.
const GENERATION: usize = 50_000;

/// A session, and whose page it was.
type Page = (SessionId, Arc<str>);

/// For how long a page whose node died without a word may have missed entries before that was noticed, in milliseconds.
const UNNOTICED_MS: i64 = 10_000;

/// For how long after the start, or a node's death, pages come back, in milliseconds.
const COMING_BACK_MS: i64 = 600_000;

/// The memory of a node, which the others share as far as word of it reaches them.
pub(super) struct Departed {
    /// When this process began. What is stored later, no earlier socket has seen.
    pub(super) started: Timestamp,
    bus: Arc<dyn SessionBus>,
    company: Mutex<Company>,
    generations: Mutex<Generations>,
}

/// The other nodes, as they were seen last.
#[derive(Clone, Copy, Debug, Default)]
struct Company {
    /// When; `None` while there are no others.
    seen_at: Option<Timestamp>,
    /// Since when one of them shows no sign of life.
    silent_since: Option<Timestamp>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Page, u64>,
    old: HashMap<Page, u64>,
}

impl Departed {
    pub(super) fn new(started: Timestamp, bus: Arc<dyn SessionBus>) -> Self {
        Self { started, bus, company: Mutex::default(), generations: Mutex::default() }
    }

    /// Notes how it stands with other nodes: whether there are any, and since when one of them is silent.
    pub(super) fn see(&self, now: Timestamp, has_others: bool, silent_since: Option<Timestamp>) {
        let mut company = self.company.lock().unwrap_or_else(PoisonError::into_inner);
        company.seen_at = has_others.then_some(now);
        let lately = company.silent_since.filter(|since| now.since(*since) < COMING_BACK_MS);
        company.silent_since = silent_since.or(lately);
    }

    /// Whether there are other nodes.
    pub(super) fn has_others(&self) -> bool {
        self.company.lock().unwrap_or_else(PoisonError::into_inner).seen_at.is_some()
    }

    /// From when on a page that nobody knows may have missed entries. Alone, it is from before this process. Among other nodes it was at one that
    /// died, lately or just now; or this process has just replaced it.
    pub(super) fn unknown_since(&self) -> Timestamp {
        let company = *self.company.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = company.seen_at.filter(|now| now.since(self.started) > COMING_BACK_MS) else { return self.started };
        let unnoticed = now.plus_ms(-UNNOTICED_MS);
        company.silent_since.map_or(unnoticed, |since| since.min(unnoticed)).max(self.started)
    }

    /// Tells the other nodes how far a page is whose socket is here.
    pub(super) fn share(&self, session: &SessionId, page: &Arc<str>, cursor: u64) {
        self.bus.ask(Command::Remember { session: session.clone(), cursor, page: Arc::clone(page) });
    }

    /// Notes, on every node, how far a page's socket was delivered when it went.
    pub(super) fn remember(&self, session: &SessionId, page: &Arc<str>, cursor: u64) {
        self.note(session, page, cursor);
        self.share(session, page, cursor);
    }

    /// Notes how far a page's socket was delivered when it went; the farthest counts, whichever of several sockets goes last.
    pub(super) fn note(&self, session: &SessionId, page: &Arc<str>, cursor: u64) {
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
    use crate::cluster::bus::LocalBus;

    #[test]
    fn a_page_that_nobody_knows_was_at_a_node_that_is_gone() {
        let departed = Departed::new(Timestamp(1_000), Arc::new(LocalBus::default()));
        assert_eq!(departed.unknown_since(), Timestamp(1_000));
        let late = Timestamp(1_000 + 2 * COMING_BACK_MS);
        departed.see(late, false, None);
        assert_eq!(departed.unknown_since(), Timestamp(1_000), "there was only an earlier process");
        departed.see(late, true, None);
        assert_eq!(departed.unknown_since(), late.plus_ms(-UNNOTICED_MS));
        departed.see(late, true, Some(late.plus_ms(-60_000)));
        departed.see(late.plus_ms(5_000), true, None);
        assert_eq!(departed.unknown_since(), late.plus_ms(-60_000), "its pages still come back");
        departed.see(late.plus_ms(COMING_BACK_MS), true, None);
        assert_eq!(departed.unknown_since(), late.plus_ms(COMING_BACK_MS - UNNOTICED_MS));
    }

    #[test]
    fn the_latest_pages_are_remembered_and_memory_is_bounded() {
        let (departed, session) = (Departed::new(Timestamp(0), Arc::new(LocalBus::default())), SessionId::random());
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
