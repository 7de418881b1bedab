//! The configuration as it is used, one `NAME=value` a line, for people. Secrets show as `***`.

use std::fmt;

use super::{Config, Limits, LogFormat, Store};
use crate::domain::habits::Contracts;
use crate::domain::ports::SignUp;
use crate::domain::time::Timestamp;

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|(name, value)| writeln!(f, "{name}={value}"))
    }
}

impl Config {
    /// Every variable that counts, in the order of `.env.example`; those that name the same thing in parts show under one name.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("NODE_ENV", self.mode.name().to_owned()),
            ("HOST", self.host.to_string()),
            ("PORT", self.port.to_string()),
            ("SHUTDOWN_SECONDS", self.shutdown.as_secs().to_string()),
            ("MOUNTS", list(&self.mounts)),
            ("CROSS_CONTRACT", if self.contracts == Contracts::Together { "on" } else { "off" }.to_owned()),
            ("SOCKET_IO_CLIENT_DIR", self.socket_io_client_dir.display().to_string()),
            (
                "CORS_ORIGIN",
                list(&self.origins.any.then(|| "*".to_owned()).into_iter().chain(self.origins.listed.clone()).collect::<Vec<_>>()),
            ),
            ("JWT_SECRET", self.jwt_secret.as_ref().map_or_else(|| "(kept in DATA_DIR)".to_owned(), ToString::to_string)),
            ("API_KEY", option(self.api_key.as_ref())),
            ("VISITOR_TOKENS", if self.visitor_tokens_open { "open" } else { "key" }.to_owned()),
            ("ALLOW_ANONYMOUS", self.allow_anonymous.to_string()),
            ("LEGACY_TOKENS_UNTIL", self.legacy_tokens_until.map_or_else(|| "(30 days after the first start)".to_owned(), Timestamp::iso)),
            ("ADMIN_SIGNUP", sign_up(self.sign_up).to_owned()),
            ("ADMIN_EMAIL", option(self.first_admin.as_ref().map(|a| &a.email))),
            ("ADMIN_PASSWORD", option(self.admin_password.as_ref())),
            ("ADMIN_NOTIFICATION_URL", option(self.notification_url.as_ref())),
            ("TRUSTED_NETWORKS", list(&self.trusted_networks)),
            ("TRUSTED_PROXIES", list(&self.trusted_proxies)),
            ("TRUSTED_HOSTS", list(&self.trusted_hosts)),
        ];
        lines.extend(self.storage());
        lines.extend(limits(&self.limits));
        let format = if self.log.format == LogFormat::Json { "json" } else { "text" };
        lines.push(("LOG_LEVEL", self.log.level.clone()));
        lines.push(("LOG_FORMAT", format.to_owned()));
        lines.push(("LOG_DIR", option(self.log.dir.as_ref().map(|d| d.display()))));
        lines.push(("METRICS_ADDR", option(self.metrics)));
        lines
    }

    fn storage(&self) -> [(&'static str, String); 7] {
        let (store, uri, database) = match &self.store {
            Store::Embedded => ("embedded", None, None),
            Store::MongoDb { uri, database } => ("mongodb", Some(uri), Some(database)),
        };
        [
            ("STORE", store.to_owned()),
            ("DATA_DIR", self.data_dir.display().to_string()),
            ("MONGODB_URI", option(uri)),
            ("MONGODB_DB", option(database)),
            ("REDIS_URL", option(self.redis_url.as_ref())),
            ("PRESENCE_LEASE_SECONDS", self.presence.lease.as_secs().to_string()),
            ("AGENT_GRACE_SECONDS", self.presence.grace.as_secs().to_string()),
        ]
    }
}

fn limits(limits: &Limits) -> [(&'static str, String); 8] {
    [
        ("MAX_CONNECTIONS_PER_IP", limits.connections_per_ip.unwrap_or_default().to_string()),
        ("MAX_CONNECTIONS", limits.connections.to_string()),
        ("MAX_MESSAGE_BYTES", limits.message_bytes.to_string()),
        ("MAX_ATTACHMENT_BYTES", limits.attachment_bytes.to_string()),
        ("MESSAGES_PER_MINUTE", limits.messages_per_minute.unwrap_or_default().to_string()),
        ("HEADER_TIMEOUT_SECONDS", limits.header.as_secs().to_string()),
        ("REQUEST_TIMEOUT_SECONDS", limits.request.as_secs().to_string()),
        ("WRITE_STALL_SECONDS", limits.write_stall.as_secs().to_string()),
    ]
}

fn sign_up(policy: SignUp) -> &'static str {
    match policy {
        SignUp::Open => "open",
        SignUp::First => "first",
        SignUp::Closed => "closed",
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    let shown = items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    option((!shown.is_empty()).then_some(shown))
}

fn option<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "(none)".to_owned(), |v| v.to_string())
}
