//! A bounded memory of session heads. A hint only: another node may have written since, and only the database's index decides.

use std::collections::HashMap;
use std::mem;

use crate::domain::entry::Head;
use crate::domain::ids::SessionId;

/// Heads of the sessions that were written last, in two generations: when the young one is full, the old one is forgotten.
pub(super) struct Heads {
    young: HashMap<SessionId, Head>,
    old: HashMap<SessionId, Head>,
    generation: usize,
}

impl Heads {
    /// A memory of at most twice this many heads.
    pub(super) fn new(generation: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation }
    }

    /// The head as it was when last seen.
    pub(super) fn recall(&self, session: &SessionId) -> Option<Head> {
        self.young.get(session).or_else(|| self.old.get(session)).copied()
    }

    /// Remembers a head that is known to be stored.
    pub(super) fn remember(&mut self, session: SessionId, head: Head) {
        if self.young.len() >= self.generation {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(session, head);
    }

    /// Forgets a head that turned out to be out of date.
    pub(super) fn forget(&mut self, session: &SessionId) {
        self.young.remove(session);
        self.old.remove(session);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded_and_keeps_the_latest() {
        let mut heads = Heads::new(10);
        let ids: Vec<_> = (0..100).map(|_| SessionId::random()).collect();
        for (seq, id) in (1..).zip(&ids) {
            heads.remember(id.clone(), Head { seq, ..Head::default() });
            assert_eq!(heads.recall(id).map(|h| h.seq), Some(seq));
        }
        assert!(heads.young.len() + heads.old.len() <= 20);
        assert!(heads.recall(&ids[0]).is_none());
        heads.forget(&ids[99]);
        assert!(heads.recall(&ids[99]).is_none());
    }
}
