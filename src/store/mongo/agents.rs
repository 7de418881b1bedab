//! Agent documents with their slots: a reservation is one conditional push. Knows nothing of sessions but their ids.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::error::ErrorKind;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, IndexModel};

use crate::domain::agent::{Agent, Availability};
use crate::domain::error::StoreError;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::principal::Realm;
use crate::domain::time::Timestamp;

use super::documents::{from_agent, id, moment, slot, to_agent, to_id, to_position, to_slots};
use super::errors::{DUPLICATE, duplicate_index};
use super::open::index;

/// What the agents are found by.
pub(super) fn indexes() -> Vec<IndexModel> {
    vec![index("agents_realm_position", doc! { "realm": 1, "position": 1, "_id": 1 })]
}

/// Stores a plan first, of which there can be one, then what it says: racing seedings agree, and one that was cut short is completed by the next.
pub(super) async fn seed(
    agents: &Collection<Document>,
    meta: &Collection<Document>,
    realm: Realm,
    seeds: &[Agent],
) -> Result<(), StoreError> {
    let name = doc! { "_id": format!("seed:{}", realm.name()) };
    let Some(plan) = plan(agents, meta, realm, seeds).await? else { return Ok(()) };
    let documents: Vec<Document> = plan.get_array("agents").into_iter().flatten().filter_map(|a| a.as_document().cloned()).collect();
    if documents.is_empty() {
        return Ok(());
    }
    match agents.insert_many(documents).ordered(false).await {
        Err(error) if !only_duplicates(&error) => return Err(error.into()),
        _ => {}
    }
    meta.update_one(name, doc! { "$unset": { "agents": "" } }).await?;
    Ok(())
}

/// The realm's plan as stored, by us or by another node; `None` where the realm has agents without one, or there is nothing to seed.
async fn plan(
    agents: &Collection<Document>,
    meta: &Collection<Document>,
    realm: Realm,
    seeds: &[Agent],
) -> Result<Option<Document>, StoreError> {
    let name = format!("seed:{}", realm.name());
    loop {
        if let Some(plan) = meta.find_one(doc! { "_id": &name }).await? {
            return Ok(Some(plan));
        }
        if seeds.is_empty() || agents.find_one(doc! { "realm": realm.name() }).await?.is_some() {
            return Ok(None);
        }
        let documents: Vec<Bson> = (0..).zip(seeds).map(|(position, agent)| from_agent(agent, position, Timestamp(0)).into()).collect();
        match meta.insert_one(doc! { "_id": &name, "agents": documents }).await {
            Err(error) if duplicate_index(&error).is_none() => return Err(error.into()),
            Err(_) => super::commit::pause().await,
            Ok(_) => {}
        }
    }
}

/// Stores the agent after the last one of its realm, unless its id is taken. Agents that are inserted at once may share a position; their ids order them.
pub(super) async fn insert(agents: &Collection<Document>, agent: &Agent) -> Result<Agent, StoreError> {
    loop {
        if let Some(present) = find(agents, &agent.id).await? {
            return Ok(present);
        }
        let last = agents.find_one(doc! { "realm": agent.realm.name() }).sort(doc! { "position": -1 }).await?;
        let position = last.as_ref().map_or(Ok(0), |last| to_position(last).map(|p| p + 1))?;
        match agents.insert_one(from_agent(agent, position, Timestamp(0))).await {
            Ok(_) => return Ok(agent.clone()),
            Err(error) if duplicate_index(&error).is_none() => return Err(error.into()),
            Err(_) => super::commit::pause().await,
        }
    }
}

pub(super) async fn list(agents: &Collection<Document>, realm: Realm) -> Result<Vec<Agent>, StoreError> {
    of_realm(agents, realm).await?.iter().map(to_agent).collect()
}

pub(super) async fn find(agents: &Collection<Document>, agent: &AgentId) -> Result<Option<Agent>, StoreError> {
    agents.find_one(doc! { "_id": id(agent.as_str()) }).await?.as_ref().map(to_agent).transpose()
}

pub(super) async fn find_all(agents: &Collection<Document>, wanted: &[AgentId]) -> Result<Vec<Agent>, StoreError> {
    let ids: Vec<Bson> = wanted.iter().map(|agent| id(agent.as_str())).collect();
    let found: Vec<Document> = agents.find(doc! { "_id": { "$in": ids } }).await?.try_collect().await?;
    found.iter().map(to_agent).collect()
}

pub(super) async fn reserve(
    agents: &Collection<Document>,
    agent: &AgentId,
    session: &SessionId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let held = id(session.as_str());
    let filter = doc! {
        "_id": id(agent.as_str()),
        "$or": is_one_of(&[Availability::Online]),
        "slots.session": { "$ne": held.clone() },
        "$expr": { "$lt": [{ "$size": "$slots" }, "$maxUsers"] },
    };
    let update = doc! { "$push": { "slots": slot(session, now) } };
    if agents.find_one_and_update(filter, update).projection(doc! { "_id": 1 }).await?.is_some() {
        return Ok(true);
    }
    let holds = doc! { "_id": id(agent.as_str()), "slots.session": held };
    Ok(agents.find_one(holds).projection(doc! { "_id": 1 }).await?.is_some())
}

pub(super) async fn hold(agents: &Collection<Document>, agent: &AgentId, session: &SessionId, now: Timestamp) -> Result<(), StoreError> {
    let filter = doc! { "_id": id(agent.as_str()), "slots.session": { "$ne": id(session.as_str()) } };
    agents.update_one(filter, doc! { "$push": { "slots": slot(session, now) } }).await?;
    Ok(())
}

pub(super) async fn release(agents: &Collection<Document>, agent: &AgentId, session: &SessionId) -> Result<bool, StoreError> {
    let held = id(session.as_str());
    let filter = doc! { "_id": id(agent.as_str()), "slots.session": held.clone() };
    let update = doc! { "$pull": { "slots": { "session": held } } };
    Ok(agents.update_one(filter, update).await?.matched_count == 1)
}

pub(super) async fn list_slots(
    agents: &Collection<Document>,
    realm: Realm,
    before: Timestamp,
) -> Result<Vec<(AgentId, SessionId)>, StoreError> {
    let mut old = Vec::new();
    let filter = doc! { "realm": realm.name(), "slots.at": { "$lt": moment(before) } };
    for document in agents.find(filter).await?.try_collect::<Vec<_>>().await? {
        let agent = AgentId::stored(to_id(&document)?);
        let slots = to_slots(&document)?.into_iter().filter(|(_, at)| *at < before);
        old.extend(slots.map(|(session, _)| (agent.clone(), session)));
    }
    Ok(old)
}

pub(super) async fn set_availability(
    agents: &Collection<Document>,
    agent: &AgentId,
    from: Option<&[Availability]>,
    to: Availability,
    said: Option<Timestamp>,
) -> Result<Option<Agent>, StoreError> {
    let mut filter = doc! { "_id": id(agent.as_str()) };
    if let Some(from) = from {
        filter.insert("$or", is_one_of(from));
    }
    let mut changed = doc! { "availability": to.name() };
    if let Some(at) = said {
        changed.insert("activeAt", moment(at));
    }
    let after = agents.find_one_and_update(filter, doc! { "$set": changed }).return_document(ReturnDocument::After).await?;
    after.as_ref().map(to_agent).transpose()
}

/// The alternatives of an agent with one of these availabilities; documents of an earlier version say `isOnline` instead.
fn is_one_of(availabilities: &[Availability]) -> Vec<Document> {
    let names: Vec<&str> = availabilities.iter().map(|a| a.name()).collect();
    let mut alternatives = vec![doc! { "availability": { "$in": names } }];
    for (availability, online) in [(Availability::Online, true), (Availability::Offline, false)] {
        if availabilities.contains(&availability) {
            alternatives.push(doc! { "availability": null, "isOnline": online });
        }
    }
    alternatives
}

/// The realm's documents in the order in which they were stored.
async fn of_realm(agents: &Collection<Document>, realm: Realm) -> Result<Vec<Document>, StoreError> {
    let found = agents.find(doc! { "realm": realm.name() }).sort(doc! { "position": 1, "_id": 1 });
    Ok(found.await?.try_collect().await?)
}

/// Whether an insert of many failed for nothing but documents that another node stored first.
fn only_duplicates(error: &mongodb::error::Error) -> bool {
    let ErrorKind::InsertMany(many) = &*error.kind else { return false };
    many.write_concern_error.is_none() && many.write_errors.iter().flatten().all(|e| e.code == DUPLICATE)
}
