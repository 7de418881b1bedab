//! Faults of the database and of the driver: killed servers, silent ones, panics in the middle of a round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use helpline::domain::entry::Entry;
use helpline::domain::error::StoreError;
use helpline::domain::ids::SessionId;
use helpline::domain::store::{Appended, Store};
use helpline::store::mongo::{Mongo, open, open_with};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::mongo_server::{Place, Server, message, numbers, on_database, stored};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_killed_database_once_and_in_order() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), 0).await;
    let (port, place) = (server.port, Place::on(&server.uri()));
    let store = Arc::new(place.open().await);
    let stop = Arc::new(AtomicBool::new(false));
    let (count, mut acknowledged) = watch::channel(0_u64);
    let writers: Vec<_> = (0..8).map(|_| tokio::spawn(write_until(store.clone(), stop.clone(), count.clone()))).collect();
    reaches(&mut acknowledged, 400).await;
    server.kill().await;
    let before = *acknowledged.borrow();
    let server = Server::start(data.path(), port).await;
    reaches(&mut acknowledged, before + 400).await;
    stop.store(true, Ordering::Relaxed);
    let fresh = place.open().await;
    let mut total = 0;
    for written in join_all(writers).await {
        let (session, entries) = written.expect("a writer");
        assert_eq!(fresh.list_entries(&session, 0, 100_000).await.unwrap(), entries);
        assert_eq!(numbers(&store, &session).await, (1..=entries.len() as u64).collect::<Vec<_>>());
        total += entries.len();
    }
    assert!(total > 100, "only {total} entries were written");
    server.kill().await;
}

/// Appends to a session of its own, repeating each draft until it is stored; answers what was acknowledged.
/// Waits until so many entries were acknowledged.
async fn reaches(acknowledged: &mut watch::Receiver<u64>, count: u64) {
    let reached = timeout(Duration::from_secs(40), acknowledged.wait_for(|n| *n >= count)).await;
    reached.expect("the writers get on").expect("the writers live");
}

async fn write_until(store: Arc<Mongo>, stop: Arc<AtomicBool>, count: watch::Sender<u64>) -> (SessionId, Vec<Entry>) {
    let (session, mut entries) = (SessionId::random(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let draft = message(&session, "hi");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match store.append(draft.clone()).await {
                Ok(Appended::Stored(entry)) => {
                    count.send_modify(|n| *n += 1);
                    break entries.push(entry);
                }
                Ok(other) => panic!("{other:?}"),
                Err(StoreError::Unavailable(_) | StoreError::Timeout(_)) => assert!(Instant::now() < deadline, "the store never came back"),
                Err(error) => panic!("{error}"),
            }
        }
    }
    (session, entries)
}

#[tokio::test]
async fn a_panic_in_a_round_is_told_to_its_callers_and_the_next_round_works() {
    on_database(|place| async move {
        let armed = Arc::new(AtomicBool::new(false));
        let trap = armed.clone();
        let handler = EventHandler::callback(move |event: CommandEvent| {
            let CommandEvent::Started(started) = event else { return };
            if started.command_name == "insert" && trap.swap(false, Ordering::Relaxed) {
                panic!("planted");
            }
        });
        let store = open_with(&place.uri, Some(&place.name), |options| options.command_event_handler = Some(handler)).await.unwrap();
        let session = SessionId::random();
        stored(&store, message(&session, "1")).await;
        armed.store(true, Ordering::Relaxed);
        assert!(matches!(store.append(message(&session, "lost")).await, Err(StoreError::Unavailable(_))));
        assert_eq!(stored(&store, message(&session, "2")).await.seq(), 2);
        assert_eq!(numbers(&store, &session).await, [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_away_is_reported_in_time() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), 0).await;
    let store = Place::on(&server.uri()).open().await;
    store.ping().await.unwrap();
    server.kill().await;
    let began = Instant::now();
    store.ping().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(2_500), "ping took {:?}", began.elapsed());
    let began = Instant::now();
    let error = store.append(message(&SessionId::random(), "hi")).await.unwrap_err();
    assert!(matches!(error, StoreError::Timeout(_) | StoreError::Unavailable(_)), "{error}");
    assert!(began.elapsed() < Duration::from_millis(5_500), "append took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_peer_that_accepts_and_says_nothing_is_reported_in_time_at_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("mongodb://{}/", listener.local_addr().unwrap());
    let began = Instant::now();
    open(&uri, None).await.map(drop).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(7), "open took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_malformed_address_is_refused_without_quoting_it() {
    let error = open("mongodb://user:se:cret@word@h:x/", None).await.map(drop).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("MONGODB_URI") && !text.contains("cret"), "{text}");
}
