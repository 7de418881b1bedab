//! Agents: their records, and the order in which sessions are offered to them.

use std::cmp::Reverse;
use std::sync::Arc;

use super::ids::{AgentId, SessionId};
use super::principal::{Person, Realm, Role};
use super::session::Assignee;
use super::time::Timestamp;

/// Whether an agent takes sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Availability {
    /// Takes sessions.
    Online,
    /// Is there, and takes none.
    Busy,
    /// Said that he is not there.
    Offline,
    /// Was there until his last connection went, and did not say that he leaves; back online with the next one.
    Away,
}

impl Availability {
    /// The stable name that stores carry.
    pub fn name(self) -> &'static str {
        match self {
            Availability::Online => "online",
            Availability::Busy => "busy",
            Availability::Offline => "offline",
            Availability::Away => "away",
        }
    }

    /// The availability of a stored name.
    pub fn named(name: &str) -> Option<Self> {
        [Availability::Online, Availability::Busy, Availability::Offline, Availability::Away].into_iter().find(|a| a.name() == name)
    }
}

/// An agent's record. Its load is the set of its sessions, never a bare counter: a set can be checked and repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id; tokens of agents name it as their realm knows it.
    pub id: AgentId,
    /// The contract whose sessions it takes.
    pub realm: Realm,
    /// The display name.
    pub name: Arc<str>,
    /// The e-mail address, where one is known. Never shown to visitors, never logged.
    pub email: Option<Arc<str>>,
    /// How many sessions it takes at once: 1 to 10 in `support`, [`Agent::NO_LIMIT`] where the contract has none.
    pub capacity: u32,
    /// Whether it takes sessions.
    pub availability: Availability,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last said whether it is available. Coming and vanishing say nothing.
    pub active_at: Timestamp,
    /// Whether it has connections, as far as was written. Its availability then ends with them; else it stays as it was declared.
    pub attended: bool,
    /// Since when it has none, where it had some.
    pub absent_since: Option<Timestamp>,
    /// The sessions that hold a slot.
    pub sessions: Vec<SessionId>,
}

impl Agent {
    /// The capacity of an agent without a limit.
    pub const NO_LIMIT: u32 = u32::MAX;

    /// A fresh record without sessions, offline.
    pub fn new(realm: Realm, id: AgentId, name: impl Into<Arc<str>>, capacity: u32, now: Timestamp) -> Self {
        Self {
            id,
            realm,
            name: name.into(),
            email: None,
            capacity,
            availability: Availability::Offline,
            created_at: now,
            active_at: now,
            attended: false,
            absent_since: None,
            sessions: Vec::new(),
        }
    }

    /// Whether it takes sessions.
    pub fn is_available(&self) -> bool {
        self.availability == Availability::Online
    }

    /// Whether it is shown as being there, whether it takes sessions or not.
    pub fn is_there(&self) -> bool {
        matches!(self.availability, Availability::Online | Availability::Busy)
    }

    /// Whether another session could be offered. Only the store's conditional update decides.
    pub fn has_room(&self) -> bool {
        self.is_available() && self.sessions.len() < self.capacity as usize
    }

    /// The agent as sessions remember it.
    pub fn assignee(&self) -> Assignee {
        Assignee { id: self.id.clone(), name: Arc::clone(&self.name) }
    }

    /// The agent as a person.
    pub fn person(&self) -> Person {
        Person { name: Some(Arc::clone(&self.name)), ..Person::new(self.realm, self.id.in_realm(), Role::Agent) }
    }
}

/// How candidates are ordered; it never says who may take a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The fewest sessions first, ties in the order given.
    LeastBusy,
    /// Whoever last said whether he is available first.
    MostRecent,
    /// One after the other, beginning with the n-th.
    RoundRobin(usize),
}

/// The agents to try for the next session: those with room, in this order.
pub fn candidates(agents: &[Agent], strategy: Strategy) -> Vec<&Agent> {
    let mut free: Vec<&Agent> = agents.iter().filter(|a| a.has_room()).collect();
    match strategy {
        Strategy::LeastBusy => free.sort_by_key(|a| a.sessions.len()),
        Strategy::MostRecent => free.sort_by_key(|a| Reverse(a.active_at)),
        Strategy::RoundRobin(first) => {
            free.sort_by_key(|a| Reverse(a.active_at));
            let turn = first.checked_rem(free.len()).unwrap_or(0);
            free.rotate_left(turn);
        }
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(n: u8, load: usize, available: bool) -> Agent {
        let sessions = (0..load).map(|_| SessionId::random()).collect();
        let availability = if available { Availability::Online } else { Availability::Busy };
        Agent { sessions, availability, ..Agent::new(Realm::Support, AgentId::seeded(n), "A", 2, Timestamp(i64::from(n))) }
    }

    fn order(agents: &[Agent], strategy: Strategy) -> Vec<AgentId> {
        candidates(agents, strategy).into_iter().map(|a| a.id.clone()).collect()
    }

    #[test]
    fn the_least_loaded_come_first_and_the_full_and_absent_never() {
        let agents = [agent(1, 1, true), agent(2, 0, true), agent(3, 2, true), agent(4, 0, false), agent(5, 0, true)];
        assert_eq!(order(&agents, Strategy::LeastBusy), [2, 5, 1].map(AgentId::seeded));
        assert_eq!(order(&agents, Strategy::MostRecent), [5, 2, 1].map(AgentId::seeded));
        assert_eq!(order(&agents, Strategy::RoundRobin(4)), [2, 1, 5].map(AgentId::seeded));
        assert_eq!(order(&[], Strategy::RoundRobin(4)), []);
    }
}
