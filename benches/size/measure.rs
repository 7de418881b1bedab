//! The operations, each as a caller of the desk or of the store sees it, and how long they take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join_all};
use helpline::app;
use helpline::domain::desk::{Desk, Filter, Reading};
use helpline::domain::entry::{Body, Content as Said, Draft};
use helpline::domain::error::Error;
use helpline::domain::ids::{ClientKey, EntryId, SessionId};
use helpline::domain::principal::{Peer, Person, Principal, Realm, Role};
use helpline::domain::session::Status;
use helpline::domain::store::{Appended, SessionQuery, Store};
use helpline::domain::time::{Clock, SystemClock};

use super::content::{Content, OWN_AGENT, agent, agent_id};

/// How often an operation runs on each store, before that without being measured, and for how long at most and how often at least.
const TRIES: usize = 1_000;
const WARM_UP: usize = 30;
const LIMIT: Duration = Duration::from_secs(20);
const LEAST: usize = 7;

/// How many messages and sessions a page has.
const PAGE: u32 = 50;

/// How much dearer than on an empty store what happens with every message may be.
const BAR: Option<f64> = Some(1.2);

/// A filled store, a desk over it, and what is measured in it.
pub(crate) struct World {
    desk: Desk,
    store: Arc<dyn Store>,
    long: SessionId,
    short: Vec<SessionId>,
    rooms: Vec<SessionId>,
    pub(crate) sessions: usize,
    pub(crate) messages: u64,
    pub(crate) long_messages: u64,
}

impl World {
    pub(crate) fn new(store: Arc<dyn Store>, content: Content) -> Self {
        let (sessions, messages, long_messages) = (content.sessions.len(), content.messages(), content.long_messages());
        let Content { long, short, rooms, .. } = content;
        Self { desk: app::desk_over(Arc::clone(&store)), store, long, short, rooms, sessions, messages, long_messages }
    }

    fn short(&self, n: usize) -> &SessionId {
        &self.short[n * 7_919 % self.short.len()]
    }
}

/// Something that is done with a store, and how much dearer it may be on a full one.
pub(crate) struct Operation {
    what: &'static str,
    bar: Option<f64>,
    run: for<'a> fn(&'a World, usize) -> BoxFuture<'a, Result<(), Error>>,
}

/// An operation: its name, its bar, and what is done the `n`-th time.
macro_rules! operation {
    ($what:literal, $bar:expr, |$world:ident, $n:ident| $run:expr) => {
        Operation {
            what: $what,
            bar: $bar,
            run: |$world, $n| {
                Box::pin(async move {
                    let _ = $n;
                    $run
                })
            },
        }
    };
}

/// What is measured, in the order of the table. What is read has its first length until the appends.
pub(crate) const OPERATIONS: &[Operation] = &[
    operation!("first page of a short session", BAR, |w, n| page(w, w.short(n)).await),
    operation!("first page of the long session", BAR, |w, n| page(w, &w.long).await),
    operation!("join a session: it and its head", None, |w, n| join(w, w.short(n)).await),
    operation!("join the long session", None, |w, n| join(w, &w.long).await),
    operation!("unread of a session", None, |w, n| w.desk.unread(&key(Realm::Operators), w.short(n)).await.map(drop)),
    operation!("unread of an agent's 20 rooms", None, |w, n| unread(w).await),
    operation!("an agent's 20 rooms with their last messages", None, |w, n| rooms(w).await),
    operation!("sessions that went on, of 64", None, |w, n| ahead(w).await),
    operation!("search in a short session", None, |w, n| search(w, w.short(n)).await),
    operation!("search in the long session", None, |w, n| search(w, &w.long).await),
    operation!("list of an agent's active sessions", None, |w, n| list(w, SessionQuery { status: Some(Status::Active), ..of_agent() })
        .await),
    operation!("list of active sessions", None, |w, n| list(w, SessionQuery { status: Some(Status::Active), ..all() }).await),
    operation!("list of open sessions", None, |w, n| list(w, SessionQuery { open_only: true, ..all() }).await),
    operation!("list of all sessions", None, |w, n| list(w, all()).await),
    operation!("list of sessions with messages", None, |w, n| list(w, SessionQuery { spoken_only: true, ..all() }).await),
    operation!("list of all sessions of an agent", None, |w, n| list(w, of_agent()).await),
    operation!("list of sessions by a part of a name", None, |w, n| list(w, SessionQuery { keyword: Some("tor 7".into()), ..all() }).await),
    operation!("report: sessions, messages, agents", None, |w, n| w.desk.report(&key(Realm::Operators)).await.map(drop)),
    operation!("append, one at a time", BAR, |w, n| append(w, w.short(n)).await),
    operation!("append to the long session", BAR, |w, n| append(w, &w.long).await),
    operation!("append, 64 sessions at once", BAR, |w, n| join_all(w.short.iter().map(|s| append(w, s))).await.into_iter().collect()),
];

/// A caller who may see every session of the realm.
fn key(realm: Realm) -> Principal {
    Principal::Delegate { realm, has_key: true }
}

fn all() -> SessionQuery {
    SessionQuery::of(Realm::Operators, PAGE)
}

fn of_agent() -> SessionQuery {
    SessionQuery { agent: Some(agent_id(Realm::Operators, 0)), ..all() }
}

async fn append(world: &World, session: &SessionId) -> Result<(), Error> {
    let id = EntryId::random();
    let content = Said::Message(Body::stored("one more message, about as long as people write them in a chat").into());
    let author = Person::new(Realm::Operators, "visitor-1", Role::Visitor);
    let client_key = ClientKey::parse(id.as_str());
    let draft = Draft { session: session.clone(), id, at: SystemClock.now(), author, client_key, content };
    assert!(matches!(world.store.append(draft).await?, Appended::Stored(_)));
    Ok(())
}

async fn page(world: &World, session: &SessionId) -> Result<(), Error> {
    let page = world.desk.last_page(&key(Realm::Operators), session, PAGE).await?;
    assert_eq!(page.messages.len(), PAGE as usize);
    Ok(())
}

async fn join(world: &World, session: &SessionId) -> Result<(), Error> {
    let who = agent(Realm::Operators, 0);
    let caller = Principal::Person { person: who.clone(), expires: None, login: None, peer: Peer::Unknown };
    world.desk.join(&caller, &who, session).await?;
    assert!(world.store.head(session).await?.seq > 1);
    Ok(())
}

/// The agent of the rooms that are measured.
fn own_agent() -> Principal {
    Principal::Person { person: agent(Realm::Rooms, OWN_AGENT), expires: None, login: None, peer: Peer::Unknown }
}

async fn unread(world: &World) -> Result<(), Error> {
    assert_eq!(world.desk.unread_counts(&own_agent()).await?.len(), world.rooms.len());
    Ok(())
}

async fn rooms(world: &World) -> Result<(), Error> {
    let rooms = world.desk.own_sessions(&own_agent()).await?;
    assert_eq!(world.desk.overviews(rooms).await?.len(), world.rooms.len());
    Ok(())
}

async fn ahead(world: &World) -> Result<(), Error> {
    let reached: Vec<(SessionId, u64)> = world.short.iter().map(|s| (s.clone(), 40)).collect();
    assert_eq!(world.store.list_ahead(&reached).await?.len(), reached.len());
    Ok(())
}

async fn search(world: &World, session: &SessionId) -> Result<(), Error> {
    let only = Filter { text: Some("MESSAGE".into()), ..Filter::default() };
    let wanted = Reading { limit: PAGE, newest_first: true, only, ..Reading::default() };
    assert_eq!(world.desk.read(&key(Realm::Operators), session, wanted).await?.messages.len(), PAGE as usize);
    Ok(())
}

async fn list(world: &World, query: SessionQuery) -> Result<(), Error> {
    assert!(!world.desk.list_sessions(&key(Realm::Operators), query).await?.sessions.is_empty());
    Ok(())
}

/// Runs the operation on both stores in turn; the line of the table.
pub(crate) async fn compare(operation: &Operation, empty: &World, full: &World) -> String {
    let Operation { what, bar, run } = operation;
    let (mut times, mut work, begin) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], Instant::now());
    for n in 0..WARM_UP + TRIES {
        // In no regular order, since a disk has rhythms of its own.
        let is_even = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0;
        let turns = if is_even { [(0, empty), (1, full)] } else { [(1, full), (0, empty)] };
        for (which, world) in turns {
            let (worked, begin) = (worked(), Instant::now());
            if let Err(error) = run(world, n).await {
                return format!("| {what} | fails on the {} one: {error} | | | | | | |", ["empty", "full"][which]);
            }
            times[which].push(begin.elapsed().as_secs_f64() * 1e6);
            work[which].push((self::worked() - worked) as f64 / 1e3);
        }
        if begin.elapsed() > LIMIT && n >= LEAST {
            break;
        }
    }
    // Asking is work too, some of which is counted.
    let asking = median((0..WARM_UP * 2).map(|_| asked() as f64 / 1e3).collect());
    let ([empty, full], [least, most]) = (times.map(median), work.map(|runs| (median(runs) - asking).max(1.0)));
    let bar = bar.map_or("–".to_owned(), |bar| format!("≤ {bar} {}", if full <= empty * bar { "✓" } else { "✗" }));
    format!("| {what} | {empty:.0} | {full:.0} | {:.2} | {least:.0} | {most:.0} | {:.2} | {bar} |", full / empty, most / least)
}

/// The median, without the first runs where there are enough others.
fn median(mut runs: Vec<f64>) -> f64 {
    if runs.len() > 2 * WARM_UP {
        runs.drain(..WARM_UP);
    }
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

/// How much of [`worked`] two calls of it are.
fn asked() -> u64 {
    let before = worked();
    worked() - before
}

/// For how many nanoseconds the threads of this process have worked, which waiting for a disk is not. 0 where the system does not say.
fn worked() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_thread = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("schedstat")).ok();
    threads.filter_map(of_thread).filter_map(|line| line.split(' ').next()?.parse::<u64>().ok()).sum()
}
