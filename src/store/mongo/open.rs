//! Opening: client options, recognition of a foreign database, indexes. Knows no query.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::action::Action;
use mongodb::options::{
    Acknowledgment, ClientOptions, DatabaseOptions, Hint, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, Database, IndexModel};

use crate::domain::error::StoreError;

use super::attachments::Shelf;
use super::commit::Committer;
use super::entries::{self, Log, SESSION_SEQ};
use super::lookups::Lookups;
use super::presence::Attendance;
use super::{Mongo, accounts, agents, logins, sessions, within};

/// How long opening may take; a restored dump builds its indexes in it.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

/// How long the driver may look for a primary, and how long a connection may take to come up.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Connections at once, unless the URI says otherwise.
const POOL: u32 = 32;

/// The database's name where neither the argument nor the URI gives one.
const DATABASE: &str = "helpline";

/// Opens the store: connects, refuses a database that another program wrote, and builds the indexes that are missing.
///
/// The database is the argument, else the URI's default one, else `helpline`. Writes are acknowledged by a majority with journal
/// and reads go to the primary, whatever the URI says. [`StoreError::Foreign`] where the database holds what another program wrote.
pub async fn open(uri: &str, database: Option<&str>) -> Result<Mongo, StoreError> {
    open_with(uri, database, |_| {}).await
}

/// Like [`open`], with a last word on the client's options: event handlers, an application name.
pub async fn open_with(uri: &str, database: Option<&str>, adjust: impl FnOnce(&mut ClientOptions) + Send) -> Result<Mongo, StoreError> {
    within(OPEN_LIMIT, "open", async {
        let mut options = client_options(uri).await?;
        adjust(&mut options);
        let name = database.map(str::to_owned).or_else(|| options.default_database.clone()).unwrap_or_else(|| DATABASE.to_owned());
        let client = Client::with_options(options)?;
        let (database, replicated) = connect(&client, &name).await?;
        let [sessions, messages, agents, accounts, logins, marks, meta] =
            ["sessions", "messages", "agents", "accounts", "logins", "marks", "meta"].map(|c| database.collection::<Document>(c));
        refuse_foreign(&sessions, &messages, &name).await?;
        sessions.create_indexes(sessions::indexes()).await?;
        messages.create_indexes(entries::indexes()).await?;
        agents.create_indexes(agents::indexes()).await?;
        accounts.create_indexes(accounts::indexes()).await?;
        logins.create_indexes(logins::indexes()).await?;
        let shelf = Shelf::of(&database);
        shelf.prepare().await?;
        let attendance = Attendance::of(&database);
        attendance.prepare().await?;
        let log = Log::new(messages, meta.clone(), replicated);
        log.prepare().await?;
        Ok(Mongo {
            database,
            lookups: Lookups::start(&sessions),
            sessions,
            agents,
            accounts,
            logins,
            marks,
            shelf,
            attendance,
            meta,
            committer: Committer::start(log.clone()),
            log,
        })
    })
    .await
}

/// What the URI says, with everything that durability and time limits rest on set by us.
async fn client_options(uri: &str) -> Result<ClientOptions, StoreError> {
    // The driver's own words may quote the password.
    let refusal = "MONGODB_URI=***: expected a MongoDB URL, special characters in its password percent-encoded; \
                   for example mongodb://localhost:27017/helpline";
    let mut options = ClientOptions::parse(uri).await.map_err(|_| StoreError::Misconfigured(refusal.to_owned()))?;
    options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.read_concern = None;
    options.server_selection_timeout = Some(options.server_selection_timeout.unwrap_or(CONNECT_LIMIT).min(CONNECT_LIMIT));
    options.connect_timeout = Some(options.connect_timeout.unwrap_or(CONNECT_LIMIT).min(CONNECT_LIMIT));
    options.max_pool_size.get_or_insert(POOL);
    options.app_name.get_or_insert_with(|| "helpline".to_owned());
    Ok(options)
}

/// The database, read with concern majority on a replica set or behind `mongos`, and whether it is one.
async fn connect(client: &Client, name: &str) -> Result<(Database, bool), StoreError> {
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await?;
    let replicated = hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|m| m == "isdbgrid");
    let concern = replicated.then(ReadConcern::majority);
    let options = DatabaseOptions::builder().read_concern(concern).build();
    Ok((client.database_with_options(name, options), replicated))
}

/// Refuses a database whose messages have no number, or whose sessions have no realm: an original's, which must never be half indexed.
async fn refuse_foreign(sessions: &Collection<Document>, messages: &Collection<Document>, name: &str) -> Result<(), StoreError> {
    // With our index this is one seek per session; without it the first document of an original's collection answers.
    let ours = messages.list_index_names().await.is_ok_and(|names| names.iter().any(|n| n == SESSION_SEQ));
    let hint = ours.then(|| Hint::Name(SESSION_SEQ.to_owned()));
    let found = messages.find_one(doc! { "seq": null }).projection(doc! { "_id": 1 }).optional(hint, |find, hint| find.hint(hint)).await?;
    let first = sessions.find_one(doc! {}).projection(doc! { "realm": 1 }).await?;
    let what = if found.is_some() {
        "messages without a number"
    } else if first.is_some_and(|s| !s.contains_key("realm")) {
        "sessions without a realm"
    } else {
        return Ok(());
    };
    Err(StoreError::Foreign(format!(
        "database {name} holds {what}, written by another program; give Helpline a database of its own (MONGODB_DB) and bring over what is in this \
         one with `helpline import --from`, or take it over with `helpline import --in-place`"
    )))
}

/// An index with a name of its own, so that an error can be told by it.
pub(super) fn index(name: &str, keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).options(IndexOptions::builder().name(name.to_owned()).build()).build()
}

/// A unique index, over the documents that match the filter where one is given.
pub(super) fn unique(name: &str, keys: Document, filter: Option<Document>) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).unique(true).partial_filter_expression(filter).build();
    IndexModel::builder().keys(keys).options(options).build()
}

/// An index over the documents that match the filter.
pub(super) fn partial(name: &str, keys: Document, filter: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).partial_filter_expression(filter).build();
    IndexModel::builder().keys(keys).options(options).build()
}
