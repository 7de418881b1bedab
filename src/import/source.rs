//! The database of an original, which is only read: which one it is, and its documents in the order in which they are wanted.

use std::time::Duration;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::options::ClientOptions;
use mongodb::{Client, Cursor, Database};

use super::Original;
use super::fields::values;
use crate::domain::error::StoreError;

/// The database's name where neither the argument nor the URI gives one: what MongoDB's own clients take.
const DATABASE: &str = "test";

/// How long the server is looked for, unless the URI says otherwise.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How many documents the server sends at once.
const BATCH: u32 = 1_000;

/// A database that an original wrote.
pub(super) struct Source {
    database: Database,
    pub(super) original: Original,
}

impl Source {
    /// Connects, and finds out whose database it is.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for what is no URI; [`StoreError::Foreign`] for a database of this server's own, or of somebody unknown.
    pub(super) async fn open(uri: &str, database: Option<&str>) -> Result<Self, StoreError> {
        // The driver's own words may quote the password.
        let refusal = || StoreError::Misconfigured("--from: expected a MongoDB URL; for example mongodb://localhost:27017/chat".to_owned());
        let mut options = ClientOptions::parse(uri).await.map_err(|_| refusal())?;
        options.server_selection_timeout.get_or_insert(CONNECT_LIMIT);
        let name = database.map(str::to_owned).or_else(|| options.default_database.clone()).unwrap_or_else(|| DATABASE.to_owned());
        let database = Client::with_options(options)?.database(&name);
        let original = recognise(&database, &name).await?;
        Ok(Self { database, original })
    }

    /// How many documents a collection has.
    pub(super) async fn count(&self, collection: &str) -> Result<u64, StoreError> {
        Ok(self.database.collection::<Document>(collection).count_documents(doc! {}).await?)
    }

    /// All documents of a collection by id.
    pub(super) async fn all(&self, collection: &str) -> Result<Cursor<Document>, StoreError> {
        Ok(self.database.collection::<Document>(collection).find(doc! {}).sort(doc! { "_id": 1 }).batch_size(BATCH).await?)
    }

    /// All messages: session after session, and in each by time and id. The server sorts them once, on its disk where they are many.
    pub(super) async fn messages(&self) -> Result<Cursor<Document>, StoreError> {
        let (session, time) = self.original.message_fields();
        let order = [doc! { "$sort": { session: 1, time: 1, "_id": 1 } }];
        let messages = self.database.collection::<Document>("messages");
        Ok(messages.aggregate(order).allow_disk_use(true).batch_size(BATCH).await?)
    }

    /// The session that messages name so.
    pub(super) async fn session(&self, key: &str) -> Result<Option<Document>, StoreError> {
        let sessions = self.database.collection::<Document>(self.original.sessions());
        Ok(sessions.find_one(doc! { "_id": { "$in": values(key) } }).await?)
    }
}

/// The next document; `None` at the end.
pub(super) async fn next(documents: &mut Cursor<Document>) -> Result<Option<Document>, StoreError> {
    Ok(documents.try_next().await?)
}

async fn recognise(database: &Database, name: &str) -> Result<Original, StoreError> {
    let collections = database.list_collection_names().await?;
    let has = |name: &str| collections.iter().any(|c| c == name);
    let ours = async |collection: &str, field: &str| {
        let documents = database.collection::<Document>(collection);
        let found = documents.find_one(doc! { field: { "$ne": Bson::Null } }).projection(doc! { "_id": 1 });
        Ok::<_, StoreError>(found.await?.is_some())
    };
    if (has("sessions") && ours("sessions", "realm").await?) || (has("messages") && ours("messages", "seq").await?) {
        return Err(StoreError::Foreign(format!("database {name} is Helpline's own; a copy of it is a backup, see docs/OPERATIONS.md")));
    }
    match () {
        () if has("chatrooms") && has("users") => Ok(Original::Rooms),
        () if has("sessions") && (has("messages") || has("agents")) => Ok(Original::Support),
        () => Err(StoreError::Foreign(format!(
            "database {name} is of no original that is known: expected the collections sessions, messages and agents (document 001), or users, \
             chatrooms and messages (document 002)"
        ))),
    }
}
