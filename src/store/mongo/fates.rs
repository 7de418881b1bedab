//! What becomes of messages: receipts and changes in their documents, and how far people have read. Each change is one conditional write.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::Collection;

use crate::domain::entry::{Content, Edit, Entry};
use crate::domain::error::StoreError;
use crate::domain::ids::{EntryId, SessionId};
use crate::domain::principal::Person;
use crate::domain::time::Timestamp;
use crate::store::shape;

use super::documents::{id, moment, number, receipts, to_entry};
use super::entries::Log;
use super::errors::duplicate_index;
use super::sessions::integer;

impl Log {
    /// Reads the message, then writes its receipts if they are still those that were read.
    pub(super) async fn note_receipt(
        &self,
        entry: &EntryId,
        person: &Person,
        at: Timestamp,
        is_read: bool,
    ) -> Result<Option<(Entry, bool)>, StoreError> {
        loop {
            let Some(message) = self.find_message(entry).await? else { return Ok(None) };
            let known = &message.fate.receipts;
            let Some(noted) = shape::with_receipt(known, person, at, is_read) else { return Ok(Some((message, false))) };
            let present = if known.is_empty() { Bson::Null } else { receipts(known) };
            let unchanged = doc! { "_id": id(entry.as_str()), "receipts": present };
            let update = doc! { "$set": { "receipts": receipts(&noted) } };
            if self.messages.update_one(unchanged, update).await?.matched_count == 1 {
                return Ok(self.find_message(entry).await?.map(|message| (message, true)));
            }
            super::commit::pause().await;
        }
    }

    /// Changes the message first, then what its earlier changes said; that the entry is carried out is noted last.
    pub(super) async fn apply_edit(&self, entry: &Entry) -> Result<Option<Entry>, StoreError> {
        let Content::Edited(Edit { message, body, is_deletion }) = &entry.content else { return Ok(None) };
        let target = id(message.as_str());
        let mut open = doc! {
            "_id": target.clone(),
            "sessionId": id(entry.session.as_str()),
            "kind": "message",
            "deleted": { "$ne": true },
        };
        let mut update = doc! {
            "$set": { "message": body.as_str(), "editedAt": moment(entry.at), "deleted": *is_deletion },
            "$max": { "editSeq": number(entry.seq()) },
        };
        if *is_deletion {
            update.insert("$unset", doc! { "file": "" });
        } else {
            // Not "less than", which an absent number never is: it is below every number of a log.
            open.insert("editSeq", doc! { "$not": { "$gte": number(entry.seq()) } });
        }
        self.messages.update_one(open, update).await?;
        let changed = self.find_message(message).await?;
        if let Some(deleted) = changed.as_ref().filter(|m| m.fate.is_deleted) {
            let text = deleted.body().map(|b| b.as_str().to_owned());
            let said = doc! { "messageId": target, "kind": "edited" };
            self.messages.update_many(said, doc! { "$set": { "message": text } }).await?;
        }
        self.messages.update_one(doc! { "_id": id(entry.id.as_str()) }, doc! { "$set": { "applied": true } }).await?;
        Ok(changed)
    }

    pub(super) async fn list_unapplied(&self, limit: u32) -> Result<Vec<Entry>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new()); // To MongoDB a limit of 0 means none.
        }
        let found = self.messages.find(doc! { "applied": false }).sort(doc! { "sessionId": 1, "seq": 1 }).limit(i64::from(limit));
        found.await?.try_collect::<Vec<_>>().await?.iter().map(to_entry).collect()
    }
}

/// A mark's id: a person's key may hold any character, a session's id no blank.
fn mark_id(session: &SessionId, person: &str) -> String {
    format!("{session} {person}")
}

pub(super) async fn list_marks(marks: &Collection<Document>, sessions: &[SessionId], person: &str) -> Result<Vec<u64>, StoreError> {
    let ids: Vec<String> = sessions.iter().map(|session| mark_id(session, person)).collect();
    let found: Vec<Document> = marks.find(doc! { "_id": { "$in": ids.clone() } }).await?.try_collect().await?;
    let mark = |id: &String| {
        let noted = found.iter().find(|mark| mark.get_str("_id").is_ok_and(|found| found == id));
        noted.map_or(Ok(0), |mark| integer(mark, "ordinal").map(|n| u64::try_from(n).unwrap_or(0)))
    };
    ids.iter().map(mark).collect()
}

/// Inserts first: an upsert that races another one may fail on the same id.
pub(super) async fn raise_mark(marks: &Collection<Document>, session: &SessionId, person: &str, ordinal: u64) -> Result<(), StoreError> {
    let mark = mark_id(session, person);
    match marks.insert_one(doc! { "_id": &mark, "ordinal": number(ordinal) }).await {
        Ok(_) => return Ok(()),
        Err(error) if duplicate_index(&error).is_none() => return Err(error.into()),
        Err(_) => {}
    }
    marks.update_one(doc! { "_id": mark }, doc! { "$max": { "ordinal": number(ordinal) } }).await?;
    Ok(())
}
