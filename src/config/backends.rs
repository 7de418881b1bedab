//! Which store and which Redis the variables mean, and what to say about combinations that cannot be meant. Connects to nothing.

use std::time::Duration;

use super::reader::Reader;
use super::values::{after_scheme, host_name, percent_encoded};
use super::{Mode, Store, vars};
use crate::secret::Secret;

const REDIS: &[&str] = &["redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"];

const MONGODB: &[&str] = &["mongodb", "mongodb+srv"];

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Wish {
    /// `STORE` is not set.
    #[default]
    None,
    Embedded,
    MongoDb,
}

/// The store. An explicit `STORE` decides; else a MongoDB URL does; else the embedded one is used, in production only where nothing hints at
/// another database.
pub(super) fn store(reader: &mut Reader<'_>, mode: Mode) -> Store {
    let wish = wish(reader);
    let url = mongodb_url(reader);
    let has_name = reader.given(&vars::MONGODB_DB).is_some();
    match (wish, url) {
        (Wish::None | Wish::MongoDb, Some(url)) => {
            let database = database(reader, &url);
            Store::MongoDb { uri: Secret::new(url), database }
        }
        (Wish::MongoDb, None) => {
            if reader.given(&vars::MONGODB_URI).is_none() {
                reader.refuse_because(&vars::MONGODB_URI, "a mongodb:// or mongodb+srv:// URL, because STORE=mongodb");
            }
            Store::Embedded
        }
        (Wish::Embedded, url) => {
            if url.is_some() || has_name {
                reader.warn("STORE=embedded: the settings for MongoDB are not used");
            }
            Store::Embedded
        }
        (Wish::None, None) => {
            if has_name && reader.given(&vars::MONGODB_URI).is_none() {
                reader.refuse_because(&vars::MONGODB_DB, "MONGODB_URI beside it, because a database needs a server");
            }
            other_databases(reader, mode);
            Store::Embedded
        }
    }
}

fn wish(reader: &mut Reader<'_>) -> Wish {
    if reader.given(&vars::STORE).is_none() {
        return Wish::None;
    }
    let parse = |text: &str| match text {
        "embedded" => Some(Wish::Embedded),
        "mongodb" => Some(Wish::MongoDb),
        _ => None,
    };
    reader.parsed(&vars::STORE, parse).unwrap_or_default()
}

/// `MONGODB_URI`, else `DATABASE_URL` if it is a MongoDB URL.
fn mongodb_url(reader: &mut Reader<'_>) -> Option<String> {
    let parse = |text: &str| after_scheme(text, MONGODB).map(|_| text.to_owned());
    if reader.given(&vars::MONGODB_URI).is_some() {
        return reader.parsed(&vars::MONGODB_URI, parse);
    }
    reader.given(&vars::DATABASE_URL).and_then(|text| parse(&text))
}

fn database(reader: &mut Reader<'_>, url: &str) -> String {
    let parse = |text: &str| (text.len() <= 63 && !text.contains(['/', '\\', '.', ' ', '"', '$', '\0'])).then(|| text.to_owned());
    if reader.given(&vars::MONGODB_DB).is_some() {
        return reader.parsed(&vars::MONGODB_DB, parse).unwrap_or_default();
    }
    let path = after_scheme(url, MONGODB).and_then(|rest| rest.split_once('/')).map_or("", |(_, path)| path);
    let name = path.split('?').next().unwrap_or_default();
    if name.is_empty() { "helpline".to_owned() } else { name.to_owned() }
}

/// Hints at an SQL database: a warning, in production a problem, since data would land where nobody looks for it.
fn other_databases(reader: &mut Reader<'_>, mode: Mode) {
    for var in [&vars::DATABASE_URL, &vars::DB_HOST] {
        let Some((name, _)) = reader.given_as(var) else { continue };
        if mode == Mode::Production {
            reader.refuse(var);
        } else {
            reader.warn(format!("{name} names a database that this server does not use: sessions are kept in DATA_DIR"));
        }
    }
}

/// The Redis URL: `REDIS_URL`, or one made of host, port, password and number. With a warning where it is of no use.
pub(super) fn redis(reader: &mut Reader<'_>, store: &Store) -> Option<Secret> {
    let whole = |text: &str| after_scheme(text, REDIS).map(|_| text.to_owned());
    let url = if reader.given(&vars::REDIS_URL).is_some() {
        reader.parsed(&vars::REDIS_URL, whole)
    } else if reader.given(&vars::REDIS_HOST).is_some() {
        redis_of_parts(reader)
    } else {
        for var in [&vars::REDIS_PORT, &vars::REDIS_PASSWORD, &vars::REDIS_DB] {
            if reader.given(var).is_some() {
                reader.warn(format!("{} is not used without REDIS_HOST", var.name));
            }
        }
        None
    };
    if url.is_some() && *store == Store::Embedded {
        reader.warn("Redis is not used: nodes cannot share the embedded store, so this server runs alone");
    }
    url.map(Secret::new)
}

/// For how long people count as present of whom nothing is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// `PRESENCE_LEASE_SECONDS`.
    pub lease: Duration,
    /// `AGENT_GRACE_SECONDS`.
    pub grace: Duration,
}

pub(super) fn presence(reader: &mut Reader<'_>) -> Presence {
    Presence {
        lease: Duration::from_secs(reader.number(&vars::PRESENCE_LEASE_SECONDS, 1..=3_600)),
        grace: Duration::from_secs(reader.number(&vars::AGENT_GRACE_SECONDS, 1..=1_000_000)),
    }
}

fn redis_of_parts(reader: &mut Reader<'_>) -> Option<String> {
    let host = reader.parsed(&vars::REDIS_HOST, redis_host);
    let port: u16 = reader.number(&vars::REDIS_PORT, 1..=65_535);
    let number: u16 = reader.number(&vars::REDIS_DB, 0..=65_535);
    let password = reader.given(&vars::REDIS_PASSWORD).map(|p| format!(":{}@", percent_encoded(&p))).unwrap_or_default();
    host.map(|host| format!("redis://{password}{host}:{port}/{number}"))
}

/// A host name or address; a bare IPv6 address gets its brackets.
fn redis_host(text: &str) -> Option<String> {
    text.parse::<std::net::Ipv6Addr>().map_or_else(|_| host_name(text), |ip| Some(format!("[{ip}]")))
}
