//! The real server as a child process, on a free port, with data of its own. It knows nothing of what is said to it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::time::timeout;

const LISTENING: &str = "listening on http://127.0.0.1:";
/// A start may have to build indexes, on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(30);
/// The server gives live sockets time to leave.
const STOP: Duration = Duration::from_secs(30);

/// One server. Dropping it kills the process and removes its data.
pub(crate) struct Server {
    child: Child,
    port: u16,
    env: Vec<(String, String)>,
    data: TempDir,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts a server in development mode with these variables and empty data; it accepts connections when this returns.
    pub(crate) async fn start(env: &[(String, String)]) -> Self {
        let data = TempDir::new().expect("a temporary folder");
        let log = Arc::new(Mutex::new(String::new()));
        let (child, port) = spawn(env, data.path(), 0, &log).await;
        Self { child, port, env: env.to_vec(), data, log }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The folder of its data.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Everything it has logged so far, over all its starts.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Its resident memory, in kilobytes.
    pub(crate) fn resident_kb(&self) -> u64 {
        let pid = self.child.id().expect("a running server");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the status of a process of ours");
        let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).and_then(|l| l.split_whitespace().next());
        resident.and_then(|kb| kb.parse().ok()).expect("its resident memory")
    }

    /// Stops it as a deployment does, with SIGTERM, and starts it again on the same data and port.
    pub(crate) async fn restart(&mut self) {
        self.terminate().await;
        let ended = timeout(STOP, self.child.wait()).await.unwrap_or_else(|_| panic!("SIGTERM did not end the server\n{}", self.log()));
        let status = ended.expect("an exit status");
        assert!(status.success(), "the server ended with {status}\n{}", self.log());
        self.start_again().await;
    }

    /// Sends it SIGTERM and does not wait.
    pub(crate) async fn terminate(&self) {
        let pid = self.child.id().expect("a running server").to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.expect("the kill command").success());
    }

    /// The status with which it ends.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        timeout(STOP, self.child.wait()).await.expect("an end in time").expect("an exit status").code()
    }

    /// Kills it with SIGKILL and starts it again on the same data and port.
    pub(crate) async fn kill(&mut self) {
        self.crash().await;
        self.start_again().await;
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub(crate) async fn crash(&mut self) {
        self.child.kill().await.expect("a running server");
    }

    /// Starts it on the same data and port, after its end.
    pub(crate) async fn start_again(&mut self) {
        let (child, _) = spawn(&self.env, self.data.path(), self.port, &self.log).await;
        self.child = child;
    }
}

/// Starts the process (or the one that HELPLINE_BIN names) and waits until it says where it listens. It sees no variable and no `.env` file of the developer's.
async fn spawn(env: &[(String, String)], data: &Path, port: u16, log: &Arc<Mutex<String>>) -> (Child, u16) {
    let binary = std::env::var_os("HELPLINE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_helpline").into());
    let mut child = Command::new(binary)
        .env_clear()
        .envs(std::env::vars_os().filter(|(k, _)| k == "PATH"))
        .envs([("PORT", port.to_string()), ("NODE_ENV", "development".into())])
        .env("DATA_DIR", data)
        .env("SOCKET_IO_CLIENT_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/static/node_modules/socket.io-client/dist"))
        .envs(env.iter().map(|(k, v)| (k, v)))
        .current_dir(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the server binary");
    let stderr = child.stderr.take().expect("piped");
    let (found, mut port) = watch::channel(None);
    tokio::spawn(collect(stderr, Arc::clone(log), found));
    match timeout(START, port.wait_for(Option::is_some)).await {
        Ok(Ok(port)) => (child, port.expect("just seen")),
        Ok(Err(_)) => panic!("the server ended before it listened:\n{}", log.lock().expect("the log")),
        Err(_) => panic!("the server does not listen:\n{}", log.lock().expect("the log")),
    }
}

/// Keeps what the server logs, and finds its port there. Ends with the process.
async fn collect(stderr: ChildStderr, log: Arc<Mutex<String>>, found: watch::Sender<Option<u16>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, rest)) = line.split_once(LISTENING) {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            // The first line is of PORT; further listeners come after it.
            found.send_if_modified(|port| {
                port.is_none() && {
                    *port = digits.parse().ok();
                    true
                }
            });
        }
        let mut log = log.lock().expect("the log");
        log.push_str(&line);
        log.push('\n');
    }
}
