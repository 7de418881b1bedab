//! F7: sessions are started all at once over three nodes, and end, while agents come and go and a node dies. Nobody ever has more than he takes, each
//! session has one owner, and who waited longest comes first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use helpline::domain::agent::{Agent, Availability};
use helpline::domain::entry::{Content, Entry};
use helpline::domain::ids::{AgentId, SessionId};
use helpline::domain::principal::Realm;
use helpline::domain::session::{Session, Status};
use helpline::domain::store::Store;
use helpline::domain::time::{Clock, SystemClock, Timestamp};
use helpline::store::mongo::open;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::{Instant, interval};
use uuid::Uuid;

use super::figures::{note, size};
use super::redis_server::Redis;
use crate::harness::shop::{KEY, Shop};
use crate::transcripts::mongo_uri;

const AGENTS: u8 = 50;

/// How many sessions each takes; the default ones take two.
const CAPACITY: u32 = 4;

/// How long a session that is older may be passed over by one that another node takes at the same time.
const OVERTAKEN_MS: i64 = 3_000;

/// How long it may take until the queue is served after everything has calmed down.
const CALM: Duration = Duration::from_secs(30);

struct Company {
    nodes: Vec<Shop>,
    store: Arc<dyn Store>,
    client: Client,
    _redis: Redis,
    database: String,
}

impl Company {
    async fn open() -> Self {
        let (uri, database, redis) = (mongo_uri(), format!("helpline_test_{}", Uuid::new_v4().simple()), Redis::start());
        let url = redis.url();
        let env = [("MONGODB_URI", uri.as_str()), ("MONGODB_DB", &database), ("REDIS_URL", &url), ("MESSAGES_PER_MINUTE", "0")];
        let nodes = vec![Shop::open(&env).await, Shop::open(&env).await, Shop::open(&env).await];
        let store: Arc<dyn Store> = Arc::new(open(&uri, Some(&database)).await.unwrap());
        for n in 0..AGENTS - 3 {
            let fresh = Agent::new(Realm::Support, AgentId::random(), format!("agent {n}"), CAPACITY, SystemClock.now());
            store.insert_agent(&Agent { availability: Availability::Online, ..fresh }).await.unwrap();
        }
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { nodes, store, client, _redis: redis, database }
    }

    /// Calls a node, and the others where that one does not answer. Every call here may be repeated.
    async fn call(&self, node: usize, method: Method, path: &str, body: &Value) -> Value {
        for n in node.. {
            let url = format!("http://{}{path}", self.nodes[n % self.nodes.len()].server.address());
            let sent = self.client.request(method.clone(), url).header("x-api-key", KEY).json(body).send().await;
            match sent {
                Ok(answer) if answer.status().is_success() => return answer.json().await.unwrap_or_default(),
                // It had ended when the call was repeated.
                Ok(answer) if answer.status().as_u16() == 400 => return Value::Null,
                _ => {}
            }
        }
        unreachable!("some node answers")
    }

    async fn start(&self, n: usize) -> SessionId {
        let data = self.call(n, Method::POST, "/api/chat/start-session", &json!({"userId": format!("v{n}")})).await;
        SessionId::stored(data["data"]["sessionId"].as_str().expect("a session"))
    }

    async fn end(&self, n: usize, id: &SessionId) {
        self.call(n, Method::POST, &format!("/api/chat/end-session/{id}"), &json!({})).await;
    }

    async fn declare(&self, n: usize, agent: &AgentId, is_available: bool) {
        let path = format!("/api/auth/{agent}/availability");
        self.call(n, Method::PUT, &path, &json!({"isAvailable": is_available})).await;
    }

    async fn agents(&self) -> Vec<Agent> {
        self.store.list_agents(Realm::Support).await.unwrap()
    }

    async fn session(&self, id: &SessionId) -> Session {
        self.store.find_session(id).await.unwrap().unwrap()
    }

    async fn log(&self, id: &SessionId) -> Vec<Entry> {
        self.store.list_entries(id, 0, 100).await.unwrap()
    }
}

/// What the log says of one session: when it was opened, who had it from when on, and when it ended.
struct Story {
    opened: Timestamp,
    owners: Vec<(Timestamp, AgentId)>,
    ended: Option<Timestamp>,
}

fn story(session: &Session, log: &[Entry]) -> Story {
    let mut story = Story { opened: session.created_at, owners: Vec::new(), ended: None };
    for entry in log {
        match &entry.content {
            Content::Assigned(made) => story.owners.push((entry.at, made.agent.as_ref().expect("nobody takes one away").id.clone())),
            Content::Ended(_) => story.ended = Some(entry.at),
            other => panic!("nobody said anything: {other:?}"),
        }
    }
    story
}

/// The most sessions that each agent ever had at once.
fn peaks(stories: &[Story]) -> HashMap<AgentId, i64> {
    let mut changes: Vec<(Timestamp, i64, &AgentId)> = Vec::new();
    for story in stories {
        for (at, agent) in &story.owners {
            changes.push((*at, 1, agent));
            changes.extend(story.ended.map(|end| (end, -1, agent)));
        }
    }
    // What ends in a moment makes room for what begins in it.
    changes.sort_by_key(|(at, change, _)| (*at, *change));
    let (mut loads, mut peaks): (HashMap<&AgentId, i64>, HashMap<AgentId, i64>) = Default::default();
    for (_, change, agent) in changes {
        let load = loads.entry(agent).or_default();
        *load += change;
        let peak = peaks.entry(agent.clone()).or_default();
        *peak = (*load).max(*peak);
    }
    peaks
}

/// For how long at most an older session waited on while a younger one was taken.
fn longest_overtaking(stories: &[Story]) -> i64 {
    let mut taken: Vec<(Timestamp, Timestamp)> = stories.iter().filter_map(|s| Some((s.opened, s.owners.first()?.0))).collect();
    taken.sort_unstable();
    let (mut last_end, mut longest) = (i64::MAX, 0);
    for (_, at) in taken.iter().rev() {
        longest = longest.max(at.0.saturating_sub(last_end));
        last_end = last_end.min(at.0);
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_start_at_once_have_one_owner_each_and_nobody_too_many() {
    let count = size("STARTS", 1_000) as usize;
    let mut company = Company::open().await;
    let all: Vec<SessionId> = stream::iter(0..count).map(|n| company.start(n)).buffer_unordered(count).collect().await;
    let loads: Vec<usize> = company.agents().await.iter().filter(|a| a.capacity == CAPACITY).map(|a| a.sessions.len()).collect();
    let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
    assert!(spread <= 1, "{loads:?}");
    // Agents go and come while sessions end; then a node dies.
    let agents: Vec<AgentId> = company.agents().await.into_iter().map(|a| a.id).collect();
    let (first, rest) = all.split_at(count / 4);
    let coming = stream::iter(0..120).for_each_concurrent(8, |n| company.declare(n, &agents[n * 7 % agents.len()], n % 3 != 0));
    let ending = stream::iter(first.iter().enumerate()).for_each_concurrent(32, |(n, id)| company.end(n, id));
    tokio::join!(coming, ending);
    company.nodes[2].server.crash().await;
    stream::iter(rest[..count / 4].iter().enumerate()).for_each_concurrent(32, |(n, id)| company.end(n, id)).await;
    company.nodes[2].server.start_again().await;
    stream::iter(agents.iter().enumerate()).for_each_concurrent(8, |(n, agent)| company.declare(n, agent, true)).await;
    let stories = settle(&company, &all).await;
    let peaks = peaks(&stories);
    let too_many: Vec<_> =
        company.agents().await.into_iter().filter(|a| peaks.get(&a.id).is_some_and(|p| *p > i64::from(a.capacity))).collect();
    let (owners, overtaking) = (stories.iter().map(|s| s.owners.len()).max().unwrap(), longest_overtaking(&stories));
    let is_good = too_many.is_empty() && owners <= 1 && overtaking <= OVERTAKEN_MS;
    let measured = format!("spread {spread}, nobody above capacity: {}, passed over for {overtaking} ms", too_many.is_empty());
    note("F7 owners", &format!("{count} starts, 3 nodes"), "capacity, one owner, oldest first, spread 1", &measured, is_good);
    assert!(too_many.is_empty(), "{too_many:?}");
    assert_eq!(owners, 1, "nobody takes a session from another");
    assert!(overtaking <= OVERTAKEN_MS, "passed over for {overtaking} ms");
    mongodb::Client::with_uri_str(mongo_uri()).await.unwrap().database(&company.database).drop().await.unwrap();
}

/// Waits until nobody waits who could be served, and compares slots, documents and logs.
async fn settle(company: &Company, all: &[SessionId]) -> Vec<Story> {
    let (deadline, mut look) = (Instant::now() + CALM, interval(Duration::from_millis(200)));
    loop {
        look.tick().await;
        let has_room = company.agents().await.iter().any(Agent::has_room);
        let waits = !company.store.list_waiting(Realm::Support, 1).await.unwrap().is_empty();
        if !(has_room && waits) {
            break;
        }
        assert!(Instant::now() < deadline, "somebody waits, and somebody is free");
    }
    let mut stories = Vec::new();
    let mut held: HashMap<AgentId, Vec<SessionId>> = HashMap::new();
    for id in all {
        // Whoever has just been given a session may still be between its document and its log.
        let (story, owner) = loop {
            let (session, log) = (company.session(id).await, company.log(id).await);
            let story = story(&session, &log);
            let owner = story.owners.last().map(|(_, agent)| agent.clone());
            // A claim that the end was faster than stands in the document alone.
            let was_too_late = owner.is_none() && story.ended.is_some();
            let is_same_owner = session.agent.as_ref().map(|a| a.id.clone()) == owner;
            if (is_same_owner || was_too_late) && (session.status == Status::Ended) == story.ended.is_some() {
                break (story, owner);
            }
            assert!(Instant::now() < deadline, "document and log of {id} differ: {session:?} {log:?}");
            look.tick().await;
        };
        if let (None, Some(owner)) = (story.ended, owner) {
            held.entry(owner).or_default().push(id.clone());
        }
        stories.push(story);
    }
    for agent in company.agents().await {
        let mut slots = agent.sessions.clone();
        let mut held = held.remove(&agent.id).unwrap_or_default();
        slots.sort_unstable();
        held.sort_unstable();
        assert!(slots.len() <= agent.capacity as usize);
        // A node that died may have left a slot, which is freed when it is a minute old.
        assert!(held.iter().all(|id| slots.contains(id)), "{}: {slots:?} and {held:?}", agent.id);
    }
    stories
}
