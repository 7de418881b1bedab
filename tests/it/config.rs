//! The configuration from outside: defaults, combinations, the combined report, secrets, and `.env.example` against the table.

use std::time::Duration;

use helpline::config::vars::ALL;
use helpline::config::{Config, LogFormat, Mode, Problems, Store, Warning};
use helpline::domain::ports::SignUp;
use helpline::secret::Secret;

const STRONG: &str = "3f2a9c41d05e8b7766a1f0c9d2e4b5a8973c1e60";

fn read(pairs: &[(&str, &str)]) -> Result<(Config, Vec<Warning>), Problems> {
    Config::read(&|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

fn good(pairs: &[(&str, &str)]) -> Config {
    read(pairs).unwrap_or_else(|problems| panic!("{problems}")).0
}

fn warnings(pairs: &[(&str, &str)]) -> String {
    let said = read(pairs).unwrap_or_else(|problems| panic!("{problems}")).1;
    said.iter().map(Warning::to_string).collect::<Vec<_>>().join("\n")
}

fn refused(pairs: &[(&str, &str)]) -> String {
    match read(pairs) {
        Ok((config, _)) => panic!("accepted: {pairs:?}: {config:?}"),
        Err(problems) => problems.to_string(),
    }
}

fn production<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [("NODE_ENV", "production"), ("JWT_SECRET", STRONG)].iter().chain(more).copied().collect()
}

#[test]
fn development_needs_nothing() {
    let (config, warnings) = read(&[]).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.mode, Mode::Development);
    assert_eq!((config.host.to_string().as_str(), config.port), ("127.0.0.1", 5000));
    assert_eq!(config.store, Store::Embedded);
    assert!(config.jwt_secret.is_none() && config.api_key.is_none() && config.redis_url.is_none());
    assert!(config.visitor_tokens_open && !config.allow_anonymous);
    let networks = config.trusted_networks.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(networks, ["127.0.0.0/8", "::1/128"]);
    assert!(config.trusted_proxies.is_empty() && config.trusted_hosts.is_empty() && config.legacy_tokens_until.is_none());
    assert_eq!(config.limits.connections_per_ip, Some(200));
    assert_eq!((config.limits.message_bytes, config.limits.messages_per_minute), (1_000_000, Some(100)));
    let (head, request) = (config.limits.header, config.limits.request);
    assert_eq!((config.limits.connections, head, request), (0, Duration::from_secs(15), Duration::from_secs(30)));
    assert_eq!((config.limits.write_stall, config.shutdown), (Duration::from_secs(20), Duration::from_secs(10)));
    assert_eq!((config.log.level.as_str(), config.log.format, config.log.dir), ("info", LogFormat::Text, None));
    assert_eq!(config.data_dir.to_str(), Some("./data"));
    assert_eq!(config.sign_up, SignUp::Open);
    assert!(config.first_admin.is_none() && config.admin_password.is_none() && config.notification_url.is_none());
    let mounts: Vec<_> = config.mounts.iter().map(|m| (m.realm.name(), m.port, m.base.as_str())).collect();
    assert_eq!(mounts, [("support", None, "/"), ("operators", None, "/operators"), ("rooms", None, "/rooms"), ("widget", None, "/widget")]);
}

#[test]
fn production_is_closed_by_default() {
    let config = good(&production(&[]));
    assert_eq!(config.host.to_string(), "0.0.0.0");
    assert!(config.trusted_networks.is_empty());
    assert_eq!(config.sign_up, SignUp::Closed, "such an account would answer the visitors of all contracts");
    for alone in [("MOUNTS", "widget@/"), ("CROSS_CONTRACT", "off")] {
        assert_eq!(good(&production(&[alone])).sign_up, SignUp::First, "{alone:?}");
    }
    assert_eq!(good(&production(&[("HOST", "127.0.0.1")])).host.to_string(), "127.0.0.1");
}

#[test]
fn an_empty_value_counts_as_not_set() {
    let config = good(&[("API_KEY", ""), ("JWT_SECRET", "  "), ("PORT", ""), ("MONGODB_URI", ""), ("LOG_DIR", "")]);
    assert!(config.api_key.is_none() && config.jwt_secret.is_none() && config.log.dir.is_none());
    assert_eq!((config.port, config.store), (5000, Store::Embedded));
}

#[test]
fn values_of_a_wrong_type_or_range_are_refused() {
    for (name, values) in [
        ("NODE_ENV", &["prod", "Production"] as &[&str]),
        ("HOST", &["chat.example.com", "1.2.3"]),
        ("PORT", &["abc", "70000", "-1", "5000.5", "+5"]),
        ("FRONTEND_URL", &["example.com", "javascript:alert(1)", "*"]),
        ("FRONTEND_URLS", &["https://a.example,b.example"]),
        ("CORS_ORIGIN", &["https://*.example.com"]),
        ("STORE", &["postgres"]),
        ("MONGODB_URI", &["postgres://db", "mongodb://", "localhost:27017"]),
        ("REDIS_URL", &["localhost:6379", "http://redis"]),
        ("TRUSTED_NETWORKS", &["10.0.0.0/33", "lan"]),
        ("TRUSTED_PROXIES", &["10.0.0.0/8,proxy"]),
        ("TRUSTED_HOSTS", &["https://chat.example.com", "chat.example.com:80"]),
        ("VISITOR_TOKENS", &["closed"]),
        ("ALLOW_ANONYMOUS", &["maybe"]),
        ("LEGACY_TOKENS_UNTIL", &["next week", "2027-02-30"]),
        ("MOUNTS", &["hall@/", "support@/,operators@/", "support"]),
        ("ADMIN_SIGNUP", &["anybody", "Open"]),
        ("ADMIN_NOTIFICATION_URL", &["hooks.example.com", "ftp://h", "https://u:p@h/x"]),
        ("MAX_CONNECTIONS_PER_IP", &["many", "-5"]),
        ("MAX_CONNECTIONS", &["all", "-1", "10000001"]),
        ("HEADER_TIMEOUT_SECONDS", &["0", "1.5"]),
        ("REQUEST_TIMEOUT_SECONDS", &["0", "3601"]),
        ("MAX_MESSAGE_BYTES", &["1MB", "10", "1000000000"]),
        ("MESSAGES_PER_MINUTE", &["1e3"]),
        ("WRITE_STALL_SECONDS", &["0", "20s"]),
        ("SHUTDOWN_SECONDS", &["forever", "601"]),
        ("LOG_LEVEL", &["verbose", "helpline=loud"]),
        ("LOG_FORMAT", &["xml"]),
        ("METRICS_ADDR", &["9464", ":9464", "metrics:9464", "127.0.0.1", "localhost:", "localhost:70000", "127.0.0.1:9464/metrics"]),
    ] {
        for value in values {
            let text = refused(&[(name, value)]);
            assert!(text.contains(name) && text.contains(": expected "), "{text}");
        }
    }
    assert!(refused(&[("REDIS_HOST", "redis"), ("REDIS_PORT", "0")]).contains("REDIS_PORT=0"));
    assert!(refused(&[("REDIS_HOST", "redis"), ("REDIS_DB", "x")]).contains("REDIS_DB=x"));
    assert!(refused(&[("MONGODB_URI", "mongodb://h"), ("MONGODB_DB", "a/b")]).contains("MONGODB_DB=a/b"));
}

#[test]
fn zero_is_a_free_port_or_no_limit() {
    let config = good(&[("PORT", "0"), ("MAX_CONNECTIONS_PER_IP", "0"), ("MESSAGES_PER_MINUTE", "0")]);
    assert_eq!((config.port, config.limits.connections_per_ip, config.limits.messages_per_minute), (0, None, None));
}

#[test]
fn metrics_are_nowhere_unless_it_is_said_and_open_ones_are_warned_of() {
    assert_eq!(good(&[]).metrics, None);
    for (text, read) in [("localhost:9464", "127.0.0.1:9464"), ("[::1]:0", "[::1]:0"), ("0.0.0.0:9464", "0.0.0.0:9464")] {
        let config = good(&[("METRICS_ADDR", text)]);
        assert_eq!(config.metrics.map(|at| at.to_string()).as_deref(), Some(read));
        assert!(config.to_string().contains(&format!("METRICS_ADDR={read}\n")), "{config}");
        let is_open = read.starts_with("0.0.0.0");
        assert_eq!(warnings(&[("METRICS_ADDR", text)]).contains("METRICS_ADDR=0.0.0.0:9464: whoever reaches"), is_open, "{text}");
    }
}

#[test]
fn all_problems_are_reported_together_each_with_an_example() {
    let text = refused(&[("NODE_ENV", "production"), ("PORT", "abc"), ("TRUSTED_PROXIES", "x\ny"), ("API_KEY", "short-key-1")]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    for expected in [
        "PORT=abc: expected a whole number from 0 to 65535; for example 5000",
        "JWT_SECRET is not set: expected at least 32 random characters; for example the output of: openssl rand -hex 32",
        "API_KEY=***: expected at least 16 random characters",
        "TRUSTED_PROXIES=x\\ny: expected addresses",
    ] {
        assert!(lines.iter().any(|l| l.trim_start().starts_with(expected)), "{expected}\n{text}");
    }
}

#[test]
fn secrets_are_never_shown() {
    const CANARY: &str = "hunter2canary";
    let url = |scheme: &str| format!("{scheme}://user:{CANARY}@host/db");
    let (mongodb, redis, postgres, http) = (url("mongodb"), url("redis"), url("postgres"), url("http"));
    let hook = format!("https://hooks.example.com/{CANARY}?t={CANARY}");
    let fine = [
        ("JWT_SECRET", CANARY),
        ("API_KEY", CANARY),
        ("MONGODB_URI", &mongodb),
        ("REDIS_URL", &redis),
        ("ADMIN_EMAIL", "admin@example.com"),
        ("ADMIN_PASSWORD", CANARY),
        ("ADMIN_NOTIFICATION_URL", &hook),
    ];
    let (config, said) = read(&fine).unwrap();
    assert_eq!(config.first_admin.as_ref().map(|a| (a.email.as_str(), a.password.expose())), Some(("admin@example.com", CANARY)));
    assert_eq!(config.notification_url.as_ref().map(Secret::expose), Some(hook.as_str()));
    let parts = [("DATABASE_URL", mongodb.as_str()), ("REDIS_HOST", "h"), ("REDIS_PASSWORD", CANARY)];
    let shown = format!("{config}{config:?}{config:#?}{said:?}{:?}{:?}", config.open_acts(), read(&parts));
    assert!(!shown.contains(CANARY), "{shown}");
    for bad in [
        ("MONGODB_URI", &postgres),
        ("REDIS_URL", &postgres),
        ("FRONTEND_URL", &http),
        ("CORS_ORIGIN", &http),
        ("ADMIN_NOTIFICATION_URL", &http),
    ] {
        let text = refused(&[(bad.0, bad.1)]);
        assert!(!text.contains(CANARY) && text.contains("://***"), "{text}");
    }
    for bad in [("DATABASE_URL", postgres.as_str()), ("DB_PASSWORD", CANARY), ("API_KEY", CANARY), ("JWT_SECRET", CANARY)] {
        let text = refused(&[("NODE_ENV", "production"), bad]);
        assert!(!text.contains(CANARY) && text.contains(bad.0), "{text}");
        assert!(!format!("{:?}", read(&[("NODE_ENV", "production"), bad])).contains(CANARY));
    }
    assert!(!warnings(&[("DATABASE_URL", postgres.as_str()), ("DB_PASSWORD", CANARY)]).contains(CANARY));
    let (hook, scheme) = (format!("hooks.example.com/{CANARY}"), format!("ftp://h/{CANARY}"));
    for bad in [hook, scheme] {
        assert!(!refused(&[("ADMIN_NOTIFICATION_URL", &bad)]).contains(CANARY));
    }
    let odd = format!("{CANARY}://");
    assert!(!refused(&[("NODE_ENV", "production"), ("JWT_SECRET", odd.as_str())]).contains(CANARY));
}

#[test]
fn production_refuses_weak_secrets() {
    for weak in [
        "secret",
        "your-secret-key",
        "your-super-secret-jwt-key-change-in-production",
        "changemechangemechangemechangemechangeme",
        &"a".repeat(64),
    ] {
        assert!(refused(&[("NODE_ENV", "production"), ("JWT_SECRET", weak)]).contains("JWT_SECRET=***"), "{weak}");
    }
    assert!(refused(&production(&[("API_KEY", "0123456789abcde")])).contains("API_KEY=***"));
    assert!(good(&production(&[("API_KEY", "0123456789abcdef")])).api_key.is_some());
    assert!(warnings(&[("JWT_SECRET", "secret")]).contains("JWT_SECRET is weak"));
}

#[test]
fn an_account_at_the_start_needs_an_address_and_a_password() {
    let pair = |email, password| [("ADMIN_EMAIL", email), ("ADMIN_PASSWORD", password)];
    assert!(good(&pair("a@example.com", "12345678")).first_admin.is_some());
    assert!(refused(&pair("a@example.com", "1234567")).contains("ADMIN_PASSWORD=***: expected at least 8 characters"));
    assert!(refused(&pair("example.com", "long enough")).contains("ADMIN_EMAIL=example.com: expected an e-mail address"));
    assert!(
        refused(&pair("a@example.com", " "))
            .contains("ADMIN_PASSWORD is not set: expected at least 8 characters and at most 1,024 bytes, because ADMIN_EMAIL is set")
    );
    let alone = [("ADMIN_PASSWORD", "long enough")];
    assert!(warnings(&alone).contains("ADMIN_PASSWORD without ADMIN_EMAIL"));
    let config = good(&alone);
    assert!(config.first_admin.is_none() && config.admin_password.is_some());
    for weak in ["admin123", "password123", "aaaaaaaaaaaa", "changeme!", "supersecret-1"] {
        assert!(refused(&production(&pair("a@example.com", weak))).contains("ADMIN_PASSWORD=***"), "{weak}");
        assert!(warnings(&pair("a@example.com", weak)).contains("ADMIN_PASSWORD is weak"), "{weak}");
    }
    assert!(good(&production(&pair("a@example.com", "correct horse"))).first_admin.is_some());
}

#[test]
fn the_summary_says_what_is_used_by_variable() {
    let text = good(&[("PORT", "1"), ("API_KEY", STRONG), ("MOUNTS", "support@/,widget@:3001/w"), ("DATA_DIR", "/d")]).to_string();
    for line in [
        "NODE_ENV=development",
        "HOST=127.0.0.1",
        "PORT=1",
        "MOUNTS=support@/,widget@:3001/w",
        "API_KEY=***",
        "JWT_SECRET=(kept in DATA_DIR)",
        "ADMIN_SIGNUP=open",
        "ADMIN_EMAIL=(none)",
        "STORE=embedded",
        "DATA_DIR=/d",
        "TRUSTED_NETWORKS=127.0.0.0/8,::1/128",
        "TRUSTED_PROXIES=(none)",
        "MAX_CONNECTIONS_PER_IP=200",
        "LOG_DIR=(none)",
        "METRICS_ADDR=(none)",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
    }
    let names: Vec<_> = text.lines().filter_map(|l| l.split_once('=')).map(|(name, _)| name).collect();
    let taken_into_others =
        ["FRONTEND_URL", "FRONTEND_URLS", "DATABASE_URL", "DB_HOST", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB"];
    for var in ALL.iter().filter(|v| !taken_into_others.contains(&v.name)) {
        assert!(names.contains(&var.name), "{} is missing in:\n{text}", var.name);
    }
    let mongo = good(&[("MONGODB_URI", "mongodb://u:hunter2@h/chat"), ("LEGACY_TOKENS_UNTIL", "2027-01-31")]).to_string();
    assert!(mongo.contains("STORE=mongodb\n") && mongo.contains("MONGODB_URI=***\n") && mongo.contains("MONGODB_DB=chat\n"), "{mongo}");
    assert!(mongo.contains("LEGACY_TOKENS_UNTIL=2027-01-31T00:00:00.000Z\n") && !mongo.contains("hunter2"), "{mongo}");
}

#[test]
fn the_store_follows_from_what_is_given() {
    let mongo = |pairs: &[(&str, &str)]| match good(pairs).store {
        Store::MongoDb { uri, database } => Some((uri.expose().to_owned(), database)),
        Store::Embedded => None,
    };
    let is = |uri: &str, database: &str| Some((uri.to_owned(), database.to_owned()));
    assert_eq!(mongo(&[("MONGODB_URI", "mongodb://h:1")]), is("mongodb://h:1", "helpline"));
    assert_eq!(mongo(&[("MONGODB_URI", "mongodb+srv://h/chat?w=1")]), is("mongodb+srv://h/chat?w=1", "chat"));
    assert_eq!(mongo(&[("MONGODB_URI", "mongodb://h/chat"), ("MONGODB_DB", "other")]), is("mongodb://h/chat", "other"));
    assert_eq!(mongo(&[("DATABASE_URL", "mongodb://h/chat")]), is("mongodb://h/chat", "chat"));
    assert_eq!(mongo(&[("MONGO_URL", "mongodb://alias")]), is("mongodb://alias", "helpline"));
    assert_eq!(mongo(&[("MONGODB_URI", "mongodb://a"), ("DATABASE_URL", "postgres://b")]), is("mongodb://a", "helpline"));
    assert_eq!(mongo(&[("STORE", "embedded"), ("MONGODB_URI", "mongodb://h")]), None);
    assert!(refused(&[("STORE", "mongodb")]).contains("MONGODB_URI is not set"));
    assert!(refused(&[("MONGODB_DB", "chat")]).contains("MONGODB_DB=chat: expected MONGODB_URI"));
}

#[test]
fn other_databases_are_warned_about_and_refused_in_production() {
    for other in [("DATABASE_URL", "postgres://db/chat"), ("DB_HOST", "db"), ("DB_NAME", "chat")] {
        assert!(warnings(&[other]).contains(other.0), "{other:?}");
        assert!(refused(&production(&[other])).contains(other.0), "{other:?}");
        assert_eq!(good(&production(&[other, ("STORE", "embedded")])).store, Store::Embedded);
        assert!(matches!(good(&production(&[other, ("MONGODB_URI", "mongodb://h")])).store, Store::MongoDb { .. }));
    }
}

#[test]
fn redis_is_read_and_said_to_be_of_no_use_to_the_embedded_store() {
    let url = |pairs: &[(&str, &str)]| good(pairs).redis_url.map(|u| u.expose().to_owned());
    let parts = [("REDIS_HOST", "redis"), ("REDIS_PORT", "6380"), ("REDIS_PASSWORD", "p@ss/w:rd"), ("REDIS_DB", "2")];
    assert_eq!(url(&parts).as_deref(), Some("redis://:p%40ss%2Fw%3Ard@redis:6380/2"));
    assert_eq!(url(&[("REDIS_HOST", "::1")]).as_deref(), Some("redis://[::1]:6379/0"));
    assert_eq!(url(&[("REDIS_URL", "rediss://r"), ("REDIS_HOST", "other")]).as_deref(), Some("rediss://r"));
    assert!(warnings(&[("REDIS_URL", "redis://r")]).contains("cannot share the embedded store"));
    assert!(!warnings(&[("REDIS_URL", "redis://r"), ("MONGODB_URI", "mongodb://h")]).contains("Redis"));
    assert!(warnings(&[("REDIS_PORT", "6379")]).contains("REDIS_PORT is not used without REDIS_HOST"));
}

#[test]
fn origins_come_from_three_variables() {
    let config = good(&[
        ("FRONTEND_URL", "https://www.Example.com/chat"),
        ("FRONTEND_URLS", "http://localhost:5173, https://www.example.com,"),
        ("CORS_ORIGIN", "https://shop.example.com"),
    ]);
    assert_eq!(config.origins.listed, ["http://localhost:5173", "https://shop.example.com", "https://www.example.com"]);
    assert!(!config.origins.any);
    let any = good(&[("CORS_ORIGIN", "*")]);
    assert!(any.origins.any && any.origins.listed.is_empty());
    assert!(any.open_acts().unwrap().contains("any origin"));
    assert!(refused(&production(&[("CORS_ORIGIN", "*")])).contains("because requests carry credentials"));
}

#[test]
fn networks_can_be_none_and_never_everybody_in_production() {
    assert!(good(&[("TRUSTED_NETWORKS", "none")]).trusted_networks.is_empty());
    assert!(warnings(&[("TRUSTED_NETWORKS", "0.0.0.0/0")]).contains("every address"));
    assert!(refused(&production(&[("TRUSTED_NETWORKS", "::/0")])).contains("TRUSTED_NETWORKS=::/0"));
    assert_eq!(good(&[("TRUSTED_HOSTS", "Chat.Internal,chat.example.com")]).trusted_hosts, ["chat.internal", "chat.example.com"]);
}

#[test]
fn what_is_open_is_said_and_nothing_else() {
    let text = good(&[("ALLOW_ANONYMOUS", "true")]).open_acts().unwrap();
    let words =
        ["development", "127.0.0.0/8, ::1/128", "without the API key", "not counted by limits", "ALLOW_ANONYMOUS", "VISITOR_TOKENS"];
    for word in words {
        assert!(text.contains(word), "{text}");
    }
    assert!(!good(&[]).open_acts().unwrap().contains("act there for anybody"), "that takes ALLOW_ANONYMOUS");
    let closed = production(&[("VISITOR_TOKENS", "key"), ("API_KEY", STRONG)]);
    assert_eq!(good(&closed).open_acts(), None);
    let open = |more: &[(&str, &str)]| good(&[&closed, more].concat()).open_acts().unwrap_or_default();
    let alone = [("ADMIN_SIGNUP", "open"), ("CROSS_CONTRACT", "off")];
    assert!(open(&alone).contains("anybody may sign up as somebody who answers in widget (ADMIN_SIGNUP)"));
    let first = open(&[("ADMIN_SIGNUP", "first"), ("MOUNTS", "support@/,widget@/widget")]);
    assert!(
        first.contains("the first who signs up is somebody who answers in widget (and by CROSS_CONTRACT support) (ADMIN_SIGNUP)"),
        "{first}"
    );
    assert_eq!(open(&[("ADMIN_SIGNUP", "open"), ("MOUNTS", "support@/")]), "", "nobody can sign up where no contract has accounts");
    assert_eq!(open(&[("ADMIN_SIGNUP", "closed")]), "");
    assert!(warnings(&production(&[("VISITOR_TOKENS", "key")])).contains("without API_KEY"));
    assert!(warnings(&production(&[("ALLOW_ANONYMOUS", "true")])).contains("no effect"));
    assert!(warnings(&[("HOST", "0.0.0.0")]).contains("NODE_ENV=production"));
}

#[test]
fn the_example_file_is_the_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example");
    let file = std::fs::read_to_string(path).expect(".env.example");
    let mut expected =
        "# Copy to .env and remove the # of what you change. Every value here is the default; an empty one counts as not set.\n".to_owned();
    let mut group = "";
    for var in ALL {
        if var.group != group {
            group = var.group;
            expected += &format!("\n## {group}\n");
        }
        expected += &format!("# {}\n# {}={}\n", var.meaning, var.name, var.default);
    }
    assert!(file == expected, ".env.example should read:\n{expected}");
}

#[test]
fn the_table_holds_every_name_once_with_a_line_of_meaning() {
    let mut names: Vec<_> = ALL.iter().flat_map(|v| std::iter::once(&v.name).chain(v.aliases)).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    for var in ALL {
        assert!(!var.meaning.is_empty() && !var.meaning.contains('\n') && !var.expected.is_empty(), "{}", var.name);
        assert!(!var.secret || var.default.is_empty(), "{}", var.name);
    }
}
