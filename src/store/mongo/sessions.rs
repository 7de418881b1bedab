//! Session documents: each change is one conditional write of one document. Knows nothing of entries.

use bson::{Bson, Document, bson, doc};
use futures_util::TryStreamExt;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, IndexModel};

use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::principal::Realm;
use crate::domain::session::{Session, Status};
use crate::domain::store::{Inserted, Listed, SessionQuery};
use crate::domain::time::Timestamp;
use crate::domain::topic::{Reassignment, SessionKind};
use crate::store::search;

use super::documents::{from_session, id, moment, number, participants, to_session, transfer};
use super::errors::duplicate_index;
use super::open::{index, partial, unique};

/// The index that keeps one open session per visitor.
const VISIT: &str = "sessions_visit";

/// What the sessions are found by.
pub(super) fn indexes() -> Vec<IndexModel> {
    vec![
        unique(VISIT, doc! { "visitorKey": 1, "visit": 1 }, Some(doc! { "visitorKey": { "$type": "string" } })),
        index("sessions_realm_status_created", doc! { "realm": 1, "status": 1, "createdAt": 1, "_id": 1 }),
        index("sessions_status_id", doc! { "status": 1, "_id": 1 }),
        index("sessions_agent_created", doc! { "agentId": 1, "createdAt": 1, "_id": 1 }),
        index("sessions_realm_updated", doc! { "realm": 1, "updatedAt": 1, "_id": 1 }),
        index("sessions_realm_status_updated", doc! { "realm": 1, "status": 1, "updatedAt": 1, "_id": 1 }),
        index("sessions_realm_visitor_updated", doc! { "realm": 1, "userId": 1, "updatedAt": 1, "_id": 1 }),
        index("sessions_realm_agent_updated", doc! { "realm": 1, "agentId": 1, "updatedAt": 1, "_id": 1 }),
        index("sessions_members_updated", doc! { "members": 1, "status": 1, "updatedAt": 1, "_id": 1 }),
        partial("sessions_spoken_updated", doc! { "realm": 1, "updatedAt": 1, "_id": 1 }, doc! { "spoken": true }),
        index("sessions_type_updated", doc! { "type": 1, "updatedAt": 1, "_id": 1 }),
        index("sessions_type_status_updated", doc! { "type": 1, "status": 1, "updatedAt": 1, "_id": 1 }),
        index("sessions_type_agent_updated", doc! { "type": 1, "agentId": 1, "updatedAt": 1, "_id": 1 }),
        partial("sessions_type_spoken_updated", doc! { "type": 1, "updatedAt": 1, "_id": 1 }, doc! { "spoken": true }),
    ]
}

/// A visitor's sessions are numbered: the next visit is inserted where the last one has ended, and of racing inserts the index lets one through.
///
/// The number is kept after the end. A unique key that is cleared at the end would do on MongoDB, but other servers of its protocol were seen
/// to refuse a cleared key for ever (secantus-mdb 0.5.3-beta.196). A session that was opened again gets no key back: `keyFreed` stays.
pub(super) async fn insert(sessions: &Collection<Document>, session: &Session, key: Option<&str>) -> Result<Inserted, StoreError> {
    loop {
        let mut document = from_session(session);
        if let Some(key) = key {
            // Equality alone does not tell the planner that the partial index applies.
            let visits = doc! { "visitorKey": { "$eq": key, "$type": "string" } };
            let last = sessions.find_one(visits).sort(doc! { "visit": -1 }).await?;
            let holder = last.as_ref().filter(|last| !last.get_bool("keyFreed").unwrap_or(false));
            if let Some(open) = holder.map(to_session).transpose()?.filter(Session::is_open) {
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

pub(super) async fn count_waiting(sessions: &Collection<Document>, realm: Realm) -> Result<u64, StoreError> {
    Ok(sessions.count_documents(doc! { "realm": realm.name(), "status": Status::Waiting.name() }).await?)
}

pub(super) async fn list_open(sessions: &Collection<Document>, after: Option<&SessionId>, limit: u32) -> Result<Vec<Session>, StoreError> {
    let mut filter = doc! { "status": open() };
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

/// A page, and the number of all that match at about the same time.
pub(super) async fn list_sessions(sessions: &Collection<Document>, query: &SessionQuery) -> Result<Listed, StoreError> {
    let filter = conditions(query);
    let total = sessions.count_documents(filter.clone()).await?;
    if query.limit == 0 || query.offset >= total {
        return Ok(Listed { sessions: Vec::new(), total });
    }
    let page = sessions.find(filter).sort(doc! { "updatedAt": -1, "_id": -1 }).skip(query.offset).limit(i64::from(query.limit));
    let found: Vec<Document> = page.await?.try_collect().await?;
    Ok(Listed { sessions: found.iter().map(to_session).collect::<Result<_, _>>()?, total })
}

/// What the query asks for.
fn conditions(query: &SessionQuery) -> Document {
    let mut filter = match query.realm {
        Some(realm) => doc! { "realm": realm.name() },
        None => doc! { "type": SessionKind::Support.name() },
    };
    if let Some(visitor) = &query.visitor {
        filter.insert("userId", &**visitor);
    }
    if let Some(agent) = &query.agent {
        filter.insert("agentId", id(agent.as_str()));
    }
    if let Some(status) = query.status {
        filter.insert("status", status.name());
    }
    if query.open_only {
        filter.insert("status", open());
    }
    if query.spoken_only {
        filter.insert("spoken", true);
    }
    let bounds = [("$gte", query.since), ("$lte", query.until)];
    let range: Document = bounds.into_iter().filter_map(|(operator, at)| Some((operator.to_owned(), moment(at?)))).collect();
    if !range.is_empty() {
        filter.insert("updatedAt", range);
    }
    if let Some(keyword) = &query.keyword {
        // The bytes of a text and no pattern, so nothing in it has a meaning of its own. Documents of an earlier version are folded here, which
        // the server does for ASCII letters.
        let parts = bson!([{ "$toString": "$_id" }, "\n", "$userId", "\n", { "$ifNull": ["$userName", ""] }]);
        let text = doc! { "$ifNull": ["$search", { "$toLower": { "$concat": parts } }] };
        let place = doc! { "$indexOfBytes": [text, { "$literal": search::fold(keyword) }] };
        filter.insert("$expr", doc! { "$gte": [place, 0] });
    }
    filter
}

/// The condition that a session has not ended.
pub(super) fn open() -> Document {
    doc! { "$in": [Status::Waiting.name(), Status::Pending.name(), Status::Active.name()] }
}

pub(super) async fn list_of_person(sessions: &Collection<Document>, person: &str, limit: u32) -> Result<Vec<Session>, StoreError> {
    list(sessions, doc! { "members": person, "status": open() }, doc! { "updatedAt": -1, "_id": -1 }, limit).await
}

pub(super) async fn reassign(
    sessions: &Collection<Document>,
    session: &SessionId,
    from: u64,
    to: &Reassignment,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let filter = doc! { "_id": id(session.as_str()), "status": open(), "assignment": number(from) };
    let mut set = doc! { "updatedAt": moment(now) };
    let mut update = doc! { "$inc": { "assignment": 1_i64 } };
    match &to.agent {
        Some(agent) => {
            set.extend(doc! { "status": Status::Active.name(), "agentId": id(agent.id.as_str()), "agentName": &*agent.name });
        }
        None => {
            set.insert("status", if to.waits { Status::Waiting } else { Status::Pending }.name());
            update.insert("$unset", doc! { "agentId": "", "agentName": "" });
        }
    }
    if !to.participants.is_empty() {
        set.extend(participants(&to.participants));
    }
    if let Some(moved) = &to.transfer {
        update.insert("$push", doc! { "transfers": transfer(moved) });
    }
    update.insert("$set", set);
    let after = sessions.find_one_and_update(filter, update).return_document(ReturnDocument::After).await?;
    after.as_ref().map(to_session).transpose()
}

pub(super) async fn finish(
    sessions: &Collection<Document>,
    session: &SessionId,
    seq: u64,
    at: Timestamp,
    reason: &str,
) -> Result<Option<Session>, StoreError> {
    let update = doc! {
        "$set": {
            "status": Status::Ended.name(),
            "endedAt": moment(at),
            "endReason": reason,
            "updatedAt": moment(at),
            "stateSeq": number(seq),
            "keyFreed": true,
        },
        "$unset": { "label": "" },
    };
    loop {
        // Read, then change what was read: status, assignment and state number together never come back, so they are the document's version.
        // One findAndModify would do on MongoDB, but secantus-mdb answers an older document than the one it changed when updates race.
        let before = find(sessions, session).await?.filter(|s| s.state_seq < seq);
        let Some(before) = before else { return Ok(None) };
        let unchanged = doc! {
            "_id": id(session.as_str()),
            "status": before.status.name(),
            "assignment": number(before.assignment),
            "stateSeq": still(before.state_seq),
        };
        if sessions.update_one(unchanged, update.clone()).await?.matched_count == 1 {
            return Ok(Some(before));
        }
        super::commit::pause().await;
    }
}

pub(super) async fn reopen(
    sessions: &Collection<Document>,
    session: &SessionId,
    seq: u64,
    at: Timestamp,
    label: &str,
) -> Result<(), StoreError> {
    // Not "less than", which an absent number never is: it is below every number of a log.
    let older = doc! { "_id": id(session.as_str()), "stateSeq": { "$not": { "$gte": number(seq) } } };
    let (active, ended) = (Status::Active.name(), Status::Ended.name());
    let update = vec![
        doc! { "$set": {
            "status": { "$cond": [{ "$eq": ["$status", ended] }, active, "$status"] },
            "label": { "$literal": label },
            "updatedAt": moment(at),
            "stateSeq": number(seq),
        } },
        doc! { "$unset": ["endedAt", "endReason"] },
    ];
    sessions.update_one(older, update).await?;
    Ok(())
}

pub(super) async fn touch(sessions: &Collection<Document>, session: &SessionId, at: Option<Timestamp>) -> Result<(), StoreError> {
    let mut update = doc! { "$set": { "spoken": true } };
    if let Some(at) = at {
        update.insert("$max", doc! { "updatedAt": moment(at) });
    }
    sessions.update_one(doc! { "_id": id(session.as_str()) }, update).await?;
    Ok(())
}

pub(super) async fn mark_read(sessions: &Collection<Document>, session: &SessionId, ordinal: u64) -> Result<Option<u64>, StoreError> {
    let update = doc! { "$set": { "readOrdinal": number(ordinal) } };
    loop {
        let Some(before) = find(sessions, session).await?.map(|s| s.read_ordinal) else { return Ok(None) };
        if before >= ordinal {
            return Ok(Some(before));
        }
        let unchanged = doc! { "_id": id(session.as_str()), "readOrdinal": still(before) };
        if sessions.update_one(unchanged, update.clone()).await?.matched_count == 1 {
            return Ok(Some(before));
        }
        super::commit::pause().await;
    }
}

/// The condition that a number is still this one; documents of an earlier version lack it while it is 0.
pub(super) fn still(n: u64) -> Document {
    let mut values = vec![number(n)];
    values.extend((n == 0).then_some(Bson::Null));
    doc! { "$in": values }
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
