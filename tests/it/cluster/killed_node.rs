//! F1: a node is killed at a random moment under load. Its clients go to the other node and repeat what was not acknowledged.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::crowd::Crowd;
use super::figures::{note, size};
use super::nodes::Nodes;
use super::person::Person;
use super::redis_server::Redis;
use crate::transcripts::mongo_uri;

const SESSIONS: usize = 6;

/// How often each of the four in a session says something.
const PACE: Duration = Duration::from_millis(100);

/// How long the clients of a killed node may take to be back on the other.
const BACK: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_under_load_loses_and_doubles_nothing() {
    let (rounds, redis) = (size("KILLS", 20), Redis::start());
    let mut nodes = Nodes::open(&mongo_uri(), &[("REDIS_URL", &redis.url())]).await;
    let mut crowd = Crowd::default();
    for room in nodes.rooms(SESSIONS).await {
        let people = [(0, &*room.visitor, "user"), (1, &*room.agent, "agent"), (0, "machine 0", "system"), (1, "machine 1", "system")];
        for (home, id, kind) in people {
            crowd.add(Person::new(nodes.addresses(), home, &room.id, (id, kind), crowd.tally.clone()).talking(PACE));
        }
    }
    crowd.assemble().await;
    let (mut chance, mut slowest) = (Uuid::new_v4().as_u128() as u64, Duration::ZERO);
    for round in 0..rounds {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        crowd.acknowledge(50 + (chance >> 33) % 100).await;
        let (killed, joined) = (usize::from(round % 2 == 1), *crowd.tally.joined.borrow());
        nodes.shops[killed].server.crash().await;
        let gone = Instant::now();
        // Half of them were there.
        crowd.rejoin(joined, 2 * SESSIONS).await;
        slowest = slowest.max(gone.elapsed());
        let joined = *crowd.tally.joined.borrow();
        nodes.shops[killed].server.start_again().await;
        crowd.tell(|stage| stage.homeward += 1);
        crowd.rejoin(joined, 2 * SESSIONS).await;
    }
    let outcome = crowd.finish(&nodes).await;
    let (messages, lost, doubled) = (outcome.messages, outcome.lost, outcome.doubled);
    let measured = format!("{messages} messages, {lost} lost, {doubled} doubled; clients back after at most {} ms", slowest.as_millis());
    let is_good = outcome.is_true() && slowest < BACK;
    note("F1 killed node", &format!("{rounds} kills"), "0 lost, 0 doubled, one order", &measured, is_good);
    outcome.assert_true(&nodes);
    assert!(slowest < BACK, "clients were back after {slowest:?}");
    nodes.close().await;
}
