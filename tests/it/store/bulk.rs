//! Many entries at once, and sessions that are over when they are stored: what an import asks of a store.

use helpline::domain::session::Status;

use super::*;

pub(super) async fn many_drafts_are_appended_in_their_order_and_once(store: Arc<dyn Store>) {
    let sessions: Vec<SessionId> = (0..7).map(|_| SessionId::random()).collect();
    let drafts: Vec<Draft> = (0..1_200).map(|n| message(&sessions[n * n % 7], &format!("text {n}"))).collect();
    stored(&*store, message(&sessions[0], "there before")).await;
    // Some of them are there already, as after an import that was cut short.
    store.append_all(drafts[..700].to_vec()).await.unwrap();
    for _ in 0..2 {
        let outcomes = store.append_all(drafts.clone()).await.unwrap();
        assert_eq!(outcomes.len(), drafts.len());
        for (draft, outcome) in drafts.iter().zip(outcomes) {
            let Appended::Stored(entry) = outcome else { panic!("not stored: {outcome:?}") };
            assert_eq!((&entry.session, &entry.id, &entry.content), (&draft.session, &draft.id, &draft.content));
        }
    }
    for (n, session) in sessions.iter().enumerate() {
        let kept = log(&*store, session).await;
        check_log(&kept);
        let wanted: Vec<&EntryId> = drafts.iter().filter(|d| d.session == *session).map(|d| &d.id).collect();
        assert_eq!(kept.iter().skip(usize::from(n == 0)).map(|e| &e.id).collect::<Vec<_>>(), wanted);
    }
    assert!(store.append_all(Vec::new()).await.unwrap().is_empty());
}

pub(super) async fn many_drafts_meet_keys_and_ends_as_each_would(store: Arc<dyn Store>) {
    let (session, other) = (SessionId::random(), SessionId::random());
    let first = keyed(&session, "hello", "k");
    let drafts = vec![
        message(&other, "one"),
        first.clone(),
        keyed(&session, "hello", "k"),
        message(&session, "bye"),
        end(&session),
        message(&session, "too late"),
        message(&other, "two"),
    ];
    let outcomes = store.append_all(drafts).await.unwrap();
    let kinds: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Appended::Stored(_) => "stored",
            Appended::Duplicate(entry) if entry.id == first.id => "duplicate",
            Appended::Duplicate(_) => "duplicate of another",
            Appended::Ended => "ended",
        })
        .collect();
    assert_eq!(kinds, ["stored", "stored", "duplicate", "stored", "stored", "ended", "stored"]);
    let kept = log(&*store, &session).await;
    check_log(&kept);
    assert_eq!((kept.len(), log(&*store, &other).await.len()), (3, 2));
}

pub(super) async fn many_drafts_that_race_others_leave_no_gap(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let bulk = |of: usize| {
        let (store, session) = (store.clone(), session.clone());
        async move {
            for round in 0..5 {
                let drafts = (0..40).map(|n| message(&session, &format!("{of}/{round}/{n}"))).collect();
                assert!(store.append_all(drafts).await.unwrap().iter().all(|o| matches!(o, Appended::Stored(_))));
            }
            0
        }
    };
    let one_by_one = (0..60).map(|n| {
        let (store, draft) = (store.clone(), message(&session, &format!("single {n}")));
        async move { stored(&*store, draft).await.seq() }
    });
    tokio::join!(all((0..2).map(bulk)), all(one_by_one));
    let kept = log(&*store, &session).await;
    check_log(&kept);
    assert_eq!(kept.len(), 2 * 5 * 40 + 60);
}

pub(super) async fn a_session_that_is_over_when_it_is_stored_is_nobodys_open_one(store: Arc<dyn Store>) {
    let who = Person::new(Realm::Rooms, "p1", Role::Visitor);
    let open = Session::open(who.clone(), NOW);
    let over = Session {
        status: Status::Ended,
        ended_at: Some(NOW),
        end_reason: Some("done".into()),
        state_seq: 3,
        ..Session::open(who.clone(), NOW)
    };
    for session in [&open, &over] {
        assert_eq!(store.insert_session(session, None).await.unwrap(), Inserted::Created);
        assert_eq!(store.insert_session(session, None).await.unwrap(), Inserted::Exists(session.clone()));
    }
    assert_eq!(store.list_of_person(&who.key(), 9).await.unwrap(), [open]);
    assert_eq!(store.find_session(&over.id).await.unwrap(), Some(over.clone()));
    assert_eq!(store.finish_session(&over.id, 3, at(9), "again").await.unwrap(), None, "it reflects its end already");
}
