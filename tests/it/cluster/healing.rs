//! Two nodes without a word between them: whoever is connected to one sees within a few seconds what was said on the other, once and in order.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Pair, next_message, say};
use crate::harness::client::Client;

/// How late an entry of another node may be: it is looked for every 5 seconds.
const LATE: Duration = Duration::from_secs(9);

/// How many messages each of the two says.
const SAID: usize = 20;

/// The numbers and texts of the next messages, however late they are.
async fn heard(client: &mut Client, count: usize) -> Vec<(u64, String)> {
    let mut heard = Vec::new();
    let all = async {
        while heard.len() < count {
            // One event may be later than a client waits by itself.
            heard.extend(next_message(client).await);
        }
    };
    timeout(LATE, all).await.unwrap_or_else(|_| panic!("{count} messages within {LATE:?}"));
    heard
}

#[tokio::test]
async fn what_one_node_stores_the_other_delivers_once_and_in_order() {
    let mut pair = Pair::open(&[]).await;
    for n in 0..SAID {
        say(&mut pair.visitor, &pair.session, &format!("visitor {n}")).await;
        say(&mut pair.agent, &pair.session, &format!("agent {n}")).await;
    }
    let (by_visitor, by_agent) = (heard(&mut pair.visitor, 2 * SAID).await, heard(&mut pair.agent, 2 * SAID).await);
    assert_eq!(by_visitor, by_agent, "both see the same, in the same order");
    assert!(by_agent.windows(2).all(|two| two[0].0 < two[1].0), "{by_agent:?}");
    let text = |message: &Value| message["message"].as_str().expect("a text").to_owned();
    let stored: Vec<String> = pair.there.history(&pair.session).await.iter().map(text).collect();
    assert_eq!(by_agent.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), stored);
    pair.close().await;
}

/// The other node's tail does not know yet of what was said here.
#[tokio::test]
async fn who_has_seen_more_than_the_other_node_knows_sees_nothing_twice_there() {
    let mut pair = Pair::open(&[]).await;
    let mut seen = 0;
    for n in 0..3 {
        say(&mut pair.visitor, &pair.session, &format!("before {n}")).await;
        seen = next_message(&mut pair.visitor).await.expect("an echo").0;
    }
    let mut comes = pair.there.dial().connect().await.expect("a connection");
    comes.emit("join_session", &[json!({"sessionId": pair.session, "userId": "v1", "userType": "user", "lastSeq": seen})]);
    let greeting = comes.event().await.expect("a greeting");
    assert_eq!((greeting.name.as_str(), &greeting.args[0]["messages"]), ("session_joined", &json!([])));
    say(&mut comes, &pair.session, "after").await;
    assert_eq!(next_message(&mut comes).await, Some((seen + 1, "after".to_owned())));
    pair.close().await;
}
