//! What a socket that says nothing takes of the server's memory: one that has joined a session, and one that is only connected.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::report::rounded;
use crate::wire::Wire;
use crate::{AT_ONCE, Target, process};

/// How many pairs of sockets are there before the memory is looked at first, so that what the first ones load and set up is not counted.
const FIRST: usize = 20;

/// How long the server has before each look.
const SETTLE: Duration = Duration::from_secs(3);

/// Two are in a session, a visitor's and an agent's.
pub(crate) async fn joined(target: &Target, sockets: usize) -> anyhow::Result<Value> {
    let door = target.door()?;
    measure(target, ("idle", sockets), async |nth| Ok(door.open(nth).await?.seats.map(|seat| seat.wire))).await
}

/// All are visitors', each of a visitor of his own who is in no session.
pub(crate) async fn connected(target: &Target, sockets: usize) -> anyhow::Result<Value> {
    let door = target.door()?;
    let visitor = async |nth| door.connect(0, (&format!("visitor-{nth}"), "user")).await;
    measure(target, ("connected", sockets), async |nth| Ok([visitor(2 * nth).await?, visitor(2 * nth + 1).await?])).await
}

/// So many sockets of this kind, which `open` opens in pairs.
async fn measure(
    target: &Target,
    (what, sockets): (&str, usize),
    open: impl AsyncFn(usize) -> anyhow::Result<[Wire; 2]>,
) -> anyhow::Result<Value> {
    let mut idle = JoinSet::new();
    let last = FIRST + sockets / 2;
    let mut looks = Vec::new();
    for pairs in [0..FIRST, FIRST..last] {
        let mut opening = stream::iter(pairs).map(|nth| open(nth)).buffer_unordered(AT_ONCE);
        while let Some(pair) = opening.try_next().await? {
            for mut wire in pair {
                // Until the end of this process; pings are answered.
                idle.spawn(async move { while wire.next().await.is_ok() {} });
            }
        }
        sleep(SETTLE).await;
        looks.push((process::resident(&target.pids)?, process::anonymous(&target.pids)?));
    }
    let (before, after) = (looks[0], looks[1]);
    let closed = std::iter::from_fn(|| idle.try_join_next()).count();
    let wrong: Vec<String> = (closed > 0).then(|| format!("{closed} sockets were closed")).into_iter().collect();
    let each = |before: u64, after: u64| rounded((after as f64 - before as f64) / 1_024.0 / (last - FIRST) as f64 / 2.0);
    Ok(json!({
        "what": what, "sockets": (last - FIRST) * 2,
        "rss_kib_each": each(before.0, after.0), "anonymous_kib_each": each(before.1, after.1),
        "rss_kib_before": before.0 / 1_024, "rss_kib_after": after.0 / 1_024,
        "anonymous_kib_before": before.1 / 1_024, "anonymous_kib_after": after.1 / 1_024, "wrong": wrong,
    }))
}
