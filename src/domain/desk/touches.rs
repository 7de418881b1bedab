//! When sessions that are listed by activity were last written as changed, and which changes are still to be written. Knows no store.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

/// For how long a session's place in lists may be old, in milliseconds: its document is not written with every message.
const TOUCH_EVERY_MS: i64 = 5_000;

/// The sessions that changed lately on this node.
#[derive(Debug, Default)]
pub(super) struct Touches {
    of: Mutex<HashMap<SessionId, Touch>>,
}

#[derive(Debug)]
struct Touch {
    /// The last change that was written, or is being written.
    written: Timestamp,
    /// A later one that was not.
    owed: Option<Timestamp>,
}

impl Touches {
    /// Whether a change at this time is to be written at once; if not, it is owed.
    pub(super) fn is_due(&self, session: &SessionId, at: Timestamp) -> bool {
        let mut of = self.of();
        match of.get_mut(session).filter(|t| at.since(t.written) < TOUCH_EVERY_MS) {
            Some(touch) => touch.owed = touch.owed.max(Some(at)),
            None => drop(of.insert(session.clone(), Touch { written: at, owed: None })),
        }
        of.get(session).is_some_and(|t| t.owed.is_none())
    }

    /// A change could not be written, and still has to be.
    pub(super) fn owe(&self, session: &SessionId, at: Timestamp) {
        let mut of = self.of();
        let touch = of.entry(session.clone()).or_insert(Touch { written: at, owed: None });
        touch.owed = touch.owed.max(Some(at));
    }

    /// What is owed, which counts as written from now on. Forgets sessions that have not changed lately.
    pub(super) fn take_owed(&self, now: Timestamp) -> Vec<(SessionId, Timestamp)> {
        let mut owed = Vec::new();
        self.of().retain(|session, touch| {
            if let Some(at) = touch.owed.take() {
                touch.written = at;
                owed.push((session.clone(), at));
                return true;
            }
            now.since(touch.written) < TOUCH_EVERY_MS
        });
        owed
    }

    fn of(&self) -> MutexGuard<'_, HashMap<SessionId, Touch>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_at_once_is_owed_once() {
        let (touches, session) = (Touches::default(), SessionId::random());
        let due = |at| touches.is_due(&session, Timestamp(at));
        assert_eq!([due(0), due(1_000), due(2_000)], [true, false, false]);
        assert_eq!(touches.take_owed(Timestamp(2_500)), [(session.clone(), Timestamp(2_000))]);
        assert!(touches.take_owed(Timestamp(2_500)).is_empty());
        assert_eq!([due(6_999), due(12_000)], [false, true]);
        assert!(touches.take_owed(Timestamp(12_001)).is_empty(), "what was written later covers it");
        touches.owe(&session, Timestamp(12_000));
        assert_eq!(touches.take_owed(Timestamp(30_000)).len(), 1);
        assert!(touches.take_owed(Timestamp(30_000)).is_empty() && touches.of().is_empty(), "it is forgotten");
    }
}
