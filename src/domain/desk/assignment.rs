//! Who answers: sessions that wait, oldest first, are given to agents with room, and agents take sessions. Only conditional updates of the
//! store decide.

use std::sync::Arc;

use super::Desk;
use super::agents::allow_agent;
use crate::domain::agent::{Agent, Strategy, candidates};
use crate::domain::entry::{Assignment, Body, Content, Draft, Entry};
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::{AgentId, ConnId, EntryId, SessionId};
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

/// Which sessions an agent takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Any that the caller may use, whoever has it.
    All,
    /// What nobody has.
    Free,
}

/// How a change of who answers is written down.
pub(super) struct Record {
    /// The entry's id, where the session's document names it too.
    pub(super) id: EntryId,
    /// Who made it, where it was not the agent.
    pub(super) author: Option<Person>,
}

impl Default for Record {
    fn default() -> Self {
        Self { id: EntryId::random(), author: None }
    }
}

/// A session that an agent has.
struct Taken {
    session: Session,
    /// The entry that says so, if he has it only now.
    made: Option<Arc<Entry>>,
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

    /// Serves the queues that gain by the end of the session, or by its change of hands: its own, and that of the agent who had it.
    pub(super) async fn serve_queues(&self, before: &Session) -> Result<(), Error> {
        self.drain_queue(before.realm).await?;
        match before.agent.as_ref().map(|a| a.id.realm()) {
            Some(realm) if realm != before.realm => self.drain_queue(realm).await,
            _ => Ok(()),
        }
    }

    async fn assign(&self, session: &Session) -> Result<Attempt, Error> {
        let agents = self.store.list_agents(session.realm).await?;
        for agent in candidates(&agents, Strategy::LeastBusy) {
            if !self.store.reserve_slot(&agent.id, &session.id, self.now()).await? {
                continue;
            }
            let _turn = self.takings.take(&session.id).await;
            let to = session.reassigned_to(Some(agent.person()), None);
            match self.store.reassign_session(&session.id, session.assignment, &to, self.now()).await? {
                Some(claimed) => {
                    if let Some(entry) = self.record_assignment(&claimed, agent.assignee().into(), Record::default()).await? {
                        self.tell_change_of_hands(&claimed, &entry, None).await;
                    }
                }
                None => self.give_back(session, &agent.id).await?,
            }
            return Ok(Attempt::Settled);
        }
        Ok(Attempt::NobodyFree)
    }

    /// Gives the session to the agent, who asks for it over `conn` or is sent: a waiting one, or one that another agent has. Answers it as it is then,
    /// and whether that is new; then `note` is a line of the system in its log.
    ///
    /// # Errors
    /// [`Error::AgentUnavailable`], [`Error::SessionEnded`]; as [`Desk::session`] and [`Desk::register_agent`].
    pub async fn take_session(
        &self,
        who: &Principal,
        agent: &Agent,
        id: &SessionId,
        (note, conn): (Option<Body>, Option<&ConnId>),
    ) -> Result<(Session, bool), Error> {
        self.take(who, agent, id, (note, Reach::All, conn)).await
    }

    /// As [`Desk::take_session`], of what nobody has; else [`Error::SessionNotFound`].
    pub(super) async fn take_free_session(&self, who: &Principal, agent: &Agent, id: &SessionId) -> Result<(Session, bool), Error> {
        self.take(who, agent, id, (None, Reach::Free, None)).await
    }

    async fn take(
        &self,
        who: &Principal,
        agent: &Agent,
        id: &SessionId,
        (note, reach, conn): (Option<Body>, Reach, Option<&ConnId>),
    ) -> Result<(Session, bool), Error> {
        allow_agent(who, &agent.id)?;
        self.session_to_take(who, id).await?;
        // Before the turn, since it may serve the queue.
        if self.settle(id).await? {
            return Err(Error::SessionEnded(id.clone()));
        }
        let turn = self.takings.take(id).await;
        let taken = self.take_in_turn(who, agent, id, reach).await;
        if let Ok(Taken { session, made: Some(_), .. }) = &taken {
            self.note(session, note).await;
        }
        drop(turn);
        let taken = taken?;
        self.follow_up(&taken, conn).await?;
        Ok((taken.session, taken.made.is_some()))
    }

    /// Gives the session to the agent, who answers it over `conn`, where the one who has it is not connected: whoever answers now is to be seen
    /// as being there. Leaves it where it is if the agent takes no sessions, or if it waits or is over, or an agent of another contract has it, of whom
    /// nobody may know whether he is there.
    ///
    /// # Errors
    /// As [`Desk::session`] and [`Desk::register_agent`].
    pub async fn adopt_session(&self, who: &Principal, agent: &Agent, id: &SessionId, conn: &ConnId) -> Result<(), Error> {
        allow_agent(who, &agent.id)?;
        let turn = self.takings.take(id).await;
        let session = self.session(who, id).await?;
        let is_colleague = |h: &Assignee| h.id != agent.id && h.id.realm() == agent.realm;
        let Some(holder) = session.agent.filter(|h| session.status == Status::Active && is_colleague(h)) else { return Ok(()) };
        if self.is_present(holder.id.as_str()).await? {
            return Ok(());
        }
        let taken = match self.take_in_turn(who, agent, id, Reach::All).await {
            Err(Error::AgentUnavailable | Error::SessionEnded(_)) => return Ok(()),
            other => other?,
        };
        drop(turn);
        self.follow_up(&taken, Some(conn)).await
    }

    /// What follows from a session that has changed hands: those whom it concerns are told, and the former slot serves the queue.
    async fn follow_up(&self, taken: &Taken, origin: Option<&ConnId>) -> Result<(), Error> {
        if let Some(made) = &taken.made {
            self.tell_change_of_hands(&taken.session, made, origin).await;
        }
        match &taken.former {
            Some(former) => self.drain_queue(former.id.realm()).await,
            None => Ok(()),
        }
    }

    /// The session, for a caller who may see it, or who answers and may take it: one of another contract that nobody answers.
    async fn session_to_take(&self, who: &Principal, id: &SessionId) -> Result<Session, Error> {
        let found = self.store.find_session(id).await?.ok_or(Error::SessionNotFound)?;
        let is_open_to_all = found.is_free() && found.realm != who.realm() && who.is_staff() && self.concerns(&found, who);
        if is_open_to_all || self.admits(&found, who) { Ok(found) } else { Err(Error::SessionNotFound) }
    }

    /// Takes the session, with its turn. First the assignment is in the log, then the former slot is free.
    async fn take_in_turn(&self, who: &Principal, agent: &Agent, id: &SessionId, reach: Reach) -> Result<Taken, Error> {
        for _ in 0..TAKE_TRIES {
            let session = self.session_to_take(who, id).await?;
            let holder = session.agent.clone().filter(|_| session.status == Status::Active);
            // Whoever ends it meanwhile carries the end through; with a turn nobody waits for the queue.
            if !session.is_open() || self.store.head(id).await?.ended {
                return Err(Error::SessionEnded(id.clone()));
            }
            if holder.as_ref().is_some_and(|h| h.id == agent.id) {
                return Ok(Taken { session, made: None, former: None });
            }
            if reach == Reach::Free && !session.is_free() {
                return Err(Error::SessionNotFound);
            }
            if !self.store.reserve_slot(&agent.id, id, self.now()).await? {
                return Err(Error::AgentUnavailable);
            }
            let to = session.reassigned_to(Some(agent.person()), None);
            let Some(taken) = self.store.reassign_session(id, session.assignment, &to, self.now()).await? else {
                self.give_back(&session, &agent.id).await?;
                continue;
            };
            let former = holder.as_ref().map(|h| h.id.clone());
            let made = Assignment { former: former.clone(), ..agent.assignee().into() };
            let recorded = self.record_assignment(&taken, made, Record::default()).await?;
            if let Some(former) = &former {
                self.give_back(&taken, former).await?;
            }
            let Some(made) = recorded else {
                return Err(Error::SessionEnded(id.clone()));
            };
            return Ok(Taken { session: taken, made: Some(made), former: holder });
        }
        Err(StoreError::Conflict(format!("session {id}")).into())
    }

    /// Writes a change of who answers into the log; answers the entry, or `None` where the log has ended meanwhile: the end is carried through
    /// instead. Its author is the new agent where nobody else is named.
    pub(super) async fn record_assignment(&self, session: &Session, made: Assignment, record: Record) -> Result<Option<Arc<Entry>>, Error> {
        let author = record.author.or_else(|| made.agent.as_ref().map(Assignee::person));
        let author = author.unwrap_or_else(|| Person::new(session.realm, "system", Role::System));
        let assignee = made.agent.clone();
        let content = Content::Assigned(made);
        let draft = Draft { session: session.id.clone(), id: record.id, at: self.now(), author, client_key: None, content };
        match self.watched(self.append(draft).await.map_err(Into::into))? {
            Appended::Stored(entry) | Appended::Duplicate(entry) => {
                let entry = Arc::new(entry);
                self.announce.appended(Arc::clone(&entry));
                Ok(Some(entry))
            }
            Appended::Ended => {
                self.carry_end_through(session, assignee.as_ref()).await?;
                Ok(None)
            }
        }
    }

    /// The claim came too late, or another agent's came since. The slot goes back, unless the session is with this very agent (again).
    pub(super) async fn give_back(&self, session: &Session, agent: &AgentId) -> Result<(), Error> {
        let now = self.store.find_session(&session.id).await?;
        let holds = now.is_some_and(|s| s.is_open() && s.agent.is_some_and(|a| a.id == *agent));
        if !holds {
            self.store.release_slot(agent, &session.id).await?;
        }
        Ok(())
    }

    /// The log had ended before the session was claimed: document and slot follow it. Does not serve the queue, whose turn this is.
    async fn carry_end_through(&self, session: &Session, assignee: Option<&Assignee>) -> Result<(), Error> {
        if let Some(end) = self.last_end(&session.id).await?
            && let Content::Ended(reason) = &end.content
        {
            self.store.finish_session(&session.id, end.seq(), end.at, reason).await?;
        }
        if let Some(assignee) = assignee {
            self.store.release_slot(&assignee.id, &session.id).await?;
        }
        Ok(())
    }
}
