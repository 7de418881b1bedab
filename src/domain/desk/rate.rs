//! How fast one person may post: a bucket that holds a minute's worth and refills steadily. Knows people, not connections.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::time::Timestamp;

/// A minute in milliseconds.
const MINUTE_MS: f64 = 60_000.0;

/// Beyond this many buckets the full ones are forgotten, for they say nothing.
const SWEEP_AT: usize = 10_000;

/// Meters people by their key.
#[derive(Debug)]
pub(super) struct Rate {
    per_minute: Option<u32>,
    buckets: Mutex<HashMap<String, Bucket>>,
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
        let refilled = |bucket: &Bucket| (bucket.left + now.since(bucket.at) as f64 * limit / MINUTE_MS).min(limit);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SWEEP_AT {
            buckets.retain(|_, bucket| refilled(bucket) < limit);
        }
        let bucket = buckets.entry(key).or_insert(Bucket { left: limit, at: now });
        let left = refilled(bucket);
        *bucket = Bucket { left, at: now };
        if left < 1.0 {
            return Err(((1.0 - left) * MINUTE_MS / limit).ceil() as u64);
        }
        bucket.left -= 1.0;
        Ok(())
    }
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
        assert_eq!(rate.buckets.lock().unwrap().len(), 1);
    }
}
