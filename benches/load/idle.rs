//! What a joined socket that says nothing takes of the server's memory.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::report::rounded;
use crate::{Target, open, process};

/// How many sessions are there before the memory is looked at first, so that what the first ones load and set up is not counted.
const FIRST: usize = 20;

/// How many sessions are opened between two looks at those that are open.
const STEP: usize = 100;

/// How long the server has before each look.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) async fn measure(target: &Target, sockets: usize) -> anyhow::Result<Value> {
    let (door, mut idle) = (target.door()?, JoinSet::new());
    let mut keep = |rooms: Vec<(usize, crate::protocol::Room)>| {
        for seat in rooms.into_iter().flat_map(|(_, room)| room.seats) {
            let mut wire = seat.wire;
            // Until the end of this process; pings are answered.
            idle.spawn(async move { while wire.next().await.is_ok() {} });
        }
    };
    keep(open(&door, 0..FIRST).await?);
    sleep(SETTLE).await;
    let before = (process::resident(&target.pids)?, process::anonymous(&target.pids)?);
    let last = FIRST + sockets / 2;
    for from in (FIRST..last).step_by(STEP) {
        keep(open(&door, from..last.min(from + STEP)).await?);
    }
    sleep(SETTLE).await;
    let after = (process::resident(&target.pids)?, process::anonymous(&target.pids)?);
    let closed = std::iter::from_fn(|| idle.try_join_next()).count();
    let wrong: Vec<String> = (closed > 0).then(|| format!("{closed} sockets were closed")).into_iter().collect();
    let each = |before: u64, after: u64| rounded((after as f64 - before as f64) / 1_024.0 / (last - FIRST) as f64 / 2.0);
    Ok(json!({
        "what": "idle", "sockets": (last - FIRST) * 2,
        "rss_kib_each": each(before.0, after.0), "anonymous_kib_each": each(before.1, after.1),
        "rss_kib_before": before.0 / 1_024, "rss_kib_after": after.0 / 1_024,
        "anonymous_kib_before": before.1 / 1_024, "anonymous_kib_after": after.1 / 1_024, "wrong": wrong,
    }))
}
