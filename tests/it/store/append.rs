//! Appending: numbers, keys, retries and the end, also when many do it at once. Reading by pages is in `pages`.

use super::*;

pub(super) async fn append_is_gap_free_under_64_writers(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let writers = (0..64).map(|writer| {
        let (store, session) = (store.clone(), session.clone());
        async move {
            let mut mine = Vec::new();
            for n in 0..5 {
                mine.push(stored(&*store, message(&session, &format!("{writer}/{n}"))).await);
            }
            assert!(mine.is_sorted_by_key(Entry::seq), "one writer's entries are in its order");
            mine
        }
    });
    let mut answered: Vec<Entry> = all(writers).await.into_iter().flatten().collect();
    answered.sort_by_key(Entry::seq);
    let kept = log(&*store, &session).await;
    assert_eq!(kept.len(), 320);
    check_log(&kept);
    assert_eq!(answered, kept, "what was answered is what is stored");
    assert!(kept.iter().all(|e| e.head.ordinal == e.seq()));
}

pub(super) async fn one_key_from_20_tasks_is_stored_once(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let tries = (0..20).map(|_| appending(&store, keyed(&session, "hello", "k")));
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for appended in all(tries).await {
        match appended {
            Appended::Stored(entry) => first.push(entry),
            Appended::Duplicate(entry) => again.push(entry),
            Appended::Ended => panic!("nothing ended it"),
        }
    }
    assert_eq!((first.len(), again.len()), (1, 19));
    assert!(again.iter().all(|entry| *entry == first[0]));
    assert_eq!(log(&*store, &session).await, first);
    assert_eq!(store.find_by_key(&session, &visitor("v1"), &key("k")).await.unwrap(), first.pop());
}

pub(super) async fn keys_of_other_senders_and_sessions_are_independent(store: Arc<dyn Store>) {
    let (here, there) = (SessionId::random(), SessionId::random());
    let mine = stored(&*store, keyed(&here, "mine", "k")).await;
    let theirs = Draft { author: visitor("v2"), ..keyed(&here, "theirs", "k") };
    let theirs = stored(&*store, theirs).await;
    let elsewhere = stored(&*store, keyed(&there, "elsewhere", "k")).await;
    let other_key = stored(&*store, keyed(&here, "mine too", "K")).await;
    assert_eq!([mine.seq(), theirs.seq(), elsewhere.seq(), other_key.seq()], [1, 2, 1, 3]);
    assert_eq!(store.find_by_key(&here, &visitor("v1"), &key("k")).await.unwrap(), Some(mine));
    assert_eq!(store.find_by_key(&here, &visitor("v2"), &key("k")).await.unwrap(), Some(theirs));
    assert_eq!(store.find_by_key(&there, &visitor("v1"), &key("k")).await.unwrap(), Some(elsewhere));
    for _ in 0..2 {
        stored(&*store, message(&here, "entries without a key never clash")).await;
    }
}

pub(super) async fn a_key_is_looked_up_before_the_end(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let first = stored(&*store, keyed(&session, "hello", "k")).await;
    let last = stored(&*store, end(&session)).await;
    assert_eq!(store.append(keyed(&session, "hello", "k")).await.unwrap(), Appended::Duplicate(first));
    assert_eq!(store.append(keyed(&session, "hello", "new")).await.unwrap(), Appended::Ended);
    assert_eq!(store.append(message(&session, "hello")).await.unwrap(), Appended::Ended);
    assert_eq!(store.append(end(&session)).await.unwrap(), Appended::Ended);
    assert_eq!(store.last_entry(&session).await.unwrap(), Some(last));
}

pub(super) async fn nothing_follows_an_end_that_races_messages(store: Arc<dyn Store>) {
    for _ in 0..25 {
        let session = SessionId::random();
        let drafts: Vec<Draft> = (0..8).map(|n| if n == 4 { end(&session) } else { message(&session, "racing") }).collect();
        let tasks = drafts.into_iter().map(|draft| {
            let id = draft.id.clone();
            let appended = appending(&store, draft);
            async move { (id, appended.await) }
        });
        let results = all(tasks).await;
        let kept = log(&*store, &session).await;
        check_log(&kept);
        assert!(matches!(kept.last().unwrap().content, Content::Ended(_)), "the end is the last entry");
        for (id, appended) in results {
            let found = kept.iter().find(|e| e.id == id);
            match appended {
                Appended::Stored(entry) => assert_eq!(found, Some(&entry)),
                Appended::Ended => assert_eq!(found, None),
                Appended::Duplicate(_) => panic!("there were no keys"),
            }
        }
    }
}

pub(super) async fn a_retry_with_the_same_id_is_the_same_entry(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let (plain, with_key) = (message(&session, "plain"), keyed(&session, "keyed", "k"));
    let first = stored(&*store, plain.clone()).await;
    let second = stored(&*store, with_key.clone()).await;
    assert_eq!(stored(&*store, plain.clone()).await, first);
    assert_eq!(stored(&*store, with_key).await, second, "its own key does not make it a duplicate");
    let over = end(&session);
    let third = stored(&*store, over.clone()).await;
    assert_eq!(stored(&*store, plain).await, first, "the end does not hide it");
    assert_eq!(stored(&*store, over).await, third);
    assert_eq!(log(&*store, &session).await, [first, second, third]);
    let late = message(&SessionId::random(), "many at once");
    let answers = all((0..10).map(|_| appending(&store, late.clone()))).await;
    let kept = log(&*store, &late.session).await;
    assert_eq!(kept.len(), 1);
    assert!(answers.into_iter().all(|a| a == Appended::Stored(kept[0].clone())));
}

pub(super) async fn sessions_do_not_disturb_each_other(store: Arc<dyn Store>) {
    let (a, b) = (SessionId::random(), SessionId::random());
    let tasks = (0..40).map(|n| appending(&store, message(if n % 2 == 0 { &a } else { &b }, &n.to_string())));
    all(tasks).await;
    stored(&*store, end(&a)).await;
    let after = stored(&*store, message(&b, "still open")).await;
    assert_eq!(after.head, Head { seq: 21, ordinal: 21, ..Head::default() });
    for (session, parity) in [(&a, 0), (&b, 1)] {
        let kept = log(&*store, session).await;
        assert_eq!(kept.len(), 21);
        check_log(&kept);
        let own = |e: &Entry| e.session == *session && e.body().unwrap().as_str().parse::<u32>().unwrap() % 2 == parity;
        assert!(kept[..20].iter().all(own));
    }
}

pub(super) async fn the_head_counts_messages_and_assignments(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let contents =
        [Content::Assigned(assignee(1).into()), Content::Message(Body::stored("hi").into()), Content::Assigned(assignee(2).into())];
    for content in contents {
        let entry = stored(&*store, draft(&session, content.clone())).await;
        assert_eq!(entry.content, content);
        assert_eq!(store.head(&session).await.unwrap(), entry.head);
        assert_eq!(store.last_entry(&session).await.unwrap(), Some(entry));
    }
    let last = stored(&*store, end(&session)).await;
    assert_eq!(last.head, Head { seq: 4, ordinal: 1, assignment: 2, ended: true, ..Head::default() });
    assert_eq!(store.head(&session).await.unwrap(), last.head);
}

pub(super) async fn a_reopening_follows_an_end_and_messages_follow_it(store: Arc<dyn Store>) {
    let session = SessionId::random();
    stored(&*store, message(&session, "hi")).await;
    stored(&*store, notice(&session, "a line of the system")).await;
    stored(&*store, end(&session)).await;
    assert_eq!(store.append(keyed(&session, "late", "k")).await.unwrap(), Appended::Ended);
    let draft = reopening(&session, "active \u{1F44B}");
    let open = stored(&*store, draft.clone()).await;
    assert_eq!(open.head, Head { seq: 4, ordinal: 2, notices: 1, ..Head::default() });
    assert_eq!(store.head(&session).await.unwrap(), open.head);
    assert_eq!(stored(&*store, draft).await, open, "a retry is the same entry");
    let next = stored(&*store, keyed(&session, "late", "k")).await;
    stored(&*store, reopening(&session, "still")).await;
    let last = stored(&*store, end(&session)).await;
    assert_eq!(last.head, Head { seq: 7, ordinal: 3, notices: 1, assignment: 0, ended: true });
    assert_eq!(store.append(message(&session, "later")).await.unwrap(), Appended::Ended);
    assert_eq!(store.append(keyed(&session, "late", "k")).await.unwrap(), Appended::Duplicate(next));
    let kept = log(&*store, &session).await;
    check_log(&kept);
    assert_eq!(kept[3].content, Content::Opened("active \u{1F44B}".into()));
}

pub(super) async fn reopenings_that_race_messages_and_ends_keep_the_order(store: Arc<dyn Store>) {
    for _ in 0..10 {
        let session = SessionId::random();
        let drafts = (0..18).map(|n| match n % 6 {
            0 => end(&session),
            1 => reopening(&session, "active"),
            2 => notice(&session, "racing"),
            _ => message(&session, "racing"),
        });
        let appended = all(drafts.map(|draft| appending(&store, draft))).await;
        let mut answered: Vec<Entry> = Vec::new();
        for outcome in appended {
            match outcome {
                Appended::Stored(entry) => answered.push(entry),
                Appended::Ended => {}
                Appended::Duplicate(_) => panic!("there were no keys"),
            }
        }
        answered.sort_by_key(Entry::seq);
        let kept = log(&*store, &session).await;
        check_log(&kept);
        assert_eq!(kept, answered);
    }
}
