//! Figures for dashboards, and lists of sessions over all contracts.

use super::accounts::allow_admin;
use super::callers::allow_overview;
use super::{Desk, Known};
use crate::domain::agent::Agent;
use crate::domain::error::Error;
use crate::domain::habits::Contracts;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::principal::{Principal, Realm, Role};
use crate::domain::session::{Session, Status};
use crate::domain::store::{SessionQuery, Totals};
use crate::domain::time::Timestamp;

/// How many sessions of one agent count.
const LOAD_LIMIT: u32 = 1_000;

/// How a realm stands, as of about now.
#[derive(Clone, Debug)]
pub struct Report {
    /// Sessions and messages.
    pub totals: Totals,
    /// Every agent with its load.
    pub agents: Vec<Agent>,
}

/// How the installation stands, as its store says now.
#[derive(Clone, Debug)]
pub struct Census {
    /// How many nodes are known, with this one.
    pub nodes: usize,
    /// How many sessions wait, of each contract in which sessions do.
    pub waiting: Vec<(Realm, u64)>,
}

impl Desk {
    /// How the installation stands, for whoever watches over it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the store does not answer, as [`Desk::ready`] finds it.
    pub async fn census(&self) -> Result<Census, Error> {
        self.ready().await?;
        let mut waiting = Vec::new();
        for realm in Realm::ALL.into_iter().filter(|r| !r.opens_active()) {
            waiting.push((realm, self.store.count_waiting(realm).await?));
        }
        Ok(Census { nodes: self.store.list_nodes().await?.len(), waiting })
    }

    /// The figures of the caller's realm.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn report(&self, who: &Principal) -> Result<Report, Error> {
        let realm = who.realm();
        Ok(Report { totals: self.totals(realm).await?, agents: self.store.list_agents(realm).await? })
    }

    /// How many accounts the caller's realm has; for admins.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn count_accounts(&self, who: &Principal) -> Result<u64, Error> {
        allow_admin(who)?;
        Ok(self.store.count_accounts(who.realm()).await?)
    }

    /// Everybody who answers, with the sessions that he answers now, whoever has most first; for admins.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn workloads(&self, who: &Principal) -> Result<Vec<(Known, Vec<Session>)>, Error> {
        allow_admin(who)?;
        let mut loads = Vec::new();
        for known in self.known(self.accounts(who, &[Role::Agent, Role::Admin]).await?).await? {
            let agent = AgentId::of(known.account.realm, known.account.id.as_str());
            let mut sessions = self.store.list_of_agent(&agent, Some(Status::Active), LOAD_LIMIT).await?;
            sessions.retain(|s| self.concerns(s, who));
            loads.push((known, sessions));
        }
        loads.sort_by_key(|(_, sessions)| std::cmp::Reverse(sessions.len()));
        Ok(loads)
    }

    /// Sessions that have not ended, last changed first: of the caller's realm, and of support in all others where contracts are together; for
    /// admins.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn open_sessions(&self, who: &Principal, limit: u32) -> Result<Vec<Session>, Error> {
        allow_admin(who)?;
        let open = SessionQuery { open_only: true, ..SessionQuery::of(who.realm(), limit) };
        let own = self.store.list_sessions(&open).await?.sessions;
        let others = self.list_of_others(who, &open).await?;
        Ok(shared_out(own, others, limit))
    }

    /// Sessions of the caller's realm, those in which somebody has spoken before all others, and of support in all others where contracts are together: open
    /// ones first, then those in which somebody has spoken. Last changed first; for those who see them all.
    ///
    /// # Errors
    /// As [`Desk::list_sessions`].
    pub async fn inbox(&self, who: &Principal, limit: u32) -> Result<Vec<Session>, Error> {
        allow_overview(who)?;
        let all = SessionQuery::of(who.realm(), limit);
        let spoken = SessionQuery { spoken_only: true, ..all.clone() };
        let mut own = self.store.list_sessions(&spoken).await?.sessions;
        if own.len() < limit as usize {
            own.extend(self.store.list_sessions(&all).await?.sessions.into_iter().filter(|s| !s.spoken));
        }
        let mut others = self.list_of_others(who, &SessionQuery { open_only: true, ..all }).await?;
        others.extend(self.list_of_others(who, &spoken).await?.into_iter().filter(|s| !s.is_open()));
        Ok(shared_out(own, others, limit))
    }

    /// What the query answers for the other realms, where contracts are together, each last changed first.
    async fn list_of_others(&self, who: &Principal, query: &SessionQuery) -> Result<Vec<Session>, Error> {
        let mut found = Vec::new();
        if self.contracts == Contracts::Apart {
            return Ok(found);
        }
        for realm in Realm::ALL.into_iter().filter(|r| *r != who.realm()) {
            let of_realm = SessionQuery { realm: Some(realm), ..query.clone() };
            found.extend(self.store.list_sessions(&of_realm).await?.sessions.into_iter().filter(|s| self.concerns(s, who)));
        }
        found.sort_by_key(by_change);
        Ok(found)
    }

    /// How many sessions of the realm have not ended, and how many there are. Both are counted in an index, since health pages are asked for them
    /// every few seconds: [`Desk::totals`] looks into every session's log.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_sessions(&self, realm: Realm) -> Result<(u64, u64), Error> {
        let all = SessionQuery::of(realm, 0);
        let open = SessionQuery { open_only: true, ..all.clone() };
        Ok((self.store.list_sessions(&open).await?.total, self.store.list_sessions(&all).await?.total))
    }

    /// Figures over all sessions of the realm, for dashboards.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn totals(&self, realm: Realm) -> Result<Totals, Error> {
        Ok(self.store.totals(realm).await?)
    }
}

/// Last changed first.
fn by_change(session: &Session) -> (std::cmp::Reverse<Timestamp>, std::cmp::Reverse<SessionId>) {
    (std::cmp::Reverse(session.updated_at), std::cmp::Reverse(session.id.clone()))
}

/// The first of both lists, last changed first. A list without pages is not to be filled by one of the two: each has at least half of it.
fn shared_out(mut own: Vec<Session>, mut others: Vec<Session>, limit: u32) -> Vec<Session> {
    let limit = limit as usize;
    others.truncate(limit.saturating_sub(own.len()).max(limit / 2));
    own.truncate(limit.saturating_sub(others.len()));
    own.extend(others);
    own.sort_by_key(by_change);
    own
}
