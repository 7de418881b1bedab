//! F4: readers that stop reading while their session is full of long messages from the other node. They cost bounded memory, their neighbours do not
//! notice, and in the end they have every message, once.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::crowd::{Crowd, Late};
use super::figures::{note, size};
use super::nodes::Nodes;
use super::person::Person;
use super::redis_server::Redis;
use crate::harness::client::event_of;
use crate::harness::raw::Raw;
use crate::harness::script::Body;
use crate::harness::shop::KEY;
use crate::transcripts::mongo_uri;

/// Small enough for the server's side to fill up.
const NARROW: Option<u32> = Some(8_192);

/// How many readers stop reading.
const SLOW: usize = 3;

const LENGTH: usize = 20_000;

/// How many messages are said in a second, by so many machines.
const RATE: u32 = 200;
const MACHINES: u32 = 8;

/// How many kilobytes the server may grow by, whatever its readers leave unread.
const GROWTH_KB: u64 = 30_000;

/// How late a message of another session may be.
const LATE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_pause_on_another_node_get_everything_once_and_hold_up_nobody() {
    let (seconds, redis) = (u32::try_from(size("SLOW_SECONDS", 4)).expect("few seconds"), Redis::start());
    let nodes = Nodes::open(&mongo_uri(), &[("REDIS_URL", &redis.url())]).await;
    let session = open_session(&nodes).await;
    let mut slow = join_all((0..SLOW).map(|_| reader(&nodes, &session))).await;
    let mut crowd = Crowd::default();
    for room in nodes.rooms(2).await {
        for (home, id) in [(0, "neighbour 0"), (1, "neighbour 1")] {
            let person = Person::new(nodes.addresses(), home, &room.id, (id, "system"), crowd.tally.clone());
            crowd.add(person.talking(Duration::from_millis(100)));
        }
    }
    crowd.assemble().await;
    let before = nodes.shops[1].server.resident_kb();
    let pause = Instant::now() + Duration::from_secs(seconds.into());
    let saying = say_all(&nodes, &session, RATE * seconds);
    let (mut most, (took, ())) = most_memory_during(&nodes, async { tokio::join!(saying, sleep_until(pause)) }).await;
    let neighbours = crowd.finish(&nodes).await;
    let history = history(&nodes, &session).await;
    let begin = Instant::now();
    let read = join_all(slow.iter_mut().map(|raw| read_up_to(raw, history.last().expect("messages").0))).await;
    let caught_up = begin.elapsed();
    most = most.max(nodes.shops[1].server.resident_kb());
    let late = neighbours.lateness().iter().flatten().map(Late::by).max().expect("neighbours");
    let is_true = neighbours.is_true() && read.iter().all(|view| *view == history);
    let grown = most.saturating_sub(before);
    let measured = format!(
        "{} messages in {} ms; grown by {grown} kB, neighbours late {} ms, all read {} ms later",
        history.len(),
        took.as_millis(),
        late.as_millis(),
        caught_up.as_millis()
    );
    let is_good = is_true && grown < GROWTH_KB && late < LATE;
    let size = format!("{seconds} s, {SLOW} readers, 20 kB x {RATE}/s");
    note("F4 slow readers", &size, "memory bounded, neighbours unaffected, every message once", &measured, is_good);
    neighbours.assert_true(&nodes);
    assert_eq!(history.len(), (RATE * seconds) as usize);
    assert!(read.iter().all(|view| *view == history), "a slow reader saw another conversation than the log holds");
    assert!(is_good, "{measured}");
    nodes.close().await;
}

/// A session of the contract with the longest texts.
async fn open_session(nodes: &Nodes) -> String {
    let (status, answer) = nodes.shops[0].call(Method::POST, "/widget/api/sessions", Body::Json(json!({"userId": "v"}))).await;
    assert_eq!(status, 200, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

/// A socket on the second node that has joined, with little room for what it does not read.
async fn reader(nodes: &Nodes, session: &str) -> Raw {
    let mut raw = Raw::open(nodes.addresses()[1], NARROW).await;
    raw.text(&format!("40/widget,{}", json!({"apiKey": KEY}))).await;
    assert!(raw.next().await.expect("an answer").starts_with("40/widget,{"));
    raw.text(&format!("42/widget,1{}", json!(["join_session", {"sessionId": session, "lastSeq": 0}]))).await;
    let joined = raw.next().await.expect("an acknowledgement");
    assert!(joined.starts_with("43/widget,1[{\"ok\":true"), "{joined}");
    raw
}

/// The whole history, as REST tells it.
async fn history(nodes: &Nodes, session: &str) -> Vec<(u64, String)> {
    let mut messages = Vec::new();
    loop {
        let path = format!("/widget/api/chat/messages/{session}?limit=50&offset={}", messages.len());
        let (status, page) = nodes.shops[0].call(Method::GET, &path, Body::None).await;
        assert_eq!(status, 200, "{page}");
        let page = page.as_array().expect("messages");
        if page.is_empty() {
            messages.sort_unstable();
            return messages;
        }
        messages.extend(page.iter().map(said));
    }
}

/// The number and text of a message in the view of `widget`.
fn said(message: &Value) -> (u64, String) {
    (message["seq"].as_u64().expect("a number"), message["content"].as_str().expect("a text").to_owned())
}

/// Says this many long messages on the first node, at the rate if it can; answers how long it took.
async fn say_all(nodes: &Nodes, session: &str, messages: u32) -> Duration {
    let begin = Instant::now();
    let url = format!("http://{}/widget/api/chat/messages", nodes.addresses()[0]);
    let machines = (0..MACHINES).map(async |machine| {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut due = interval(Duration::from_secs(1) * MACHINES / RATE);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for n in 0..messages / MACHINES {
            due.tick().await;
            let text = format!("{machine} {n} {}", "x".repeat(LENGTH));
            let body = json!({"sessionId": session, "senderType": "admin", "senderId": "machine", "content": text});
            let answer = client.post(&url).header("x-api-key", KEY).json(&body).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
        }
    });
    join_all(machines).await;
    begin.elapsed()
}

/// The most that the second node held during this work, and what comes of it.
async fn most_memory_during<T>(nodes: &Nodes, work: impl Future<Output = T>) -> (u64, T) {
    let (mut most, mut look, mut work) = (0, interval(Duration::from_millis(100)), pin!(work));
    loop {
        tokio::select! {
            done = &mut work => return (most, done),
            _ = look.tick() => most = most.max(nodes.shops[1].server.resident_kb()),
        }
    }
}

/// What comes until this number is seen.
async fn read_up_to(raw: &mut Raw, last: u64) -> Vec<(u64, String)> {
    let mut view: Vec<(u64, String)> = Vec::new();
    let read = async {
        while view.last().is_none_or(|(seq, _)| *seq < last) {
            let frame = raw.frame().await.expect("a live reader");
            let event = event_of(&frame.replacen("/widget,", "", 1)).filter(|e| e.name == "new_message");
            view.extend(event.iter().map(|e| said(&e.args[0])));
        }
    };
    timeout(Duration::from_secs(60), read).await.expect("a slow reader catches up in time");
    view
}
