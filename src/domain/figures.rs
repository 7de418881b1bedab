//! What a node counts of its own work since it started, for whoever watches over it. Counting is adding to a number, and nothing is decided by
//! it; how the figures are shown is not known here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::StoreError;
use super::principal::Realm;
use super::store::Appended;

/// A number for each contract.
#[derive(Debug, Default)]
pub struct PerRealm([AtomicU64; Realm::ALL.len()]);

impl PerRealm {
    /// The number of one.
    pub fn of(&self, realm: Realm) -> &AtomicU64 {
        let [support, operators, widget, rooms] = &self.0;
        match realm {
            Realm::Support => support,
            Realm::Operators => operators,
            Realm::Widget => widget,
            Realm::Rooms => rooms,
        }
    }
}

/// The bounds between the classes of [`Durations`], in microseconds.
const BOUNDS_US: [u64; 13] = [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000];

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Durations {
    /// One class up to each bound, and one above all.
    classes: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Durations {
    /// Counts one.
    pub fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(class) = self.classes.get(BOUNDS_US.partition_point(|bound| *bound < us)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// The classes, each with the longest time that falls into it, in seconds, and how many did. The last one has no bound.
    pub fn classes(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_US.iter().map(|us| Duration::from_micros(*us).as_secs_f64()).chain([f64::INFINITY]);
        bounds.zip(self.classes.iter().map(|class| class.load(Ordering::Relaxed))).collect()
    }

    /// All of them together, in seconds.
    pub fn sum(&self) -> f64 {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed)).as_secs_f64()
    }
}

/// What a desk counts.
#[derive(Debug, Default)]
pub struct Figures {
    /// Messages that were stored, lines of the system among them, by the contract of who said them.
    pub messages: PerRealm,
    /// How long appends to logs took, whatever became of them.
    pub appends: Durations,
}

impl Figures {
    /// Counts an append that took so long.
    pub(super) fn appended(&self, took: Duration, appended: &Result<Appended, StoreError>) {
        self.appends.add(took);
        if let Ok(Appended::Stored(entry)) = appended
            && entry.body().is_some()
        {
            self.messages.of(entry.author.realm).fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_class_that_ends_with_it_or_after_it() {
        let durations = Durations::default();
        for us in [0, 500, 501, 1_000, 5_000_000, 5_000_001, 60_000_000] {
            durations.add(Duration::from_micros(us));
        }
        let classes = durations.classes();
        assert_eq!(classes.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((classes[0].0, classes[12].0, classes[13].0), (0.000_5, 5.0, f64::INFINITY));
        assert!((durations.sum() - 70.002_002).abs() < 1e-9, "{}", durations.sum());
    }
}
