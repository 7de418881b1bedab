//! A batch of what was read, written by the storage port: the log first, what became of its messages, then the sessions. A session that is stored is whole.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Report, Said};
use crate::domain::entry::{Content, Draft, Entry, Receipt};
use crate::domain::error::StoreError;
use crate::domain::ids::{EntryId, SessionId};
use crate::domain::principal::{Person, Role};
use crate::domain::session::{Session, Status};
use crate::domain::store::{Appended, Inserted, Store};
use crate::domain::time::Timestamp;

/// How many entries and sessions make a batch.
const FULL: usize = 500;

/// How many bytes of text make one.
const FULL_BYTES: usize = 4 * 1024 * 1024;

/// How many writes of single documents are under way at once.
const AT_ONCE: usize = 32;

/// What is to be written next.
#[derive(Default)]
pub(super) struct Batch {
    /// Entries, of each session in the order of its log.
    pub(super) drafts: Vec<Draft>,
    /// Sessions whose last entry is in this batch or was in an earlier one, with the keys under which they are found again.
    pub(super) sessions: Vec<(Session, Option<String>)>,
    receipts: Vec<(EntryId, Receipt)>,
    readings: Vec<(EntryId, Timestamp)>,
    /// How many bytes of text it has, about.
    bytes: usize,
}

impl Batch {
    /// Adds a message and what became of it.
    pub(super) fn take(&mut self, said: Said) {
        let Said { draft, edit, receipts, read_at } = said;
        self.readings.extend(read_at.map(|at| (draft.id.clone(), at)));
        self.receipts.extend(receipts.into_iter().map(|receipt| (draft.id.clone(), receipt)));
        if let Content::Message(message) = &draft.content {
            self.bytes += message.body.as_str().len();
        }
        self.drafts.push(draft);
        self.drafts.extend(edit);
    }

    /// Whether it is to be written before more is added.
    pub(super) fn is_full(&self) -> bool {
        self.drafts.len() >= FULL || self.sessions.len() >= FULL || self.bytes >= FULL_BYTES
    }

    /// Whether this session is about to be stored.
    pub(super) fn holds(&self, id: &SessionId) -> bool {
        self.sessions.iter().any(|(session, _)| session.id == *id)
    }

    /// Writes all of it. What is stored already stays as it is.
    pub(super) async fn write(self, store: &dyn Store, now: Timestamp, report: &mut Report) -> Result<(), StoreError> {
        let Batch { drafts, sessions, receipts, readings, .. } = self;
        let wanted: Vec<(SessionId, EntryId, bool)> = drafts.iter().map(|d| (d.session.clone(), d.id.clone(), is_message(d))).collect();
        let outcomes = store.append_all(drafts).await?;
        let (mut changes, mut ends) = (Vec::new(), HashMap::new());
        for ((session, id, is_message), outcome) in wanted.into_iter().zip(outcomes) {
            match outcome {
                Appended::Stored(entry) | Appended::Duplicate(entry) if entry.session != session => {
                    report.note("messages whose id a message of another session has here: left out", id.as_str());
                }
                Appended::Stored(entry) | Appended::Duplicate(entry) => match entry.content {
                    Content::Edited(_) => changes.push(entry),
                    Content::Ended(_) => drop(ends.insert(session, entry)),
                    Content::Message(_) | Content::Assigned(_) | Content::Opened(_) => {}
                },
                Appended::Ended if is_message => {
                    report.note("messages that came to the original when their session was over here: left out", id.as_str());
                }
                Appended::Ended => {}
            }
        }
        for change in &changes {
            store.apply_edit(change).await?;
        }
        note_receipts(store, receipts).await?;
        let readings = stream::iter(readings).map(|(id, at)| async move { store.mark_message_read(&id, at).await.map(drop) });
        readings.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let fresh: Vec<SessionId> = sessions.iter().map(|(session, _)| session.id.clone()).collect();
        store_sessions(store, sessions, &ends, now, report).await?;
        finish_others(store, ends.into_values().filter(|end| !fresh.contains(&end.session)).collect()).await
    }
}

fn is_message(draft: &Draft) -> bool {
    matches!(draft.content, Content::Message(_))
}

/// First that messages arrived, then that they were read.
async fn note_receipts(store: &dyn Store, receipts: Vec<(EntryId, Receipt)>) -> Result<(), StoreError> {
    let noted = stream::iter(receipts).map(|(id, receipt)| async move {
        let reader = Person::new(receipt.realm, receipt.reader, Role::Visitor);
        store.note_receipt(&id, &reader, receipt.delivered_at, false).await?;
        if let Some(at) = receipt.read_at {
            store.note_receipt(&id, &reader, at, true).await?;
        }
        Ok(())
    });
    noted.buffer_unordered(AT_ONCE).try_collect().await
}

/// Stores sessions: the slot of an agent before the session that holds it.
async fn store_sessions(
    store: &dyn Store,
    sessions: Vec<(Session, Option<String>)>,
    ends: &HashMap<SessionId, Entry>,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), StoreError> {
    let placed = |session: Session| Session { state_seq: ends.get(&session.id).map_or(0, Entry::seq), ..session };
    let (keyed, others): (Vec<_>, Vec<_>) =
        sessions.into_iter().map(|(session, key)| (placed(session), key)).partition(|(_, key)| key.is_some());
    let stored = stream::iter(others).map(|(session, _)| async move { store_session(store, &session, None, now).await.map(drop) });
    stored.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    // One after the other: of two under one key the first is found again, as it was in the original.
    for (session, key) in keyed {
        if store_session(store, &session, key.as_deref(), now).await? {
            continue;
        }
        store_session(store, &session, None, now).await?;
        let what = "open sessions of somebody with another open one: they stay open, and the other one is found again";
        report.note(what, session.id.as_str());
    }
    Ok(())
}

/// `false` where another session has the key.
async fn store_session(store: &dyn Store, session: &Session, key: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
    if let (Status::Active, Some(agent)) = (session.status, &session.agent) {
        store.hold_slot(&agent.id, &session.id, now).await?;
    }
    match store.insert_session(session, key).await? {
        Inserted::Exists(other) => Ok(other.id == session.id),
        Inserted::Created => Ok(true),
    }
}

/// Sessions that were there and have ended in the original since.
async fn finish_others(store: &dyn Store, ends: Vec<Entry>) -> Result<(), StoreError> {
    for end in ends {
        let Content::Ended(reason) = &end.content else { continue };
        let before = store.finish_session(&end.session, end.seq(), end.at, reason).await?;
        if let Some(agent) = before.filter(Session::is_open).and_then(|session| session.agent) {
            store.release_slot(&agent.id, &end.session).await?;
        }
    }
    Ok(())
}
