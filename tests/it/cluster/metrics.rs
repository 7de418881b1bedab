//! What nodes with a Redis between them show of it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::redis_server::Redis;
use super::{Pair, next_message, say};
use crate::documents::documented_metrics;
use crate::harness::metrics::{Look, SHOWN, look};

/// Until a node has seen that Redis went or came.
const SEEN: Duration = Duration::from_secs(10);

async fn look_until(pair: &Pair, is_so: impl Fn(&Look) -> bool) -> Look {
    let begin = Instant::now();
    loop {
        let look = look(&pair.there.server).await;
        if is_so(&look) {
            return look;
        }
        assert!(begin.elapsed() < SEEN, "{}", look.text);
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn nodes_and_their_redis_are_shown() {
    let mut redis = Redis::start();
    let mut pair = Pair::open(&[("REDIS_URL", &redis.url()), SHOWN]).await;
    let level = look_until(&pair, |look| look.number("helpline_redis_up") == 1.0).await;
    assert_eq!((level.number("helpline_nodes"), level.number("helpline_redis_cuts_total")), (2.0, 0.0));
    assert_eq!(level.names(), documented_metrics());
    say(&mut pair.visitor, &pair.session, "hello").await;
    assert_eq!(next_message(&mut pair.agent).await.expect("a message").1, "hello");
    let heard = look_until(&pair, |look| look.number("helpline_redis_heard_total") > level.number("helpline_redis_heard_total")).await;
    let stored = "helpline_messages_stored_total{contract=\"support\"}";
    assert_eq!(heard.number(stored), level.number(stored), "the other node has stored it");
    redis.kill().await;
    // The subscriptions notice it a little later than the link.
    look_until(&pair, |look| (look.number("helpline_redis_up"), look.number("helpline_redis_cuts_total")) == (0.0, 1.0)).await;
    pair.close().await;
}
