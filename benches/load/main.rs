//! A load generator for `scripts/bench.sh`: two parties in each of many sessions who talk over WebSockets, every message checked. It prints one JSON object
//! and ends with status 1 where anything was lost, doubled, out of order or refused. It costs less CPU than the servers that it measures, and says how
//! much. `load --help` tells what it can do; what it measures by is in `docs/BENCHMARKS.md`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a program for people at a terminal, with clocks and tasks of its own"
)]

mod idle;
mod ledger;
mod process;
mod protocol;
mod report;
mod start;
mod talk;
mod wire;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use protocol::{Door, Protocol, Room};
use report::{Report, Used};
use talk::{Pace, Plan, Talk};

/// How many sessions are set up at once.
const AT_ONCE: usize = 8;

/// Measures a Socket.IO server that relays messages between two parties of a session.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
    /// What the server is called in the output
    #[arg(long, global = true, default_value = "")]
    label: String,
    /// Which round it is in the output
    #[arg(long, global = true, default_value_t = 1)]
    round: u32,
}

#[derive(Subcommand)]
enum Mode {
    /// Each session has one message in flight, said by the parties in turn
    Closed(Load),
    /// Messages are due at a steady rate over all sessions, and time counts from when they are due
    Open {
        #[command(flatten)]
        load: Load,
        /// Messages per second over all sessions
        #[arg(long, default_value_t = 1_000.0)]
        rate: f64,
    },
    /// Joined sockets that say nothing: what they take of the server's memory
    Idle {
        #[command(flatten)]
        target: Target,
        /// How many; two are in a session
        #[arg(long, default_value_t = 2_000)]
        sockets: usize,
    },
    /// Sockets of visitors that have joined nothing: the same
    Connected {
        #[command(flatten)]
        target: Target,
        /// How many
        #[arg(long, default_value_t = 2_000)]
        sockets: usize,
    },
    /// From the start of a process to its first answer. It is given PORT, and DATA_DIR, an empty folder
    Start {
        /// How often
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// The server and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// The server. Helpline's API key is in the variable API_KEY.
#[derive(Args, Clone)]
struct Target {
    #[arg(long, value_enum, default_value = "helpline")]
    protocol: Protocol,
    /// One address, or two: visitors go to the first and agents to the second
    #[arg(long, value_delimiter = ',', required = true, value_parser = address)]
    urls: Vec<SocketAddr>,
    /// The processes whose CPU time is counted as the server's
    #[arg(long, value_delimiter = ',', required = true)]
    pids: Vec<u32>,
    /// The processes behind it, such as a database, whose CPU time is counted by itself
    #[arg(long, value_delimiter = ',')]
    store_pids: Vec<u32>,
}

#[derive(Args, Clone)]
struct Load {
    #[command(flatten)]
    target: Target,
    #[arg(long, default_value_t = 200)]
    sessions: usize,
    /// How long is measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// For how long they talk before that
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
}

impl Target {
    fn door(&self) -> anyhow::Result<Door> {
        let first = *self.urls.first().context("no address")?;
        let second = self.urls.get(1).copied().unwrap_or(first);
        Ok(Door::new(self.protocol, [first, second], std::env::var("API_KEY").unwrap_or_default()))
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match measure(&cli.mode) {
        Ok(mut found) => {
            found["server"] = json!(cli.label);
            found["round"] = json!(cli.round);
            println!("{found}");
            if found["wrong"].as_array().is_none_or(Vec::is_empty) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread: on a small machine the generator must leave the rest to the server.
fn measure(mode: &Mode) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match mode {
        Mode::Closed(load) => runtime.block_on(talk(load, Pace::Closed)),
        Mode::Open { load, rate } => runtime.block_on(talk(load, Pace::Open { rate: *rate })),
        Mode::Idle { target, sockets } => runtime.block_on(idle::joined(target, *sockets)),
        Mode::Connected { target, sockets } => runtime.block_on(idle::connected(target, *sockets)),
        Mode::Start { runs, command } => start::measure(*runs, command),
    }
}

async fn talk(load: &Load, pace: Pace) -> anyhow::Result<Value> {
    let rooms = open(&load.target.door()?, 0..load.sessions).await?;
    let start = Instant::now() + Duration::from_millis(200);
    let begin = start + Duration::from_secs(load.warm_up);
    let plan = Plan { pace, sessions: load.sessions, start, begin, end: begin + Duration::from_secs(load.seconds) };
    let watch = {
        let (plan, target) = (plan.clone(), load.target.clone());
        thread::spawn(move || watch(&plan, &target))
    };
    let mut talks = JoinSet::new();
    for (nth, room) in rooms {
        talks.spawn(Talk::new(nth, room, plan.clone()).run());
    }
    let mut report = Report::default();
    while let Some(outcome) = talks.join_next().await {
        report.add(outcome?);
    }
    let used = watch.join().map_err(|_| anyhow::anyhow!("the watch panicked"))??;
    Ok(report.into_json(&plan, &used))
}

/// Opens the sessions of these numbers, a few at a time.
async fn open(door: &Door, numbers: std::ops::Range<usize>) -> anyhow::Result<Vec<(usize, Room)>> {
    let opening = stream::iter(numbers).map(|nth| async move { anyhow::Ok((nth, door.open(nth).await?)) });
    opening.buffer_unordered(AT_ONCE).try_collect().await
}

/// Looks at the clocks of all processes when the window begins and when it ends. In a thread of its own, so that it does so in time.
fn watch(plan: &Plan, target: &Target) -> anyhow::Result<Used> {
    let look = |at: Instant| {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        anyhow::Ok((process::cpu(&target.pids)?, process::cpu(&target.store_pids)?, process::own_cpu()?, Instant::now()))
    };
    let (before, after) = (look(plan.begin)?, look(plan.end)?);
    Ok(Used {
        server: after.0.saturating_sub(before.0),
        store: after.1.saturating_sub(before.1),
        own: after.2.saturating_sub(before.2),
        elapsed: after.3 - before.3,
        resident: process::resident(&target.pids)?,
    })
}

/// `127.0.0.1:5000`, also written as a URL.
fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    bare.parse().map_err(|_| format!("{text} is no address such as 127.0.0.1:5000"))
}
