//! Two nodes on one store, joined by a bus that loses, repeats and reorders: sockets on both see every entry once, in order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{join_all, pending};
use helpline::auth::password::Hasher;
use helpline::cluster::bus::{Listener, News, SessionBus};
use helpline::cluster::driver::Signals;
use helpline::dialect;
use helpline::domain::desk::{Desk, Opening, Policy, Ports};
use helpline::domain::entry::Entry;
use helpline::domain::principal::{Person, Principal, Realm, Role};
use helpline::domain::store::Store;
use helpline::domain::time::{Clock as _, SystemClock};
use helpline::http::serve::{Bounds, WatchedListener, serve};
use helpline::http::slots::slots;
use helpline::http::trust::Trust;
use helpline::limit::PerAddress;
use helpline::socket::{Gateway, Limits, Sockets, Way};
use helpline::store::sqlite::Sqlite;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::parts::authority;
use crate::harness::client::{Client, Dial};
use crate::harness::shop::KEY;

/// How the bus treats what is published.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// Everybody hears everything at once.
    Good,
    /// Each listener misses a third, hears a third late and in another order, and some of it twice.
    Bad,
    /// Nobody hears anything.
    Deaf,
}

/// A bus as bad as the port allows.
struct Bus {
    state: Mutex<State>,
}

struct State {
    listeners: Vec<Arc<Listener>>,
    mood: Mood,
    /// What some listener will hear later.
    late: Vec<(usize, Arc<Entry>)>,
    chance: u64,
}

impl Bus {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { listeners: Vec::new(), mood, late: Vec::new(), chance: 0x9e37_79b9_7f4a_7c15 }) })
    }

    fn set(&self, mood: Mood) {
        self.state.lock().expect("the bus").mood = mood;
    }
}

impl State {
    /// The next of a fixed row of numbers below `n` that look like chance.
    fn chance(&mut self, n: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % n
    }

    /// Who hears what now.
    fn deliveries(&mut self, entry: &Arc<Entry>) -> Vec<(usize, Arc<Entry>)> {
        let everybody = 0..self.listeners.len();
        match self.mood {
            Mood::Deaf => Vec::new(),
            Mood::Good => everybody.map(|l| (l, Arc::clone(entry))).collect(),
            Mood::Bad => {
                let mut now = Vec::new();
                for listener in everybody {
                    match self.chance(6) {
                        0 | 1 => {}
                        2 | 3 => self.late.push((listener, Arc::clone(entry))),
                        4 => now.push((listener, Arc::clone(entry))),
                        _ => now.extend([(listener, Arc::clone(entry)), (listener, Arc::clone(entry))]),
                    }
                }
                while self.late.len() > 10 {
                    let at = self.chance(self.late.len() as u64) as usize;
                    now.push(self.late.swap_remove(at));
                }
                now
            }
        }
    }
}

impl SessionBus for Bus {
    fn publish(&self, entry: Arc<Entry>) {
        let mut state = self.state.lock().expect("the bus");
        let now = state.deliveries(&entry);
        let listeners = state.listeners.clone();
        drop(state);
        for (listener, entry) in now {
            listeners[listener](News::Entry(entry));
        }
    }

    fn listen(&self, listener: Listener) {
        self.state.lock().expect("the bus").listeners.push(Arc::new(listener));
    }
}

/// Two nodes and a session.
struct Cluster {
    bus: Arc<Bus>,
    nodes: [SocketAddr; 2],
    session: String,
    _folder: TempDir,
}

impl Cluster {
    async fn open(mood: Mood) -> Self {
        let folder = TempDir::new().expect("a folder");
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder.path()).await.expect("a store"));
        let bus = Bus::new(mood);
        let ((first, desk), (second, _)) = (node(&store, &bus).await, node(&store, &bus).await);
        let visitor = Person::new(Realm::Support, "u1", Role::Visitor);
        let session = desk
            .start_session(&Principal::Delegate { realm: Realm::Support, has_key: true }, Opening::by(visitor))
            .await
            .expect("a session")
            .session;
        Self { bus, nodes: [first, second], session: session.id.to_string(), _folder: folder }
    }

    /// A socket on a node that has joined and wants everything from the start; and the numbers that its greeting showed.
    async fn join(&self, node: usize) -> (Client, Vec<u64>) {
        let mut client = Dial::to(self.nodes[node]).auth(json!({"apiKey": KEY})).connect().await.expect("a connection");
        client.emit("join_session", &[json!({"sessionId": self.session, "userId": "u1", "lastSeq": 0})]);
        let greeting = client.event().await.expect("a greeting");
        assert_eq!(greeting.name, "session_joined");
        let shown = greeting.args[0]["messages"].as_array().expect("messages").iter().map(number).collect();
        (client, shown)
    }

    async fn say(&self, client: &mut Client, text: &str) {
        let said = json!({"sessionId": self.session, "message": text, "clientKey": text});
        let ack = client.call("send_message", said).await.expect("an acknowledgement");
        assert_eq!(ack["ok"], true, "{ack}");
    }
}

/// A node of its own port on the shared store and bus.
async fn node(store: &Arc<dyn Store>, bus: &Arc<Bus>) -> (SocketAddr, Arc<Desk>) {
    let gateway = Gateway::new(Arc::clone(store), Arc::clone(bus) as _, SystemClock.now());
    let announce = Arc::clone(&gateway) as _;
    let ports = Ports {
        store: Arc::clone(store),
        announce,
        authority: authority(),
        passwords: Arc::new(Hasher::default()),
        clock: Arc::new(SystemClock),
    };
    let desk = Arc::new(Desk::new(ports, Policy::default()));
    let limits = Limits { max_message_bytes: 1_000_000, sockets_per_address: PerAddress::new(None) };
    let mut sockets =
        Sockets::new(&gateway, Way { signals: Signals::default(), prefix: String::new() }, Arc::new(Trust::default()), limits, false);
    sockets.mount(&desk, &dialect::of(Realm::Support), "/");
    gateway.attach(std::iter::once(&sockets));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let bounds = Bounds { write_stall: Duration::from_secs(20), head: Duration::from_secs(15), slots: slots(0) };
    tokio::spawn(serve(WatchedListener::new(listener, bounds), sockets.router(), pending()));
    (address, desk)
}

fn number(message: &Value) -> u64 {
    message["seq"].as_u64().expect("a number")
}

/// Reads messages up to this number; answers the numbers of all it has seen.
async fn read_up_to(client: &mut Client, mut seen: Vec<u64>, last: u64) -> Vec<u64> {
    while seen.last().is_none_or(|l| *l < last) {
        let event = client.event().await.unwrap_or_else(|why| panic!("{why} after {:?}", seen.last()));
        if event.name == "new_message" {
            seen.push(number(&event.args[0]));
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_loses_repeats_and_reorders_is_not_noticed() {
    const MESSAGES: usize = 1_000;
    let cluster = Cluster::open(Mood::Bad).await;
    let mut readers = Vec::new();
    let (mut sender, _) = cluster.join(0).await;
    for n in 0..MESSAGES {
        // Some come while everything is in motion.
        if n % 100 == 50 {
            readers.extend(join_all([cluster.join(0), cluster.join(1)]).await);
        }
        cluster.say(&mut sender, &format!("{n}")).await;
    }
    cluster.bus.set(Mood::Good);
    cluster.say(&mut sender, "the last").await;
    // The waiting session has no other entries: its messages are all of its log.
    let all: Vec<u64> = log_of(&cluster).await;
    assert_eq!(all.len(), MESSAGES + 1);
    let last = *all.last().expect("messages");
    readers.push((sender, Vec::new()));
    for (mut reader, shown) in readers {
        assert_eq!(read_up_to(&mut reader, shown, last).await, all);
        let doubled = reader.leftover().await.expect("a live reader").into_iter().find(|e| e.name == "new_message");
        assert_eq!(doubled, None);
    }
}

/// The numbers of all messages, as a newcomer reads them.
async fn log_of(cluster: &Cluster) -> Vec<u64> {
    let (mut client, _) = cluster.join(1).await;
    let mut numbers = Vec::new();
    let mut after = 0;
    loop {
        let answer = client.call("resume", json!({"sessionId": cluster.session, "lastSeq": after})).await.expect("an answer");
        let entries = answer["entries"].as_array().expect("entries");
        numbers.extend(entries.iter().filter(|e| e["type"] == "message").map(number));
        after = entries.last().map_or(after, number);
        if answer["complete"] == true {
            return numbers;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_heard_comes_with_the_next_entry() {
    let cluster = Cluster::open(Mood::Good).await;
    let mut sockets = [cluster.join(0).await.0, cluster.join(1).await.0];
    cluster.bus.set(Mood::Deaf);
    for n in 1..=300 {
        cluster.say(&mut sockets[0], &format!("{n}")).await;
    }
    for socket in &mut sockets {
        assert!(!socket.leftover().await.expect("a live socket").iter().any(|e| e.name == "new_message"));
    }
    cluster.bus.set(Mood::Good);
    cluster.say(&mut sockets[1], "one more").await;
    let all = log_of(&cluster).await;
    for socket in &mut sockets {
        assert_eq!(read_up_to(socket, Vec::new(), *all.last().expect("messages")).await, all);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_heard_comes_when_it_is_announced_again() {
    let cluster = Cluster::open(Mood::Good).await;
    let mut sockets = [cluster.join(0).await.0, cluster.join(1).await.0];
    cluster.bus.set(Mood::Deaf);
    cluster.say(&mut sockets[0], "lost").await;
    cluster.say(&mut sockets[0], "lost too").await;
    cluster.bus.set(Mood::Good);
    // The client repeats its call; the entry is stored already and only announced again.
    cluster.say(&mut sockets[0], "lost too").await;
    let all = log_of(&cluster).await;
    assert_eq!(all.len(), 2);
    for socket in &mut sockets {
        assert_eq!(read_up_to(socket, Vec::new(), all[1]).await, all);
        assert!(!socket.leftover().await.expect("a live socket").iter().any(|e| e.name == "new_message"));
    }
}
