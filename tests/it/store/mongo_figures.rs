//! Figures over all sessions: the log of one that is over is asked once, and what it holds is counted as long as the session stays as it was.

use std::time::Duration;

use bson::{Document, doc};
use futures_util::future::join_all;
use helpline::domain::entry::{Content, Draft};
use helpline::domain::ids::SessionId;
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::session::Session;
use helpline::domain::store::{Store, Totals};
use helpline::domain::time::Timestamp;
use helpline::store::mongo::Mongo;
use tokio::time::{Instant, interval_at};

use super::mongo_only::overheard;
use super::mongo_server::{end, message, on_database, stored};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Stores a session in which so many messages are said, and ends it 700 ms later where that is asked for.
async fn said(store: &Mongo, visitor: &str, messages: u64, ends: bool) -> SessionId {
    let session = Session::open(Person::new(Realm::Support, visitor, Role::Visitor), NOW);
    store.insert_session(&session, Some(&session.visitor.key())).await.unwrap();
    for _ in 0..messages {
        stored(store, message(&session.id, "hi")).await;
    }
    if ends {
        let over = stored(store, end(&session.id)).await;
        store.finish_session(&session.id, over.seq(), NOW.plus_ms(700), "done").await.unwrap();
    }
    session.id
}

async fn totals(store: &Mongo) -> Totals {
    store.totals(Realm::Support).await.unwrap()
}

#[tokio::test]
async fn the_log_of_a_session_that_is_over_is_asked_once() {
    on_database(|place| async move {
        let (store, heard) = overheard(&place).await;
        said(&store, "a", 2, true).await;
        said(&store, "b", 1, true).await;
        said(&store, "c", 5, false).await;
        let expected = Totals { waiting: 1, ended: 2, messages: 8, ended_duration_ms: 1400, ..Totals::default() };
        let logs = |heard: &[Document]| heard.iter().filter(|c| c.get_str("find").is_ok_and(|of| of == "messages")).count();
        for asked in [3, 1, 1] {
            heard.lock().unwrap().clear();
            assert_eq!(totals(&store).await, expected);
            assert_eq!(logs(&heard.lock().unwrap()), asked);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_said_after_a_session_is_opened_again_counts() {
    on_database(|place| async move {
        let store = place.open().await;
        let id = said(&store, "a", 2, true).await;
        assert_eq!(totals(&store).await.messages, 2);
        let again = stored(&store, end_undone(&id)).await;
        store.reopen_session(&id, again.seq(), NOW, "active").await.unwrap();
        stored(&store, message(&id, "and")).await;
        assert_eq!(totals(&store).await.messages, 3);
        let over = stored(&store, end(&id)).await;
        store.finish_session(&id, over.seq(), NOW, "done").await.unwrap();
        for _ in 0..2 {
            assert_eq!(totals(&store).await.messages, 3);
        }
    })
    .await;
}

fn end_undone(session: &SessionId) -> Draft {
    Draft { content: Content::Opened("active".into()), ..message(session, "") }
}

#[tokio::test]
async fn sessions_of_an_earlier_version_and_of_a_log_that_is_behind_are_counted_each_time_they_are_asked() {
    on_database(|place| async move {
        let store = place.open().await;
        said(&store, "old", 2, true).await;
        let behind = said(&store, "behind", 1, false).await;
        let sessions = place.raw().await.collection::<Document>("sessions");
        sessions.update_one(doc! { "userId": "old" }, doc! { "$unset": { "stateSeq": "" } }).await.unwrap();
        store.finish_session(&behind, 2, NOW, "done").await.unwrap();
        for _ in 0..2 {
            assert_eq!(totals(&store).await.messages, 3);
        }
        stored(&store, message(&behind, "more")).await;
        assert_eq!(totals(&store).await.messages, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_who_ask_at_once_are_told_the_same() {
    on_database(|place| async move {
        let store = place.open().await;
        for n in 0..40 {
            said(&store, &n.to_string(), 2, true).await;
        }
        // Some of them add up before another one keeps what the logs hold, and look for the others after it.
        let asking = (0..20).map(|n| {
            let store = &store;
            async move {
                let mut later = interval_at(Instant::now() + Duration::from_millis(n), Duration::from_secs(60));
                later.tick().await;
                totals(store).await.messages
            }
        });
        assert_eq!(join_all(asking).await, [80; 20]);
    })
    .await;
}
