//! Reading the log by pages, and what is absent. Appending is in `append`.

use helpline::domain::agent::Availability;

use super::*;

pub(super) async fn pages_are_gap_free_while_a_writer_runs(store: Arc<dyn Store>) {
    const ENTRIES: u64 = 200;
    let session = SessionId::random();
    let writing = {
        let (store, session) = (store.clone(), session.clone());
        tokio::spawn(async move {
            for n in 0..ENTRIES / 4 {
                let four = (0..4).map(|_| appending(&store, message(&session, &n.to_string())));
                all(four).await;
            }
        })
    };
    let readers = (0..3).map(|_| {
        let (store, session) = (store.clone(), session.clone());
        async move {
            let mut seen = Vec::new();
            while (seen.len() as u64) < ENTRIES {
                let page = store.list_entries(&session, seen.len() as u64, 7).await.unwrap();
                assert!(page.len() <= 7);
                seen.extend(page);
                check_log(&seen);
                tokio::task::yield_now().await;
            }
            seen
        }
    });
    let seen = all(readers).await;
    writing.await.unwrap();
    let kept = log(&*store, &session).await;
    assert!(seen.into_iter().all(|s| s == kept));
}

pub(super) async fn messages_are_listed_without_other_kinds(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let assign = async |n| stored(&*store, draft(&session, Content::Assigned(assignee(n).into()))).await;
    assign(0).await;
    for n in 1..=10 {
        stored(&*store, message(&session, &n.to_string())).await;
        for _ in 0..n % 3 {
            assign(n).await;
        }
    }
    stored(&*store, end(&session)).await;
    let list = |after, limit| store.list_messages(&session, after, limit);
    let messages: Vec<Entry> = log(&*store, &session).await.into_iter().filter(|e| e.message().is_some()).collect();
    assert!(messages.iter().map(|e| e.head.ordinal).eq(1..=10));
    for after in 0..=11 {
        for limit in 0..=11 {
            let expected: Vec<Entry> = messages.iter().skip(after as usize).take(limit as usize).cloned().collect();
            assert_eq!(list(after, limit).await.unwrap(), expected, "{limit} after {after}");
        }
    }
    assert_eq!(list(u64::MAX, 4).await.unwrap(), []);
}

pub(super) async fn unknown_ids_are_absent(store: Arc<dyn Store>) {
    opened(&*store, "v1", 0).await;
    let (session, agent) = (SessionId::random(), AgentId::seeded(99));
    assert_eq!(store.find_session(&session).await.unwrap(), None);
    assert_eq!(store.finish_session(&session, 1, NOW, "x").await.unwrap(), None);
    assert_eq!(store.reassign_session(&session, 0, &to(&assignee(1)), NOW).await.unwrap(), None);
    store.reopen_session(&session, 1, NOW, "active").await.unwrap();
    assert_eq!(store.find_session(&session).await.unwrap(), None, "a re-opening makes no session");
    assert_eq!(store.find_by_key(&session, &visitor("v1"), &key("k")).await.unwrap(), None);
    assert_eq!(store.head(&session).await.unwrap(), Head::default());
    assert_eq!(store.last_entry(&session).await.unwrap(), None);
    assert_eq!(store.list_entries(&session, 0, 10).await.unwrap(), []);
    assert_eq!(store.list_entries(&session, u64::MAX, 10).await.unwrap(), []);
    assert_eq!(store.list_messages(&session, 0, 10).await.unwrap(), []);
    assert_eq!(store.list_of_agent(&agent, None, 10).await.unwrap(), []);
    assert_eq!(store.list_agents(Realm::Support).await.unwrap(), []);
    assert_eq!(store.list_slots(Realm::Support, at(1)).await.unwrap(), []);
    assert_eq!(store.find_agent(&agent).await.unwrap(), None);
    assert_eq!(store.set_availability(&agent, None, Availability::Online, Some(NOW)).await.unwrap(), None);
    assert!(!store.reserve_slot(&agent, &session, NOW).await.unwrap());
    assert!(!store.release_slot(&agent, &session).await.unwrap());
}

pub(super) async fn logs_that_went_on_are_told_from_those_that_did_not(store: Arc<dyn Store>) {
    let mut reached = Vec::new();
    let mut expected = Vec::new();
    for n in 0..450_u64 {
        let session = SessionId::random();
        for _ in 0..n % 3 {
            stored(&*store, message(&session, "hi")).await;
        }
        let seen = n % 2;
        if n % 3 > seen {
            expected.push(session.clone());
        }
        reached.push((session, seen));
    }
    let mut ahead = store.list_ahead(&reached).await.unwrap();
    ahead.sort();
    expected.sort();
    assert_eq!(ahead, expected);
    assert_eq!(store.list_ahead(&[]).await.unwrap(), []);
    assert_eq!(store.list_ahead(&[(SessionId::random(), u64::MAX)]).await.unwrap(), []);
}
