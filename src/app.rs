//! The composition root: builds every part from the configuration and runs them until the server is told to stop. Decides nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header, request::Parts};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::auth::{self, Auth};
use crate::cluster::bus::LocalBus;
use crate::config::{Config, Mode, Store as StoreConfig};
use crate::dialect::support::Support;
use crate::dialect::support::rest::{self, Rest};
use crate::domain::desk::{Desk, Ports};
use crate::domain::principal::Realm;
use crate::domain::store::Store;
use crate::domain::time::{Clock, SystemClock};
use crate::http::files;
use crate::http::probes::{self, Probes};
use crate::http::serve::{WatchedListener, serve};
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
/// Whatever keeps it from starting: the address, the data folder, the database.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let address = SocketAddr::new(config.host, config.port);
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} (HOST, PORT)"))?;
    let node = Node::build(&config).await?;
    let stopping = Arc::new(AtomicBool::new(false));
    let router = node.router(&config, Arc::clone(&stopping));
    let listener_address = listener.local_addr()?;
    let repairs = repair_forever(Arc::clone(&node.desk));
    tracing::info!(store = node.store_name, mode = config.mode.name(), "listening on http://{listener_address}");
    if let Some(open) = config.open_acts() {
        tracing::warn!("{open}");
    }
    let told = shutdown.clone();
    let stop = async move { told.signalled().await };
    let serving = serve(WatchedListener::new(listener, config.limits.write_stall), router, stop);
    let closing = async {
        shutdown.signalled().await;
        tracing::info!("stopping");
        stopping.store(true, Ordering::Relaxed);
        node.sockets.close().await;
        tokio::time::timeout(config.shutdown, std::future::pending::<()>()).await
    };
    tokio::select! {
        served = serving => served.context("the listener failed")?,
        _ = closing => tracing::warn!("connections were still open at the end of SHUTDOWN_SECONDS"),
        () = repairs => {}
    }
    let errors = node.sockets.emit_errors();
    let (full, gone) = (errors.full.load(Ordering::Relaxed), errors.gone.load(Ordering::Relaxed));
    tracing::info!(emits.full = full, emits.gone = gone, "stopped");
    Ok(())
}

/// The parts of a running node.
struct Node {
    desk: Arc<Desk>,
    trust: Arc<Trust>,
    sockets: Sockets,
    store_name: &'static str,
    clock: SystemClock,
}

impl Node {
    async fn build(config: &Config) -> anyhow::Result<Self> {
        let clock = SystemClock;
        let (store, store_name) = open_store(config).await?;
        let authority = Arc::new(authority(config, store.as_ref(), &clock).await?);
        let gateway = Gateway::new(Arc::clone(&store), Arc::new(LocalBus::default()));
        let ports = Ports { store, announce: Arc::clone(&gateway) as _, authority, clock: Arc::new(clock) };
        let desk = Arc::new(Desk::new(ports, config.limits.messages_per_minute));
        desk.seed_agents(Realm::Support).await.context("cannot store the default agents")?;
        let trust = Arc::new(trust(config));
        let limits = Limits {
            max_message_bytes: config.limits.message_bytes,
            sockets_per_address: PerAddress::new(config.limits.connections_per_ip),
        };
        let sockets = Sockets::mount(Arc::clone(&desk), &gateway, Arc::new(Support), Arc::clone(&trust), limits);
        Ok(Self { desk, trust, sockets, store_name, clock })
    }

    fn router(&self, config: &Config, stopping: Arc<AtomicBool>) -> Router {
        let rest = Rest {
            desk: Arc::clone(&self.desk),
            trust: Arc::clone(&self.trust),
            environment: config.mode.name(),
            started: self.clock.now(),
        };
        let contract = rest::router(rest).merge(self.sockets.router()).layer(cors(Arc::clone(&self.trust)));
        let files = files::client_router(&config.socket_io_client_dir);
        let probes = probes::router(Probes { desk: Arc::clone(&self.desk), stopping });
        let documents = if config.mode == Mode::Production { Router::new() } else { files::documents_router() };
        contract.merge(files).merge(documents).merge(probes).layer(CatchPanicLayer::new())
    }
}

async fn open_store(config: &Config) -> anyhow::Result<(Arc<dyn Store>, &'static str)> {
    match &config.store {
        StoreConfig::Embedded => {
            let folder = &config.data_dir;
            let store =
                Sqlite::open(folder).await.with_context(|| format!("cannot open the database in {} (DATA_DIR)", folder.display()))?;
            Ok((Arc::new(store), "embedded"))
        }
        StoreConfig::MongoDb { uri, database } => {
            let store = mongo::open(uri.expose(), Some(database)).await.context("cannot open the database (MONGODB_URI)")?;
            Ok((Arc::new(store), "mongodb"))
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
