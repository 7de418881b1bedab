//! F3: the database dies under load and comes back on the same data. Meanwhile clients are told to try again, or wait; what was acknowledged is there.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};

use super::crowd::Crowd;
use super::figures::{note, size};
use super::nodes::Nodes;
use super::person::Person;
use super::redis_server::Redis;
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::store::mongo_server::Server as Database;

const SESSIONS: usize = 4;

/// How often the visitor, on one node, and the agent, on the other, say something.
const PACE: Duration = Duration::from_millis(50);

/// How long a call may wait for its answer.
const ANSWER: Duration = Duration::from_secs(12);

/// How soon the nodes have to say that they are not ready, and that they are again.
const TOLD: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_makes_clients_wait_and_loses_nothing() {
    let (seconds, redis, data) = (size("DATABASE_SECONDS", 5), Redis::start(), tempfile::tempdir().expect("a folder"));
    let database = Database::start(data.path(), 0).await;
    let (uri, port) = (database.uri(), database.port);
    let nodes = Nodes::open(&uri, &[("REDIS_URL", &redis.url())]).await;
    let mut crowd = Crowd::default();
    for room in nodes.rooms(SESSIONS).await {
        for (home, id, kind) in [(0, &*room.visitor, "user"), (1, &*room.agent, "agent")] {
            let person = Person::new(nodes.addresses(), home, &room.id, (id, kind), crowd.tally.clone());
            crowd.add(person.talking(PACE).one_by_one());
        }
    }
    crowd.assemble().await;
    crowd.acknowledge(200).await;
    database.kill().await;
    let away = Instant::now();
    let red = readiness_turns(&nodes, 503).await;
    sleep_until(away + Duration::from_secs(seconds)).await;
    let database = Database::start(data.path(), port).await;
    let green = readiness_turns(&nodes, 200).await;
    crowd.acknowledge(200).await;
    let outcome = crowd.finish(&nodes).await;
    let waited = outcome.people.iter().map(|p| p.longest_wait).max().expect("people");
    let refused: usize = outcome.people.iter().map(|p| p.refusals).sum();
    let (messages, lost, doubled) = (outcome.messages, outcome.lost, outcome.doubled);
    let measured = format!(
        "{messages} messages, {lost} lost, {doubled} doubled; answers after at most {} ms, {refused} to be tried again; not ready after {} ms, ready after {} ms",
        waited.as_millis(),
        red.as_millis(),
        green.as_millis()
    );
    let is_in_time = waited < ANSWER && red < TOLD && green < TOLD;
    let bar = "retryable or in time, 0 acknowledged lost, by itself, alive and not ready";
    note("F3 database away", &format!("{seconds} s"), bar, &measured, outcome.is_true() && is_in_time);
    outcome.assert_true(&nodes);
    assert!(is_in_time, "{measured}");
    assert!(refused > 0 || waited > Duration::from_secs(1), "nobody noticed that the database was away");
    assert!(outcome.people.iter().all(|p| p.visits == 1), "somebody lost his connection");
    nodes.close().await;
    database.kill().await;
}

/// Waits until both nodes answer so to whoever asks whether they are ready. They are alive all the time.
async fn readiness_turns(nodes: &Nodes, status: u16) -> Duration {
    let begin = Instant::now();
    let turns = nodes.addresses().map(async |address| {
        let probe = async |path| request(address, "GET", path, &[], Body::None).await.expect("an answer").status;
        while probe("/readyz").await != status {
            assert_eq!(probe("/healthz").await, 200);
            assert!(begin.elapsed() < 4 * TOLD, "/readyz does not turn to {status}");
        }
        assert_eq!(probe("/healthz").await, 200);
    });
    join_all(turns).await;
    begin.elapsed()
}
