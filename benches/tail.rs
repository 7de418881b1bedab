//! What delivery by a tail costs: `cargo bench --bench tail`. The real server runs in this process, on the embedded store, with one session and so many
//! sockets in it. One of them posts; the time ends when the last one has the message. The time of the append is in it (`hot` measures that by itself), and
//! so is what these clients read with, on a thread of their own: what a listener costs shows between the counts of listeners.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a program for people at a terminal, which stops at the first surprise"
)]

#[allow(dead_code, reason = "the load generator uses the rest")]
#[path = "load/protocol.rs"]
mod protocol;
#[allow(dead_code, reason = "the load generator uses the rest")]
#[path = "load/wire.rs"]
mod wire;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use helpline::app;
use helpline::config::Config;
use helpline::shutdown::Shutdown;
use tokio::runtime::{self, Runtime};

use protocol::{Door, Protocol};
use wire::Wire;

/// How many sockets are in the session.
const LISTENERS: [usize; 3] = [1, 10, 100];

const API_KEY: &str = "the-key-of-the-benches";

/// How long the server may take to start.
const START: Duration = Duration::from_secs(30);

fn tail(criterion: &mut Criterion) {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let config = config(folder.path(), address.port());
    let (server, (trigger, shutdown)) = (Runtime::new().unwrap(), Shutdown::new());
    let serving = server.spawn(app::run(config, shutdown));
    await_start(address);
    let clients = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("tail");
    for (nth, listeners) in LISTENERS.into_iter().enumerate() {
        let (mut wires, message) = clients.block_on(join(address, nth, listeners)).unwrap();
        group.throughput(Throughput::Elements(listeners as u64));
        group.bench_function(BenchmarkId::new("to the last listener", listeners), |b| {
            b.iter_custom(|times| {
                let begin = Instant::now();
                clients.block_on(async {
                    for _ in 0..times {
                        wires[0].send(message.as_bytes()).await.unwrap();
                        for wire in &mut wires {
                            hear(wire).await.unwrap();
                        }
                    }
                });
                begin.elapsed()
            });
        });
    }
    group.finish();
    trigger.begin();
    server.block_on(serving).unwrap().unwrap();
}

/// A visitor's sockets in his session of this number, and what each of them would post.
async fn join(address: SocketAddr, nth: usize, listeners: usize) -> anyhow::Result<(Vec<Wire>, String)> {
    let door = Door::new(Protocol::Helpline, [address, address], API_KEY.to_owned());
    let visitor = format!("visitor-{nth}");
    let (session, _) = door.start(&visitor).await?;
    let mut wires = Vec::new();
    for _ in 0..listeners {
        wires.push(door.join(0, &session, (&visitor, "user")).await?.wire);
    }
    let message = format!(r#"42["send_message",{{"sessionId":"{session}","message":"Good morning, where is my parcel?"}}]"#);
    Ok((wires, message))
}

/// Waits for the next message.
async fn hear(wire: &mut Wire) -> anyhow::Result<()> {
    while !wire.next().await?.starts_with(r#"42["new_message""#) {}
    Ok(())
}

/// A developer's server, on which a visitor may post as fast as he can.
fn config(data: &Path, port: u16) -> Config {
    let value = |name: &str| match name {
        "PORT" => Some(port.to_string()),
        "DATA_DIR" => Some(data.display().to_string()),
        "API_KEY" => Some(API_KEY.to_owned()),
        "MESSAGES_PER_MINUTE" => Some("0".to_owned()),
        _ => None,
    };
    Config::read(&value).unwrap().0
}

/// Nobody else takes it in between, as far as one can say that of a port.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn await_start(address: SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < START, "the server does not listen");
        thread::sleep(Duration::from_millis(10));
    }
}

criterion_group!(delivery, tail);
criterion_main!(delivery);
