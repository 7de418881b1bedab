//! Somebody gives a session to an agent, or takes it from him. What the queue gives is in `assignment`.

use std::collections::HashSet;
use std::sync::Arc;

use super::Desk;
use super::accounts::allow_admin;
use super::assignment::Record;
use super::callers::allow_staff;
use crate::domain::account::Account;
use crate::domain::agent::Agent;
use crate::domain::entry::Assignment;
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::{AccountId, AgentId, EntryId, SessionId};
use crate::domain::principal::{Person, Principal, Realm, Role};
use crate::domain::session::{Session, Status};
use crate::domain::topic::{Reassignment, Transfer};

/// How often a change is tried again when other nodes change the session meanwhile; on this one they queue.
const TRIES: usize = 8;

/// Why a session waits again whose agent has gone without a word.
const ABSENT: &str = "The agent is not connected any more";

/// What is to become of a session.
struct Move {
    /// Who is to answer it; nobody, where it is taken away.
    agent: Option<Person>,
    reason: Arc<str>,
    /// Who does it.
    author: Person,
    /// Whether the queue gives it to somebody else, where it is taken away.
    waits: bool,
    /// Only this agent loses it; `None` is any.
    only_from: Option<AgentId>,
    /// Who may do it only while nobody has the session or he may use it; `None` is always.
    wanted_by: Option<Principal>,
}

impl Move {
    fn to(agent: Option<Person>, reason: &str, author: Person) -> Self {
        Self { agent, reason: reason.into(), author, waits: false, only_from: None, wanted_by: None }
    }
}

impl Desk {
    /// Gives the session to somebody who answers, there or not. For admins, for whoever answers it, and for those who answer while it waits.
    /// Giving it to whoever has it changes nothing.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`], [`Error::SessionEnded`], [`Error::Forbidden`]; [`Error::AgentNotFound`] where the account answers nobody.
    pub async fn give_session(&self, who: &Principal, id: &SessionId, to: &AccountId, reason: &str) -> Result<Session, Error> {
        allow_staff(who)?;
        let session = self.store.find_session(id).await?.filter(|s| self.concerns(s, who)).ok_or(Error::SessionNotFound)?;
        if !(session.is_free() || self.admits(&session, who) || who.is_admin()) {
            return Err(Error::SessionNotFound);
        }
        let agent = self.staff(who.realm(), to).await?;
        self.enlist(&agent).await?;
        let wanted_by = (!who.is_admin()).then(|| who.clone());
        let wanted = Move { wanted_by, ..Move::to(Some(agent.person()), reason, author(who, &session)) };
        let moved = self.reassign(id, wanted).await?;
        self.serve_queues(&session).await?;
        Ok(moved)
    }

    /// Takes the session from who answers it; it is pending until somebody gives it to an agent. For admins.
    ///
    /// # Errors
    /// As [`Desk::give_session`]; [`Error::AgentNotFound`] where nobody answers it.
    pub async fn take_away_session(&self, who: &Principal, id: &SessionId, reason: &str) -> Result<Session, Error> {
        allow_admin(who)?;
        let session = self.store.find_session(id).await?.filter(|s| self.concerns(s, who)).ok_or(Error::SessionNotFound)?;
        if session.is_open() && session.agent.is_none() {
            return Err(Error::AgentNotFound);
        }
        let moved = self.reassign(id, Move::to(None, reason, author(who, &session))).await?;
        self.serve_queues(&session).await?;
        Ok(moved)
    }

    /// Takes an agent from one session, which is pending then, and gives him another. For admins. Both sessions are looked at before the first step; a
    /// failure between the two leaves the first session pending.
    ///
    /// # Errors
    /// As [`Desk::give_session`]; [`Error::AgentNotFound`] where the agent does not answer the first session.
    pub async fn move_agent(
        &self,
        who: &Principal,
        agent: &AccountId,
        (from, to): (&SessionId, &SessionId),
        reason: &str,
    ) -> Result<(), Error> {
        allow_admin(who)?;
        let reached = async |id| self.store.find_session(id).await.map(|found| found.filter(|s| self.concerns(s, who)));
        let (first, second) = (reached(from).await?.ok_or(Error::SessionNotFound)?, reached(to).await?.ok_or(Error::SessionNotFound)?);
        let answers = first.agent.as_ref().is_some_and(|a| a.id == AgentId::of(who.realm(), agent.as_str()));
        if !answers || first.id == second.id {
            return Err(Error::AgentNotFound);
        }
        for session in [&first, &second] {
            if !session.is_open() {
                return Err(Error::SessionEnded(session.id.clone()));
            }
        }
        self.take_away_session(who, from, reason).await?;
        self.give_session(who, to, agent, reason).await.map(drop)
    }

    /// Gives a new session to the agent who was named for it.
    pub(super) async fn give(&self, id: &SessionId, agent: &Account) -> Result<(), Error> {
        self.enlist(agent).await?;
        let author = Person::new(agent.realm, "system", Role::System);
        self.reassign(id, Move::to(Some(agent.person()), "", author)).await.map(drop)
    }

    /// Gives the sessions of agents back to the queue whose last connection went so long ago, and serves it; what they were given since by somebody
    /// stays theirs. Safe on any number of nodes.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the next call does the rest.
    pub async fn requeue_of_absent(&self, grace_ms: i64) -> Result<(), Error> {
        let until = self.now().plus_ms(-grace_ms);
        let mut failed = Ok(());
        for realm in Realm::ALL.into_iter().filter(|r| r.has_queue()) {
            let mut lost: HashSet<Realm> = HashSet::new();
            for agent in self.store.list_agents(realm).await? {
                let Some(since) = agent.absent_since.filter(|since| *since <= until && !agent.sessions.is_empty()) else { continue };
                let who = agent.id.as_str();
                if self.is_present(who).await? {
                    let _turn = self.comings.take(&who.into()).await;
                    self.welcome_back(who).await?;
                    continue;
                }
                for (_, id) in self.store.list_slots(realm, since).await?.into_iter().filter(|(holder, _)| *holder == agent.id) {
                    match self.requeue(realm, &agent.id, &id).await {
                        Ok(requeued) => lost.extend(requeued),
                        // One that cannot be given back keeps no other from it.
                        Err(error) => failed = Err(error),
                    }
                }
            }
            for realm in lost {
                self.drain_queue(realm).await?;
            }
        }
        failed
    }

    /// A session that is opened again is nobody's: whoever answered it before has others by now.
    pub(super) async fn let_wait(&self, session: &Session, who: &Principal) -> Result<(), Error> {
        let wanted = Move { waits: true, ..Move::to(None, "", author(who, session)) };
        let waiting = self.reassign(&session.id, wanted).await?;
        self.drain_queue(waiting.realm).await
    }

    /// Answers of which realm it is, if it waits now.
    async fn requeue(&self, realm: Realm, agent: &AgentId, id: &SessionId) -> Result<Option<Realm>, Error> {
        let author = Person::new(realm, "system", Role::System);
        let wanted = Move { waits: true, only_from: Some(agent.clone()), ..Move::to(None, ABSENT, author) };
        match self.reassign(id, wanted).await {
            Ok(session) if session.status == Status::Waiting => {
                tracing::info!(session.id = %id, agent.id = %agent, "a session of an agent who is gone waits again");
                Ok(Some(session.realm))
            }
            // It is another's by now, or over. The slot is left over, and freed in a minute.
            Ok(_) | Err(Error::SessionEnded(_) | Error::SessionNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that somebody who answers has an agent's record, which holds his sessions.
    pub(super) async fn enlist(&self, account: &Account) -> Result<Agent, Error> {
        let (person, id) = (account.person(), AgentId::of(account.realm, account.id.as_str()));
        if let Some(known) = self.store.find_agent(&id).await? {
            return Ok(known);
        }
        let name = person.name.unwrap_or(person.id);
        Ok(self.store.insert_agent(&Agent::new(account.realm, id, name, Agent::NO_LIMIT, self.now())).await?)
    }

    async fn reassign(&self, id: &SessionId, wanted: Move) -> Result<Session, Error> {
        // Before the turn, since it may serve the queue.
        if self.settle(id).await? {
            return Err(Error::SessionEnded(id.clone()));
        }
        let _turn = self.takings.take(id).await;
        let to = wanted.agent.as_ref().map(|a| AgentId::of(a.realm, &a.id));
        for _ in 0..TRIES {
            let session = self.store.find_session(id).await?.ok_or(Error::SessionNotFound)?;
            if !session.is_open() {
                return Err(Error::SessionEnded(id.clone()));
            }
            if wanted.wanted_by.as_ref().is_some_and(|who| !session.is_free() && !self.admits(&session, who)) {
                return Err(Error::SessionNotFound);
            }
            let from = session.agent.as_ref().map(|a| a.id.clone());
            if from == to || wanted.only_from.is_some() && wanted.only_from != from {
                return Ok(session);
            }
            let record = Record { id: EntryId::random(), author: Some(wanted.author.clone()) };
            let is_first = from.is_none() && wanted.author.role == Role::System;
            let (reason, at) = (Arc::clone(&wanted.reason), self.now());
            let transfer = Transfer { id: record.id.clone(), from: from.clone(), to: to.clone(), at, reason: Arc::clone(&reason) };
            let change = session.reassigned_to(wanted.agent.clone(), (!is_first).then_some(transfer));
            let change = Reassignment { waits: wanted.waits, ..change };
            if let Some(agent) = &to {
                self.store.hold_slot(agent, id, at).await?;
            }
            let Some(moved) = self.store.reassign_session(id, session.assignment, &change, at).await? else {
                self.return_slot(&session, to.as_ref()).await?;
                continue;
            };
            let made = Assignment { agent: moved.agent.clone(), former: from.clone(), reason: Some(reason) };
            let recorded = self.record_assignment(&moved, made, record).await?;
            self.return_slot(&moved, from.as_ref()).await?;
            let entry = recorded.ok_or_else(|| Error::SessionEnded(id.clone()))?;
            self.tell_change_of_hands(&moved, &entry, None).await;
            return Ok(moved);
        }
        Err(StoreError::Conflict(format!("session {id}")).into())
    }

    async fn return_slot(&self, session: &Session, agent: Option<&AgentId>) -> Result<(), Error> {
        match agent {
            Some(agent) => self.give_back(session, agent).await,
            None => Ok(()),
        }
    }
}

/// Under whose name a change stands in the log.
fn author(who: &Principal, session: &Session) -> Person {
    who.person().cloned().unwrap_or_else(|| Person::new(session.realm, "system", Role::System))
}
