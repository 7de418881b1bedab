//! How fast one person may post: a bucket that holds a minute's worth and refills steadily. Knows people, not connections.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::time::Timestamp;

/// A minute in milliseconds.
const MINUTE_MS: f64 = 60_000.0;

/// Beyond this many buckets the full ones are forgotten, for they say nothing. Where that leaves more than half as many, only when their number has
/// doubled: no call may cost a look at all of them again and again.
const SWEEP_AT: usize = 10_000;

/// Meters people by their key.
#[derive(Debug)]
pub(super) struct Rate {
    per_minute: Option<u32>,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    of: HashMap<String, Bucket>,
    sweep_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Rate {
    /// At most this many posts a minute, in bursts of as many; `None` is no limit.
    pub(super) fn new(per_minute: Option<u32>) -> Self {
        Self { per_minute, buckets: Mutex::default() }
    }

    /// Counts a post of this person, or answers after how many milliseconds the next one is due.
    pub(super) fn take(&self, key: String, now: Timestamp) -> Result<(), u64> {
        let Some(limit) = self.per_minute.map(f64::from) else { return Ok(()) };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.of.len() >= buckets.sweep_at.max(SWEEP_AT) {
            buckets.of.retain(|_, bucket| bucket.refilled(limit, now) < limit);
            buckets.sweep_at = buckets.of.len() * 2;
        }
        let bucket = buckets.of.entry(key).or_insert(Bucket { left: limit, at: now });
        *bucket = Bucket { left: bucket.refilled(limit, now), at: now };
        wait(bucket.left, limit)?;
        bucket.left -= 1.0;
        Ok(())
    }

    /// Answers as [`Rate::take`] would, and counts nothing.
    pub(super) fn look(&self, key: &str, now: Timestamp) -> Result<(), u64> {
        let Some(limit) = self.per_minute.map(f64::from) else { return Ok(()) };
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.of.get(key).map_or(Ok(()), |bucket| wait(bucket.refilled(limit, now), limit))
    }
}

impl Bucket {
    fn refilled(self, limit: f64, now: Timestamp) -> f64 {
        (self.left + now.since(self.at) as f64 * limit / MINUTE_MS).min(limit)
    }
}

/// After how many milliseconds a bucket with so much left gives one.
fn wait(left: f64, limit: f64) -> Result<(), u64> {
    if left < 1.0 { Err(((1.0 - left) * MINUTE_MS / limit).ceil() as u64) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_worth_passes_and_then_one_at_a_time() {
        let rate = Rate::new(Some(60));
        let take = |key: &str, at| rate.take(key.to_owned(), Timestamp(at));
        assert!((0..60).all(|_| take("u1", 0).is_ok()));
        assert_eq!(take("u1", 0), Err(1_000));
        assert_eq!(take("u1", 400), Err(600));
        assert!(take("u2", 0).is_ok());
        assert!(take("u1", 1_000).is_ok());
        assert!(take("u1", 1_000).is_err());
        assert!(Rate::new(None).take("u1".to_owned(), Timestamp(0)).is_ok());
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let rate = Rate::new(Some(60));
        for n in 0..SWEEP_AT {
            rate.take(n.to_string(), Timestamp(0)).unwrap();
        }
        rate.take("late".to_owned(), Timestamp(60_000)).unwrap();
        assert_eq!(rate.buckets.lock().unwrap().of.len(), 1);
    }

    #[test]
    fn looking_counts_nothing() {
        let rate = Rate::new(Some(60));
        assert_eq!(rate.look("u1", Timestamp(0)), Ok(()));
        assert!((0..60).all(|_| rate.take("u1".to_owned(), Timestamp(0)).is_ok()));
        assert_eq!((rate.look("u1", Timestamp(0)), rate.look("u1", Timestamp(400))), (Err(1_000), Err(600)));
        assert_eq!(rate.look("u1", Timestamp(1_000)), Ok(()));
        assert!(rate.look("u2", Timestamp(0)).is_ok() && rate.buckets.lock().unwrap().of.len() == 1);
    }

    #[test]
    fn buckets_in_use_are_looked_through_once_for_every_doubling() {
        let rate = Rate::new(Some(60));
        for n in 0..4 * SWEEP_AT {
            rate.take(n.to_string(), Timestamp(0)).unwrap();
        }
        let buckets = rate.buckets.lock().unwrap();
        assert_eq!((buckets.of.len(), buckets.sweep_at), (4 * SWEEP_AT, 4 * SWEEP_AT));
    }
}
