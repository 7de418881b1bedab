//! What becomes of an open session: transfers, ends and re-openings, speaking, reading. Opening and claiming are in `sessions`.

use helpline::domain::session::Status;

use super::*;

/// A fresh session that agent 1 answers.
async fn claimed(store: &dyn Store, who: &str) -> Session {
    let id = opened(store, who, 0).await.id;
    store.reassign_session(&id, 0, &to(&assignee(1)), at(1)).await.unwrap().unwrap()
}

async fn found(store: &dyn Store, id: &SessionId) -> Session {
    store.find_session(id).await.unwrap().unwrap()
}

pub(super) async fn sessions_without_a_key_are_always_stored(store: Arc<dyn Store>) {
    let sessions: Vec<Session> = (0..20).map(|n| Session::open(visitor("v1"), at(n))).collect();
    let inserts = sessions.iter().cloned().map(|session| {
        let store = store.clone();
        async move { store.insert_session(&session, None).await.unwrap() }
    });
    assert!(all(inserts).await.into_iter().all(|i| i == Inserted::Created));
    assert_eq!(store.list_waiting(Realm::Support, 100).await.unwrap(), sessions);
    let again = store.insert_session(&sessions[3], None).await.unwrap();
    assert_eq!(again, Inserted::Exists(sessions[3].clone()), "repeating is harmless");
    opened(&*store, "v1", 99).await;
}

pub(super) async fn a_transfer_needs_the_assignment_that_was_seen(store: Arc<dyn Store>) {
    let session = claimed(&*store, "v1").await;
    let id = &session.id;
    for from in [0, 2, u64::MAX] {
        assert_eq!(store.reassign_session(id, from, &to(&assignee(2)), at(2)).await.unwrap(), None, "another assignment");
    }
    assert_eq!(found(&*store, id).await, session);
    let given = store.reassign_session(id, 1, &to(&assignee(2)), at(2)).await.unwrap();
    let expected = Session { agent: Some(assignee(2)), assignment: 2, updated_at: at(2), ..session.clone() };
    assert_eq!(given.as_ref(), Some(&expected));
    assert_eq!(found(&*store, id).await, expected);
    store.finish_session(id, 1, at(3), "done").await.unwrap().unwrap();
    assert_eq!(store.reassign_session(id, 2, &to(&assignee(3)), at(4)).await.unwrap(), None, "it has ended");
    let nobodys = Session { status: Status::Active, ..Session::open(visitor("v2"), NOW) };
    store.insert_session(&nobodys, None).await.unwrap();
    assert_eq!(store.reassign_session(&nobodys.id, 0, &to(&assignee(1)), at(5)).await.unwrap().map(|s| s.assignment), Some(1));
}

pub(super) async fn one_of_many_transfers_wins(store: Arc<dyn Store>) {
    let id = claimed(&*store, "v1").await.id;
    for round in 1..=5 {
        let transfers = (1..=20).map(|n| {
            let (store, id) = (store.clone(), id.clone());
            async move { store.reassign_session(&id, round, &to(&assignee(n)), at(2)).await.unwrap() }
        });
        let won: Vec<Session> = all(transfers).await.into_iter().flatten().collect();
        assert_eq!(won, [found(&*store, &id).await]);
        assert_eq!(won[0].assignment, round + 1);
    }
}

pub(super) async fn an_end_that_races_a_transfer_names_the_agent_to_free(store: Arc<dyn Store>) {
    for round in 0..30 {
        let id = claimed(&*store, &format!("v{round}")).await.id;
        let transfer = {
            let (store, id) = (store.clone(), id.clone());
            tokio::spawn(async move { store.reassign_session(&id, 1, &to(&assignee(2)), at(2)).await.unwrap() })
        };
        let finish = {
            let (store, id) = (store.clone(), id.clone());
            tokio::spawn(async move { store.finish_session(&id, 1, at(3), "done").await.unwrap() })
        };
        let (given, old) = (transfer.await.unwrap(), finish.await.unwrap().expect("one end finds it open"));
        assert_eq!(old.agent, given.map_or(Some(assignee(1)), |s| s.agent), "the old document names whoever has it last");
        assert_eq!(found(&*store, &id).await.agent, old.agent);
    }
}

pub(super) async fn ends_and_reopenings_happen_in_the_order_of_the_log(store: Arc<dyn Store>) {
    let session = claimed(&*store, "v1").await;
    let id = &session.id;
    let reopen = async |seq, ms, label: &str| {
        store.reopen_session(id, seq, at(ms), label).await.unwrap();
        found(&*store, id).await
    };
    let finish = async |seq, ms| store.finish_session(id, seq, at(ms), "bye").await.unwrap();
    let labelled = Session { label: Some("$status".into()), state_seq: 2, updated_at: at(2), ..session.clone() };
    assert_eq!(reopen(2, 2, "$status").await, labelled, "still open, with a label");
    assert_eq!(finish(2, 3).await, None, "an end from before");
    assert_eq!(finish(5, 4).await, Some(labelled));
    let (ended_at, end_reason) = (Some(at(4)), Some("bye".into()));
    let over = Session { status: Status::Ended, state_seq: 5, updated_at: at(4), ended_at, end_reason, ..session.clone() };
    assert_eq!(found(&*store, id).await, over.clone());
    assert_eq!(reopen(5, 6, "active").await, over.clone(), "a re-opening from before");
    assert_eq!(finish(6, 6).await, Some(over), "a later end takes the place of an earlier one");
    assert_eq!(reopen(6, 6, "late").await.status, Status::Ended, "a re-opening that the later end undid");
    let open = Session { label: Some("😀 $literal \0".into()), state_seq: 7, updated_at: at(6), ..session.clone() };
    assert_eq!(reopen(7, 6, "😀 $literal \0").await, open);
    assert_eq!(finish(7, 8).await, None, "an end from before");
    assert_eq!(store.list_open(None, 10).await.unwrap(), std::slice::from_ref(&open));
    assert_eq!(finish(8, 9).await, Some(open));
    let waiting = opened(&*store, "v2", 0).await;
    store.reopen_session(&waiting.id, 1, at(9), "new").await.unwrap();
    let labelled = Session { label: Some("new".into()), state_seq: 1, updated_at: at(9), ..waiting };
    assert_eq!(store.list_waiting(Realm::Support, 10).await.unwrap(), [labelled], "it waits as before");
}

pub(super) async fn ends_and_reopenings_that_race_agree_on_the_last_one(store: Arc<dyn Store>) {
    for round in 0..8 {
        let id = claimed(&*store, &format!("v{round}")).await.id;
        let repairs = (0..24).map(|n| {
            let (store, id) = (store.clone(), id.clone());
            async move {
                let (turn, seq) = (n / 6, n % 6 + 1);
                if (seq + turn) % 2 == 1 {
                    store.finish_session(&id, seq, at(1), "done").await.unwrap().map(|s| s.state_seq)
                } else {
                    store.reopen_session(&id, seq, at(1), &seq.to_string()).await.unwrap();
                    None
                }
            }
        });
        let mut olds: Vec<u64> = all(repairs).await.into_iter().flatten().collect();
        olds.sort_unstable();
        assert!(olds.is_sorted_by(|a, b| a < b), "no two ends found the same state: {olds:?}");
        store.reopen_session(&id, 7, at(2), "last").await.unwrap();
        let last = found(&*store, &id).await;
        assert_eq!((last.status, last.label.as_deref(), last.state_seq), (Status::Active, Some("last"), 7));
        assert_eq!((last.ended_at, last.end_reason), (None, None));
    }
}

pub(super) async fn a_reopened_session_gets_no_key_back(store: Arc<dyn Store>) {
    let first = claimed(&*store, "v1").await.id;
    store.finish_session(&first, 1, at(2), "done").await.unwrap().unwrap();
    store.reopen_session(&first, 2, at(3), "active").await.unwrap();
    let second = opened(&*store, "v1", 4).await;
    assert_eq!(insert(&*store, &Session::open(visitor("v1"), at(5))).await, Inserted::Exists(second.clone()));
    store.finish_session(&second.id, 1, at(6), "done").await.unwrap().unwrap();
    opened(&*store, "v1", 7).await;
    assert_eq!(store.list_open(None, 10).await.unwrap().len(), 2);
}

pub(super) async fn a_label_for_an_open_session_leaves_its_key(store: Arc<dyn Store>) {
    let id = claimed(&*store, "v1").await.id;
    store.reopen_session(&id, 2, at(3), "active").await.unwrap();
    let present = Inserted::Exists(found(&*store, &id).await);
    assert_eq!(insert(&*store, &Session::open(visitor("v1"), at(5))).await, present);
}

pub(super) async fn speaking_raises_the_time_and_never_lowers_it(store: Arc<dyn Store>) {
    let session = opened(&*store, "v1", 0).await;
    let touched = async |ms| {
        store.touch_session(&session.id, Some(at(ms))).await.unwrap();
        found(&*store, &session.id).await
    };
    assert_eq!(touched(-5).await, Session { spoken: true, ..session.clone() });
    assert_eq!(touched(5).await, Session { spoken: true, updated_at: at(5), ..session.clone() });
    let touches = (0..40).map(|n| {
        let (store, id) = (store.clone(), session.id.clone());
        async move { store.touch_session(&id, Some(at(n))).await.unwrap() }
    });
    all(touches).await;
    assert_eq!(touched(1).await.updated_at, at(39));
    store.touch_session(&SessionId::random(), Some(at(1))).await.unwrap();
    assert_eq!(store.list_open(None, 10).await.unwrap().len(), 1, "an unknown session is not made");
}

pub(super) async fn read_marks_only_rise_and_each_rise_is_answered_once(store: Arc<dyn Store>) {
    let session = opened(&*store, "v1", 0).await;
    let marks = (1..=30).map(|ordinal| {
        let (store, id) = (store.clone(), session.id.clone());
        async move { (ordinal, store.mark_session_read(&id, ordinal).await.unwrap().unwrap()) }
    });
    let risen = all(marks).await.into_iter().filter_map(|(ordinal, before)| ordinal.checked_sub(before));
    assert_eq!(risen.sum::<u64>(), 30, "the rises follow one another without a gap or an overlap");
    assert_eq!(store.mark_session_read(&session.id, 7).await.unwrap(), Some(30));
    assert_eq!(found(&*store, &session.id).await, Session { read_ordinal: 30, ..session });
    assert_eq!(store.mark_session_read(&SessionId::random(), 7).await.unwrap(), None);
}
