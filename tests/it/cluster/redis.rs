//! Two nodes with a Redis between them: word is quick, the death of Redis makes it late and loses nothing, and when it is back word is quick again.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};

use super::redis_server::{Clustered, Guarded, Redis, Secured};
use super::{Pair, next_message, say};

/// Word by Redis; without it an entry is looked for every second.
const QUICK: Duration = Duration::from_millis(500);

/// While Redis is away.
const LATE: Duration = Duration::from_secs(3);

/// After Redis is back.
const LEVEL: Duration = Duration::from_secs(5);

/// Until a sentinel has seen what there is, or made a replica the first one.
const PROMOTED: Duration = Duration::from_secs(30);

/// How long it takes until the agent hears what the visitor says. Both hear it once and next.
async fn lateness(pair: &mut Pair, text: &str) -> Duration {
    let begin = Instant::now();
    say(&mut pair.visitor, &pair.session, text).await;
    assert_eq!(next_message(&mut pair.visitor).await.expect("an echo").1, text);
    let heard = timeout(LEVEL, next_message(&mut pair.agent)).await.expect("within the limit").expect("a message");
    assert_eq!(heard.1, text);
    begin.elapsed()
}

/// Word is quick from now on, after at most so long, and never so late that a node must have waited for a look into the store.
async fn assert_quick_within(pair: &mut Pair, limit: Duration) {
    let (begin, mut quick) = (Instant::now(), 0);
    // More than a look into the store each second could bring by chance.
    while quick < 20 {
        assert!(begin.elapsed() < limit || quick > 0, "word is not quick within {limit:?}");
        let late = lateness(pair, &format!("quick {quick}")).await;
        assert!(late < LATE, "a message came after {late:?}");
        quick = if late < QUICK { quick + 1 } else { 0 };
    }
}

/// The agent hears that the visitor types, and that he stops.
async fn assert_typing_is_told(pair: &mut Pair) {
    for (call, is_typing) in [("typing_start", true), ("typing_stop", false)] {
        pair.visitor.emit(call, &[json!({"sessionId": pair.session})]);
        let told = loop {
            let event = pair.agent.event().await.expect("word of typing");
            if event.name == "user_typing" {
                break event;
            }
        };
        assert_eq!(told.args[0]["isTyping"], json!(is_typing), "{told:?}");
    }
}

#[tokio::test]
async fn redis_makes_word_quick_and_its_death_loses_nothing() {
    let mut redis = Redis::start();
    let mut pair = Pair::open(&[("REDIS_URL", &redis.url())]).await;
    assert_quick_within(&mut pair, LEVEL).await;
    assert_typing_is_told(&mut pair).await;
    redis.kill().await;
    for n in 0..4 {
        let late = lateness(&mut pair, &format!("without {n}")).await;
        assert!(late < LATE, "message {n} came after {late:?}");
    }
    redis.start_again();
    assert_quick_within(&mut pair, LEVEL).await;
    assert_typing_is_told(&mut pair).await;
    pair.close().await;
}

#[tokio::test]
async fn servers_start_without_the_redis_that_is_named() {
    let mut redis = Redis::start();
    redis.kill().await;
    let mut pair = Pair::open(&[("REDIS_URL", &redis.url())]).await;
    assert!(lateness(&mut pair, "without").await < LATE);
    redis.start_again();
    assert_quick_within(&mut pair, LEVEL).await;
    pair.close().await;
}

#[tokio::test]
async fn a_replica_that_a_sentinel_makes_the_first_one_goes_on() {
    let mut redis = Guarded::start().await;
    let mut pair = Pair::open(&[("REDIS_URL", &redis.url())]).await;
    assert_quick_within(&mut pair, PROMOTED).await;
    redis.first.kill().await;
    assert!(lateness(&mut pair, "without").await < LATE);
    assert_quick_within(&mut pair, PROMOTED).await;
    pair.close().await;
}

#[tokio::test]
async fn a_redis_cluster_carries_word_too() {
    let redis = Clustered::start().await;
    let mut pair = Pair::open(&[("REDIS_URL", &redis.url())]).await;
    assert_quick_within(&mut pair, PROMOTED).await;
    pair.close().await;
}

#[tokio::test]
async fn a_redis_over_tls_makes_word_quick() {
    let redis = Secured::start().await;
    let mut pair = Pair::open(&[("REDIS_URL", &redis.url()), ("SSL_CERT_FILE", &redis.authority())]).await;
    assert_quick_within(&mut pair, LEVEL).await;
    assert_typing_is_told(&mut pair).await;
    pair.close().await;
}
