//! Agents: their records, their availability, their sessions, and the default ones of an empty installation.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Desk;
use super::callers::{allow_overview, allow_staff};
use crate::domain::agent::{Agent, Availability, Strategy, candidates};
use crate::domain::error::Error;
use crate::domain::ids::{AgentId, ConnId};
use crate::domain::ports::Audience;
use crate::domain::principal::{Principal, Realm};
use crate::domain::session::{Session, Status};

/// How many sessions of an agent are listed at most.
const LIST_LIMIT: u32 = 200;

/// How many sessions a default agent takes at once (document 001).
const DEFAULT_CAPACITY: u32 = 2;

/// The longest name of an agent that is made from its id, in characters.
const NAME_LIMIT: usize = 100;

/// Who is wanted for a session.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Taken if available, whatever the strategy.
    pub preferred: Option<AgentId>,
    /// Never taken.
    pub excluded: Vec<AgentId>,
    /// The order of the others; one after the other where none is given.
    pub strategy: Option<Strategy>,
}

impl Desk {
    /// Stores three default agents where the realm has none, as document 001 does at start.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn seed_agents(&self, realm: Realm) -> Result<(), Error> {
        let agent = |(n, name): (u8, &str)| {
            let fresh = Agent::new(realm, AgentId::seeded(n), name, DEFAULT_CAPACITY, self.now());
            Agent { availability: Availability::Online, ..fresh }
        };
        let agents: Vec<Agent> = [(1, "Support Agent 1"), (2, "Support Agent 2"), (3, "Support Agent 3")].map(agent).into();
        Ok(self.store.seed_agents(realm, &agents).await?)
    }

    /// Adds an agent who is available at once, for the command line.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn add_agent(&self, realm: Realm, name: &str, email: Option<&str>, capacity: u32) -> Result<Agent, Error> {
        let id = AgentId::of(realm, AgentId::random().as_str());
        let fresh = Agent::new(realm, id, name, capacity, self.now());
        Ok(self.store.insert_agent(&Agent { email: email.map(Arc::from), availability: Availability::Online, ..fresh }).await?)
    }

    /// The record of the agent whom the realm knows by `id`; a new one, offline and without a limit, where there is none.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn register_agent(&self, who: &Principal, id: &str) -> Result<Agent, Error> {
        let (realm, record) = (who.realm(), AgentId::of(who.realm(), id));
        allow_agent(who, &record)?;
        if let Some(known) = self.store.find_agent(&record).await? {
            return Ok(known);
        }
        let name: String = format!("Operator {id}").chars().take(NAME_LIMIT).collect();
        Ok(self.store.insert_agent(&Agent::new(realm, record, name, Agent::NO_LIMIT, self.now())).await?)
    }

    /// The sessions of an agent, newest first, at most 200; for the agent and for privileged callers.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn sessions_of_agent(&self, who: &Principal, agent: &AgentId, status: Option<Status>) -> Result<Vec<Session>, Error> {
        allow_agent(who, agent)?;
        let found = self.store.list_of_agent(agent, status, LIST_LIMIT).await?;
        Ok(found.into_iter().filter(|s| self.concerns(s, who)).collect())
    }

    /// Sets whether the agent takes new sessions; for the agent and for privileged callers. Serves the queue when he does.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`], [`Error::AgentNotFound`].
    pub async fn set_availability(&self, who: &Principal, agent: &AgentId, to: Availability) -> Result<Agent, Error> {
        allow_agent(who, agent)?;
        let _turn = self.comings.take(&agent.as_str().into()).await;
        self.declare(agent, to, None).await
    }

    /// Sets it for those of these agents who are known, and answers how many they are; for privileged callers, or one for himself. Nothing is set
    /// where it may not be set for all.
    ///
    /// # Errors
    /// As [`Desk::set_availability`], but for agents who are not known.
    pub async fn set_availability_of(&self, who: &Principal, agents: &[AgentId], to: Availability) -> Result<usize, Error> {
        agents.iter().try_for_each(|agent| allow_agent(who, agent))?;
        let mut known = 0;
        for agent in agents {
            let _turn = self.comings.take(&agent.as_str().into()).await;
            match self.declare(agent, to, None).await {
                Ok(_) => known += 1,
                Err(Error::AgentNotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }

    /// Notes a connection of the agent, over which he says whether he takes new sessions. All but this connection hear of it.
    ///
    /// # Errors
    /// As [`Desk::set_availability`]; the connection is not noted then, unless it was before.
    pub async fn agent_arrived_as(&self, who: &Principal, agent: &AgentId, to: Availability, conn: &ConnId) -> Result<Agent, Error> {
        allow_agent(who, agent)?;
        let _turn = self.comings.take(&agent.as_str().into()).await;
        let was_noted = self.is_here(agent.as_str(), conn);
        // First, so that whatever a crash leaves of this is known to end with the connections.
        let arrived = async {
            self.note_arrival(agent.as_str(), conn).await?;
            self.store.set_attended(agent, true, self.now()).await?;
            self.declare(agent, to, Some(conn)).await
        };
        let arrived = arrived.await;
        match &arrived {
            Err(Error::AgentNotFound) if !was_noted => drop(self.note_departure(agent.as_str(), conn).await?),
            Err(_) if !was_noted => self.withdraw(agent.as_str(), conn),
            _ => {}
        }
        arrived
    }

    async fn declare(&self, agent: &AgentId, to: Availability, origin: Option<&ConnId>) -> Result<Agent, Error> {
        let agent = self.store.set_availability(agent, None, to, Some(self.now())).await?.ok_or(Error::AgentNotFound)?;
        self.tell_availability(agent.clone(), false, origin.cloned().map(Audience::Connection).as_ref()).await;
        if agent.is_available() {
            self.drain_queue(agent.realm).await?;
        }
        Ok(agent)
    }

    /// Notes a connection of the agent. Who was away is online again.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the connection is not noted then, unless it was before.
    pub async fn agent_arrived(&self, agent: &Agent, conn: &ConnId) -> Result<(), Error> {
        let turn = self.comings.take(&agent.id.as_str().into()).await;
        let was_noted = self.is_here(agent.id.as_str(), conn);
        let arrived = async {
            self.note_arrival(agent.id.as_str(), conn).await?;
            self.agent_is_there(&agent.id).await
        };
        let arrived = arrived.await;
        if arrived.is_err() && !was_noted {
            self.withdraw(agent.id.as_str(), conn);
        }
        let back = arrived?;
        drop(turn);
        match back {
            Some(back) => self.tell_back(back, Some(&Audience::Connection(conn.clone()))).await,
            None => Ok(()),
        }
    }

    /// Notes that the agent is there; who was away is online, and answered.
    pub(super) async fn agent_is_there(&self, agent: &AgentId) -> Result<Option<Agent>, Error> {
        self.store.set_attended(agent, true, self.now()).await?;
        Ok(self.store.set_availability(agent, Some(&[Availability::Away]), Availability::Online, None).await?)
    }

    /// Forgets a connection of the agent. Who was there, and has no other, is away.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; then [`Desk::miss_the_absent`] does the rest.
    pub async fn agent_left(&self, agent: &AgentId, conn: &ConnId) -> Result<(), Error> {
        // Between finding that it was the last one and writing so, no other may come.
        let _turn = self.comings.take(&agent.as_str().into()).await;
        if self.note_departure(agent.as_str(), conn).await? { self.see_off(agent.as_str()).await } else { Ok(()) }
    }

    /// The agent's last connection is gone. His turn is taken; he may come to another node meanwhile.
    pub(super) async fn agent_vanished(&self, agent: &AgentId) -> Result<(), Error> {
        let there = [Availability::Online, Availability::Busy];
        let himself = Audience::Person(agent.as_str().into());
        let away = self.store.set_availability(agent, Some(&there), Availability::Away, None).await?;
        self.store.set_attended(agent, false, self.now()).await?;
        let is_told = away.is_some();
        if let Some(away) = away {
            self.tell_availability(away, true, Some(&himself)).await;
        }
        if !self.is_present(agent.as_str()).await? {
            return Ok(());
        }
        match self.agent_is_there(agent).await? {
            Some(back) => self.tell_back(back, Some(&himself)).await,
            // The other node may have told that before this one told that he had gone: how he stands now is told last.
            None if is_told => self.tell_standing(agent, &himself).await,
            None => Ok(()),
        }
    }

    /// The agent's record, for showing it beside a session that the caller may see.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn agent(&self, agent: &AgentId) -> Result<Option<Agent>, Error> {
        Ok(self.store.find_agent(agent).await?)
    }

    /// All agents of the caller's realm, whoever was active last first.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn agents(&self, who: &Principal) -> Result<Vec<Agent>, Error> {
        allow_overview(who)?;
        let mut agents = self.store.list_agents(who.realm()).await?;
        agents.sort_by_key(|a| std::cmp::Reverse(a.active_at));
        Ok(agents)
    }

    /// Somebody to take a session, and whether it is the preferred one. Nothing is reserved.
    ///
    /// # Errors
    /// [`Error::NobodyAvailable`]; as [`Desk::agents`].
    pub async fn choose_agent(&self, who: &Principal, choice: &Choice) -> Result<(Agent, bool), Error> {
        let mut agents = self.agents(who).await?;
        agents.retain(|a| !choice.excluded.contains(&a.id));
        if let Some(preferred) = agents.iter().find(|a| Some(&a.id) == choice.preferred.as_ref() && a.has_room()) {
            return Ok((preferred.clone(), true));
        }
        let strategy = choice.strategy.unwrap_or_else(|| Strategy::RoundRobin(self.turn.fetch_add(1, Ordering::Relaxed)));
        let first = candidates(&agents, strategy).first().map(|a| (*a).clone());
        first.map(|a| (a, false)).ok_or(Error::NobodyAvailable)
    }
}

/// Lets the agent itself and privileged callers of its realm through.
pub(super) fn allow_agent(who: &Principal, agent: &AgentId) -> Result<(), Error> {
    let own = who.person().is_some_and(|p| p.role.answers() && AgentId::of(p.realm, &p.id) == *agent);
    if own || who.is_privileged() { Ok(()) } else { allow_staff(who).and(Err(Error::Forbidden)) }
}
