//! A Redis process of a test's own, which may be killed and comes back on its port.

use std::net::TcpListener;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// A Redis of the test's own, which keeps nothing. Dropping it kills it.
pub(super) struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    pub(super) fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self { port, child: Self::spawn(port) }
    }

    fn spawn(port: u16) -> Child {
        let port = port.to_string();
        let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning"];
        let mut command = Command::new("redis-server");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        command.spawn().expect("redis-server is installed: run scripts/test.sh")
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
