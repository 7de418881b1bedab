//! `kill -9` under load, on both stores: what was acknowledged is there, once, in one order for everybody, and clients that repeat
//! what was not acknowledged end with nothing lost and nothing doubled.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};
use uuid::Uuid;

use super::talker::{Said, Stage, Talker};
use crate::harness::shop::Shop;

const ROUNDS: u32 = 5;
const SESSIONS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_and_double_nothing_on_the_embedded_store() {
    survive(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_and_double_nothing_on_mongodb() {
    let uri = std::env::var("HELPLINE_TEST_MONGODB_URI").expect("HELPLINE_TEST_MONGODB_URI is set: run scripts/services.sh up");
    let database = format!("helpline_test_{}", Uuid::new_v4().simple());
    survive(&[("MONGODB_URI", &uri), ("MONGODB_DB", &database)]).await;
    let client = mongodb::Client::with_uri_str(&uri).await.expect("the tests' MongoDB");
    client.database(&database).drop().await.expect("a database to drop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_in_the_moment_of_the_kill_is_there() {
    let mut shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    for round in 1..=3 {
        let mut visitor = shop.join(&session.id, "u1", "user").await;
        let said = json!({"sessionId": session.id, "message": format!("last words {round}")});
        let ack = visitor.call("send_message", said).await.expect("an acknowledgement");
        shop.server.kill().await;
        let history = shop.history(&session.id).await;
        assert_eq!(history.len(), round);
        assert_eq!((&history[round - 1]["id"], &history[round - 1]["seq"]), (&ack["id"], &ack["seq"]));
    }
}

async fn survive(env: &[(&str, &str)]) {
    let mut shop = Shop::open(env).await;
    let (stage, stages) = watch::channel(Stage::default());
    let (count, mut counted) = watch::channel(0_u64);
    let mut talkers = JoinSet::new();
    for n in 0..SESSIONS {
        let visitor = format!("u{n}");
        let session = shop.session(&visitor).await.id;
        let people = [json!({"userId": visitor, "userType": "user"}), json!({"userId": "machine", "userType": "system"})];
        for person in people {
            let talker = Talker::new(shop.server.address(), &session, person, count.clone());
            talkers.spawn(talker.run(stages.clone()));
        }
    }
    let chance = Uuid::new_v4().as_u128();
    for round in 1..=ROUNDS {
        stage.send_replace(Stage { round, is_last: false });
        let enough = *counted.borrow() + 50 + u64::from((chance >> (16 * round)) as u16 % 500);
        timeout(Duration::from_secs(30), counted.wait_for(|c| *c >= enough)).await.expect("messages are acknowledged").expect("talkers");
        shop.server.kill().await;
    }
    stage.send_replace(Stage { round: ROUNDS + 1, is_last: true });
    let done = timeout(Duration::from_secs(60), talkers.join_all()).await.expect("everything is acknowledged in the end");
    let mut by_session: BTreeMap<String, Vec<Talker>> = BTreeMap::new();
    for talker in done {
        by_session.entry(talker.session.clone()).or_default().push(talker);
    }
    for (session, talkers) in by_session {
        check(&shop, &session, talkers).await;
    }
}

/// One session: its log has no hole, holds what was acknowledged and nothing else, and everybody has read it as it is.
async fn check(shop: &Shop, session: &str, talkers: Vec<Talker>) {
    let log = shop.log(session).await;
    let numbers: Vec<u64> = log.iter().map(|e| e["seq"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, (1..=log.len() as u64).collect::<Vec<_>>(), "the log of {session}");
    let messages: Vec<Said> = log.iter().filter(|e| e["type"] == "message").map(Said::of).collect();
    let history: Vec<Said> = shop.history(session).await.iter().map(Said::of).collect();
    assert_eq!(history, messages);
    let texts: HashSet<&str> = messages.iter().map(|m| m.text.as_str()).collect();
    assert_eq!(texts.len(), messages.len(), "a message of {session} is stored twice");
    let mut acknowledged = 0;
    for mut talker in talkers {
        assert!(!talker.acknowledged.is_empty(), "a talker said nothing");
        for said in &talker.acknowledged {
            assert!(messages.contains(said), "{said:?} was acknowledged and is not in the log");
        }
        acknowledged += talker.acknowledged.len();
        talker.read_up_to(messages.last().map_or(0, |m| m.seq)).await;
        assert_eq!(talker.view, messages, "what a reader of {session} saw");
    }
    assert_eq!(acknowledged, messages.len());
}
