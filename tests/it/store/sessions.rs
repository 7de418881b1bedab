//! Session documents: one open per visitor, their changes of status, and their lists. Slots are in `assign`.

use std::collections::HashSet;

use helpline::domain::session::Status;
use helpline::domain::store::Totals;

use super::*;

pub(super) async fn one_of_50_inserts_of_a_visitor_is_created(store: Arc<dyn Store>) {
    let inserts = (0..50).map(|n| {
        let store = store.clone();
        async move {
            let session = Session::open(visitor("v1"), at(n));
            (session.clone(), insert(&*store, &session).await)
        }
    });
    let (created, present): (Vec<_>, Vec<_>) = all(inserts).await.into_iter().partition(|(_, i)| *i == Inserted::Created);
    assert_eq!((created.len(), present.len()), (1, 49));
    let (the_one, _) = &created[0];
    assert!(present.iter().all(|(_, i)| *i == Inserted::Exists(the_one.clone())));
    assert!(present.iter().all(|(s, _)| s.id != the_one.id));
    assert_eq!(store.list_open(None, 100).await.unwrap(), std::slice::from_ref(the_one));
    assert_eq!(insert(&*store, the_one).await, Inserted::Exists(the_one.clone()), "repeating is harmless");
    opened(&*store, "v2", 0).await;
}

pub(super) async fn look_ups_at_the_same_time_get_each_its_own_session(store: Arc<dyn Store>) {
    let mut sessions = Vec::new();
    for n in 0..20 {
        sessions.push(opened(&*store, &format!("v{n}"), n).await);
    }
    let look_ups = (0..300).map(|n| {
        let (store, expected) = (store.clone(), sessions.get(n % 25).cloned());
        async move {
            let id = expected.as_ref().map_or_else(SessionId::random, |s| s.id.clone());
            assert_eq!(store.find_session(&id).await.unwrap(), expected, "{n}");
        }
    });
    all(look_ups).await;
}

pub(super) async fn a_look_up_answers_what_was_written_before_it(store: Arc<dyn Store>) {
    let session = opened(&*store, "v1", 0).await;
    let noise = all((0..50).map(|_| {
        let (store, id) = (store.clone(), session.id.clone());
        async move {
            for _ in 0..10 {
                store.find_session(&id).await.unwrap();
            }
        }
    }));
    let writes = async {
        for n in 0..20 {
            let from = &assignee(n);
            store.reassign_session(&session.id, n.into(), &to(from), at(n.into())).await.unwrap().unwrap();
            let seen = store.find_session(&session.id).await.unwrap().unwrap();
            assert_eq!((seen.assignment, seen.agent.map(|a| a.id)), (u64::from(n) + 1, Some(from.id.clone())));
        }
    };
    tokio::join!(noise, writes);
}

pub(super) async fn finish_frees_the_open_key_and_answers_the_old_document_once(store: Arc<dyn Store>) {
    let session = opened(&*store, "v1", 0).await;
    let active = store.reassign_session(&session.id, 0, &to(&assignee(1)), at(1)).await.unwrap().unwrap();
    assert_eq!(insert(&*store, &Session::open(visitor("v1"), at(2))).await, Inserted::Exists(active.clone()));
    let ends = (0..10).map(|_| {
        let (store, id) = (store.clone(), session.id.clone());
        async move { store.finish_session(&id, 1, at(3), "bye \u{1F44B}").await.unwrap() }
    });
    let olds: Vec<Session> = all(ends).await.into_iter().flatten().collect();
    assert_eq!(olds, std::slice::from_ref(&active));
    let over = Session {
        status: Status::Ended,
        state_seq: 1,
        ended_at: Some(at(3)),
        end_reason: Some("bye \u{1F44B}".into()),
        updated_at: at(3),
        ..active
    };
    assert_eq!(store.find_session(&session.id).await.unwrap(), Some(over.clone()));
    assert_eq!(store.finish_session(&session.id, 1, at(9), "again").await.unwrap(), None);
    let next = opened(&*store, "v1", 4).await;
    assert_eq!(store.find_session(&session.id).await.unwrap(), Some(over));
    assert_eq!(store.list_open(None, 10).await.unwrap(), [next]);
}

pub(super) async fn claim_needs_a_waiting_session(store: Arc<dyn Store>) {
    let session = opened(&*store, "v1", 0).await;
    let id = &session.id;
    let active = store.reassign_session(id, 0, &to(&assignee(1)), at(2)).await.unwrap().unwrap();
    let expected = Session { status: Status::Active, agent: Some(assignee(1)), assignment: 1, updated_at: at(2), ..session.clone() };
    assert_eq!(active, expected);
    assert_eq!(store.reassign_session(id, 0, &to(&assignee(2)), at(3)).await.unwrap(), None, "it is active");
    assert_eq!(store.find_session(id).await.unwrap(), Some(active));
    assert_eq!(store.list_waiting(Realm::Support, 10).await.unwrap(), []);
    store.finish_session(id, 1, at(7), "done").await.unwrap().unwrap();
    assert_eq!(store.reassign_session(id, 0, &to(&assignee(1)), at(8)).await.unwrap(), None, "it has ended");
    let over = store.find_session(id).await.unwrap().unwrap();
    assert_eq!((over.status, over.agent, over.assignment), (Status::Ended, Some(assignee(1)), 1), "the agent is kept after the end");
}

pub(super) async fn waiting_sessions_are_listed_oldest_first(store: Arc<dyn Store>) {
    let mut waiting = Vec::new();
    for (n, ms) in [50, 10, 40, 10, 30, 10].into_iter().enumerate() {
        waiting.push(opened(&*store, &format!("v{n}"), ms).await);
    }
    let active = opened(&*store, "active", 0).await;
    store.reassign_session(&active.id, 0, &to(&assignee(1)), NOW).await.unwrap().unwrap();
    let ended = opened(&*store, "ended", 0).await;
    store.finish_session(&ended.id, 1, NOW, "done").await.unwrap().unwrap();
    waiting.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    assert_eq!(store.list_waiting(Realm::Support, 100).await.unwrap(), waiting);
    assert_eq!(store.list_waiting(Realm::Support, 2).await.unwrap(), waiting[..2]);
    assert_eq!(store.list_waiting(Realm::Support, 0).await.unwrap(), []);
    assert_eq!(store.count_waiting(Realm::Support).await.unwrap(), waiting.len() as u64);
    assert_eq!(store.count_waiting(Realm::Rooms).await.unwrap(), 0);
}

pub(super) async fn open_sessions_are_paged_by_id(store: Arc<dyn Store>) {
    let mut open = Vec::new();
    for n in 0..25 {
        let mut session = opened(&*store, &format!("v{n}"), n).await;
        match n % 5 {
            0 => drop(store.finish_session(&session.id, 1, NOW, "done").await.unwrap().unwrap()),
            1 => session = store.reassign_session(&session.id, 0, &to(&assignee(1)), NOW).await.unwrap().unwrap(),
            _ => {}
        }
        open.extend((n % 5 != 0).then_some(session));
    }
    open.sort_by(|a, b| a.id.cmp(&b.id));
    let mut paged: Vec<Session> = Vec::new();
    loop {
        let page = store.list_open(paged.last().map(|s| &s.id), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 3);
        paged.extend(page);
    }
    assert_eq!(paged, open);
}

pub(super) async fn sessions_of_an_agent_are_listed_newest_first(store: Arc<dyn Store>) {
    let mut mine = Vec::new();
    for (n, ms) in [20, 50, 20, 10, 40].into_iter().enumerate() {
        let session = opened(&*store, &format!("v{n}"), ms).await;
        store.reassign_session(&session.id, 0, &to(&assignee(1)), at(60)).await.unwrap().unwrap();
        if n % 2 == 0 {
            store.finish_session(&session.id, 1, at(70), "done").await.unwrap().unwrap();
        }
        mine.push(store.find_session(&session.id).await.unwrap().unwrap());
    }
    let other = opened(&*store, "other", 30).await;
    store.reassign_session(&other.id, 0, &to(&assignee(2)), at(60)).await.unwrap().unwrap();
    opened(&*store, "waiting", 30).await;
    mine.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let agent = assignee(1).id;
    assert_eq!(store.list_of_agent(&agent, None, 10).await.unwrap(), mine);
    assert_eq!(store.list_of_agent(&agent, None, 2).await.unwrap(), mine[..2]);
    for status in [Status::Waiting, Status::Active, Status::Ended] {
        let some: Vec<_> = mine.iter().filter(|s| s.status == status).cloned().collect();
        assert_eq!(store.list_of_agent(&agent, Some(status), 10).await.unwrap(), some);
    }
}

pub(super) async fn totals_count_sessions_messages_and_time(store: Arc<dyn Store>) {
    assert_eq!(store.totals(Realm::Support).await.unwrap(), Totals::default());
    let mut ids = HashSet::new();
    for n in 0..6 {
        let id = opened(&*store, &format!("v{n}"), 0).await.id;
        for _ in 0..n {
            stored(&*store, message(&id, "counted")).await;
        }
        if n >= 3 {
            store.reassign_session(&id, 0, &to(&assignee(1)), at(1)).await.unwrap().unwrap();
            stored(&*store, draft(&id, Content::Assigned(assignee(1).into()))).await;
        }
        if n >= 4 {
            stored(&*store, end(&id)).await;
            store.finish_session(&id, 1, at(1000 * n), "done").await.unwrap().unwrap();
        }
        ids.insert(id);
    }
    assert_eq!(ids.len(), 6);
    let expected = Totals { waiting: 3, active: 1, pending: 0, ended: 2, messages: 15, ended_duration_ms: 9000 };
    assert_eq!(store.totals(Realm::Support).await.unwrap(), expected);
}
