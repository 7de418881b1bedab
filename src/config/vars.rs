//! The one table of environment variables. `.env.example` is checked against it; how values are parsed is not known here.

/// One variable, as people see it.
#[derive(Clone, Copy, Debug)]
pub struct Var {
    /// The heading it stands under.
    pub group: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Other names, read in this order where the name itself is not set.
    pub aliases: &'static [&'static str],
    /// What is taken where it is not set, as text; empty where nothing is.
    pub default: &'static str,
    /// What it does, in one line.
    pub meaning: &'static str,
    /// Which values it takes, as the end of "expected …".
    pub expected: &'static str,
    /// A good value.
    pub example: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

/// What most variables have in common.
const PLAIN: Var = Var { group: "", name: "", aliases: &[], default: "", meaning: "", expected: "", example: "", secret: false };

/// Defines a constant for each row, and [`ALL`] with every row in order.
macro_rules! variables {
    ($($group:literal { $($name:ident: $row:expr;)* })*) => {
        $($(
            #[doc = concat!("`", stringify!($name), "`")]
            pub(super) const $name: Var = Var { group: $group, name: stringify!($name), ..$row };
        )*)*

        /// Every variable that this server reads, in the order of `.env.example`.
        pub const ALL: &[Var] = &[$($($name,)*)*];
    };
}

variables! {
    "Server" {
        NODE_ENV: Var {
            default: "development",
            meaning: "what this server is for: development trusts this machine, production trusts nobody",
            expected: "development, production or test",
            example: "production",
            ..PLAIN
        };
        HOST: Var {
            default: "127.0.0.1",
            meaning: "the address to listen on (in production 0.0.0.0)",
            expected: "an IP address or localhost",
            example: "0.0.0.0",
            ..PLAIN
        };
        PORT: Var {
            default: "5000",
            meaning: "the port to listen on; 0 takes a free one",
            expected: "a whole number from 0 to 65535",
            example: "5000",
            ..PLAIN
        };
        SHUTDOWN_SECONDS: Var {
            default: "10",
            meaning: "how long a stopping server waits for its connections, in seconds",
            expected: "a whole number from 0 to 600",
            example: "10",
            ..PLAIN
        };
        MOUNTS: Var {
            default: "support@/,operators@/operators,rooms@/rooms,widget@/widget",
            meaning: "where the contracts are served: at a base path, a port of their own, or both",
            expected: "a list of contract@[:port]/path with the contracts support, operators, widget and rooms, each at an address of its own",
            example: "support@/chat,operators@:3001/",
            ..PLAIN
        };
        CROSS_CONTRACT: Var {
            default: "on",
            meaning: "whether those who answer under one contract see and answer sessions of support that were opened under another",
            expected: "on or off",
            example: "off",
            ..PLAIN
        };
        SOCKET_IO_CLIENT_DIR: Var {
            default: "static/node_modules/socket.io-client/dist",
            meaning: "the folder with socket.io.js, which is served to pages",
            expected: "a folder",
            example: "/usr/share/helpline/socket.io-client",
            ..PLAIN
        };
    }
    "Web pages that may call" {
        FRONTEND_URL: Var {
            meaning: "the page that may call this server; its scheme, host and port count",
            expected: "an http or https URL with a host name",
            example: "https://www.example.com",
            ..PLAIN
        };
        FRONTEND_URLS: Var {
            meaning: "more such pages, separated by commas",
            expected: "http or https URLs, separated by commas",
            example: "https://www.example.com,https://shop.example.com",
            ..PLAIN
        };
        CORS_ORIGIN: Var {
            aliases: &["CORS_ORIGINS"],
            meaning: "more origins, separated by commas; * stands for any, outside production only",
            expected: "http or https origins, separated by commas",
            example: "https://www.example.com",
            ..PLAIN
        };
    }
    "Credentials" {
        JWT_SECRET: Var {
            meaning: "signs the tokens; without it development keeps one of its own in DATA_DIR",
            expected: "at least 32 random characters",
            example: "the output of: openssl rand -hex 32",
            secret: true,
            ..PLAIN
        };
        API_KEY: Var {
            meaning: "what the company's own machines show as X-API-Key; without it no key is accepted",
            expected: "at least 16 random characters",
            example: "the output of: openssl rand -hex 16",
            secret: true,
            ..PLAIN
        };
        VISITOR_TOKENS: Var {
            default: "open",
            meaning: "who may ask for visitors' tokens: open is anybody, key needs the API key",
            expected: "open or key",
            example: "key",
            ..PLAIN
        };
        ALLOW_ANONYMOUS: Var {
            default: "false",
            meaning: "whether trusted networks open sockets without a credential and act there for anybody",
            expected: "true or false",
            example: "true",
            ..PLAIN
        };
        LEGACY_TOKENS_UNTIL: Var {
            meaning: "until when users' tokens of the original server are accepted; without it 30 days from the first start",
            expected: "a date or an ISO-8601 time with its zone",
            example: "2027-01-31",
            ..PLAIN
        };
    }
    "Accounts that answer visitors" {
        ADMIN_SIGNUP: Var {
            default: "open",
            meaning: "who may sign up in widget: open is anybody, first is anybody while there is no account, closed nobody (so in production: first, closed beside other contracts)",
            expected: "open, first or closed",
            example: "closed",
            ..PLAIN
        };
        ADMIN_EMAIL: Var {
            meaning: "the account of widget that is made at the start where there is none of this address",
            expected: "an e-mail address, together with ADMIN_PASSWORD",
            example: "admin@example.com",
            ..PLAIN
        };
        ADMIN_PASSWORD: Var {
            meaning: "its first password; a later change here does not change the account",
            expected: "at least 8 characters and at most 1,024 bytes",
            example: "the output of: openssl rand -hex 16",
            secret: true,
            ..PLAIN
        };
        ADMIN_NOTIFICATION_URL: Var {
            meaning: "told by POST of new sessions and messages of operators; its path or query may hold a token",
            expected: "an http or https URL without a user name",
            example: "https://hooks.example.com/chat",
            secret: true,
            ..PLAIN
        };
    }
    "Networks" {
        TRUSTED_NETWORKS: Var {
            default: "127.0.0.0/8,::1/128",
            meaning: "peers that get tokens of agents and systems without the API key and are not counted by limits; in production none",
            expected: "addresses or networks in CIDR form, separated by commas, or none",
            example: "10.0.0.0/8,192.168.1.7",
            ..PLAIN
        };
        TRUSTED_PROXIES: Var {
            meaning: "proxies whose X-Forwarded-For is believed",
            expected: "addresses or networks in CIDR form, separated by commas, or none",
            example: "10.0.0.2,172.16.0.0/12",
            ..PLAIN
        };
        TRUSTED_HOSTS: Var {
            meaning: "host names besides localhost under which trusted peers call this server",
            expected: "host names without scheme, port or path, separated by commas",
            example: "chat.internal,chat.example.com",
            ..PLAIN
        };
    }
    "Storage" {
        STORE: Var {
            default: "embedded",
            meaning: "where sessions are kept (mongodb when MONGODB_URI is given)",
            expected: "embedded or mongodb, the latter with MONGODB_URI",
            example: "embedded",
            ..PLAIN
        };
        DATA_DIR: Var {
            default: "./data",
            meaning: "the folder for all that the embedded store writes, and the generated secret",
            expected: "a folder",
            example: "/var/lib/helpline",
            ..PLAIN
        };
        MONGODB_URI: Var {
            aliases: &["MONGO_URI", "MONGO_URL"],
            meaning: "the MongoDB server",
            expected: "a mongodb:// or mongodb+srv:// URL",
            example: "mongodb://localhost:27017/helpline",
            secret: true,
            ..PLAIN
        };
        MONGODB_DB: Var {
            meaning: "the database there; without it the one that the URL names, or helpline",
            expected: "a MongoDB database name, together with MONGODB_URI",
            example: "helpline",
            ..PLAIN
        };
        DATABASE_URL: Var {
            meaning: "taken as MONGODB_URI if it is a MongoDB URL",
            expected: "a mongodb:// or mongodb+srv:// URL, or STORE=embedded beside it",
            example: "mongodb://localhost:27017/helpline",
            secret: true,
            ..PLAIN
        };
        DB_HOST: Var {
            aliases: &[
                "DB_NAME", "DB_DATABASE", "DB_PORT", "DB_USER", "DB_USERNAME", "DB_PASSWORD", "DB_PASS", "DB_URL", "DB_URI", "DB_TYPE",
                "DB_DIALECT", "DB_CONNECTION", "DB_DRIVER",
            ],
            meaning: "this and other DB_ names point to an SQL database, which is not used; production refuses them without STORE",
            expected: "no DB_ variable, or STORE=embedded beside it",
            example: "",
            secret: true,
            ..PLAIN
        };
    }
    "Several nodes" {
        REDIS_URL: Var {
            meaning: "the Redis server that carries word of messages between servers on one MongoDB",
            expected: "a redis:// or rediss:// URL, or one of redis-sentinel:// or redis-cluster://",
            example: "redis://localhost:6379/0",
            secret: true,
            ..PLAIN
        };
        REDIS_HOST: Var {
            meaning: "its host, where there is no REDIS_URL",
            expected: "a host name or an IP address",
            example: "localhost",
            ..PLAIN
        };
        REDIS_PORT: Var {
            default: "6379",
            meaning: "its port",
            expected: "a whole number from 1 to 65535",
            example: "6379",
            ..PLAIN
        };
        REDIS_PASSWORD: Var { meaning: "its password", expected: "any text", example: "any text", secret: true, ..PLAIN };
        REDIS_DB: Var {
            default: "0",
            meaning: "its database number",
            expected: "a whole number from 0 to 65535",
            example: "0",
            ..PLAIN
        };
        PRESENCE_LEASE_SECONDS: Var {
            default: "15",
            meaning: "for how long people count as present whose server shows no sign of life",
            expected: "a whole number from 1 to 3600",
            example: "15",
            ..PLAIN
        };
        AGENT_GRACE_SECONDS: Var {
            default: "60",
            meaning: "how long after an agent's last connection went his sessions return to the queue",
            expected: "a whole number from 1 to 1000000",
            example: "60",
            ..PLAIN
        };
    }
    "Limits" {
        MAX_CONNECTIONS_PER_IP: Var {
            default: "200",
            meaning: "open connections per address; 0 is no limit",
            expected: "a whole number from 0 to 1000000",
            example: "200",
            ..PLAIN
        };
        MAX_CONNECTIONS: Var {
            default: "0",
            meaning: "open connections in all; 0 is the soft limit of open files less 100",
            expected: "a whole number from 0 to 10000000",
            example: "5000",
            ..PLAIN
        };
        MAX_MESSAGE_BYTES: Var {
            default: "1000000",
            meaning: "the largest frame that a socket may send, in bytes",
            expected: "a whole number from 1000 to 100000000",
            example: "1000000",
            ..PLAIN
        };
        MAX_ATTACHMENT_BYTES: Var {
            default: "25000000",
            meaning: "the largest file that a message may carry, in bytes; 0 takes none",
            expected: "a whole number from 0 to 10000000000",
            example: "25000000",
            ..PLAIN
        };
        MESSAGES_PER_MINUTE: Var {
            default: "100",
            meaning: "messages that a visitor may send in a minute; 0 is no limit",
            expected: "a whole number from 0 to 1000000",
            example: "100",
            ..PLAIN
        };
        HEADER_TIMEOUT_SECONDS: Var {
            default: "15",
            meaning: "how long a client may take for the head of a request, and keep a connection without one, in seconds",
            expected: "a whole number from 1 to 3600",
            example: "15",
            ..PLAIN
        };
        REQUEST_TIMEOUT_SECONDS: Var {
            default: "30",
            meaning: "how long a REST request may take, its body and its answer, in seconds",
            expected: "a whole number from 1 to 3600",
            example: "30",
            ..PLAIN
        };
        WRITE_STALL_SECONDS: Var {
            default: "20",
            meaning: "how long a write to a client may make no progress before it is cut off, in seconds",
            expected: "a whole number from 1 to 3600",
            example: "20",
            ..PLAIN
        };
    }
    "Logs and metrics" {
        LOG_LEVEL: Var {
            default: "info",
            meaning: "what is logged: a level, or levels by module",
            expected: "error, warn, info, debug, trace or off, or such levels by module",
            example: "info,helpline::socket=debug",
            ..PLAIN
        };
        LOG_FORMAT: Var {
            default: "text",
            meaning: "how a line looks: text or json",
            expected: "text or json",
            example: "json",
            ..PLAIN
        };
        LOG_DIR: Var {
            meaning: "a folder that also gets app.log and error.log; without it only standard error",
            expected: "a folder",
            example: "/var/log/helpline",
            ..PLAIN
        };
        METRICS_ADDR: Var {
            meaning: "where Prometheus gets /metrics, which asks for no credential; without it nowhere",
            expected: "an IP address or localhost, with a port",
            example: "127.0.0.1:9464",
            ..PLAIN
        };
    }
}

/// The names that begin with `HELPLINE_`, of which this server reads none, each with the variable that was probably meant.
pub(super) fn foreign<'n>(names: impl Iterator<Item = &'n str>) -> impl Iterator<Item = (&'n str, Option<&'static Var>)> {
    names.filter_map(|name| {
        let rest = name.strip_prefix("HELPLINE_")?;
        Some((name, ALL.iter().find(|v| v.name == rest || v.aliases.contains(&rest))))
    })
}
