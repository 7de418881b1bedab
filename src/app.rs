//! The composition root: builds every part from the configuration and runs them until the server is told to stop. Decides nothing.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use futures_util::future::{join_all, try_join_all};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::normalize_path::NormalizePath;
use tower_http::timeout::TimeoutLayer;

use crate::auth::{self, Auth};
use crate::cluster::bus::LocalBus;
use crate::config::{Config, Mode, Mount, Store as StoreConfig};
use crate::dialect;
use crate::dialect::support::rest::{self, Rest};
use crate::domain::desk::{Desk, Ports};
use crate::domain::principal::Realm;
use crate::domain::store::Store;
use crate::domain::time::{Clock, SystemClock, Timestamp};
use crate::http::files::{self, Served};
use crate::http::probes::{self, Probes};
use crate::http::serve::{Bounds, WatchedListener, serve};
use crate::http::slots::slots;
use crate::http::trust::{Rules, Trust};
use crate::limit::PerAddress;
use crate::secret::Secret;
use crate::shutdown::Shutdown;
use crate::socket::{Gateway, Limits, Sockets};
use crate::store::mongo;
use crate::store::sqlite::Sqlite;

/// How often documents and slots are checked against the log.
const REPAIR_EVERY: Duration = Duration::from_secs(60);

/// For how long after the first start tokens of an original are accepted, unless configured: 30 days.
const LEGACY_TOKENS_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// Runs the server until `shutdown` begins and the connections have had their time.
///
/// # Errors
/// Whatever keeps it from starting: an address, the data folder, the database.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut listeners = Vec::new();
    for (port, _) in by_port(&config) {
        let address = SocketAddr::new(config.host, port.unwrap_or(config.port));
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.with_context(|| format!("cannot listen on {address} (HOST, PORT, MOUNTS)"))?);
    }
    let node = Node::build(&config).await?;
    let stopping = Arc::new(AtomicBool::new(false));
    let limits = &config.limits;
    let bounds = Bounds { write_stall: limits.write_stall, head: limits.header, slots: slots(limits.connections) };
    let mut serving = Vec::new();
    for (listener, listens) in listeners.into_iter().zip(&node.listens) {
        tracing::info!(store = node.store_name, mode = config.mode.name(), "listening on http://{}", listener.local_addr()?);
        let (router, told) = (node.router(&config, listens, &stopping), shutdown.clone());
        serving.push(serve(WatchedListener::new(listener, bounds.clone()), router, async move { told.signalled().await }));
    }
    if let Some(open) = config.open_acts() {
        tracing::warn!("{open}");
    }
    let closing = async {
        shutdown.signalled().await;
        tracing::info!("stopping");
        stopping.store(true, Ordering::Relaxed);
        join_all(node.listens.iter().map(|l| l.sockets.close())).await;
        tokio::time::timeout(config.shutdown, std::future::pending::<()>()).await
    };
    tokio::select! {
        served = try_join_all(serving) => drop(served.context("a listener failed")?),
        _ = closing => tracing::warn!("connections were still open at the end of SHUTDOWN_SECONDS"),
        () = repair_forever(Arc::clone(&node.desk)) => {}
    }
    let errors = node.gateway.emit_errors();
    let (full, gone) = (errors.full.load(Ordering::Relaxed), errors.gone.load(Ordering::Relaxed));
    tracing::info!(emits.full = full, emits.gone = gone, "stopped");
    Ok(())
}

/// The mounts of each listener. The one of `PORT` comes first and is always there, for the probes.
fn by_port(config: &Config) -> Vec<(Option<u16>, Vec<&Mount>)> {
    let mut ports = vec![None];
    for mount in &config.mounts {
        if !ports.contains(&mount.port) {
            ports.push(mount.port);
        }
    }
    ports.into_iter().map(|port| (port, config.mounts.iter().filter(|m| m.port == port).collect())).collect()
}

/// The parts of a running node.
struct Node {
    desk: Arc<Desk>,
    trust: Arc<Trust>,
    gateway: Arc<Gateway>,
    listens: Vec<Listens>,
    page: Arc<str>,
    store_name: &'static str,
    started: Timestamp,
    _lock: Option<File>,
}

/// What one listener serves.
struct Listens {
    sockets: Sockets,
    mounts: Vec<Mount>,
}

impl Node {
    async fn build(config: &Config) -> anyhow::Result<Self> {
        let clock = SystemClock;
        let Opened { store, name: store_name, lock } = open_store(config).await?;
        let authority = Arc::new(authority(config, store.as_ref(), &clock).await?);
        let gateway = Gateway::new(Arc::clone(&store), Arc::new(LocalBus::default()));
        let ports = Ports { store, announce: Arc::clone(&gateway) as _, authority, clock: Arc::new(clock) };
        let desk = Arc::new(Desk::new(ports, config.limits.messages_per_minute));
        desk.seed_agents(Realm::Support).await.context("cannot store the default agents")?;
        let trust = Arc::new(trust(config));
        let listens = listens(config, &desk, &gateway, &trust);
        let served = |m: &Mount| Served { dialect: m.realm.name(), port: m.port, base: m.base.clone() };
        let page = files::page_of(&config.mounts.iter().map(served).collect::<Vec<_>>());
        Ok(Self { desk, trust, gateway, listens, page, store_name, started: clock.now(), _lock: lock })
    }

    fn router(&self, config: &Config, listens: &Listens, stopping: &Arc<AtomicBool>) -> Router {
        let mut contracts = listens.sockets.router();
        for mount in &listens.mounts {
            // Only the REST paths: long polls and WebSockets last.
            let late = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, config.limits.request);
            // A path may end with a slash, as Express allows.
            let contract = NormalizePath::trim_trailing_slash(self.contract(config, mount.realm).layer(late));
            contracts = match mount.base.as_str() {
                "/" => contracts.fallback_service(contract),
                base => contracts.nest_service(base, contract),
            };
        }
        let files = files::client_router(&config.socket_io_client_dir);
        let probes = probes::router(Probes { desk: Arc::clone(&self.desk), stopping: Arc::clone(stopping) });
        let documents = if config.mode == Mode::Production { Router::new() } else { files::documents_router() };
        contracts.layer(cors(Arc::clone(&self.trust))).merge(files).merge(documents).merge(probes).layer(CatchPanicLayer::new())
    }

    /// The REST paths of a contract.
    fn contract(&self, config: &Config, realm: Realm) -> Router {
        match realm {
            Realm::Support => rest::router(Rest {
                desk: Arc::clone(&self.desk),
                trust: Arc::clone(&self.trust),
                environment: config.mode.name(),
                started: self.started,
                page: Arc::clone(&self.page),
            }),
        }
    }
}

/// The Socket.IO services of all listeners, with their contracts mounted.
fn listens(config: &Config, desk: &Arc<Desk>, gateway: &Arc<Gateway>, trust: &Arc<Trust>) -> Vec<Listens> {
    let limits =
        Limits { max_message_bytes: config.limits.message_bytes, sockets_per_address: PerAddress::new(config.limits.connections_per_ip) };
    let mut all = Vec::new();
    for (_, mounts) in by_port(config) {
        let mut sockets = Sockets::new(gateway, Arc::clone(trust), limits.clone());
        for mount in &mounts {
            sockets.mount(desk, &dialect::of(mount.realm), &mount.base);
        }
        all.push(Listens { sockets, mounts: mounts.into_iter().cloned().collect() });
    }
    gateway.attach(all.iter().map(|l| &l.sockets));
    all
}

/// An open store.
struct Opened {
    store: Arc<dyn Store>,
    name: &'static str,
    /// Held while this process uses the data folder.
    lock: Option<File>,
}

/// Makes sure that no other process serves from this folder: its sockets would not hear of what this one stores.
fn lock(folder: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(folder)?;
    let file = File::create(folder.join("helpline.lock"))?;
    file.try_lock().context("another server uses this folder; stop it, or give each a folder of its own (DATA_DIR)")?;
    Ok(file)
}

async fn open_store(config: &Config) -> anyhow::Result<Opened> {
    match &config.store {
        StoreConfig::Embedded => {
            let folder = &config.data_dir;
            let place = || format!("cannot open the database in {} (DATA_DIR)", folder.display());
            let lock = lock(folder).with_context(place)?;
            let store = Sqlite::open(folder).await.with_context(place)?;
            Ok(Opened { store: Arc::new(store), name: "embedded", lock: Some(lock) })
        }
        StoreConfig::MongoDb { uri, database } => {
            let store = mongo::open(uri.expose(), Some(database)).await.context("cannot open the database (MONGODB_URI)")?;
            Ok(Opened { store: Arc::new(store), name: "mongodb", lock: None })
        }
    }
}

async fn authority(config: &Config, store: &dyn Store, clock: &SystemClock) -> anyhow::Result<Auth> {
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
        legacy_tokens_until: config.legacy_tokens_until.unwrap_or(first_start.plus_ms(LEGACY_TOKENS_MS)),
    }))
}

fn trust(config: &Config) -> Trust {
    Trust::new(Rules {
        networks: config.trusted_networks.clone(),
        proxies: config.trusted_proxies.clone(),
        hosts: config.trusted_hosts.clone(),
        origins: config.origins.listed.clone(),
        any_origin: config.origins.any,
        loopback_origins: config.mode != Mode::Production,
    })
}

/// Allowed origins are reflected, with credentials (collision R12).
fn cors(trust: Arc<Trust>) -> CorsLayer {
    let allowed = move |origin: &HeaderValue, parts: &Parts| origin.to_str().is_ok_and(|o| trust.admits_origin(o, &parts.headers));
    let custom = ["x-api-key", "x-session-id"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION].into_iter().chain(custom).collect::<Vec<_>>())
}

/// Mends what a crash left, at start and from time to time. Never ends by itself.
async fn repair_forever(desk: Arc<Desk>) {
    let mut due = tokio::time::interval(REPAIR_EVERY);
    loop {
        due.tick().await;
        if let Err(error) = desk.repair(Realm::Support).await {
            tracing::warn!(%error, "a repair pass did not finish; the next one does the rest");
        }
    }
}
