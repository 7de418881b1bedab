//! Who has live connections to this node. Knows nothing of what people declare.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::ConnId;

/// The connections of people, each under a key of its own.
#[derive(Debug, Default)]
pub(super) struct Attendance {
    here: Mutex<HashMap<String, HashSet<ConnId>>>,
}

impl Attendance {
    /// Notes a connection; answers whether it is the first one.
    pub(super) fn arrived(&self, who: &str, conn: &ConnId) -> bool {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = here.entry(who.to_owned()).or_default();
        connections.insert(conn.clone()) && connections.len() == 1
    }

    /// Whether there is a connection.
    pub(super) fn is_here(&self, who: &str) -> bool {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).contains_key(who)
    }

    /// How many there are whose key begins so.
    pub(super) fn count(&self, beginning: &str) -> usize {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).keys().filter(|who| who.starts_with(beginning)).count()
    }

    /// Forgets a connection; answers whether it was the last one.
    pub(super) fn left(&self, who: &str, conn: &ConnId) -> bool {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connections) = here.get_mut(who) else { return false };
        let was_here = connections.remove(conn);
        let last = connections.is_empty();
        if last {
            here.remove(who);
        }
        was_here && last
    }

    /// A connection, where there is one.
    pub(super) fn connection(&self, who: &str) -> Option<ConnId> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.get(who).and_then(|connections| connections.iter().min().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_devices_counts() {
        let (attendance, agent) = (Attendance::default(), "rooms:u1");
        let (phone, desktop) = (ConnId::random(), ConnId::random());
        assert!(attendance.arrived(agent, &phone));
        assert!(!attendance.arrived(agent, &phone));
        assert!(!attendance.arrived(agent, &desktop));
        assert!(!attendance.left(agent, &phone));
        assert!(!attendance.left(agent, &phone));
        assert_eq!(attendance.connection(agent), Some(desktop.clone()));
        assert!(attendance.is_here(agent));
        assert!(attendance.left(agent, &desktop));
        assert!(!attendance.is_here(agent));
        assert!(!attendance.left(agent, &desktop));
        assert_eq!(attendance.connection(agent), None);
    }
}
