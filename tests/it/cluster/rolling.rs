//! F8: the nodes are stopped one after the other under load, as a deployment does. Each sends its clients away over a while, and ends in time.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::crowd::Crowd;
use super::figures::{note, size};
use super::nodes::Nodes;
use super::person::Person;
use super::redis_server::Redis;
use crate::harness::http;
use crate::harness::script::Body;
use crate::transcripts::mongo_uri;

const SESSIONS: usize = 15;

/// How often each of the four in a session says something.
const PACE: Duration = Duration::from_millis(150);

/// `SHUTDOWN_SECONDS`, and the part of it over which clients are sent away.
const SHUTDOWN: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(3);

/// What anything may take longer on a busy machine.
const LATE: Duration = Duration::from_secs(2);

/// The moments at which those come to the other node who were at this one, which is told to stop.
async fn leave(nodes: &mut Nodes, crowd: &Crowd, stopped: usize) -> Vec<Duration> {
    let mut joined = crowd.tally.joined.subscribe();
    let before = *joined.borrow_and_update();
    nodes.shops[stopped].server.terminate().await;
    let told = Instant::now();
    let mut moments = Vec::new();
    while moments.len() < 2 * SESSIONS {
        timeout(SHUTDOWN + LATE, joined.changed()).await.expect("everybody goes in time").expect("people");
        let back = (*joined.borrow_and_update() - before) as usize;
        moments.resize(back.max(moments.len()), told.elapsed());
        if moments.len() == 1 {
            let ready = http::request(nodes.addresses()[stopped], "GET", "/readyz", &[], Body::None).await;
            let ready = ready.unwrap_or_else(|error| panic!("{error}\n{}", nodes.logs()));
            assert_eq!(ready.status, 503, "a node that sends its clients away is not ready");
        }
    }
    assert_eq!(nodes.shops[stopped].server.exit_code().await, Some(0), "{}", nodes.logs());
    assert!(told.elapsed() < SHUTDOWN + LATE, "it ended after {:?}", told.elapsed());
    moments
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_stopped_one_after_the_other_lose_and_double_nothing() {
    let (rounds, redis) = (size("DEPLOYMENTS", 4), Redis::start());
    let env = [("REDIS_URL", &*redis.url()), ("SHUTDOWN_SECONDS", "5"), ("PRESENCE_LEASE_SECONDS", "1")];
    let mut nodes = Nodes::open(&mongo_uri(), &env).await;
    let mut crowd = Crowd::default();
    for room in nodes.rooms(SESSIONS).await {
        let people = [(0, &*room.visitor, "user"), (1, "machine 1", "system"), (0, "machine 0", "system"), (1, "machine 2", "system")];
        for (home, id, kind) in people {
            crowd.add(Person::new(nodes.addresses(), home, &room.id, (id, kind), crowd.tally.clone()).talking(PACE));
        }
    }
    crowd.assemble().await;
    let (mut earliest, mut latest, mut in_first_half) = (WINDOW, Duration::ZERO, 0);
    for round in 0..rounds {
        let stopped = usize::from(round % 2 == 1);
        crowd.acknowledge(200).await;
        let moments = leave(&mut nodes, &crowd, stopped).await;
        earliest = earliest.min(moments[0]);
        latest = latest.max(*moments.last().expect("moments"));
        in_first_half += moments.iter().filter(|at| **at < WINDOW / 2).count();
        let joined = *crowd.tally.joined.borrow();
        nodes.shops[stopped].server.start_again().await;
        crowd.tell(|stage| stage.homeward += 1);
        crowd.rejoin(joined, 2 * SESSIONS).await;
    }
    let moved = rounds as usize * 2 * SESSIONS;
    let outcome = crowd.finish(&nodes).await;
    let (messages, lost, doubled) = (outcome.messages, outcome.lost, outcome.doubled);
    let is_spread = (moved / 5..=moved * 4 / 5).contains(&in_first_half) && latest > WINDOW / 2;
    let spread = format!("gone after {} to {} ms", earliest.as_millis(), latest.as_millis());
    let measured = format!("{messages} messages, {lost} lost, {doubled} doubled; {spread}");
    note("F8 deployment", &format!("{rounds} stops"), "0 lost, 0 doubled, spread, in time", &measured, outcome.is_true() && is_spread);
    outcome.assert_true(&nodes);
    assert!(is_spread, "{in_first_half} of {moved} went in the first half of the window, the last one after {latest:?}");
    nodes.close().await;
}
