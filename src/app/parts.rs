//! The parts that more than the server needs, built from the configuration: the store, the judge of credentials, and a desk over them.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::auth::password::Hasher;
use crate::auth::{self, Auth};
use crate::cluster::Traffic;
use crate::cluster::bus::{LocalBus, SessionBus};
use crate::cluster::driver::Signals;
use crate::cluster::redis::RedisBus;
use crate::config::{Config, Mode, Store as StoreConfig};
use crate::domain::desk::{Desk, Policy, Ports};
use crate::domain::entry::Entry;
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::ports::{Announce, Audience, Authority, Credential, IssuedToken, SignUp, Signal};
use crate::domain::principal::{Person, Principal, Realm};
use crate::domain::store::Store;
use crate::domain::time::{Clock, SystemClock, Timestamp};
use crate::http::trust::{Rules, Trust};
use crate::import::{self, Report};
use crate::secret::Secret;
use crate::store::mongo;
use crate::store::sqlite::Sqlite;

/// For how long after the first start tokens of an original are accepted, unless configured: 30 days.
const LEGACY_TOKENS_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// What may lie in a folder without a database before the first start.
const OURS: [&str; 3] = ["helpline.lock", "jwt-secret", "lost+found"];

/// Does this work of the command line at a desk without sockets. It shares the store with a server that may be running, and is closed whatever becomes
/// of the work.
///
/// It knows no credentials: what only a server needs, its secret and the date of its first start, is not made by a command.
///
/// # Errors
/// Whatever keeps the store from opening; those of the work.
pub async fn with_desk<T>(config: &Config, usage: Use, work: impl AsyncFnOnce(&Desk) -> anyhow::Result<T>) -> anyhow::Result<T> {
    // The lock is held while a database is made, and not longer: a server may start beside a command.
    let desk = desk_over(open_store(config, usage).await?.store);
    let done = work(&desk).await;
    desk.close().await;
    done
}

/// The same over a store that is open already.
pub fn desk_over(store: Arc<dyn Store>) -> Desk {
    let ports = Ports {
        store,
        announce: Arc::new(Nobody),
        authority: Arc::new(Nobody),
        passwords: Arc::new(Hasher::default()),
        clock: Arc::new(SystemClock),
    };
    Desk::new(ports, Policy::default())
}

/// Copies the data folder of the embedded store into a new one, also while a server works in it. Answers the size of the copied database, in bytes, and
/// how many attachments were copied.
///
/// # Errors
/// No database; a folder that is there already or cannot be written; a store on MongoDB, which has tools of its own for it.
pub async fn back_up(config: &Config, to: &Path) -> anyhow::Result<(u64, u64)> {
    anyhow::ensure!(
        config.store == StoreConfig::Embedded,
        "the store is on MongoDB (MONGODB_URI), which is backed up with mongodump: see docs/OPERATIONS.md"
    );
    let place = || format!("cannot back up {} (DATA_DIR)", config.data_dir.display());
    let copied = Sqlite::back_up(&config.data_dir, to).await.with_context(place)?;
    let copied = copied.context("there is no database").with_context(place)?;
    Ok((copied.database, copied.attachments))
}

/// Imports what an original has into the configured store, which is made where there is none; a dry run opens no store. `tell` hears how many
/// messages were read, of how many.
///
/// # Errors
/// Whatever keeps either database from opening, or from being read or written.
pub async fn take_over(
    config: &Config,
    from: import::Origin<'_>,
    is_dry: bool,
    tell: &mut (dyn FnMut(u64, u64) + Send),
) -> anyhow::Result<Report> {
    // As in `with_desk`, the lock is not held longer than a database is made.
    let store = if is_dry {
        None
    } else {
        import::set_aside(from).await.context("cannot take over in place")?;
        Some(open_store(config, Use::Founding).await?.store)
    };
    let wish = import::Wish { from, target: store.as_deref(), now: SystemClock.now() };
    let report = import::run(wish, tell).await.context("cannot import");
    if let Some(store) = &store {
        store.close().await.context("the database was not closed; nothing is lost")?;
    }
    report
}

/// Fan-out where nobody listens, and the judge where nobody shows a credential.
struct Nobody;

impl Authority for Nobody {
    fn verify(&self, _: Realm, _: &Credential, _: Timestamp) -> Result<Principal, Error> {
        Err(Error::InvalidToken)
    }

    fn issue(&self, _: &Person, _: Timestamp) -> Result<IssuedToken, Error> {
        Err(Error::Forbidden)
    }

    fn visitor_tokens_are_open(&self) -> bool {
        false
    }

    fn sign_up(&self) -> SignUp {
        SignUp::Closed
    }

    fn anonymous_sockets_are_allowed(&self) -> bool {
        false
    }
}

impl Announce for Nobody {
    fn appended(&self, _: Arc<Entry>) {}

    fn signal(&self, _: &[Audience], _: Signal, _: Option<&Audience>) {}

    fn summon(&self, _: &str, _: &SessionId, _: u64) {}
}

/// How the data folder is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// By the one server that serves from it. Makes the database, or brings it up to date.
    Alone,
    /// Beside such a server, for a moment. There is a database of exactly this version, or nothing is done.
    Shared,
    /// As shared; but in a folder that is missing or empty a database is made.
    Founding,
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

/// Whether a command may make a database here. A folder that was mistyped is missing, or holds something else.
fn may_found(folder: &Path, usage: Use) -> anyhow::Result<()> {
    let fits = |name: OsString| OURS.iter().any(|ours| name == *ours);
    let is_empty = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(error.into()),
        Ok(mut entries) => entries.try_fold(true, |all, entry| Ok::<_, std::io::Error>(all && fits(entry?.file_name())))?,
    };
    anyhow::ensure!(usage == Use::Founding, "there is none; start the server first, or make an account with `helpline admin create`");
    anyhow::ensure!(is_empty, "there is none, and the folder holds something else; start the server to make one in it");
    tracing::info!("a new database is made in {} (DATA_DIR)", folder.display());
    Ok(())
}

pub(super) async fn open_store(config: &Config, usage: Use) -> anyhow::Result<Opened> {
    match &config.store {
        StoreConfig::Embedded => {
            let folder = &config.data_dir;
            let place = || format!("cannot open the database in {} (DATA_DIR)", folder.display());
            let present = match usage {
                Use::Alone => None,
                Use::Shared | Use::Founding => Sqlite::open_present(folder).await.with_context(place)?,
            };
            let (store, lock) = match present {
                Some(store) => (store, None),
                None => {
                    if usage != Use::Alone {
                        may_found(folder, usage).with_context(place)?;
                    }
                    let lock = lock(folder).with_context(place)?;
                    (Sqlite::open(folder).await.with_context(place)?, Some(lock))
                }
            };
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

/// How the nodes of an installation hear of each other.
pub(super) struct Cluster {
    /// Carries word of entries.
    pub(super) bus: Arc<dyn SessionBus>,
    /// Carries signals.
    pub(super) signals: Signals,
    /// The name of the installation.
    pub(super) name: String,
    /// What went over Redis, where there is one.
    pub(super) traffic: Option<Arc<Traffic>>,
}

/// Redis where nodes share a database and one is named, else nothing beyond this process. The installation is named after its database and the
/// moment of its first start, since others may use the same Redis.
pub(super) async fn cluster(config: &Config, store: &dyn Store, clock: &SystemClock) -> anyhow::Result<Cluster> {
    let (Some(url), StoreConfig::MongoDb { database, .. }) = (&config.redis_url, &config.store) else {
        return Ok(Cluster { bus: Arc::new(LocalBus::default()), signals: Signals::default(), name: String::new(), traffic: None });
    };
    // The library's own words may quote the password.
    let first_start = store.first_start(clock.now()).await.context("cannot read the date of the first start")?;
    let name = format!("{database}:{}", first_start.0);
    let opened = RedisBus::open(url.expose(), &name).await;
    let (bus, signals) = opened.map_err(|_| anyhow::anyhow!("cannot use REDIS_URL=***; for example redis://localhost:6379/0"))?;
    let traffic = Some(Arc::clone(bus.traffic()));
    Ok(Cluster { bus: Arc::new(bus), signals, name, traffic })
}
