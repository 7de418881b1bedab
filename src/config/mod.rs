//! The configuration: read once from the environment and `.env` into types, with every problem reported together. The only place that reads
//! variables; it opens nothing and knows no types but the domain's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::habits::Contracts;
use crate::domain::ports::SignUp;
use crate::domain::principal::Realm;
use crate::domain::time::Timestamp;
use crate::secret::Secret;

mod admins;
mod backends;
mod dotenv;
mod environment;
mod logs;
mod mounts;
mod reader;
mod report;
mod summary;
mod values;
pub mod vars;

pub use admins::FirstAdmin;
pub use backends::Presence;
pub use logs::{Log, LogFormat};
pub use mounts::Mount;
pub use report::{Problem, Problems, Warning};

use reader::Reader;

/// All that can be configured. Secrets in it print as `***`.
#[derive(Clone, Debug)]
pub struct Config {
    /// `NODE_ENV`.
    pub mode: Mode,
    /// `HOST`: the address to listen on.
    pub host: IpAddr,
    /// `PORT`; 0 takes a free one.
    pub port: u16,
    /// `SHUTDOWN_SECONDS`: how long connections may take to finish.
    pub shutdown: Duration,
    /// `MOUNTS`: the contracts and their addresses.
    pub mounts: Vec<Mount>,
    /// `CROSS_CONTRACT`.
    pub contracts: Contracts,
    /// `SOCKET_IO_CLIENT_DIR`: the folder with `socket.io.js`.
    pub socket_io_client_dir: PathBuf,
    /// `FRONTEND_URL`, `FRONTEND_URLS` and `CORS_ORIGIN`.
    pub origins: Origins,
    /// `JWT_SECRET`. Always present in production; `None` elsewhere means the one generated into [`Config::data_dir`].
    pub jwt_secret: Option<Secret>,
    /// `API_KEY`; `None` means that no key is accepted.
    pub api_key: Option<Secret>,
    /// `VISITOR_TOKENS=open`: visitors' tokens are issued to anybody who asks.
    pub visitor_tokens_open: bool,
    /// `ALLOW_ANONYMOUS`: trusted peers may open sockets without a credential.
    pub allow_anonymous: bool,
    /// `ADMIN_SIGNUP`.
    pub sign_up: SignUp,
    /// `ADMIN_EMAIL` and `ADMIN_PASSWORD` together: the account to be made at the start where there is none of this address.
    pub first_admin: Option<FirstAdmin>,
    /// `ADMIN_PASSWORD`, also without the address: the command line makes accounts with it.
    pub admin_password: Option<Secret>,
    /// `ADMIN_NOTIFICATION_URL`, which may hold a token.
    pub notification_url: Option<Secret>,
    /// `LEGACY_TOKENS_UNTIL`; `None` means 30 days after the first start.
    pub legacy_tokens_until: Option<Timestamp>,
    /// `TRUSTED_NETWORKS`: host bits are cleared.
    pub trusted_networks: Vec<IpNet>,
    /// `TRUSTED_PROXIES`: host bits are cleared.
    pub trusted_proxies: Vec<IpNet>,
    /// `TRUSTED_HOSTS`: lower case, without ports; loopback names are not among them.
    pub trusted_hosts: Vec<String>,
    /// Where sessions are kept.
    pub store: Store,
    /// `DATA_DIR`.
    pub data_dir: PathBuf,
    /// `REDIS_URL`, or the URL made of `REDIS_HOST`, `_PORT`, `_PASSWORD` and `_DB`.
    pub redis_url: Option<Secret>,
    /// For how long people count as present.
    pub presence: Presence,
    /// What callers may use.
    pub limits: Limits,
    /// The logs.
    pub log: Log,
    /// `METRICS_ADDR`; `None` means that nothing listens there.
    pub metrics: Option<SocketAddr>,
}

/// What the server is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One developer's machine, which is trusted.
    #[default]
    Development,
    /// The open network: nobody is trusted unless it is said.
    Production,
    /// A test run; as development.
    Test,
}

impl Mode {
    /// As `NODE_ENV` says it, and as health answers show it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Development => "development",
            Mode::Production => "production",
            Mode::Test => "test",
        }
    }
}

/// Which web pages may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// The origins that are allowed, as browsers send them, each once.
    pub listed: Vec<String>,
    /// `*`: any page may call. Such a page is admitted, but never borrows the trust of a network; only listed ones do. Never in production.
    pub any: bool,
}

/// Where sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A file in [`Config::data_dir`].
    Embedded,
    /// A MongoDB server.
    MongoDb {
        /// Its URL, which may hold a password.
        uri: Secret,
        /// The database: `MONGODB_DB`, else the one the URL names, else `helpline`.
        database: String,
    },
}

/// What callers may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `MAX_CONNECTIONS_PER_IP`; `None` is no limit.
    pub connections_per_ip: Option<u32>,
    /// `MAX_CONNECTIONS` of everybody together; 0 is as many as the open files allow.
    pub connections: usize,
    /// `MAX_MESSAGE_BYTES`: the largest frame of a socket.
    pub message_bytes: usize,
    /// `MAX_ATTACHMENT_BYTES`: the largest attachment.
    pub attachment_bytes: u64,
    /// `MESSAGES_PER_MINUTE` of one visitor; `None` is no limit.
    pub messages_per_minute: Option<u32>,
    /// `HEADER_TIMEOUT_SECONDS`: how long the head of a request may take.
    pub header: Duration,
    /// `REQUEST_TIMEOUT_SECONDS`: how long a REST request may take.
    pub request: Duration,
    /// `WRITE_STALL_SECONDS`: how long a write may make no progress.
    pub write_stall: Duration,
}

impl Config {
    /// Reads the environment and the file `.env` of the working folder, once. The environment wins, even with an empty value.
    pub fn from_env() -> Result<(Self, Vec<Warning>), Problems> {
        let environment = environment::read()?;
        let (config, mut warnings) = Self::read(&|name| environment.values.get(name).cloned())?;
        warnings.splice(0..0, environment.warnings);
        Ok((config, warnings))
    }

    /// Reads what `lookup` knows of each variable; nothing else is asked. An empty or blank value counts as not set.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<(Self, Vec<Warning>), Problems> {
        let mut reader = Reader::new(lookup);
        let r = &mut reader;
        let mode = mode(r);
        let store = backends::store(r, mode);
        let admin_password = admins::password(r, mode);
        let mounts = mounts::mounts(r);
        let contracts = choice(r, &vars::CROSS_CONTRACT, &[("on", Contracts::Together), ("off", Contracts::Apart)]);
        let reaches_others = contracts == Contracts::Together && mounts.iter().any(|m| !m.realm.lets_agents_sign_up());
        let config = Self {
            mode,
            host: host(r, mode),
            port: r.number(&vars::PORT, 0..=65_535),
            shutdown: Duration::from_secs(r.number(&vars::SHUTDOWN_SECONDS, 0..=600)),
            mounts,
            contracts,
            socket_io_client_dir: r.text(&vars::SOCKET_IO_CLIENT_DIR).into(),
            origins: origins(r, mode),
            jwt_secret: jwt_secret(r, mode),
            api_key: api_key(r, mode),
            visitor_tokens_open: choice(r, &vars::VISITOR_TOKENS, &[("open", true), ("key", false)]),
            allow_anonymous: r.parsed(&vars::ALLOW_ANONYMOUS, values::truth).unwrap_or_default(),
            sign_up: admins::sign_up(r, mode, reaches_others),
            first_admin: admins::first(r, admin_password.as_ref()),
            admin_password,
            notification_url: r.parsed(&vars::ADMIN_NOTIFICATION_URL, values::web_address).map(Secret::new),
            legacy_tokens_until: r.parsed(&vars::LEGACY_TOKENS_UNTIL, values::moment),
            trusted_networks: trusted_networks(r, mode),
            trusted_proxies: networks(r, &vars::TRUSTED_PROXIES, ""),
            trusted_hosts: hosts(r),
            redis_url: backends::redis(r, &store),
            store,
            data_dir: r.text(&vars::DATA_DIR).into(),
            presence: backends::presence(r),
            limits: limits(r),
            log: logs::log(r),
            metrics: r.parsed(&vars::METRICS_ADDR, values::address_and_port),
        };
        config.warn_of_odd_sets(r);
        reader.finish(config)
    }

    /// What anybody, or anybody near, may do without a credential, as one sentence for the start; `None` where nothing is open.
    pub fn open_acts(&self) -> Option<String> {
        let mut open = Vec::new();
        if !self.trusted_networks.is_empty() {
            let near = self.trusted_networks.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ");
            open.push(format!(
                "peers in {near} get tokens of agents and systems without the API key and are not counted by limits (TRUSTED_NETWORKS)"
            ));
            if let Some(answered) = self.answered_by(Realm::admits_guests) {
                open.push(format!("they answer visitors of {answered} without a credential (TRUSTED_NETWORKS)"));
            }
            if self.allow_anonymous {
                open.push("they open sockets without a credential and act there for anybody (ALLOW_ANONYMOUS)".to_owned());
            }
        }
        if self.visitor_tokens_open {
            open.push("anybody may get a token for any visitor's id (VISITOR_TOKENS)".to_owned());
        }
        let who = match self.sign_up {
            SignUp::Open => Some("anybody may sign up as somebody"),
            SignUp::First => Some("the first who signs up is somebody"),
            SignUp::Closed => None,
        };
        if let (Some(who), Some(answered)) = (who, self.answered_by(Realm::lets_agents_sign_up)) {
            open.push(format!("{who} who answers in {answered} (ADMIN_SIGNUP)"));
        }
        if self.origins.any {
            open.push("web pages of any origin may call (CORS_ORIGIN)".to_owned());
        }
        (!open.is_empty()).then(|| format!("open in {}: {}", self.mode.name(), open.join("; ")))
    }

    /// The contracts whose visitors are answered by those who answer in such a one, as far as it is served; `None` where none is.
    fn answered_by(&self, such: fn(Realm) -> bool) -> Option<String> {
        let served = |r: &Realm| self.mounts.iter().any(|m| m.realm == *r);
        let (their, others): (Vec<Realm>, Vec<Realm>) = Realm::ALL.into_iter().filter(served).partition(|r| such(*r));
        let others = if self.contracts == Contracts::Together { others } else { Vec::new() };
        let named = |realms: &[Realm]| realms.iter().map(|r| r.name()).collect::<Vec<_>>().join(" and ");
        let more = if others.is_empty() { String::new() } else { format!(" (and by CROSS_CONTRACT {})", named(&others)) };
        (!their.is_empty()).then(|| named(&their) + &more)
    }

    fn warn_of_odd_sets(&self, reader: &mut Reader<'_>) {
        if self.allow_anonymous && self.trusted_networks.is_empty() {
            reader.warn("ALLOW_ANONYMOUS has no effect: TRUSTED_NETWORKS is empty");
        }
        if !self.visitor_tokens_open && self.api_key.is_none() {
            reader.warn("VISITOR_TOKENS=key without API_KEY: only trusted networks can get visitors' tokens");
        }
        if self.mode == Mode::Production && self.api_key.is_none() {
            reader.warn("API_KEY is not set: outside TRUSTED_NETWORKS nobody can get a token of an agent");
        }
        if self.mode != Mode::Production && !self.host.is_loopback() {
            reader.warn(format!("listening on {} outside production; behind a proxy or on a network set NODE_ENV=production", self.host));
        }
        if let Some(open) = self.metrics.filter(|at| !at.ip().is_loopback()) {
            reader.warn(format!("METRICS_ADDR={open}: whoever reaches this address reads the metrics; no credential is asked for"));
        }
        for (var, nets) in [(&vars::TRUSTED_NETWORKS, &self.trusted_networks), (&vars::TRUSTED_PROXIES, &self.trusted_proxies)] {
            if nets.iter().any(|net| net.prefix_len() == 0) {
                reader.warn(format!("{} holds every address there is", var.name));
            }
        }
    }
}

fn mode(reader: &mut Reader<'_>) -> Mode {
    let modes = [Mode::Development, Mode::Production, Mode::Test].map(|m| (m.name(), m));
    choice(reader, &vars::NODE_ENV, &modes)
}

/// One of a few words.
fn choice<T: Copy + Default>(reader: &mut Reader<'_>, var: &vars::Var, words: &[(&str, T)]) -> T {
    let parse = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    reader.parsed(var, parse).unwrap_or_default()
}

fn host(reader: &mut Reader<'_>, mode: Mode) -> IpAddr {
    if mode == Mode::Production && reader.given(&vars::HOST).is_none() {
        return Ipv4Addr::UNSPECIFIED.into();
    }
    reader.parsed(&vars::HOST, values::address).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

fn origins(reader: &mut Reader<'_>, mode: Mode) -> Origins {
    let mut origins = Origins::default();
    for var in [&vars::FRONTEND_URL, &vars::FRONTEND_URLS, &vars::CORS_ORIGIN] {
        let text = reader.text(var);
        let any = var.name == vars::CORS_ORIGIN.name && text.split(',').any(|item| item.trim() == "*");
        if any && mode == Mode::Production {
            reader.refuse_because(var, "the origins by name, because requests carry credentials and * would let every web page use them");
        }
        let named = |item: &str| if any && item == "*" { Some(None) } else { values::origin(item).map(Some) };
        origins.any |= any;
        origins.listed.extend(reader.list(var, &text, named).into_iter().flatten());
    }
    origins.listed.sort();
    origins.listed.dedup();
    origins
}

fn jwt_secret(reader: &mut Reader<'_>, mode: Mode) -> Option<Secret> {
    let Some(secret) = reader.given(&vars::JWT_SECRET) else {
        if mode == Mode::Production {
            reader.refuse(&vars::JWT_SECRET);
        }
        return None;
    };
    strong(reader, mode, &vars::JWT_SECRET, 32);
    Some(Secret::new(secret))
}

fn api_key(reader: &mut Reader<'_>, mode: Mode) -> Option<Secret> {
    strong(reader, mode, &vars::API_KEY, 16);
    reader.given(&vars::API_KEY).map(Secret::new)
}

/// Refuses a weak secret in production, and warns of it elsewhere.
fn strong(reader: &mut Reader<'_>, mode: Mode, var: &vars::Var, least: usize) {
    let Some(secret) = reader.given(var) else { return };
    refuse_weak(reader, mode, var, secret.chars().count() < least || values::is_placeholder(&secret));
}

fn refuse_weak(reader: &mut Reader<'_>, mode: Mode, var: &vars::Var, weak: bool) {
    if weak && mode == Mode::Production {
        reader.refuse_because(var, &format!("{}, and no text from an example", var.expected));
    } else if weak {
        reader.warn(format!("{} is weak: production would refuse it", var.name));
    }
}

fn trusted_networks(reader: &mut Reader<'_>, mode: Mode) -> Vec<IpNet> {
    let default = if mode == Mode::Production { "" } else { vars::TRUSTED_NETWORKS.default };
    let networks = networks(reader, &vars::TRUSTED_NETWORKS, default);
    if mode == Mode::Production && networks.iter().any(|net| net.prefix_len() == 0) {
        reader.refuse_because(&vars::TRUSTED_NETWORKS, "networks that hold less than every address");
    }
    networks
}

/// A list of networks, where `none` says that there are none.
fn networks(reader: &mut Reader<'_>, var: &vars::Var, default: &str) -> Vec<IpNet> {
    let text = reader.given(var).unwrap_or_else(|| default.to_owned());
    if text == "none" { Vec::new() } else { reader.list(var, &text, values::network) }
}

fn hosts(reader: &mut Reader<'_>) -> Vec<String> {
    let text = reader.text(&vars::TRUSTED_HOSTS);
    reader.list(&vars::TRUSTED_HOSTS, &text, values::host_name)
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let some = |n: u32| (n > 0).then_some(n);
    Limits {
        connections_per_ip: some(reader.number(&vars::MAX_CONNECTIONS_PER_IP, 0..=1_000_000)),
        connections: reader.number(&vars::MAX_CONNECTIONS, 0..=10_000_000),
        message_bytes: reader.number(&vars::MAX_MESSAGE_BYTES, 1_000..=100_000_000),
        attachment_bytes: reader.number(&vars::MAX_ATTACHMENT_BYTES, 0..=10_000_000_000),
        messages_per_minute: some(reader.number(&vars::MESSAGES_PER_MINUTE, 0..=1_000_000)),
        header: Duration::from_secs(reader.number(&vars::HEADER_TIMEOUT_SECONDS, 1..=3_600)),
        request: Duration::from_secs(reader.number(&vars::REQUEST_TIMEOUT_SECONDS, 1..=3_600)),
        write_stall: Duration::from_secs(reader.number(&vars::WRITE_STALL_SECONDS, 1..=3_600)),
    }
}
