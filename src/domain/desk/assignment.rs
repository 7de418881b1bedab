//! Who answers: sessions that wait, oldest first, are given to agents with room, and agents take sessions. Only conditional updates of the
//! store decide.

use std::sync::Arc;

use super::Desk;
use super::agents::allow_agent;
use crate::domain::agent::{Agent, Availability, Strategy, candidates};
use crate::domain::entry::{Body, Content, Draft};
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::{ConnId, EntryId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::principal::{Person, Principal, Realm, Role};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::store::Appended;

/// How often taking a session is tried again when other nodes change it meanwhile; on this one takers queue.
const TAKE_TRIES: usize = 8;

/// What became of one attempt to find an agent.
enum Attempt {
    /// The session waits no more, by this attempt or by another.
    Settled,
    /// Nobody has room.
    NobodyFree,
}

/// A session that an agent has.
struct Taken {
    session: Session,
    /// Whether he has it only now.
    is_new: bool,
    /// Who had it before: his slot is free.
    former: Option<Assignee>,
}

impl Desk {
    /// Gives waiting sessions to agents, oldest first, until nobody waits or nobody has room. Running it twice is harmless;
    /// whatever frees a slot calls it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was not done is done by the next call.
    pub async fn drain_queue(&self, realm: Realm) -> Result<(), Error> {
        if !realm.has_queue() {
            return Ok(());
        }
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
        for agent in candidates(&agents, Strategy::LeastBusy) {
            if !self.store.reserve_slot(&agent.id, &session.id, self.now()).await? {
                continue;
            }
            let assignee = agent.assignee();
            let _turn = self.takings.take(&session.id).await;
            match self.store.claim_session(&session.id, &assignee, self.now()).await? {
                Some(claimed) => drop(self.record_assignment(&claimed, &assignee).await?),
                None => self.give_back(session, &assignee).await?,
            }
            return Ok(Attempt::Settled);
        }
        Ok(Attempt::NobodyFree)
    }

    /// Gives the session to the agent, who asks for it or is sent: a waiting one, or one that another agent has. Answers it as it is then, and
    /// whether that is new; then `note` is a line of the system in its log.
    ///
    /// # Errors
    /// [`Error::AgentUnavailable`], [`Error::SessionEnded`]; as [`Desk::session`] and [`Desk::register_agent`].
    pub async fn take_session(&self, who: &Principal, agent: &Agent, id: &SessionId, note: Option<Body>) -> Result<(Session, bool), Error> {
        allow_agent(who, &agent.id)?;
        let turn = self.takings.take(id).await;
        let taken = self.take_in_turn(who, agent, id).await;
        if let Ok(Taken { session, is_new: true, .. }) = &taken {
            self.note(session, note).await;
        }
        drop(turn);
        let taken = taken?;
        self.follow_up(&taken, agent, None).await?;
        Ok((taken.session, taken.is_new))
    }

    /// Gives the session to the agent, who answers it over `conn`, where the one who has it is not connected: whoever answers now is to be seen
    /// as being there. Leaves it where it is if the agent takes no sessions, or if it waits or is over.
    ///
    /// # Errors
    /// As [`Desk::session`] and [`Desk::register_agent`].
    pub async fn adopt_session(&self, who: &Principal, agent: &Agent, id: &SessionId, conn: &ConnId) -> Result<(), Error> {
        allow_agent(who, &agent.id)?;
        let turn = self.takings.take(id).await;
        let session = self.session(who, id).await?;
        let Some(holder) = session.agent.filter(|h| session.status == Status::Active && h.id != agent.id) else { return Ok(()) };
        if self.store.find_agent(&holder.id).await?.is_some_and(|h| h.attended) {
            return Ok(());
        }
        let taken = match self.take_in_turn(who, agent, id).await {
            Err(Error::AgentUnavailable | Error::SessionEnded(_)) => return Ok(()),
            other => other?,
        };
        drop(turn);
        self.follow_up(&taken, agent, Some(conn)).await
    }

    /// What follows from a session that has changed hands: the former slot serves the queue; and where the former agent was shown as gone, those
    /// in the session hear that the one who answers now is there.
    async fn follow_up(&self, taken: &Taken, agent: &Agent, origin: Option<&ConnId>) -> Result<(), Error> {
        let Some(former) = &taken.former else { return Ok(()) };
        let is_there = |a: Agent| matches!(a.availability, Availability::Online | Availability::Busy);
        if !self.store.find_agent(&former.id).await?.is_some_and(is_there)
            && let Some(now) = self.store.find_agent(&agent.id).await?
        {
            let signal = Signal::Availability { agent: Arc::new(now), vanished: false, at: self.now() };
            self.announce.signal(&[Audience::Session(taken.session.id.clone())], signal, origin);
        }
        self.drain_queue(taken.session.realm).await
    }

    /// Takes the session, with its turn. First the assignment is in the log, then the former slot is free.
    async fn take_in_turn(&self, who: &Principal, agent: &Agent, id: &SessionId) -> Result<Taken, Error> {
        for _ in 0..TAKE_TRIES {
            let session = self.session(who, id).await?;
            let holder = session.agent.clone().filter(|_| session.status == Status::Active);
            if !session.is_open() || self.settle(id).await? {
                return Err(Error::SessionEnded(id.clone()));
            }
            if holder.as_ref().is_some_and(|h| h.id == agent.id) {
                return Ok(Taken { session, is_new: false, former: None });
            }
            if !self.store.reserve_slot(&agent.id, id, self.now()).await? {
                return Err(Error::AgentUnavailable);
            }
            let assignee = agent.assignee();
            let taken = match session.status {
                Status::Waiting => self.store.claim_session(id, &assignee, self.now()).await?,
                Status::Active | Status::Ended => self.store.transfer_session(id, session.assignment, &assignee, self.now()).await?,
            };
            let Some(taken) = taken else {
                self.give_back(&session, &assignee).await?;
                continue;
            };
            let recorded = self.record_assignment(&taken, &assignee).await?;
            if let Some(former) = &holder {
                self.give_back(&taken, former).await?;
            }
            if !recorded {
                return Err(Error::SessionEnded(id.clone()));
            }
            return Ok(Taken { session: taken, is_new: true, former: holder });
        }
        Err(StoreError::Conflict(format!("session {id}")).into())
    }

    /// Writes the assignment into the log; answers whether it could. Where the log has ended meanwhile, the end is carried through instead.
    pub(super) async fn record_assignment(&self, session: &Session, assignee: &Assignee) -> Result<bool, Error> {
        let name = Some(Arc::clone(&assignee.name));
        let author = Person { name, ..Person::new(session.realm, assignee.id.in_realm(), Role::Agent) };
        let content = Content::Assigned(assignee.clone());
        let draft = Draft { session: session.id.clone(), id: EntryId::random(), at: self.now(), author, client_key: None, content };
        match self.watched(self.store.append(draft).await.map_err(Into::into))? {
            Appended::Stored(entry) | Appended::Duplicate(entry) => self.announce.appended(Arc::new(entry)),
            Appended::Ended => {
                self.carry_end_through(session, assignee).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The claim came too late, or another agent's came since. The slot goes back, unless the session is with this very agent (again).
    async fn give_back(&self, session: &Session, assignee: &Assignee) -> Result<(), Error> {
        let now = self.store.find_session(&session.id).await?;
        let holds = now.is_some_and(|s| s.is_open() && s.agent.is_some_and(|a| a.id == assignee.id));
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
            self.store.finish_session(&session.id, last.seq(), last.at, reason).await?;
        }
        self.store.release_slot(&assignee.id, &session.id).await?;
        Ok(())
    }
}
