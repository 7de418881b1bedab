//! The session log in `messages`: reading it, and the one insert that a round of appends is. Decides nothing; rounds are `commit`'s.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::error::ErrorKind;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, IndexModel};

use crate::domain::entry::{Draft, Entry, Head};
use crate::domain::error::StoreError;
use crate::domain::ids::{ClientKey, EntryId, SessionId};
use crate::domain::principal::{Person, Role};
use crate::domain::store::Appended;
use crate::domain::time::Timestamp;

use super::documents::{from_entry, id, moment, number, to_entry, to_head, to_session_id};
use super::errors::{DUPLICATE, duplicate_index, index_name};
use super::open::{index, partial, unique};

/// The index that numbers rest on.
pub(super) const SESSION_SEQ: &str = "messages_session_seq";

/// The index that keeps a client key to one entry.
const CLIENT_KEY: &str = "messages_client_key";

/// The index by which messages alone are read.
const SESSION_ORDINAL: &str = "messages_session_kind_ordinal";

/// For how many sessions one question asks whether their logs have gone on.
const AHEAD: usize = 200;

/// The document of `meta` that is written to have the journal flushed.
const BARRIER: &str = "barrier";

/// What the entries are found by, and what makes their numbers and keys unique.
pub(super) fn indexes() -> Vec<IndexModel> {
    let sender = doc! { "sessionId": 1, "senderRealm": 1, "senderId": 1, "clientKey": 1 };
    vec![
        unique(SESSION_SEQ, doc! { "sessionId": 1, "seq": 1 }, None),
        unique(CLIENT_KEY, sender, Some(doc! { "clientKey": { "$type": "string" } })),
        index(SESSION_ORDINAL, doc! { "sessionId": 1, "kind": 1, "ordinal": 1 }),
        partial("messages_edits", doc! { "messageId": 1 }, doc! { "kind": "edited" }),
        partial("messages_unapplied", doc! { "sessionId": 1, "seq": 1 }, doc! { "applied": false }),
    ]
}

/// Why one entry of a round was not stored.
pub(super) enum Refusal {
    /// Another writer has the number.
    NumberTaken,
    /// The entry, or one under its client key, is stored already.
    Known,
    /// The database refused it, with this code.
    Refused(i32),
}

/// What became of a round.
pub(super) enum Written {
    /// Every entry is stored but those at these positions.
    Except(Vec<(usize, Refusal)>),
    /// Any of them may be stored or not.
    Unknown(StoreError),
}

/// The entries of all sessions.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) messages: Collection<Document>,
    meta: Collection<Document>,
    replicated: bool,
}

impl Log {
    /// The log in this collection of a server that is `replicated`, or stands alone.
    pub(super) fn new(messages: Collection<Document>, meta: Collection<Document>, replicated: bool) -> Self {
        Self { messages, meta, replicated }
    }

    /// Stores what [`Log::find_stored`] rests on, once.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        match self.meta.insert_one(doc! { "_id": BARRIER, "n": 0_i64 }).await {
            Err(error) if duplicate_index(&error).is_none() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Inserts entries of different sessions in one unordered command.
    pub(super) async fn insert(&self, entries: impl Iterator<Item = &Entry> + Send) -> Written {
        let documents: Vec<Document> = entries.map(from_entry).collect();
        let Err(error) = self.messages.insert_many(documents).ordered(false).await else { return Written::Except(Vec::new()) };
        match &*error.kind {
            ErrorKind::InsertMany(many) if many.write_concern_error.is_none() && many.write_errors.is_some() => {
                let refusals = many.write_errors.iter().flatten().map(|e| (e.index, refusal(e.code, &e.message)));
                Written::Except(refusals.collect())
            }
            _ => Written::Unknown(error.into()),
        }
    }

    /// The answer to a draft that was stored before, under its own id or under its client key; `None` where it was not.
    /// What is answered is durable.
    pub(super) async fn find_stored(&self, draft: &Draft) -> Result<Option<Appended>, StoreError> {
        let mut found = self.one(doc! { "_id": id(draft.id.as_str()) }).await?.map(Appended::Stored);
        if let (None, Some(key)) = (&found, &draft.client_key) {
            found = self.find_by_key(&draft.session, &draft.author, key).await?.map(Appended::Duplicate);
        }
        if found.is_some() {
            self.make_durable().await?;
        }
        Ok(found)
    }

    /// Makes sure that what was read is durable.
    pub(super) async fn make_durable(&self) -> Result<(), StoreError> {
        if !self.replicated {
            // A server that stands alone shows writes before they are journaled; an acknowledged write makes sure of all before it.
            self.meta.update_one(doc! { "_id": BARRIER }, doc! { "$inc": { "n": 1_i64 } }).await?;
        }
        Ok(())
    }

    pub(super) async fn find_by_key(&self, session: &SessionId, sender: &Person, key: &ClientKey) -> Result<Option<Entry>, StoreError> {
        self.one(doc! {
            "sessionId": id(session.as_str()),
            "senderRealm": sender.realm.name(),
            "senderId": &*sender.id,
            // Equality alone does not tell the planner that the partial index applies.
            "clientKey": { "$eq": key.as_str(), "$type": "string" },
        })
        .await
    }

    pub(super) async fn head(&self, session: &SessionId) -> Result<Head, StoreError> {
        let fields = doc! { "seq": 1, "ordinal": 1, "notices": 1, "assignment": 1, "state": 1 };
        let last = self.messages.find_one(doc! { "sessionId": id(session.as_str()) }).sort(doc! { "seq": -1 }).projection(fields);
        last.await?.as_ref().map_or(Ok(Head::default()), to_head)
    }

    pub(super) async fn last(&self, session: &SessionId) -> Result<Option<Entry>, StoreError> {
        let last = self.messages.find_one(doc! { "sessionId": id(session.as_str()) }).sort(doc! { "seq": -1 });
        last.await?.as_ref().map(to_entry).transpose()
    }

    /// Numbers have no gap, so a log that goes on has the next one: one index look-up per session, [`AHEAD`] of them in a question.
    pub(super) async fn list_ahead(&self, reached: &[(SessionId, u64)]) -> Result<Vec<SessionId>, StoreError> {
        let mut ahead = Vec::new();
        for some in reached.chunks(AHEAD) {
            let next = |(session, seq): &(SessionId, u64)| doc! { "sessionId": id(session.as_str()), "seq": number(seq.saturating_add(1)) };
            let any: Vec<Document> = some.iter().map(next).collect();
            let found = self.messages.find(doc! { "$or": any }).projection(doc! { "sessionId": 1 });
            for entry in found.await?.try_collect::<Vec<_>>().await? {
                ahead.push(SessionId::stored(to_session_id(&entry)?));
            }
        }
        Ok(ahead)
    }

    pub(super) async fn list(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let filter = doc! { "sessionId": id(session.as_str()), "seq": range(after, limit) };
        self.many(filter, doc! { "seq": 1 }).await
    }

    pub(super) async fn list_messages(&self, session: &SessionId, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let filter = doc! { "sessionId": id(session.as_str()), "ordinal": range(after, limit), "kind": "message" };
        self.many(filter, doc! { "ordinal": 1 }).await
    }

    /// The last message of the session, or the last one that is no notice. Looks back from the end in ranges that grow, so that a few notices cost
    /// little and many cost few questions.
    pub(super) async fn last_message(&self, session: SessionId, notices: bool) -> Result<Option<Entry>, StoreError> {
        let Some(last) = self.last(&session).await? else { return Ok(None) };
        let Head { ordinal, notices: lines, .. } = last.head;
        let counts = |entry: &Entry| entry.message().is_some() && (notices || entry.author.role != Role::System);
        if counts(&last) {
            return Ok(Some(last));
        }
        let mut filter = doc! { "sessionId": id(session.as_str()), "kind": "message" };
        if !notices {
            filter.insert("senderType", doc! { "$ne": Role::System.name() });
        }
        let (mut upto, mut width) = (if notices || lines < ordinal { ordinal } else { 0 }, 8);
        while upto > 0 {
            let below = upto.saturating_sub(width);
            filter.insert("ordinal", doc! { "$gt": number(below), "$lte": number(upto) });
            let found = self.messages.find_one(filter.clone()).sort(doc! { "ordinal": -1 });
            if let Some(found) = found.await? {
                return to_entry(&found).map(Some);
            }
            (upto, width) = (below, width * 4);
        }
        Ok(None)
    }

    pub(super) async fn find_message(&self, entry: &EntryId) -> Result<Option<Entry>, StoreError> {
        self.one(doc! { "_id": id(entry.as_str()), "kind": "message" }).await
    }

    pub(super) async fn mark_read(&self, entry: &EntryId, at: Timestamp) -> Result<Option<Entry>, StoreError> {
        let filter = doc! { "_id": id(entry.as_str()), "kind": "message" };
        // One update for the first reading and for later ones, so that its answer is the message in either case.
        let first = vec![doc! { "$set": { "readAt": { "$ifNull": ["$readAt", moment(at)] } } }];
        let after = self.messages.find_one_and_update(filter, first).return_document(ReturnDocument::After).await?;
        after.as_ref().map(to_entry).transpose()
    }

    pub(super) async fn one(&self, filter: Document) -> Result<Option<Entry>, StoreError> {
        self.messages.find_one(filter).await?.as_ref().map(to_entry).transpose()
    }

    /// The entries of a bounded range.
    async fn many(&self, filter: Document, sort: Document) -> Result<Vec<Entry>, StoreError> {
        self.messages.find(filter).sort(sort).await?.try_collect::<Vec<_>>().await?.iter().map(to_entry).collect()
    }
}

/// Numbers have no gaps, so a limit is a range; a server that walks whole ranges then costs no more than the answer.
fn range(after: u64, limit: u32) -> Document {
    doc! { "$gt": number(after), "$lte": number(after.saturating_add(limit.into())) }
}

fn refusal(code: i32, message: &str) -> Refusal {
    if code != DUPLICATE {
        return Refusal::Refused(code);
    }
    match index_name(message).as_str() {
        SESSION_SEQ => Refusal::NumberTaken,
        CLIENT_KEY | "_id_" => Refusal::Known,
        _ => Refusal::Refused(code),
    }
}
