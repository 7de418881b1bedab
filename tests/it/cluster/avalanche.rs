//! F6: all clients are cut at once, and all come back at once.

use std::time::Duration;

use tokio::time::Instant;

use super::crowd::Crowd;
use super::figures::{note, size};
use super::jitter::PER_SESSION;
use super::nodes::Nodes;
use super::person::Person;
use super::redis_server::Redis;
use crate::transcripts::mongo_uri;

const PACE: Duration = Duration::from_millis(500);

/// How soon everybody is connected and joined again, and how much later for each client beyond 5,000.
const BACK: Duration = Duration::from_secs(5);
const MORE: Duration = Duration::from_millis(1);

/// How often they are cut.
const ROUNDS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_are_all_cut_at_once_are_back_soon() {
    let clients = usize::try_from(size("AVALANCHE_CLIENTS", 500)).expect("a number of clients");
    let redis = Redis::start();
    let nodes = Nodes::open(&mongo_uri(), &[("REDIS_URL", &redis.url())]).await;
    let mut crowd = Crowd::default();
    for (n, room) in nodes.rooms(clients / PER_SESSION).await.iter().enumerate() {
        for m in 0..PER_SESSION {
            let id = format!("client {m}");
            let person = Person::new(nodes.addresses(), (n + m) % 2, &room.id, (&id, "system"), crowd.tally.clone());
            crowd.add(if m == 0 { person.talking(PACE) } else { person });
        }
    }
    crowd.assemble().await;
    let mut slowest = Duration::ZERO;
    for _ in 0..ROUNDS {
        crowd.acknowledge(clients as u64 / 20).await;
        let (joined, cut) = (*crowd.tally.joined.borrow(), Instant::now());
        crowd.tell(|stage| stage.cut += 1);
        crowd.rejoin(joined, clients).await;
        slowest = slowest.max(cut.elapsed());
    }
    let outcome = crowd.finish(&nodes).await;
    let bar = BACK + MORE * u32::try_from(clients.saturating_sub(5_000)).expect("a number of clients");
    let (lost, doubled) = (outcome.lost, outcome.doubled);
    let measured = format!("all back in at most {} ms, {lost} lost, {doubled} doubled", slowest.as_millis());
    let is_good = slowest < bar && outcome.is_true();
    note("F6 avalanche", &format!("{clients} clients, {ROUNDS} times"), &format!("all back in {} s", bar.as_secs()), &measured, is_good);
    outcome.assert_true(&nodes);
    assert!(slowest < bar, "{measured}");
    nodes.close().await;
}
