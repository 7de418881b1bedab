//! What concerns the installation as a whole: its first start, and whether the database answers.

use bson::{Document, doc};
use mongodb::{Collection, Database};

use crate::domain::error::StoreError;
use crate::domain::time::Timestamp;

use super::documents::{moment, to_moment};
use super::errors::duplicate_index;

/// Creates first and reads what is there on a clash; an upsert may race with itself.
pub(super) async fn first_start(meta: &Collection<Document>, now: Timestamp) -> Result<Timestamp, StoreError> {
    let known = doc! { "_id": "firstStart" };
    loop {
        if let Some(found) = meta.find_one(known.clone()).await? {
            return to_moment(&found, "at");
        }
        match meta.insert_one(doc! { "_id": "firstStart", "at": moment(now) }).await {
            Ok(_) => return Ok(now),
            Err(error) if duplicate_index(&error).is_some() => super::commit::pause().await,
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) async fn ping(database: &Database) -> Result<(), StoreError> {
    database.run_command(doc! { "ping": 1 }).await?;
    Ok(())
}
