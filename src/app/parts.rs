//! The parts that more than the server needs, built from the configuration: the store, the judge of credentials, and a desk over them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::auth::password::Hasher;
use crate::auth::{self, Auth};
use crate::config::{Config, Mode, Store as StoreConfig};
use crate::domain::desk::{Desk, Ports};
use crate::domain::entry::Entry;
use crate::domain::ids::ConnId;
use crate::domain::ports::{Announce, Audience, Signal};
use crate::domain::store::Store;
use crate::domain::time::{Clock, SystemClock};
use crate::http::trust::{Rules, Trust};
use crate::secret::Secret;
use crate::store::mongo;
use crate::store::sqlite::Sqlite;

/// For how long after the first start tokens of an original are accepted, unless configured: 30 days.
const LEGACY_TOKENS_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// A desk without sockets, for the command line. It shares the store with a server that may be running.
///
/// # Errors
/// Whatever keeps the store from opening.
pub async fn open_desk(config: &Config) -> anyhow::Result<Arc<Desk>> {
    let opened = open_store(config, Use::Shared).await?;
    let authority = Arc::new(authority(config, opened.store.as_ref(), &SystemClock).await?);
    let ports = Ports {
        store: opened.store,
        announce: Arc::new(Nobody),
        authority,
        passwords: Arc::new(Hasher::default()),
        clock: Arc::new(SystemClock),
    };
    Ok(Arc::new(Desk::new(ports, None)))
}

/// Fan-out where nobody listens.
struct Nobody;

impl Announce for Nobody {
    fn appended(&self, _: Arc<Entry>) {}

    fn signal(&self, _: &[Audience], _: Signal, _: Option<&ConnId>) {}
}

/// How the data folder is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// By the one server that serves from it.
    Alone,
    /// Beside such a server, for a moment.
    Shared,
}

/// An open store.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) name: &'static str,
    /// Held while this process uses the data folder.
    pub(super) lock: Option<File>,
}

/// Makes sure that no other process serves from this folder: its sockets would not hear of what this one stores.
fn lock(folder: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(folder)?;
    let file = File::create(folder.join("helpline.lock"))?;
    file.try_lock().context("another server uses this folder; stop it, or give each a folder of its own (DATA_DIR)")?;
    Ok(file)
}

pub(super) async fn open_store(config: &Config, usage: Use) -> anyhow::Result<Opened> {
    match &config.store {
        StoreConfig::Embedded => {
            let folder = &config.data_dir;
            let place = || format!("cannot open the database in {} (DATA_DIR)", folder.display());
            let lock = match usage {
                Use::Alone => Some(lock(folder).with_context(place)?),
                Use::Shared => None,
            };
            let store = Sqlite::open(folder).await.with_context(place)?;
            Ok(Opened { store: Arc::new(store), name: "embedded", lock })
        }
        StoreConfig::MongoDb { uri, database } => {
            let store = mongo::open(uri.expose(), Some(database)).await.context("cannot open the database (MONGODB_URI)")?;
            Ok(Opened { store: Arc::new(store), name: "mongodb", lock: None })
        }
    }
}

pub(super) async fn authority(config: &Config, store: &dyn Store, clock: &SystemClock) -> anyhow::Result<Auth> {
    let jwt_secret: Secret = match &config.jwt_secret {
        Some(secret) => secret.clone(),
        None => auth::load_or_create_secret(&config.data_dir).context("cannot keep a generated JWT_SECRET in DATA_DIR")?,
    };
    let first_start = store.first_start(clock.now()).await.context("cannot read the date of the first start")?;
    Ok(Auth::new(auth::Settings {
        jwt_secret,
        api_key: config.api_key.clone(),
        visitor_tokens_open: config.visitor_tokens_open,
        allow_anonymous: config.allow_anonymous,
        sign_up: config.sign_up,
        legacy_tokens_until: config.legacy_tokens_until.unwrap_or(first_start.plus_ms(LEGACY_TOKENS_MS)),
    }))
}

pub(super) fn trust(config: &Config) -> Trust {
    Trust::new(Rules {
        networks: config.trusted_networks.clone(),
        proxies: config.trusted_proxies.clone(),
        hosts: config.trusted_hosts.clone(),
        origins: config.origins.listed.clone(),
        any_origin: config.origins.any,
        loopback_origins: config.mode != Mode::Production,
    })
}
