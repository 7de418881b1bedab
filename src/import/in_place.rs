//! Taking an original's database over where it is: its collections get other names, under which they are read and stay, and ours take theirs.
//!
//! A mark is written before the first collection is renamed and changed after the last, so that a take-over that is cut short anywhere goes on.

use bson::{Document, doc};
use mongodb::Database;
use mongodb::error::Error;

use super::Original;
use crate::domain::error::StoreError;
use crate::domain::principal::Realm;

/// What the names of the original's collections begin with from then on.
pub(super) const KEPT: &str = "original_";

/// Where the mark is, the only document there.
const MARKS: &str = "takeover";

/// What the mark says.
pub(super) struct Mark {
    pub(super) original: Original,
    /// Whether all its collections have their new names.
    pub(super) is_set_aside: bool,
}

/// The mark of an earlier take-over, or `None`.
pub(super) async fn mark(database: &Database) -> Result<Option<Mark>, StoreError> {
    let Some(found) = database.collection::<Document>(MARKS).find_one(doc! {}).await? else { return Ok(None) };
    let original = match found.get_str("contract").ok().and_then(Realm::named) {
        Some(Realm::Support) => Original::Support,
        Some(Realm::Rooms) => Original::Rooms,
        Some(Realm::Operators | Realm::Widget) | None => return Err(StoreError::Corrupt(format!("the mark in {MARKS}"))),
    };
    Ok(Some(Mark { original, is_set_aside: found.get_bool("setAside").unwrap_or(false) }))
}

/// Gives the collections of the original their new names, unless they have them. What is called `messages` comes last: until then no server starts on
/// the database.
///
/// # Errors
/// [`StoreError::Foreign`] where a new name is taken: somebody else's collection has it, or the original still runs and has made its own anew.
pub(super) async fn set_aside(database: &Database, original: Original) -> Result<(), StoreError> {
    let marks = database.collection::<Document>(MARKS);
    let same = doc! { "_id": "in place" };
    let begun = doc! { "$setOnInsert": { "contract": original.realm().name(), "setAside": false } };
    marks.update_one(same.clone(), begun).upsert(true).await?;
    let names = database.list_collection_names().await?;
    let has = |name: &str| names.iter().any(|n| n == name);
    for collection in [original.people(), original.sessions(), "messages"] {
        let kept = format!("{KEPT}{collection}");
        match (has(collection), has(&kept)) {
            (true, true) => {
                let (name, why) = (database.name(), "stop the original, and see which of the two is its own");
                return Err(StoreError::Foreign(format!("database {name} has both {collection} and {kept}: {why}")));
            }
            (true, false) => rename(database, collection, &kept).await?,
            (false, _) => {}
        }
    }
    marks.update_one(same, doc! { "$set": { "setAside": true } }).await?;
    Ok(())
}

async fn rename(database: &Database, from: &str, to: &str) -> Result<(), Error> {
    let full = |name: &str| format!("{}.{name}", database.name());
    let renaming = doc! { "renameCollection": full(from), "to": full(to) };
    database.client().database("admin").run_command(renaming).await.map(drop)
}
