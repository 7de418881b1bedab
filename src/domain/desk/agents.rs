//! Agents: their availability, their sessions, and the default ones of an empty installation.

use std::sync::Arc;

use super::Desk;
use crate::domain::agent::Agent;
use crate::domain::error::Error;
use crate::domain::ids::AgentId;
use crate::domain::principal::{Principal, Realm, Role};
use crate::domain::session::{Session, Status};

/// How many sessions of an agent are listed at most.
const LIST_LIMIT: u32 = 200;

/// How many sessions a default agent takes at once (document 001).
const DEFAULT_CAPACITY: u32 = 2;

impl Desk {
    /// Stores three default agents where the realm has none, as document 001 does at start.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn seed_agents(&self, realm: Realm) -> Result<(), Error> {
        let agent = |(n, name): (u8, &str)| {
            let (id, name) = (AgentId::seeded(n), Arc::from(name));
            Agent { id, realm, name, capacity: DEFAULT_CAPACITY, available: true, sessions: Vec::new() }
        };
        let agents: Vec<Agent> = [(1, "Support Agent 1"), (2, "Support Agent 2"), (3, "Support Agent 3")].map(agent).into();
        Ok(self.store.seed_agents(realm, &agents).await?)
    }

    /// The sessions of an agent, newest first, at most 200; for the agent and for privileged callers.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn sessions_of_agent(&self, who: &Principal, agent: &AgentId, status: Option<Status>) -> Result<Vec<Session>, Error> {
        allow_agent(who, agent)?;
        Ok(self.store.list_of_agent(agent, status, LIST_LIMIT).await?)
    }

    /// Sets whether the agent takes new sessions; for the agent and for privileged callers. Serves the queue when he does.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::AgentNotFound`].
    pub async fn set_availability(&self, who: &Principal, agent: &AgentId, available: bool) -> Result<Agent, Error> {
        allow_agent(who, agent)?;
        let agent = self.store.set_availability(agent, available).await?.ok_or(Error::AgentNotFound)?;
        if available {
            self.drain_queue(agent.realm).await?;
        }
        Ok(agent)
    }

    /// The agent's record, for showing it beside a session that the caller may see.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn agent(&self, agent: &AgentId) -> Result<Option<Agent>, Error> {
        Ok(self.store.find_agent(agent).await?)
    }
}

fn allow_agent(who: &Principal, agent: &AgentId) -> Result<(), Error> {
    let own = who.person().is_some_and(|p| p.role == Role::Agent && *p.id == *agent.as_str());
    if own || who.is_privileged() { Ok(()) } else { Err(Error::Forbidden) }
}
