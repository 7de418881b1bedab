//! Mending what a crash left between two writes: the log decides, documents and slots follow it.

use std::sync::atomic::Ordering;

use super::Desk;
use crate::domain::entry::{Content, Head};
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::principal::Realm;
use crate::domain::session::{Assignee, Session, Status};

/// How many sessions are read at once.
const PAGE: u32 = 200;

/// Only what has not changed for this long is mended: whoever is between two writes finishes in much less.
const SETTLED_AFTER_MS: i64 = 60_000;

impl Desk {
    /// Passes on the outcome of a step that others follow. Where it failed, the next pass must look at every open session.
    pub(super) fn watched<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if outcome.is_err() {
            self.is_unsettled.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Whether a step failed since this was asked last that others should have followed.
    pub fn has_unsettled(&self) -> bool {
        self.is_unsettled.swap(false, Ordering::Relaxed)
    }

    /// One pass over all open sessions, all slots and all queues. Safe while everything runs, on any number of nodes. Its cost grows with the
    /// number of open sessions.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the next pass does the rest.
    pub async fn repair(&self) -> Result<(), Error> {
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
        self.tend().await
    }

    /// One pass over all slots and all queues, which are short. Safe as [`Desk::repair`].
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the next pass does the rest.
    pub async fn tend(&self) -> Result<(), Error> {
        for realm in Realm::ALL {
            self.repair_slots(realm).await?;
            self.drain_queue(realm).await?;
        }
        Ok(())
    }

    /// Brings a session document in line with whatever its log says of end and re-opening since the document was last changed. Needed where
    /// the process died between a re-opening and its document, which then says that the session is over.
    pub(super) async fn realign(&self, session: &Session) -> Result<(), Error> {
        for entry in self.store.list_entries(&session.id, session.state_seq, PAGE).await? {
            match &entry.content {
                Content::Ended(reason) => drop(self.store.finish_session(&session.id, entry.seq(), entry.at, reason).await?),
                Content::Opened(label) => self.store.reopen_session(&session.id, entry.seq(), entry.at, label).await?,
                Content::Message(_) | Content::Assigned(_) => {}
            }
        }
        Ok(())
    }

    async fn repair_session(&self, session: &Session) -> Result<(), Error> {
        let settled = self.now().since(session.updated_at) >= SETTLED_AFTER_MS;
        if self.settle(&session.id).await? || !settled {
            return Ok(());
        }
        if !session.spoken && session.realm.shares_sessions() {
            let head = self.store.head(&session.id).await?;
            if head.ordinal > head.notices {
                self.store.touch_session(&session.id, None).await?;
            }
        }
        let Some(agent) = session.agent.as_ref().filter(|_| session.status == Status::Active) else { return Ok(()) };
        let head = self.store.head(&session.id).await?;
        if session.assignment > head.assignment {
            self.record_assignment(session, agent).await?;
        } else if head.assignment > 1 && self.last_assignee(&session.id, head).await?.is_some_and(|last| last.id != agent.id) {
            // Two nodes wrote their entries in the opposite order of their claims. The document's agent takes it once more, which counts in both.
            if let Some(again) = self.store.transfer_session(&session.id, session.assignment, agent, self.now()).await? {
                self.record_assignment(&again, agent).await?;
            }
        }
        self.store.reserve_slot(&agent.id, &session.id, self.now()).await?;
        Ok(())
    }

    /// The agent of the log's last assignment: the first entry that counts as many assignments as the head does. Costs a read for each doubling of
    /// the log.
    async fn last_assignee(&self, session: &SessionId, head: Head) -> Result<Option<Assignee>, Error> {
        let (mut before, mut reached) = (0, head.seq);
        let mut found = None;
        while before < reached {
            let middle = before + (reached - before) / 2;
            let Some(entry) = self.store.list_entries(session, middle, 1).await?.pop() else { break };
            if entry.head.assignment < head.assignment {
                before = middle + 1;
            } else {
                reached = middle;
                found = Some(entry);
            }
        }
        Ok(found.and_then(|entry| match entry.content {
            Content::Assigned(agent) => Some(agent),
            Content::Message(_) | Content::Ended(_) | Content::Opened(_) => None,
        }))
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
