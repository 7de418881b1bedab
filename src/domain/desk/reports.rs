//! Figures for dashboards.

use super::accounts::allow_admin;
use super::{Desk, Known};
use crate::domain::agent::Agent;
use crate::domain::error::Error;
use crate::domain::habits::Contracts;
use crate::domain::ids::AgentId;
use crate::domain::principal::{Principal, Realm, Role};
use crate::domain::session::{Session, Status};
use crate::domain::store::{SessionQuery, Totals};

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

impl Desk {
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
            let sessions = self.store.list_of_agent(&agent, Some(Status::Active), LOAD_LIMIT).await?;
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
        let own = SessionQuery { open_only: true, ..SessionQuery::of(who.realm(), limit) };
        let mut sessions = self.store.list_sessions(&own).await?.sessions;
        if self.contracts == Contracts::Together {
            let all = SessionQuery { realm: None, ..own };
            sessions.extend(self.store.list_sessions(&all).await?.sessions.into_iter().filter(|s| s.realm != who.realm()));
            sessions.sort_by(|a, b| (b.updated_at, &b.id).cmp(&(a.updated_at, &a.id)));
            sessions.truncate(limit as usize);
        }
        Ok(sessions)
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
