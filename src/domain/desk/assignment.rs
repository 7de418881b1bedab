//! The queue: sessions that wait, oldest first, are given to agents with room. Only conditional updates of the store decide.

use std::sync::Arc;

use super::Desk;
use crate::domain::agent::candidates;
use crate::domain::entry::{Content, Draft};
use crate::domain::error::Error;
use crate::domain::ids::EntryId;
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::{Assignee, Session};
use crate::domain::store::Appended;

/// What became of one attempt to find an agent.
enum Attempt {
    /// The session waits no more, by this attempt or by another.
    Settled,
    /// Nobody has room.
    NobodyFree,
}

impl Desk {
    /// Gives waiting sessions to agents, oldest first, until nobody waits or nobody has room. Running it twice is harmless;
    /// whatever frees a slot calls it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was not done is done by the next call.
    pub async fn drain_queue(&self, realm: Realm) -> Result<(), Error> {
        let _turn = self.queue.lock().await;
        while let Some(session) = self.store.list_waiting(realm, 1).await?.pop() {
            match self.assign(&session).await? {
                Attempt::Settled => {}
                Attempt::NobodyFree => break,
            }
        }
        Ok(())
    }

    async fn assign(&self, session: &Session) -> Result<Attempt, Error> {
        let agents = self.store.list_agents(session.realm).await?;
        for agent in candidates(&agents) {
            if !self.store.reserve_slot(&agent.id, &session.id, self.now()).await? {
                continue;
            }
            let assignee = Assignee { id: agent.id.clone(), name: Arc::clone(&agent.name) };
            match self.store.claim_session(&session.id, &assignee, self.now()).await? {
                Some(claimed) => self.record_assignment(&claimed, &assignee).await?,
                None => self.give_back(session, &assignee).await?,
            }
            return Ok(Attempt::Settled);
        }
        Ok(Attempt::NobodyFree)
    }

    /// Writes the assignment into the log. Where the log has ended meanwhile, the end is carried through instead.
    pub(super) async fn record_assignment(&self, session: &Session, assignee: &Assignee) -> Result<(), Error> {
        let name = Some(Arc::clone(&assignee.name));
        let author = Person { name, ..Person::new(session.realm, assignee.id.as_str(), Role::Agent) };
        let content = Content::Assigned(assignee.clone());
        let draft = Draft { session: session.id.clone(), id: EntryId::random(), at: self.now(), author, client_key: None, content };
        match self.store.append(draft).await? {
            Appended::Stored(entry) | Appended::Duplicate(entry) => self.announce.appended(Arc::new(entry)),
            Appended::Ended => {
                self.carry_end_through(session, assignee).await?;
            }
        }
        Ok(())
    }

    /// The claim came too late. The slot goes back, unless whoever came first gave the session to this very agent.
    async fn give_back(&self, session: &Session, assignee: &Assignee) -> Result<(), Error> {
        let now = self.store.find_session(&session.id).await?;
        let holds = now.is_some_and(|s| s.open_key().is_some() && s.agent.is_some_and(|a| a.id == assignee.id));
        if !holds {
            self.store.release_slot(&assignee.id, &session.id).await?;
        }
        Ok(())
    }

    /// The log had ended before the session was claimed: document and slot follow it. Does not serve the queue, whose turn this is.
    async fn carry_end_through(&self, session: &Session, assignee: &Assignee) -> Result<(), Error> {
        if let Some(last) = self.store.last_entry(&session.id).await?
            && let Content::Ended(reason) = &last.content
        {
            self.store.finish_session(&session.id, last.at, reason).await?;
        }
        self.store.release_slot(&assignee.id, &session.id).await?;
        Ok(())
    }
}
