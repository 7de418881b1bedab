//! Redis processes of a test's own, which may be killed and come back on their ports: one alone, one with a replica and a sentinel, a cluster of one.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

/// A sentinel looks for replicas every ten seconds.
const START: Duration = Duration::from_secs(30);

/// A Redis of the test's own, which keeps nothing. Dropping it kills it.
pub(super) struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    pub(super) fn start() -> Self {
        let port = free_port();
        Self { port, child: Self::spawn(port) }
    }

    fn spawn(port: u16) -> Child {
        spawn(port, &[])
    }

    pub(super) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub(super) fn start_again(&mut self) {
        self.child = Self::spawn(self.port);
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(port: u16, more: &[&str]) -> Child {
    let port = port.to_string();
    let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning"];
    run(&[&arguments, more].concat())
}

fn run(arguments: &[&str]) -> Child {
    let mut command = Command::new("redis-server");
    // A replica writes a file there.
    command.current_dir(std::env::temp_dir());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command.spawn().expect("redis-server is installed: run scripts/test.sh")
}

/// Says this to the server on a port until it answers so.
async fn until(port: u16, words: &[&str], is_so: impl Fn(&str) -> bool) {
    let (port, mut look) = (port.to_string(), interval(Duration::from_millis(100)));
    let ask = async || Command::new("redis-cli").args(["-p", &port]).args(words).output().await.expect("redis-cli is installed");
    let asking = async {
        while !is_so(&String::from_utf8_lossy(&ask().await.stdout)) {
            look.tick().await;
        }
    };
    timeout(START, asking).await.unwrap_or_else(|_| panic!("{words:?} is not answered as it should be"));
}

/// A Redis, its replica, and a sentinel that makes the replica the first one when that is gone.
pub(super) struct Guarded {
    pub(super) first: Redis,
    sentinel: u16,
    _others: [Child; 2],
    _folder: TempDir,
}

impl Guarded {
    /// Starts them; when this returns the sentinel knows the replica.
    pub(super) async fn start() -> Self {
        let (first, sentinel, folder) = (Redis::start(), free_port(), TempDir::new().unwrap());
        let replica = spawn(free_port(), &["--replicaof", &format!("127.0.0.1 {}", first.port), "--repl-diskless-sync-delay", "0"]);
        let file = folder.path().join("sentinel.conf");
        let watched = format!("sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 500\n", first.port);
        std::fs::write(&file, format!("port {sentinel}\nbind 127.0.0.1\nloglevel warning\n{watched}sentinel failover-timeout main 2000\n"))
            .unwrap();
        let watching = run(&[file.to_str().unwrap(), "--sentinel"]);
        until(sentinel, &["sentinel", "replicas", "main"], |said| said.contains("master-link-status\nok")).await;
        Self { first, sentinel, _others: [replica, watching], _folder: folder }
    }

    pub(super) fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}/0?sentinelServiceName=main", self.sentinel)
    }
}

/// A cluster of one Redis, which has all slots.
pub(super) struct Clustered {
    port: u16,
    _child: Child,
    _folder: TempDir,
}

impl Clustered {
    pub(super) async fn start() -> Self {
        let (port, folder) = (free_port(), TempDir::new().unwrap());
        // By itself its bus takes the port that is 10,000 higher.
        let bus = free_port().to_string();
        let folder_name = folder.path().to_str().unwrap();
        let child =
            spawn(port, &["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-announce-ip", "127.0.0.1", "--dir", folder_name]);
        until(port, &["cluster", "addslotsrange", "0", "16383"], |said| said.contains("OK")).await;
        Self { port, _child: child, _folder: folder }
    }

    pub(super) fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{}", self.port)
    }
}

/// A Redis that is spoken to over TLS alone, with a certificate of an authority of its own.
pub(super) struct Secured {
    port: u16,
    _child: Child,
    folder: TempDir,
}

impl Secured {
    pub(super) async fn start() -> Self {
        let (port, folder) = (free_port(), TempDir::new().unwrap());
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (authority, key, certificate) = (file("ca.pem"), file("key.pem"), file("cert.pem"));
        let sign = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
        openssl(&[&sign[..], &["-subj", "/CN=tests", "-keyout", &file("ca.key"), "-out", &authority]].concat()).await;
        let by = [
            "-CA",
            &authority,
            "-CAkey",
            &file("ca.key"),
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=CA:FALSE",
        ];
        openssl(&[&sign[..], &by, &["-subj", "/CN=localhost", "-keyout", &key, "-out", &certificate]].concat()).await;
        let secured = port.to_string();
        let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &authority];
        let child = spawn(0, &[&["--tls-port", &secured, "--tls-auth-clients", "no"], &files[..]].concat());
        Self { port, _child: child, folder }
    }

    pub(super) fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    /// The file that a process has to trust, by `SSL_CERT_FILE`.
    pub(super) fn authority(&self) -> String {
        self.folder.path().join("ca.pem").to_str().unwrap().to_owned()
    }
}

async fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().await.expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
