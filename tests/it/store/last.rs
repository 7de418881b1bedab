//! Messages by themselves: the last one of each session, and the mark that one was read. The log as a whole is in `pages`.

use super::*;

pub(super) async fn last_messages_pass_over_what_is_none(store: Arc<dyn Store>) {
    let mut expected = Vec::new();
    for n in 0..40 {
        let id = SessionId::random();
        let mut last = [None, None];
        if n % 3 > 0 {
            stored(&*store, message(&id, "said first")).await;
            let said = Some(stored(&*store, message(&id, "said last")).await);
            last = [said.clone(), said];
        }
        for _ in 0..if n == 1 { 90 } else { n % 4 } {
            last[1] = Some(stored(&*store, notice(&id, "joined")).await);
        }
        if n % 5 > 2 {
            stored(&*store, draft(&id, Content::Assigned(assignee(1).into()))).await;
            stored(&*store, end(&id)).await;
        }
        if n % 5 > 3 {
            stored(&*store, reopening(&id, "active")).await;
        }
        expected.push((id, last));
    }
    let mut ids: Vec<SessionId> = expected.iter().map(|(id, _)| id.clone()).collect();
    for (which, notices) in [(0, false), (1, true)] {
        let last: Vec<Option<Entry>> = expected.iter().map(|(_, last)| last[which].clone()).collect();
        assert_eq!(store.last_messages(&ids, notices).await.unwrap(), last, "notices: {notices}");
    }
    ids.truncate(2);
    let asked = [ids[1].clone(), SessionId::random(), ids[0].clone(), ids[1].clone()];
    let last: Vec<_> = store.last_messages(&asked, false).await.unwrap().into_iter().map(|e| e.map(|e| e.session)).collect();
    assert_eq!(last, [Some(ids[1].clone()), None, None, Some(ids[1].clone())], "in the order of the question");
    assert_eq!(store.last_messages(&[], true).await.unwrap(), []);
}

pub(super) async fn a_message_keeps_its_first_reading(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let said = stored(&*store, keyed(&session, "read me", "k")).await;
    let other = stored(&*store, message(&session, "not yet")).await;
    let last = stored(&*store, end(&session)).await;
    assert_eq!(store.find_message(&said.id).await.unwrap(), Some(said.clone()));
    let marks = (0..20).map(|n| {
        let (store, id) = (store.clone(), said.id.clone());
        async move { store.mark_message_read(&id, at(n)).await.unwrap().unwrap() }
    });
    let marked = all(marks).await;
    let read = marked[0].clone();
    assert!(read.fate.read_at.is_some());
    assert_eq!(read, Entry { fate: Fate { read_at: read.fate.read_at, ..Fate::default() }, ..said });
    assert!(marked.iter().all(|m| *m == read), "the first reading stays");
    assert_eq!(store.mark_message_read(&read.id, at(99)).await.unwrap(), Some(read.clone()));
    assert_eq!(store.find_message(&read.id).await.unwrap(), Some(read.clone()));
    assert_eq!(store.find_message(&other.id).await.unwrap(), Some(other.clone()));
    assert_eq!(log(&*store, &session).await, [read.clone(), other, last.clone()]);
    assert_eq!(store.append(keyed(&session, "read me", "k")).await.unwrap(), Appended::Duplicate(read));
    for none in [&last.id, &EntryId::random()] {
        assert_eq!(store.find_message(none).await.unwrap(), None);
        assert_eq!(store.mark_message_read(none, NOW).await.unwrap(), None);
    }
    assert_eq!(store.last_entry(&session).await.unwrap(), Some(last), "what is no message is not marked");
}
