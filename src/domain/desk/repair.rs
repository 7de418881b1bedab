//! Mending what a crash left between two writes: the log decides, documents and slots follow it.

use super::Desk;
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::principal::Realm;
use crate::domain::session::{Session, Status};

/// How many sessions are read at once.
const PAGE: u32 = 200;

/// Only what has not changed for this long is mended: whoever is between two writes finishes in much less.
const SETTLED_AFTER_MS: i64 = 60_000;

impl Desk {
    /// One pass over all open sessions and all slots of the realm, then over the queue. Safe while everything runs, on any number of nodes.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the next pass does the rest.
    pub async fn repair(&self, realm: Realm) -> Result<(), Error> {
        let mut after: Option<SessionId> = None;
        loop {
            let page = self.store.list_open(after.as_ref(), PAGE).await?;
            for session in &page {
                self.repair_session(session).await?;
            }
            match page.last() {
                Some(last) => after = Some(last.id.clone()),
                None => break,
            }
        }
        self.repair_slots(realm).await?;
        self.drain_queue(realm).await
    }

    async fn repair_session(&self, session: &Session) -> Result<(), Error> {
        let settled = self.now().since(session.updated_at) >= SETTLED_AFTER_MS;
        if self.settle_if_ended(&session.id).await? || !settled {
            return Ok(());
        }
        let Some(agent) = session.agent.as_ref().filter(|_| session.status == Status::Active) else { return Ok(()) };
        if session.assignment > self.store.head(&session.id).await?.assignment {
            self.record_assignment(session, agent).await?;
        }
        self.store.reserve_slot(&agent.id, &session.id, self.now()).await?;
        Ok(())
    }

    /// Frees slots of sessions that are over or with somebody else.
    async fn repair_slots(&self, realm: Realm) -> Result<(), Error> {
        let before = self.now().plus_ms(-SETTLED_AFTER_MS);
        for (agent, id) in self.store.list_slots(realm, before).await? {
            let session = self.store.find_session(&id).await?;
            let held = session.is_some_and(|s| s.status == Status::Active && s.agent.is_some_and(|a| a.id == agent));
            if !held {
                self.store.release_slot(&agent, &id).await?;
            }
        }
        Ok(())
    }
}
