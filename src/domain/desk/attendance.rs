//! Which agents have live connections to this node. Knows nothing of what they declare.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::{AgentId, ConnId};

/// The connections of agents.
#[derive(Debug, Default)]
pub(super) struct Attendance {
    here: Mutex<HashMap<AgentId, HashSet<ConnId>>>,
}

impl Attendance {
    /// Notes a connection of the agent.
    pub(super) fn arrived(&self, agent: &AgentId, conn: &ConnId) {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.entry(agent.clone()).or_default().insert(conn.clone());
    }

    /// Whether the agent has a connection.
    pub(super) fn is_here(&self, agent: &AgentId) -> bool {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).contains_key(agent)
    }

    /// Forgets a connection of the agent; answers whether it was the last one.
    pub(super) fn left(&self, agent: &AgentId, conn: &ConnId) -> bool {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connections) = here.get_mut(agent) else { return false };
        let was_here = connections.remove(conn);
        let last = connections.is_empty();
        if last {
            here.remove(agent);
        }
        was_here && last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_devices_counts() {
        let (attendance, agent) = (Attendance::default(), AgentId::seeded(1));
        let (phone, desktop) = (ConnId::random(), ConnId::random());
        attendance.arrived(&agent, &phone);
        attendance.arrived(&agent, &phone);
        attendance.arrived(&agent, &desktop);
        assert!(!attendance.left(&agent, &phone));
        assert!(!attendance.left(&agent, &phone));
        assert!(attendance.is_here(&agent));
        assert!(attendance.left(&agent, &desktop));
        assert!(!attendance.is_here(&agent));
        assert!(!attendance.left(&agent, &desktop));
    }
}
