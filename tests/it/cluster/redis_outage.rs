//! F2: Redis dies under load and comes back. Whoever is on the same node hears everything at once all the time, whoever is on the other hears it
//! late and then at once again, and nobody loses his connection or his agent.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::crowd::{Crowd, Late, Outcome};
use super::figures::{note, size};
use super::nodes::{Nodes, Room};
use super::person::Person;
use super::redis_server::Redis;
use crate::harness::script::Body;
use crate::transcripts::mongo_uri;

const SESSIONS: usize = 6;

/// How often whoever talks says something.
const PACE: Duration = Duration::from_millis(50);

/// How late a message may be for listeners on its own node, and how long they may hear nothing. All but 5 % have to be quick.
const LOCAL: Duration = Duration::from_secs(2);

/// How late it may be for the others while Redis is away: they look into the store every second.
const LATE: Duration = Duration::from_secs(3);

/// For how long after Redis is back it may be late.
const LEVEL: Duration = Duration::from_secs(5);

/// Word by Redis. Without any, an entry is looked for every five seconds, and few come so soon.
const QUICK: Duration = Duration::from_millis(500);

/// How late messages were, in order of what was said.
#[derive(Default)]
struct Lateness {
    /// For listeners on the node where it was said, at worst, and 95 % of what was said while Redis was away.
    local: Duration,
    local_quick: Duration,
    /// The longest time in which such a listener heard nothing of his own node.
    gap: Duration,
    /// On the other node, of what was said while Redis was away, at worst.
    remote: Duration,
    /// How long after the return of Redis the last of that came.
    level: Duration,
    /// On the other node, of what was said when everything had to be level: 95 % came so soon.
    quick: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nobody_waits_on_his_own_node_and_nothing_is_lost() {
    let (seconds, mut redis) = (size("REDIS_SECONDS", 6), Redis::start());
    let nodes = Nodes::open(&mongo_uri(), &[("REDIS_URL", &redis.url())]).await;
    let (mut crowd, rooms) = (Crowd::default(), nodes.rooms(SESSIONS).await);
    let tally = crowd.tally.clone();
    for (n, room) in rooms.iter().enumerate() {
        for home in 0..2 {
            let person = |id: &str, kind| Person::new(nodes.addresses(), home, &room.id, (id, kind), tally.clone());
            crowd.add(person(&format!("listener {home}"), "system"));
            // A node that stores something itself hears of all before it, so mostly one of the two talks.
            let talker = [person(&room.visitor, "user"), person(&room.agent, "agent")].into_iter().nth(home).expect("one of two");
            crowd.add(if n % 3 == home || n % 3 == 2 { talker.talking(PACE) } else { talker });
        }
    }
    crowd.assemble().await;
    let before = agents(&nodes, &rooms).await;
    crowd.acknowledge(200).await;
    redis.kill().await;
    let away = Instant::now();
    sleep(Duration::from_secs(seconds)).await;
    redis.start_again();
    let back = Instant::now();
    // Long enough to see that word is quick again.
    sleep(LEVEL + Duration::from_secs(2)).await;
    let after = agents(&nodes, &rooms).await;
    let outcome = crowd.finish(&nodes).await;
    let found = lateness(&outcome, away, back);
    assert_bars(&outcome, &found, seconds);
    outcome.assert_true(&nodes);
    assert_eq!(before, after, "sessions and their agents");
    assert!(outcome.people.iter().all(|p| (p.visits, p.refusals) == (1, 0)), "somebody lost his connection or was refused");
    nodes.close().await;
}

fn assert_bars(outcome: &Outcome, found: &Lateness, seconds: u64) {
    let Lateness { local, local_quick, gap, remote, level, quick } = found;
    let is_quick = *local_quick < QUICK && *quick < QUICK;
    let is_in_time = *local < LOCAL && *gap < LOCAL && *remote < LATE && *level < LEVEL;
    let ms = [local, local_quick, gap, remote, level, quick].map(Duration::as_millis);
    let measured = format!(
        "{} messages, {} lost, {} doubled; local late {} ms, 95 % in {} ms, silent {} ms; remote late {} ms, level after {} ms, then 95 % in {} ms",
        outcome.messages, outcome.lost, outcome.doubled, ms[0], ms[1], ms[2], ms[3], ms[4], ms[5]
    );
    let bar = "local never stops, remote <= 3 s late, level <= 5 s after, 0 lost, 0 doubled";
    note("F2 Redis away", &format!("{seconds} s"), bar, &measured, outcome.is_true() && is_in_time && is_quick);
    assert!(is_in_time && is_quick, "{measured}");
}

/// Who answers each session, and in which state it is.
async fn agents(nodes: &Nodes, rooms: &[Room]) -> Vec<(Value, Value)> {
    let mut agents = Vec::new();
    for room in rooms {
        let (status, answer) = nodes.shops[0].call(Method::GET, &format!("/api/chat/session/{}", room.id), Body::None).await;
        assert_eq!(status, 200, "{answer}");
        agents.push((answer["data"]["agentId"].clone(), answer["data"]["status"].clone()));
    }
    agents
}

fn lateness(outcome: &Outcome, away: Instant, back: Instant) -> Lateness {
    let (mut found, mut meanwhile, mut last) = (Lateness::default(), Vec::new(), Vec::new());
    for listener in outcome.lateness() {
        let (local, remote): (Vec<Late>, Vec<Late>) = listener.into_iter().partition(|l| l.is_local);
        let gaps = local.windows(2).map(|two| two[1].heard - two[0].heard);
        found.gap = gaps.max().unwrap_or_default().max(found.gap);
        found.local = local.iter().map(Late::by).max().unwrap_or_default().max(found.local);
        meanwhile.extend(local.iter().filter(|l| (away..back).contains(&l.stored)).map(Late::by));
        for late in remote {
            if (away..back).contains(&late.stored) {
                found.remote = found.remote.max(late.by());
                found.level = found.level.max(late.heard.saturating_duration_since(back));
            } else if late.stored > back + LEVEL {
                last.push(late.by());
            }
        }
    }
    (found.local_quick, found.quick) = (most(meanwhile), most(last));
    found
}

/// How late 95 % of these are at most.
fn most(mut late: Vec<Duration>) -> Duration {
    late.sort_unstable();
    late[late.len() * 95 / 100]
}
