//! Mending what a crash left between two writes: the log decides, documents and slots follow it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Desk;
use super::assignment::Record;
use crate::domain::entry::{Assignment, Content, Entry, Head};
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::principal::Realm;
use crate::domain::session::{Session, Status};
use crate::domain::topic::{Reassignment, Transfer};

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

    /// One pass over all slots, all queues, and what is left of changes of messages and of uploads, which is short. Safe as [`Desk::repair`].
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the next pass does the rest.
    pub async fn tend(&self) -> Result<(), Error> {
        self.repair_edits().await?;
        self.sweep_attachments().await?;
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
                Content::Message(_) | Content::Assigned(_) | Content::Edited(_) => {}
            }
        }
        Ok(())
    }

    async fn repair_session(&self, session: &Session) -> Result<(), Error> {
        let settled = self.now().since(session.updated_at) >= SETTLED_AFTER_MS;
        if self.settle(&session.id).await? || !settled {
            return Ok(());
        }
        if !session.spoken && self.sharing(session).next().is_some() {
            let head = self.store.head(&session.id).await?;
            if head.ordinal > head.notices {
                self.store.touch_session(&session.id, None).await?;
            }
        }
        self.repair_assignment(session).await
    }

    /// Writes what the log lacks of who answers, and makes sure of the agent's slot.
    async fn repair_assignment(&self, session: &Session) -> Result<(), Error> {
        if session.assignment == 0 {
            return Ok(());
        }
        let (head, agent) = (self.store.head(&session.id).await?, session.agent.as_ref());
        let is_told = |t: &&Transfer| t.to.as_ref() == agent.map(|a| &a.id);
        let told = session.transfers.last().filter(is_told);
        let made =
            Assignment { agent: agent.cloned(), former: told.and_then(|t| t.from.clone()), reason: told.map(|t| Arc::clone(&t.reason)) };
        let id = |made: &Assignment| made.agent.as_ref().map(|a| a.id.clone());
        if session.assignment > head.assignment {
            self.record_assignment(session, made, Record::default()).await?;
        } else if head.assignment > 1 && self.last_assignment(&session.id, head).await?.is_some_and(|last| id(&last) != id(&made)) {
            // Two nodes wrote their entries in the opposite order of their claims. The document's agent takes it once more, which counts in both.
            let again = Reassignment {
                agent: agent.cloned(),
                waits: session.status == Status::Waiting,
                participants: session.participants.clone(),
                transfer: None,
            };
            if let Some(again) = self.store.reassign_session(&session.id, session.assignment, &again, self.now()).await? {
                self.record_assignment(&again, made, Record::default()).await?;
            }
        }
        if let Some(agent) = agent {
            self.store.reserve_slot(&agent.id, &session.id, self.now()).await?;
        }
        Ok(())
    }

    /// The number of the log's last change of who answers; 0 before the first.
    pub(super) async fn assigned_at(&self, session: &SessionId) -> Result<u64, Error> {
        let head = self.store.head(session).await?;
        let found = self.first_entry(session, (0, head.seq), |at| at.assignment == head.assignment).await?;
        Ok(found.filter(|_| head.assignment > 0).map_or(0, |entry| entry.seq()))
    }

    /// The log's last change of who answers: the first entry that counts as many of them as the head does.
    async fn last_assignment(&self, session: &SessionId, head: Head) -> Result<Option<Assignment>, Error> {
        let found = self.first_entry(session, (0, head.seq), |at| at.assignment == head.assignment).await?;
        Ok(found.and_then(|entry| match entry.content {
            Content::Assigned(made) => Some(made),
            Content::Message(_) | Content::Ended(_) | Content::Opened(_) | Content::Edited(_) => None,
        }))
    }

    /// The entry that ended the session; `None` where the log says that it is open. It is the last one, unless messages were changed since.
    pub(super) async fn last_end(&self, session: &SessionId) -> Result<Option<Entry>, Error> {
        let Some(last) = self.store.last_entry(session).await?.filter(|e| e.head.ended) else { return Ok(None) };
        if matches!(last.content, Content::Ended(_)) {
            return Ok(Some(last));
        }
        // What the document reflects is behind it: from there on the log ends once and is not opened again.
        let reflected = self.store.find_session(session).await?.map_or(0, |s| s.state_seq.min(last.seq().saturating_sub(1)));
        self.first_entry(session, (reflected, last.seq()), |at| at.ended).await
    }

    /// The first entry after the first number and up to the second whose head is such, where the last one's is and those of all between are. Costs a
    /// read for each doubling of the log.
    async fn first_entry(
        &self,
        session: &SessionId,
        (mut before, mut reached): (u64, u64),
        is_such: impl Fn(Head) -> bool,
    ) -> Result<Option<Entry>, Error> {
        let mut found = None;
        while before < reached {
            let middle = before + (reached - before) / 2;
            let Some(entry) = self.store.list_entries(session, middle, 1).await?.pop() else { break };
            if is_such(entry.head) {
                reached = middle;
                found = Some(entry);
            } else {
                before = middle + 1;
            }
        }
        Ok(found)
    }

    /// Carries out changes of messages that a crash left in the log alone.
    async fn repair_edits(&self) -> Result<(), Error> {
        for edit in self.store.list_unapplied_edits(PAGE).await? {
            self.carry_out_edit(&edit).await?;
        }
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
