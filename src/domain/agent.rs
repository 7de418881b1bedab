//! Agents: their records, and the order in which a session is offered to them.

use std::sync::Arc;

use super::ids::{AgentId, SessionId};
use super::principal::Realm;

/// An agent's record. Its load is the set of its sessions, never a bare counter: a set can be checked and repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id; tokens of agents name it.
    pub id: AgentId,
    /// The contract whose sessions it takes.
    pub realm: Realm,
    /// The display name.
    pub name: Arc<str>,
    /// How many sessions it takes at once: 1 to 10 in `support`.
    pub capacity: u32,
    /// Whether it declares itself available.
    pub available: bool,
    /// The sessions that hold a slot.
    pub sessions: Vec<SessionId>,
}

impl Agent {
    /// Whether another session could be offered. Only the store's conditional update decides.
    pub fn has_room(&self) -> bool {
        self.available && self.sessions.len() < self.capacity as usize
    }
}

/// The agents to try for the next session: those with room, least loaded first, ties in the order given.
pub fn candidates(agents: &[Agent]) -> Vec<&Agent> {
    let mut free: Vec<&Agent> = agents.iter().filter(|a| a.has_room()).collect();
    free.sort_by_key(|a| a.sessions.len());
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(n: u8, load: usize, available: bool) -> Agent {
        let sessions = (0..load).map(|_| SessionId::random()).collect();
        Agent { id: AgentId::seeded(n), realm: Realm::Support, name: "A".into(), capacity: 2, available, sessions }
    }

    #[test]
    fn the_least_loaded_come_first_and_the_full_and_absent_never() {
        let agents = [agent(1, 1, true), agent(2, 0, true), agent(3, 2, true), agent(4, 0, false), agent(5, 0, true)];
        let order: Vec<_> = candidates(&agents).into_iter().map(|a| a.id.clone()).collect();
        assert_eq!(order, [AgentId::seeded(2), AgentId::seeded(5), AgentId::seeded(1)]);
    }
}
