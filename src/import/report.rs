//! What an import found and what it did with it: counts, and the ids of what was odd. Never a text, a name or an address.

use std::collections::BTreeMap;
use std::fmt;

/// How many ids are named of one kind; the others are counted.
const NAMED: usize = 50;

/// The longest id that is named whole, in characters. Ids of originals may be any text.
const ID_LIMIT: usize = 40;

/// What was counted, and what was odd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What there is on either side, in the order of the lines.
    counts: Vec<(String, u64)>,
    /// What was odd and what became of it: how often, and which.
    oddities: BTreeMap<&'static str, (u64, Vec<String>)>,
}

impl Report {
    /// Adds a line that counts something.
    pub(super) fn count(&mut self, what: impl Into<String>, n: u64) {
        self.counts.push((what.into(), n));
    }

    /// Notes something odd by its id; `what` says what became of it.
    pub(super) fn note(&mut self, what: &'static str, id: &str) {
        let (times, ids) = self.oddities.entry(what).or_default();
        *times += 1;
        if ids.len() < NAMED {
            ids.push(id.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(ID_LIMIT).collect());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, n) in &self.counts {
            writeln!(f, "{what}: {n}")?;
        }
        for (what, (times, ids)) in &self.oddities {
            let more = usize::try_from(*times).unwrap_or(usize::MAX).saturating_sub(ids.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(f, "odd: {what}: {times}: {}{more}", ids.join(" "))?;
        }
        Ok(())
    }
}
