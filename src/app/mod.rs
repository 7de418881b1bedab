//! The composition root: builds every part from the configuration and runs them until the server is told to stop. Decides nothing.

mod metrics;
mod origins;
mod parts;
mod upkeep;

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use futures_util::future::{join_all, try_join, try_join_all};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePath;
use tower_http::timeout::TimeoutLayer;

use crate::auth::password::Hasher;
use crate::cluster::Traffic;
use crate::config::{Config, Mode, Mount};
use crate::dialect::{self, Context, operators, rooms, support, widget};
use crate::domain::desk::{Desk, NewAccount, Policy, Ports, Watch};
use crate::domain::error::Error;
use crate::domain::ports::Announce;
use crate::domain::principal::Realm;
use crate::domain::time::{Clock, SystemClock, Timestamp};
use crate::http::files::{self, Served};
use crate::http::probes::{self, Probes};
use crate::http::serve::{Bounds, WatchedListener, listen, serve};
use crate::http::slots::slots;
use crate::http::trust::Trust;
use crate::limit::PerAddress;
use crate::shutdown::Shutdown;
use crate::socket::{Gateway, Limits, Sockets, Way};
use crate::webhook::Webhook;

use origins::cors;
use parts::{Cluster, Opened, authority, cluster, open_store, trust};

pub use crate::import::Origin;
pub use parts::{Use, back_up, desk_over, take_over, with_desk};

/// Over what part of `SHUTDOWN_SECONDS` sockets are sent to other nodes.
const DRAIN_SHARE: f64 = 0.6;

/// How long a request with a file may take. A client that stops sending is given up on much sooner.
const UPLOAD_LIMIT: Duration = Duration::from_secs(600);

/// Runs the server until `shutdown` begins and the connections have had their time.
///
/// # Errors
/// Whatever keeps it from starting: an address, the data folder, the database.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut listeners = Vec::new();
    for (port, _) in by_port(&config) {
        let address = SocketAddr::new(config.host, port.unwrap_or(config.port));
        let listener = listen(address);
        listeners.push(listener.with_context(|| format!("cannot listen on {address} (HOST, PORT, MOUNTS)"))?);
    }
    let metrics_listener = config.metrics.map(metrics::listen_on).transpose()?;
    let node = Node::build(&config).await?;
    let stopping = Arc::new(AtomicBool::new(false));
    let limits = &config.limits;
    let bounds = Bounds { write_stall: limits.write_stall, head: limits.header, slots: slots(limits.connections) };
    let mut served = Vec::new();
    if let Some(listener) = metrics_listener {
        tracing::info!("metrics on http://{}/metrics", listener.local_addr()?);
        served.push((WatchedListener::new(listener, metrics::bounds(&bounds)), metrics::router(node.observed(&bounds.slots))));
    }
    for (listener, listens) in listeners.into_iter().zip(&node.listens) {
        tracing::info!(store = node.store_name, mode = config.mode.name(), "listening on http://{}", listener.local_addr()?);
        served.push((WatchedListener::new(listener, bounds.clone()), node.router(&config, listens, &stopping)));
    }
    // Until its sockets have gone a node answers requests, and says that it is about to stop.
    let (drained, is_drained) = Shutdown::new();
    let serving = served.into_iter().map(|(listener, router)| {
        let told = is_drained.clone();
        serve(listener, router, async move { told.signalled().await })
    });
    if let Some(open) = config.open_acts() {
        tracing::warn!("{open}");
    }
    let closing = async {
        shutdown.signalled().await;
        let window = if node.gateway.has_others() { config.shutdown.mul_f64(DRAIN_SHARE) } else { Duration::ZERO };
        tracing::info!(
            window_ms = u64::try_from(window.as_millis()).unwrap_or(0),
            "stopping; sockets are sent to other nodes over the window"
        );
        stopping.store(true, Ordering::Relaxed);
        if !window.is_zero() {
            join_all(node.listens.iter().map(|l| l.sockets.drain(window))).await;
        }
        drained.begin();
        join_all(node.listens.iter().map(|l| l.sockets.close())).await;
        Ok(())
    };
    let overdue = async {
        shutdown.signalled().await;
        tokio::time::timeout(config.shutdown, std::future::pending::<()>()).await
    };
    tokio::select! {
        served = try_join(try_join_all(serving), closing) => drop(served.context("a listener failed")?),
        _ = overdue => tracing::warn!("connections were still open at the end of SHUTDOWN_SECONDS"),
        () = upkeep::keep(&node, &config.presence) => {}
    }
    upkeep::catch_up_lists(&node.desk).await;
    if let Err(error) = node.desk.give_up_watch().await {
        tracing::warn!(%error, "other nodes take this one for alive until its lease ends");
    }
    node.desk.close().await;
    node.say_stopped();
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
    /// What went over Redis, where there is one.
    traffic: Option<Arc<Traffic>>,
    listens: Vec<Listens>,
    page: Arc<str>,
    store_name: &'static str,
    started: Timestamp,
    /// Held while this process has the data folder for itself.
    lock: Option<File>,
}

/// What one listener serves.
struct Listens {
    sockets: Sockets,
    mounts: Vec<Mount>,
}

impl Node {
    async fn build(config: &Config) -> anyhow::Result<Self> {
        let clock = SystemClock;
        let started = clock.now();
        let Opened { store, name: store_name, lock } = open_store(config, Use::Alone).await?;
        let authority = Arc::new(authority(config, store.as_ref(), &clock).await?);
        let cluster = cluster(config, store.as_ref(), &clock).await?;
        let gateway = Gateway::new(Arc::clone(&store), Arc::clone(&cluster.bus), started);
        let ports = Ports {
            store,
            announce: announce(config, &gateway)?,
            authority,
            passwords: Arc::new(Hasher::default()),
            clock: Arc::new(clock),
        };
        let policy = Policy { posts_per_minute: config.limits.messages_per_minute, contracts: config.contracts };
        let desk = Arc::new(Desk::new(ports, policy));
        desk.seed_agents(Realm::Support).await.context("cannot store the default agents")?;
        first_admin(config, &desk).await?;
        desk.show_life().await.context("cannot note that this node is there")?;
        desk.keep_watch(&mut Watch::new(lock.is_some(), u32::MAX)).await.context("cannot note which nodes are there")?;
        desk.miss_the_absent().await.context("cannot note who is not connected any more")?;
        let trust = Arc::new(trust(config));
        let listens = listens(config, &cluster, &desk, &gateway, &trust);
        let served = |m: &Mount| Served { dialect: m.realm.name(), port: m.port, base: m.base.clone() };
        let page = files::page_of(&config.mounts.iter().map(served).collect::<Vec<_>>());
        let traffic = cluster.traffic;
        Ok(Self { desk, trust, gateway, traffic, listens, page, store_name, started, lock })
    }

    /// What metrics are read from.
    fn observed(&self, slots: &Arc<Semaphore>) -> metrics::Observed {
        metrics::Observed {
            desk: Arc::clone(&self.desk),
            gateway: Arc::clone(&self.gateway),
            traffic: self.traffic.clone(),
            slots: Arc::clone(slots),
            started: self.started,
        }
    }

    /// Logs the end, with what was counted.
    fn say_stopped(&self) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        if let Some(traffic) = &self.traffic {
            let (said, unsaid, heard, cuts) = (count(&traffic.said), count(&traffic.unsaid), count(&traffic.heard), count(&traffic.cuts));
            tracing::info!(redis.said = said, redis.unsaid = unsaid, redis.heard = heard, redis.cuts = cuts, "what went over Redis");
        }
        let tally = self.gateway.tally();
        tracing::info!(emits.full = count(&tally.full), emits.gone = count(&tally.gone), "stopped");
    }

    /// Whether no other process can serve from this store.
    fn is_alone(&self) -> bool {
        self.lock.is_some()
    }

    fn router(&self, config: &Config, listens: &Listens, stopping: &Arc<AtomicBool>) -> Router {
        let mut contracts = listens.sockets.router();
        for mount in &listens.mounts {
            // Only the REST paths: long polls and WebSockets last.
            let late = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, config.limits.request);
            // A path may end with a slash, as Express allows.
            let contract = self.contract(config, mount).layer(late).merge(self.uploads(config, mount));
            let contract = NormalizePath::trim_trailing_slash(contract);
            contracts = match mount.base.as_str() {
                "/" => contracts.fallback_service(contract),
                base => contracts.nest_service(base, contract),
            };
        }
        let files = files::client_router(&config.socket_io_client_dir);
        let probes = probes::router(Probes { desk: Arc::clone(&self.desk), stopping: Arc::clone(stopping) });
        let documents = if config.mode == Mode::Production { Router::new() } else { files::documents_router() };
        contracts
            .layer(cors(Arc::clone(&self.trust), &listens.mounts))
            .merge(files)
            .merge(documents)
            .merge(probes)
            .layer(CatchPanicLayer::new())
    }

    /// What the REST handlers of a contract work with.
    fn context(&self, config: &Config, mount: &Mount) -> Context {
        Context {
            base: mount.base.trim_end_matches('/').into(),
            desk: Arc::clone(&self.desk),
            trust: Arc::clone(&self.trust),
            environment: config.mode.name(),
            attachment_bytes: config.limits.attachment_bytes,
            started: self.started,
            page: Arc::clone(&self.page),
        }
    }

    /// The REST paths of a contract that take files, which takes longer.
    fn uploads(&self, config: &Config, mount: &Mount) -> Router {
        let late = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, UPLOAD_LIMIT);
        match mount.realm {
            Realm::Rooms => rooms::rest::uploads(self.context(config, mount)).layer(late),
            Realm::Support | Realm::Operators | Realm::Widget => Router::new(),
        }
    }

    /// The REST paths of a contract.
    fn contract(&self, config: &Config, mount: &Mount) -> Router {
        let context = self.context(config, mount);
        match mount.realm {
            Realm::Rooms => rooms::rest::router(context),
            Realm::Support => support::rest::router(context),
            Realm::Operators => operators::rest::router(context),
            Realm::Widget => widget::rest::router(context),
        }
    }
}

/// Where events go: to the sockets, and to the company's own address where one is configured.
fn announce(config: &Config, gateway: &Arc<Gateway>) -> anyhow::Result<Arc<dyn Announce>> {
    let sockets = Arc::clone(gateway) as Arc<dyn Announce>;
    match &config.notification_url {
        Some(url) => Ok(Arc::new(Webhook::new(sockets, url).context("cannot use ADMIN_NOTIFICATION_URL")?)),
        None => Ok(sockets),
    }
}

/// Makes the account of `ADMIN_EMAIL` and `ADMIN_PASSWORD` where there is none.
async fn first_admin(config: &Config, desk: &Desk) -> anyhow::Result<()> {
    let Some(admin) = &config.first_admin else { return Ok(()) };
    let is_mounted = |realm: &Realm| config.mounts.iter().any(|m| m.realm == *realm);
    for realm in Realm::ALL.into_iter().filter(|r| r.has_accounts()).filter(is_mounted) {
        match desk.create_account(NewAccount::of_staff(realm, &admin.email, admin.password.expose(), None)).await {
            Ok(account) => tracing::info!(account.id = %account.id, contract = realm.name(), "the account of ADMIN_EMAIL was created"),
            Err(Error::AccountExists) => {}
            Err(error) => return Err(error).context("cannot create the account of ADMIN_EMAIL"),
        }
    }
    Ok(())
}

/// The Socket.IO services of all listeners, with their contracts mounted.
fn listens(config: &Config, cluster: &Cluster, desk: &Arc<Desk>, gateway: &Arc<Gateway>, trust: &Arc<Trust>) -> Vec<Listens> {
    let limits =
        Limits { max_message_bytes: config.limits.message_bytes, sockets_per_address: PerAddress::new(config.limits.connections_per_ip) };
    let mut all = Vec::new();
    for (n, (_, mounts)) in by_port(config).into_iter().enumerate() {
        let way = Way { signals: cluster.signals.clone(), prefix: format!("helpline:{}:listener{n}", cluster.name) };
        let any_origin = mounts.iter().any(|m| origins::is_open(m.realm));
        let mut sockets = Sockets::new(gateway, way, Arc::clone(trust), limits.clone(), any_origin);
        for mount in &mounts {
            sockets.mount(desk, &dialect::of(mount.realm), &mount.base);
        }
        all.push(Listens { sockets, mounts: mounts.into_iter().cloned().collect() });
    }
    gateway.attach(all.iter().map(|l| &l.sockets));
    all
}
