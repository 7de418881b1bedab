//! How long a server takes from the start of its process to its first answer.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::report::rounded;

/// How long a start may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How long to wait before the next try, which bounds how exact the time is.
const PAUSE: Duration = Duration::from_micros(500);

pub(crate) fn measure(runs: usize, command: &[String]) -> anyhow::Result<Value> {
    let mut times = Vec::new();
    for _ in 0..runs {
        times.push(once(command)?);
    }
    times.sort();
    let at = |index: usize| times.get(index).map(|time| rounded(time.as_secs_f64() * 1e3));
    Ok(json!({"what": "start", "runs": runs, "ms": {"min": at(0), "median": at(runs / 2), "max": at(runs - 1)}, "wrong": []}))
}

fn once(command: &[String]) -> anyhow::Result<Duration> {
    let folder = tempfile::tempdir()?;
    // Nobody else takes it in between, as far as one can say that of a port.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let (program, arguments) = command.split_first().context("no command")?;
    let mut server = Command::new(program);
    server.args(arguments).env("PORT", port.to_string()).env("DATA_DIR", folder.path()).current_dir(folder.path());
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = server.spawn().with_context(|| format!("{program} cannot be started"))?;
    let time = first_answer(&mut child, port, start);
    child.kill()?;
    child.wait()?;
    time
}

fn first_answer(child: &mut Child, port: u16, start: Instant) -> anyhow::Result<Duration> {
    while start.elapsed() < LIMIT {
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            stream.set_read_timeout(Some(LIMIT))?;
            stream.write_all(b"GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
            // It answers that this is no transport: it was accepted.
            stream.read_exact(&mut [0])?;
            return Ok(start.elapsed());
        }
        if let Some(status) = child.try_wait()? {
            bail!("the server ended with {status}");
        }
        thread::sleep(PAUSE);
    }
    bail!("the server does not listen");
}
