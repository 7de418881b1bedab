//! What a listener heard of a session, held against what was said: nothing lost, nothing twice, everything in order. It knows numbers only.

use std::collections::BTreeSet;

/// What one listener heard of one speaker, whose messages are numbered from 1.
#[derive(Default)]
pub(crate) struct Heard {
    /// The highest number so far.
    pub(crate) last: u64,
    missing: BTreeSet<u64>,
    pub(crate) doubled: u64,
    pub(crate) disordered: u64,
}

impl Heard {
    pub(crate) fn note(&mut self, number: u64) {
        if number == self.last + 1 {
            self.last = number;
        } else if number > self.last {
            self.missing.extend(self.last + 1..number);
            self.last = number;
        } else if self.missing.remove(&number) {
            self.disordered += 1;
        } else {
            self.doubled += 1;
        }
    }

    /// How many were passed over, for a later one was heard. Those that were refused need not be heard, and may be.
    pub(crate) fn lost(&self, refused: &BTreeSet<u64>) -> u64 {
        self.missing.difference(refused).count() as u64
    }

    /// How many of so many have not come, nor any after them.
    pub(crate) fn unheard(&self, said: u64, refused: &BTreeSet<u64>) -> u64 {
        (self.last + 1..=said).filter(|number| !refused.contains(number)).count() as u64
    }
}

/// The server's own numbers, which ascend by one; a relay has none.
#[derive(Default)]
pub(crate) struct Sequence {
    last: Option<u64>,
    pub(crate) broken: u64,
}

impl Sequence {
    /// Numbers follow this one.
    pub(crate) fn after(last: Option<u64>) -> Self {
        Self { last, broken: 0 }
    }

    pub(crate) fn note(&mut self, seq: Option<u64>) {
        let Some(last) = self.last else { return };
        let next = last + 1;
        self.broken += u64::from(seq != Some(next));
        self.last = Some(seq.map_or(next, |seq| seq.max(last)));
    }
}
