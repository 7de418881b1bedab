//! What a node does from time to time beside serving: mending, keeping lists, signs of life, deliveries of which no word came.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::Node;
use crate::config::Presence;
use crate::domain::desk::{Desk, Watch};
use crate::domain::entry::Entry;
use crate::domain::error::Error;
use crate::domain::time::Timestamp;

/// How often slots and queues are checked.
const REPAIR_EVERY: Duration = Duration::from_secs(60);

/// After how many of these checks every open session is checked against its log, beside the first three.
const LONG_REPAIR_EVERY: u64 = 60;

/// How often lists by activity catch up with messages.
const LISTS_EVERY: Duration = Duration::from_secs(5);

/// How often logins are looked for: a socket whose login was taken back is closed within five seconds.
const LOGINS_EVERY: Duration = Duration::from_secs(4);

/// How often the store is asked for entries of which no word came: while Redis is away, and else in so many of these.
const HEAL_EVERY_CUT: Duration = Duration::from_secs(1);
const HEAL_EVERY: u64 = 5;

/// How far the clocks of two nodes may differ, in milliseconds.
const CLOCKS_MS: i64 = 30_000;

/// How many messages may wait to be noted as delivered to those who look at them.
const VIEWED: usize = 1_000;

/// In how many looks without a sign of life a node is taken for dead: a few of them may come late.
const LOOKS: u32 = 5;

/// Does all of it. Never ends by itself.
pub(super) async fn keep(node: &Node, presence: &Presence) {
    tokio::join!(
        repair_forever(Arc::clone(&node.desk)),
        keep_lists(&node.desk),
        keep_logins(&node.desk),
        heal_forever(node),
        show_life(node, presence),
        keep_watch(node, presence),
        reach_viewers(node)
    );
}

/// Mends what a crash left, at start and from time to time.
async fn repair_forever(desk: Arc<Desk>) {
    let mut due = interval(REPAIR_EVERY);
    let mut failed_before = false;
    for minute in 0_u64.. {
        due.tick().await;
        // What a crash or a failure left has to be a minute old before it is mended.
        let is_long = minute < 3 || minute.is_multiple_of(LONG_REPAIR_EVERY) || failed_before;
        failed_before = desk.has_unsettled();
        let mended = async {
            desk.miss_the_absent().await?;
            if is_long { desk.repair().await } else { desk.tend().await }
        };
        if let Err(error) = mended.await {
            tracing::warn!(%error, "a repair pass did not finish; the next one does the rest");
            failed_before = true;
        }
    }
}

/// Keeps lists by activity in order.
async fn keep_lists(desk: &Desk) {
    let mut due = interval(LISTS_EVERY);
    loop {
        due.tick().await;
        catch_up_lists(desk).await;
    }
}

/// Brings lists by activity up to date.
pub(super) async fn catch_up_lists(desk: &Desk) {
    if let Err(error) = desk.catch_up_lists().await {
        tracing::warn!(%error, "sessions could not be brought to their place in lists; the next try does the rest");
    }
}

/// Delivers what other nodes have stored; where this node has the store for itself it has nothing to do.
async fn heal_forever(node: &Node) {
    if node.is_alone() {
        return std::future::pending().await;
    }
    let mut due = interval(HEAL_EVERY_CUT);
    let mut sure_until = node.desk.now();
    for second in 0_u64.. {
        let may_lack = tokio::select! {
            _ = due.tick() => match node.gateway.is_cut() {
                false if !second.is_multiple_of(HEAL_EVERY) => continue,
                is_cut => is_cut,
            },
            () = node.gateway.lost() => true,
        };
        let began = node.desk.now();
        let healed = async {
            node.gateway.heal().await?;
            if may_lack { summon_again(node, sure_until.plus_ms(-CLOCKS_MS)).await } else { Ok(()) }
        };
        match healed.await {
            Ok(()) => sure_until = began,
            Err(error) => tracing::warn!(%error, "what other nodes did could not be looked for; the next try does the rest"),
        }
    }
}

/// Summons people of this node to sessions that changed since then, in case the word of it is lost.
async fn summon_again(node: &Node, since: Timestamp) -> Result<(), Error> {
    for (person, session, after) in node.desk.recent_participants(since).await? {
        node.gateway.summon_again(&person, &session, after);
    }
    Ok(())
}

/// New messages reach those who look at their session on this node, whichever node stored them.
async fn reach_viewers(node: &Node) {
    let (delivered, mut due) = mpsc::channel(VIEWED);
    let desk = Arc::clone(&node.desk);
    node.gateway.tell(move |entry: &Entry| {
        if entry.body().is_some() && desk.is_viewed(&entry.session) && delivered.try_send(entry.clone()).is_err() {
            tracing::debug!(session.id = %entry.session, "a message counts as delivered only when its reader says so");
        }
    });
    while let Some(message) = due.recv().await {
        if let Err(error) = node.desk.deliver_to_viewers(&message).await {
            tracing::warn!(session.id = %message.session, %error, "a receipt could not be noted");
        }
    }
}

/// Notices logins that were taken back by somebody else.
async fn keep_logins(desk: &Desk) {
    let mut due = interval(LOGINS_EVERY);
    loop {
        due.tick().await;
        if let Err(error) = desk.look_after_logins().await {
            tracing::warn!(%error, "logins could not be looked after; the next try does the rest");
        }
    }
}

/// Shows that this node lives, also while it sweeps up after another.
async fn show_life(node: &Node, presence: &Presence) {
    let mut due = interval(presence.lease / LOOKS);
    loop {
        due.tick().await;
        if let Err(error) = node.desk.show_life().await {
            tracing::warn!(%error, "this node could not show that it lives; it shows so again soon");
        }
    }
}

/// Notices nodes that do not live any more, and gives the sessions of agents who stay away back to the queue.
async fn keep_watch(node: &Node, presence: &Presence) {
    let every = presence.lease / LOOKS;
    let mut due = interval(every);
    // After an outage the others get their time, and looks in a row would take it from them.
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(node.is_alone(), LOOKS);
    let grace = i64::try_from(presence.grace.as_millis()).unwrap_or(i64::MAX);
    loop {
        due.tick().await;
        let kept = async {
            node.desk.keep_watch(&mut watch).await?;
            let (now, (has_others, looks)) = (node.desk.now(), watch.others());
            let silence = every * (looks + 1);
            let since = now.plus_ms(-i64::try_from(silence.as_millis()).unwrap_or(0));
            node.gateway.see_others(now, has_others, (looks > 1).then_some(since));
            node.desk.requeue_of_absent(grace).await
        };
        if let Err(error) = kept.await {
            tracing::warn!(%error, "it is not known who is there; the next look finds out");
        }
    }
}
