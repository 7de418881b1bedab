//! Thousands of entries at once: one ordered insert for all of a group, and the ordinary way for what gets in its way. Decides nothing.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::error::ErrorKind;

use crate::domain::entry::{Draft, Entry, Head};
use crate::domain::error::StoreError;
use crate::domain::ids::{EntryId, SessionId};
use crate::domain::store::Appended;

use super::commit::Committer;
use super::documents::{from_entry, id, to_entry};
use super::entries::Log;

/// How many entries an insert holds at most.
const GROUP: usize = 500;

/// Appends the drafts in their order. Within a group an entry is inserted after its predecessor, since the server stops at the first that it refuses.
pub(super) async fn append(log: &Log, committer: &Committer, drafts: Vec<Draft>) -> Result<Vec<Appended>, StoreError> {
    let mut outcomes = Vec::with_capacity(drafts.len());
    for group in drafts.chunks(GROUP) {
        outcomes.extend(append_group(log, committer, group).await?);
    }
    Ok(outcomes)
}

async fn append_group(log: &Log, committer: &Committer, drafts: &[Draft]) -> Result<Vec<Appended>, StoreError> {
    let known = stored(log, drafts).await?;
    let mut heads: HashMap<&SessionId, Head> = HashMap::new();
    let mut fresh = Vec::new();
    for draft in drafts.iter().filter(|draft| !known.contains_key(&draft.id)) {
        let head = match heads.get(&draft.session) {
            Some(head) => *head,
            None => log.head(&draft.session).await?,
        };
        // One with a client key, or after the end, takes the ordinary way, and so does whatever follows it.
        let Some(entry) = head.follow(draft).filter(|_| draft.client_key.is_none()) else { break };
        heads.insert(&draft.session, entry.head);
        fresh.push(entry);
    }
    let written = insert(log, &fresh).await?;
    if !known.is_empty() && written == 0 {
        log.make_durable().await?;
    }
    fresh.truncate(written);
    let mut by_id: HashMap<EntryId, Entry> = fresh.into_iter().map(|entry| (entry.id.clone(), entry)).chain(known).collect();
    let mut outcomes = Vec::with_capacity(drafts.len());
    for draft in drafts {
        outcomes.push(match by_id.remove(&draft.id) {
            Some(entry) => Appended::Stored(entry),
            None => committer.append(draft.clone()).await?,
        });
    }
    Ok(outcomes)
}

/// The entries with the drafts' ids that are stored already.
async fn stored(log: &Log, drafts: &[Draft]) -> Result<HashMap<EntryId, Entry>, StoreError> {
    let ids: Vec<Bson> = drafts.iter().map(|draft| id(draft.id.as_str())).collect();
    let found: Vec<Document> = log.messages.find(doc! { "_id": { "$in": ids } }).await?.try_collect().await?;
    found.iter().map(|document| to_entry(document).map(|entry| (entry.id.clone(), entry))).collect()
}

/// Inserts the entries up to the first that the database refuses; answers how many.
async fn insert(log: &Log, entries: &[Entry]) -> Result<usize, StoreError> {
    if entries.is_empty() {
        return Ok(0);
    }
    let Err(error) = log.messages.insert_many(entries.iter().map(from_entry)).ordered(true).await else { return Ok(entries.len()) };
    match &*error.kind {
        ErrorKind::InsertMany(many) if many.write_concern_error.is_none() => {
            let first = many.write_errors.iter().flatten().map(|refused| refused.index).min();
            first.ok_or_else(|| error.into())
        }
        _ => Err(error.into()),
    }
}
