//! Session documents: each change is one conditional write of one document. Knows nothing of entries.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, IndexModel};

use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::principal::Realm;
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::store::{Inserted, Totals};
use crate::domain::time::Timestamp;

use super::documents::{from_session, id, moment, number, to_session};
use super::errors::duplicate_index;
use super::open::{index, unique};

/// The index that keeps one open session per visitor.
const VISIT: &str = "sessions_visit";

/// What the sessions are found by.
pub(super) fn indexes() -> Vec<IndexModel> {
    vec![
        unique(VISIT, doc! { "visitorKey": 1, "visit": 1 }, Some(doc! { "visitorKey": { "$type": "string" } })),
        index("sessions_realm_status_created", doc! { "realm": 1, "status": 1, "createdAt": 1, "_id": 1 }),
        index("sessions_status_id", doc! { "status": 1, "_id": 1 }),
        index("sessions_agent_created", doc! { "agentId": 1, "createdAt": 1, "_id": 1 }),
    ]
}

/// A visitor's sessions are numbered: the next visit is inserted where the last one has ended, and of racing inserts the index lets one through.
///
/// The number is kept after the end. A unique key that is cleared at the end would do on MongoDB, but other servers of its protocol were seen
/// to refuse a cleared key for ever (secantus-mdb 0.5.3-beta.196).
pub(super) async fn insert(sessions: &Collection<Document>, session: &Session) -> Result<Inserted, StoreError> {
    loop {
        let mut document = from_session(session);
        if let Some(key) = session.open_key() {
            // Equality alone does not tell the planner that the partial index applies.
            let visits = doc! { "visitorKey": { "$eq": &key, "$type": "string" } };
            let last = sessions.find_one(visits).sort(doc! { "visit": -1 }).await?;
            if let Some(open) = last.as_ref().map(to_session).transpose()?.filter(|last| last.status != Status::Ended) {
                return Ok(Inserted::Exists(open));
            }
            let visit = last.map_or(Ok(0), |last| integer(&last, "visit"))? + 1;
            document.extend(doc! { "visitorKey": key, "visit": visit });
        }
        let Err(error) = sessions.insert_one(document).await else { return Ok(Inserted::Created) };
        match duplicate_index(&error).as_deref() {
            Some("_id_") => {
                if let Some(same) = find(sessions, &session.id).await? {
                    return Ok(Inserted::Exists(same));
                }
            }
            Some(VISIT) => {}
            _ => return Err(error.into()),
        }
        // Another node was first; a majority may not have its session yet. The caller's limit bounds the tries.
        super::commit::pause().await;
    }
}

pub(super) async fn find(sessions: &Collection<Document>, session: &SessionId) -> Result<Option<Session>, StoreError> {
    sessions.find_one(doc! { "_id": id(session.as_str()) }).await?.as_ref().map(to_session).transpose()
}

pub(super) async fn list_waiting(sessions: &Collection<Document>, realm: Realm, limit: u32) -> Result<Vec<Session>, StoreError> {
    let filter = doc! { "realm": realm.name(), "status": Status::Waiting.name() };
    list(sessions, filter, doc! { "createdAt": 1, "_id": 1 }, limit).await
}

pub(super) async fn list_open(sessions: &Collection<Document>, after: Option<&SessionId>, limit: u32) -> Result<Vec<Session>, StoreError> {
    let mut filter = doc! { "status": { "$in": [Status::Waiting.name(), Status::Active.name()] } };
    match after.map(|a| id(a.as_str())) {
        None => {}
        // MongoDB sorts strings before ObjectIds, and `$gt` compares within one type: past the last string come the ObjectIds.
        Some(Bson::String(text)) => drop(filter.insert("_id", doc! { "$not": { "$lte": text } })),
        Some(other) => drop(filter.insert("_id", doc! { "$gt": other })),
    }
    list(sessions, filter, doc! { "_id": 1 }, limit).await
}

pub(super) async fn list_of_agent(
    sessions: &Collection<Document>,
    agent: &AgentId,
    status: Option<Status>,
    limit: u32,
) -> Result<Vec<Session>, StoreError> {
    let mut filter = doc! { "agentId": id(agent.as_str()) };
    if let Some(status) = status {
        filter.insert("status", status.name());
    }
    list(sessions, filter, doc! { "createdAt": -1, "_id": -1 }, limit).await
}

pub(super) async fn claim(
    sessions: &Collection<Document>,
    session: &SessionId,
    agent: &Assignee,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let filter = doc! { "_id": id(session.as_str()), "status": Status::Waiting.name() };
    let update = doc! {
        "$set": {
            "status": Status::Active.name(),
            "agentId": id(agent.id.as_str()),
            "agentName": &*agent.name,
            "updatedAt": moment(now),
        },
        "$inc": { "assignment": 1_i64 },
    };
    let claimed = sessions.find_one_and_update(filter, update).return_document(ReturnDocument::After).await?;
    claimed.as_ref().map(to_session).transpose()
}

pub(super) async fn finish(
    sessions: &Collection<Document>,
    session: &SessionId,
    at: Timestamp,
    reason: &str,
) -> Result<Option<Session>, StoreError> {
    let update = doc! {
        "$set": { "status": Status::Ended.name(), "endedAt": moment(at), "endReason": reason, "updatedAt": moment(at) },
    };
    loop {
        // Read, then change what was read: status and assignment together never come back, so the pair is the document's version.
        // One findAndModify would do on MongoDB, but secantus-mdb answers an older document than the one it changed when updates race.
        let Some(before) = find(sessions, session).await?.filter(|s| s.status != Status::Ended) else { return Ok(None) };
        let unchanged = doc! {
            "_id": id(session.as_str()),
            "status": before.status.name(),
            "assignment": number(before.assignment),
        };
        if sessions.update_one(unchanged, update.clone()).await?.matched_count == 1 {
            return Ok(Some(before));
        }
        super::commit::pause().await;
    }
}

/// The figures that the session documents hold; messages are not counted here.
pub(super) async fn totals(sessions: &Collection<Document>, realm: Realm) -> Result<Totals, StoreError> {
    let pipeline = [
        doc! { "$match": { "realm": realm.name() } },
        doc! { "$group": {
            "_id": "$status",
            "sessions": { "$sum": 1_i64 },
            "duration": { "$sum": { "$cond": [{ "$gt": ["$endedAt", "$createdAt"] }, { "$subtract": [{ "$toLong": "$endedAt" }, { "$toLong": "$createdAt" }] }, 0_i64] } },
        } },
    ];
    let mut totals = Totals::default();
    let mut groups = sessions.aggregate(pipeline).await?;
    while let Some(group) = groups.try_next().await? {
        let count = integer(&group, "sessions")?;
        let sessions = u64::try_from(count).unwrap_or(0);
        match group.get_str("_id").ok().and_then(Status::named) {
            Some(Status::Waiting) => totals.waiting = sessions,
            Some(Status::Active) => totals.active = sessions,
            Some(Status::Ended) => (totals.ended, totals.ended_duration_ms) = (sessions, integer(&group, "duration")?),
            None => return Err(StoreError::Corrupt("a session's status".into())),
        }
    }
    Ok(totals)
}

/// A figure that an aggregation answers; servers choose the width.
pub(super) fn integer(group: &Document, field: &str) -> Result<i64, StoreError> {
    match group.get(field) {
        Some(Bson::Int32(n)) => Ok(i64::from(*n)),
        Some(Bson::Int64(n)) => Ok(*n),
        _ => Err(StoreError::Corrupt(format!("figure {field} of an aggregation"))),
    }
}

async fn list(sessions: &Collection<Document>, filter: Document, sort: Document, limit: u32) -> Result<Vec<Session>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new()); // To MongoDB a limit of 0 means none.
    }
    let found: Vec<Document> = sessions.find(filter).sort(sort).limit(i64::from(limit)).await?.try_collect().await?;
    found.iter().map(to_session).collect()
}
