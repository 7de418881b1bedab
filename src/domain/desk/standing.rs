//! How agents stand, told to those whom they answer and to each other. A telling is best effort, and never fails what it tells of.

use std::sync::Arc;

use super::Desk;
use crate::domain::agent::Agent;
use crate::domain::entry::{Content, Entry};
use crate::domain::error::Error;
use crate::domain::habits::Contracts;
use crate::domain::ids::{AgentId, ConnId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::session::Status;

/// In how many of his sessions an agent's standing is told where contracts are apart.
const TOLD_LIMIT: u32 = 500;

impl Desk {
    /// Tells the other agents, and everybody in this agent's sessions, except whoever knows.
    pub(super) async fn tell_availability(&self, agent: Agent, vanished: bool, except: Option<&Audience>) {
        let sessions = self.told_of(&agent).await.into_iter().map(Audience::Session);
        let to: Vec<Audience> = std::iter::once(Audience::Agents(agent.realm)).chain(sessions).collect();
        let signal = Signal::Availability { agent: Arc::new(agent), vanished, at: self.now(), after: None };
        self.announce.signal(&to, signal, except);
    }

    /// The sessions that hear how the agent stands: all that he has, or those of his contract where contracts are apart.
    async fn told_of(&self, agent: &Agent) -> Vec<SessionId> {
        if self.contracts == Contracts::Together {
            return agent.sessions.clone();
        }
        match self.store.list_of_agent(&agent.id, Some(Status::Active), TOLD_LIMIT).await {
            Ok(found) => found.into_iter().filter(|s| s.realm == agent.realm).map(|s| s.id).collect(),
            Err(error) => {
                tracing::warn!(agent.id = %agent.id, %error, "how an agent stands could not be told in his sessions");
                Vec::new()
            }
        }
    }

    /// Tells that the agent is there again, and serves the queue.
    pub(super) async fn tell_back(&self, agent: Agent, except: Option<&Audience>) -> Result<(), Error> {
        let realm = agent.realm;
        self.tell_availability(agent, false, except).await;
        self.drain_queue(realm).await
    }

    /// Tells how the agent stands now.
    pub(super) async fn tell_standing(&self, id: &AgentId, except: &Audience) -> Result<(), Error> {
        if let Some(agent) = self.store.find_agent(id).await? {
            self.tell_availability(agent, false, Some(except)).await;
        }
        Ok(())
    }

    /// Tells those in a session that has changed hands how the one stands who answers now, unless they take him for being there, and rightly: who
    /// comes after somebody who was there, or first, and is there.
    pub(super) async fn tell_who_answers(&self, entry: &Arc<Entry>, origin: Option<&ConnId>) {
        let Content::Assigned(made) = &entry.content else { return };
        let Some(now) = &made.agent else { return };
        let ids: Vec<AgentId> = std::iter::once(now.id.clone()).chain(made.former.clone()).collect();
        let found = match self.store.find_agents(&ids).await {
            Ok(found) => found,
            Err(error) => return tracing::warn!(session.id = %entry.session, %error, "whether who answers is there could not be told"),
        };
        let is_there = |id: &AgentId| found.iter().any(|a| a.id == *id && a.is_there());
        let was_there = made.former.as_ref().map_or(entry.head.assignment <= 1, is_there);
        if was_there && is_there(&now.id) {
            return;
        }
        if let Some(agent) = found.iter().find(|a| a.id == now.id) {
            let signal =
                Signal::Availability { agent: Arc::new(agent.clone()), vanished: false, at: self.now(), after: Some(Arc::clone(entry)) };
            let except = origin.cloned().map(Audience::Connection);
            self.announce.signal(&[Audience::Session(entry.session.clone())], signal, except.as_ref());
        }
    }
}
