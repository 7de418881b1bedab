//! What an original has, which is only read: whose it is, and its documents in the order in which they are wanted.

use std::time::Duration;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection, Cursor, Database};

use super::fields::values;
use super::file::{Lines, TableRows};
use super::in_place::{self, KEPT, Mark};
use super::{Origin, Original};
use crate::domain::error::StoreError;
use crate::domain::principal::Realm;

/// The database's name where neither the argument nor the URI gives one: what MongoDB's own clients take.
const DATABASE: &str = "test";

/// How long the server is looked for, unless the URI says otherwise.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How many documents the server sends at once.
const BATCH: u32 = 1_000;

/// What an original wrote.
pub(super) struct Source {
    pub(super) original: Original,
    place: Place,
}

/// Where it is.
enum Place {
    Database {
        database: Database,
        /// What the names of its collections begin with.
        prefix: &'static str,
    },
    File(Lines),
}

/// Documents, one after the other.
pub(super) enum Rows {
    /// Of a database.
    Cursor(Box<Cursor<Document>>),
    /// Of a file.
    Table(TableRows),
}

impl Rows {
    /// The next document; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Document>, StoreError> {
        match self {
            Rows::Cursor(cursor) => Ok(cursor.try_next().await?),
            Rows::Table(rows) => rows.next(),
        }
    }
}

impl Source {
    /// Finds what is to be read, and whose it is.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for what is no URI or cannot be opened; [`StoreError::Foreign`] for a database of this server's own or of somebody
    /// unknown, and for a file that no original's rows are in, or not in their order.
    pub(super) async fn open(from: Origin<'_>) -> Result<Self, StoreError> {
        match from {
            Origin::Database { uri, name } => Self::of_database(uri, name).await,
            Origin::InPlace { uri, name } => Self::in_place(uri, name).await,
            Origin::File { path, dialect } => {
                let original = if dialect == Realm::Widget { Original::Widget } else { Original::Operators };
                Ok(Self { original, place: Place::File(Lines::open(path, original)?) })
            }
        }
    }

    async fn of_database(uri: &str, name: Option<&str>) -> Result<Self, StoreError> {
        let database = database(uri, name, "--from").await?;
        let original = recognise(&database).await?;
        Ok(Self { original, place: Place::Database { database, prefix: "" } })
    }

    /// Reads a database that is to be taken over where it is; its collections may have their new names, or not yet.
    async fn in_place(uri: &str, name: &str) -> Result<Self, StoreError> {
        let database = database(uri, Some(name), "MONGODB_URI").await?;
        let (original, prefix) = match in_place::mark(&database).await? {
            Some(Mark { original, is_set_aside: true }) => (original, KEPT),
            Some(Mark { is_set_aside: false, .. }) => {
                let why = "was cut short while its collections were renamed; run it without --dry-run";
                return Err(StoreError::Foreign(format!("the take-over of database {} {why}", database.name())));
            }
            None => (recognise(&database).await?, ""),
        };
        Ok(Self { original, place: Place::Database { database, prefix } })
    }

    /// How many documents a collection or table has.
    pub(super) async fn count(&self, collection: &str) -> Result<u64, StoreError> {
        match &self.place {
            Place::File(lines) => Ok(lines.count(collection)),
            Place::Database { database, prefix } => Ok(named(database, prefix, collection).count_documents(doc! {}).await?),
        }
    }

    /// All documents of a collection by id, or of a table as they stand in the file.
    pub(super) async fn all(&self, collection: &'static str) -> Result<Rows, StoreError> {
        match &self.place {
            Place::Database { database, prefix } => {
                let documents = named(database, prefix, collection);
                Ok(Rows::Cursor(Box::new(documents.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(BATCH).await?)))
            }
            Place::File(lines) => lines.rows(collection).map(Rows::Table),
        }
    }

    /// All messages: session after session, and in each by time and id, or as they stand in the file. A database sorts them once, on its disk where they
    /// are many.
    pub(super) async fn messages(&self) -> Result<Rows, StoreError> {
        let Place::Database { database, prefix } = &self.place else { return self.all("messages").await };
        let (session, time) = self.original.message_fields();
        let order = [doc! { "$sort": { session: 1, time: 1, "_id": 1 } }];
        let messages = named(database, prefix, "messages");
        Ok(Rows::Cursor(Box::new(messages.aggregate(order).allow_disk_use(true).batch_size(BATCH).await?)))
    }

    /// The session that messages name so.
    pub(super) async fn session(&self, key: &str) -> Result<Option<Document>, StoreError> {
        match &self.place {
            Place::Database { database, prefix } => {
                let sessions = named(database, prefix, self.original.sessions());
                Ok(sessions.find_one(doc! { "_id": { "$in": values(key) } }).await?)
            }
            Place::File(lines) => Ok(lines.session(key)),
        }
    }
}

fn named(database: &Database, prefix: &str, collection: &str) -> Collection<Document> {
    database.collection(&format!("{prefix}{collection}"))
}

/// Makes the collections of the original be those that are taken over in place.
///
/// # Errors
/// [`StoreError::Foreign`] for a database of nobody known, or in which a name is taken; whatever keeps it from being changed.
pub(super) async fn set_aside(uri: &str, name: &str) -> Result<(), StoreError> {
    let database = database(uri, Some(name), "MONGODB_URI").await?;
    let original = match in_place::mark(&database).await? {
        Some(Mark { is_set_aside: true, .. }) => return Ok(()),
        Some(Mark { original, .. }) => original,
        None => recognise(&database).await?,
    };
    in_place::set_aside(&database, original).await
}

/// The database that the URL and the name say; `variable` is where the URL comes from.
async fn database(uri: &str, name: Option<&str>, variable: &str) -> Result<Database, StoreError> {
    // The driver's own words may quote the password.
    let refusal = || StoreError::Misconfigured(format!("{variable}: expected a MongoDB URL; for example mongodb://localhost:27017/chat"));
    let mut options = ClientOptions::parse(uri).await.map_err(|_| refusal())?;
    options.server_selection_timeout.get_or_insert(CONNECT_LIMIT);
    let name = name.map(str::to_owned).or_else(|| options.default_database.clone()).unwrap_or_else(|| DATABASE.to_owned());
    Ok(Client::with_options(options)?.database(&name))
}

async fn recognise(database: &Database) -> Result<Original, StoreError> {
    let name = database.name();
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
