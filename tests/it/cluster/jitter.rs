//! F5: every client's connection is cut again and again, and comes back to either node. Everybody gets every message, once.

use std::time::Duration;

use tokio::time::sleep;

use super::crowd::Crowd;
use super::figures::{note, size};
use super::nodes::Nodes;
use super::person::{Cuts, Person};
use super::redis_server::Redis;
use crate::transcripts::mongo_uri;

/// How many clients are in a session; one of them talks.
pub(super) const PER_SESSION: usize = 20;

const PACE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_are_cut_again_and_again_get_everything_once() {
    let clients = usize::try_from(size("JITTER_CLIENTS", 500)).expect("a number of clients");
    let [seconds, every, away] = [("SECONDS", 20), ("EVERY", 4), ("AWAY", 1)].map(|(name, usual)| size(&format!("JITTER_{name}"), usual));
    let redis = Redis::start();
    let nodes = Nodes::open(&mongo_uri(), &[("REDIS_URL", &redis.url())]).await;
    let mut crowd = Crowd::default();
    for (n, room) in nodes.rooms(clients / PER_SESSION).await.iter().enumerate() {
        for m in 0..PER_SESSION {
            let nth = u32::try_from(n * PER_SESSION + m).expect("a number of clients");
            let every = Duration::from_secs(every);
            let cuts = Cuts { first: every * nth / u32::try_from(clients).expect("the same"), every, away: Duration::from_secs(away) };
            let id = format!("client {m}");
            let person = Person::new(nodes.addresses(), (n + m) % 2, &room.id, (&id, "system"), crowd.tally.clone()).with_cuts(cuts);
            crowd.add(if m == 0 { person.talking(PACE) } else { person });
        }
    }
    crowd.assemble().await;
    sleep(Duration::from_secs(seconds)).await;
    let outcome = crowd.finish(&nodes).await;
    let cuts: usize = outcome.people.iter().map(|p| p.visits - 1).sum();
    let (due, lost, doubled) = (outcome.due, outcome.lost, outcome.doubled);
    #[allow(clippy::cast_precision_loss, reason = "a share that people read")]
    let share = 100.0 * (due - lost) as f64 / due as f64;
    let measured = format!("{share:.3} % of {due} delivered, {lost} lost, {doubled} doubled; {cuts} cuts");
    let size = format!("{clients} clients, {seconds} s, cut every {every} s for {away} s");
    note("F5 jitter", &size, "100.00 % delivered, 0 doubled", &measured, outcome.is_true());
    outcome.assert_true(&nodes);
    // Coming back takes time too.
    assert!(cuts >= clients * usize::try_from(seconds / (every + away)).expect("few") / 2, "only {cuts} cuts");
    nodes.close().await;
}
