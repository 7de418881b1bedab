//! Figures over all sessions of a realm. How much was said in a session that is over is asked of its log once, and kept in its document.

use bson::{Document, doc};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use mongodb::{Collection, Database};

use super::AT_ONCE;
use super::documents::{id, number};
use super::entries::Log;
use super::reader::Reader;
use super::sessions::{integer, open, still};
use crate::domain::entry::Head;
use crate::domain::error::StoreError;
use crate::domain::ids::SessionId;
use crate::domain::principal::Realm;
use crate::domain::session::Status;
use crate::domain::store::Totals;

/// How many sessions' logs are asked before what they hold is kept: if the caller's time runs out, the next one goes on from there.
const PART: usize = 500;

/// A session whose log is asked.
struct Asked {
    session: SessionId,
    /// Its state number, where it is over.
    over_at: Option<u64>,
}

/// The figures as of about now.
pub(super) async fn totals(database: &Database, log: &Log, realm: Realm) -> Result<Totals, StoreError> {
    let sessions = database.collection::<Document>("sessions");
    loop {
        let (totals, unasked) = by_status(&sessions, realm).await?;
        let (in_open, _) = said(database, log, doc! { "realm": realm.name(), "status": open() }).await?;
        let over = doc! { "realm": realm.name(), "status": Status::Ended.name(), "$expr": { "$not": [is_kept()] } };
        let (in_over, asked) = if unasked > 0 { said(database, log, over).await? } else { (0, 0) };
        // Where fewer were asked, somebody else has kept what the others hold, after it was added up.
        if asked >= unasked {
            return Ok(Totals { messages: totals.messages + in_open + in_over, ..totals });
        }
    }
}

/// Whether a session's document says what its log holds: what it says was read in the state in which it is. Older documents have no state number while
/// that is 0.
fn is_kept() -> Document {
    doc! { "$eq": [{ "$ifNull": ["$said.stateSeq", -1_i64] }, { "$ifNull": ["$stateSeq", 0_i64] }] }
}

/// What the documents say, and of how many sessions that are over they do not say what was said.
async fn by_status(sessions: &Collection<Document>, realm: Realm) -> Result<(Totals, u64), StoreError> {
    let length = doc! { "$subtract": [{ "$toLong": "$endedAt" }, { "$toLong": "$createdAt" }] };
    let pipeline = [
        doc! { "$match": { "realm": realm.name() } },
        doc! { "$group": {
            "_id": "$status",
            "sessions": { "$sum": 1_i64 },
            "duration": { "$sum": { "$cond": [{ "$gt": ["$endedAt", "$createdAt"] }, length, 0_i64] } },
            "messages": { "$sum": { "$cond": [is_kept(), "$said.messages", 0_i64] } },
            "unasked": { "$sum": { "$cond": [is_kept(), 0_i64, 1_i64] } },
        } },
    ];
    let (mut totals, mut unasked) = (Totals::default(), 0);
    let mut groups = sessions.aggregate(pipeline).await?;
    while let Some(group) = groups.try_next().await? {
        let count = |field: &str| integer(&group, field).map(|n| u64::try_from(n).unwrap_or(0));
        match group.get_str("_id").ok().and_then(Status::named) {
            Some(Status::Waiting) => totals.waiting = count("sessions")?,
            Some(Status::Pending) => totals.pending = count("sessions")?,
            Some(Status::Active) => totals.active = count("sessions")?,
            Some(Status::Ended) => {
                (totals.ended, totals.ended_duration_ms) = (count("sessions")?, integer(&group, "duration")?);
                (totals.messages, unasked) = (count("messages")?, count("unasked")?);
            }
            None => return Err(StoreError::Corrupt("a session's status".into())),
        }
    }
    Ok((totals, unasked))
}

/// The messages of these sessions, by their logs: one seek for each; and how many sessions they are.
async fn said(database: &Database, log: &Log, filter: Document) -> Result<(u64, u64), StoreError> {
    let fields = doc! { "status": 1, "stateSeq": 1 };
    let found = database.collection::<Document>("sessions").find(filter).projection(fields).await?;
    let mut parts = found.try_chunks(PART).map_err(|stopped| stopped.1);
    let (mut messages, mut sessions) = (0, 0);
    while let Some(part) = parts.try_next().await? {
        let heads = stream::iter(part).map(async |document| {
            let asked = asked(&document)?;
            log.head(&asked.session).await.map(|head| (asked, head))
        });
        let heads: Vec<(Asked, Head)> = heads.buffer_unordered(AT_ONCE).try_collect().await?;
        messages += heads.iter().map(|(_, head)| head.ordinal).sum::<u64>();
        sessions += heads.len() as u64;
        keep(database, &heads).await?;
    }
    Ok((messages, sessions))
}

fn asked(document: &Document) -> Result<Asked, StoreError> {
    let read = Reader::new("session", document);
    let is_over = read.text("status")? == Status::Ended.name();
    let over_at = is_over.then(|| read.number_or("stateSeq", 0)).transpose()?;
    Ok(Asked { session: SessionId::stored(read.id("_id")?), over_at })
}

/// Keeps what the logs hold that are over, unless the session's state has changed since. It can be asked again, so it need not be durable.
async fn keep(database: &Database, heads: &[(Asked, Head)]) -> Result<(), StoreError> {
    let kept = |(asked, head): &(Asked, Head)| {
        let seq = asked.over_at.filter(|_| head.ended)?;
        let unchanged = doc! { "_id": id(asked.session.as_str()), "status": Status::Ended.name(), "stateSeq": still(seq) };
        let said = doc! { "said": { "stateSeq": number(seq), "messages": number(head.ordinal) } };
        Some(doc! { "q": unchanged, "u": { "$set": said } })
    };
    let updates: Vec<Document> = heads.iter().filter_map(kept).collect();
    if !updates.is_empty() {
        database.run_command(doc! { "update": "sessions", "updates": updates, "ordered": false }).await?;
    }
    Ok(())
}
