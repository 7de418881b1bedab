//! Figures for dashboards.

use super::Desk;
use crate::domain::agent::Agent;
use crate::domain::error::Error;
use crate::domain::principal::{Principal, Realm};
use crate::domain::store::Totals;

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

    /// The public part of the figures, for health pages.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn totals(&self, realm: Realm) -> Result<Totals, Error> {
        Ok(self.store.totals(realm).await?)
    }
}
