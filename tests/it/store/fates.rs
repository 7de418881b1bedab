//! What becomes of messages: receipts of each reader, changes by the log, and how far people have read.

use helpline::domain::entry::{Edit, FileNote, Form, Message, Receipt};

use super::*;

fn reader(id: &str) -> Person {
    Person::new(Realm::Rooms, id, Role::Agent)
}

fn edit(of: &Entry, text: &str, is_deletion: bool) -> Draft {
    draft(&of.session, Content::Edited(Edit { message: of.id.clone(), body: Body::stored(text), is_deletion }))
}

/// The text of the entry with this number.
async fn text(store: &dyn Store, session: &SessionId, seq: u64) -> String {
    let entry = store.list_entries(session, seq - 1, 1).await.unwrap().remove(0);
    match &entry.content {
        Content::Message(message) => message.body.as_str().to_owned(),
        Content::Edited(edit) => edit.body.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn receipts_are_kept_by_reader_and_only_rise(store: Arc<dyn Store>) {
    let said = stored(&*store, message(&SessionId::random(), "hi")).await;
    let note =
        async |who: &str, ms, is_read| store.note_receipt(&said.id, &reader(who), at(ms), is_read).await.unwrap().unwrap().0.fate.receipts;
    let receipt = |who: &str, delivered, read: Option<i64>| Receipt {
        realm: Realm::Rooms,
        reader: who.into(),
        delivered_at: at(delivered),
        read_at: read.map(at),
    };
    assert_eq!(note("$a.b", 1, false).await, [receipt("$a.b", 1, None)]);
    assert_eq!(note("$a.b", 2, false).await, [receipt("$a.b", 1, None)]);
    assert_eq!(note("$a.b", 3, true).await, [receipt("$a.b", 1, Some(3))]);
    assert_eq!(note("b", 4, true).await, [receipt("$a.b", 1, Some(3)), receipt("b", 4, Some(4))]);
    for (ms, is_read) in [(5, true), (6, false)] {
        assert_eq!(note("b", ms, is_read).await.len(), 2);
    }
    let changed = async |who: &str, is_read| store.note_receipt(&said.id, &reader(who), at(7), is_read).await.unwrap().unwrap().1;
    assert_eq!((changed("$a.b", true).await, changed("b", false).await), (false, false));
    let kept = store.find_message(&said.id).await.unwrap().unwrap();
    assert_eq!(kept.fate.receipts, [receipt("$a.b", 1, Some(3)), receipt("b", 4, Some(4))]);
    assert_eq!(store.note_receipt(&EntryId::random(), &reader("a"), at(1), true).await.unwrap(), None);
    let assigned = stored(&*store, draft(&said.session, Content::Assigned(assignee(1).into()))).await;
    assert_eq!(store.note_receipt(&assigned.id, &reader("a"), at(1), true).await.unwrap(), None, "it is no message");
}

pub(super) async fn receipts_that_race_are_all_kept(store: Arc<dyn Store>) {
    let said = stored(&*store, message(&SessionId::random(), "hi")).await;
    let notes = (0..40).map(|n| {
        let (store, id) = (store.clone(), said.id.clone());
        async move { store.note_receipt(&id, &reader(&format!("r{}", n / 2)), at(n), n % 2 == 0).await.unwrap().unwrap().1 }
    });
    let changes = all(notes).await.into_iter().filter(|changed| *changed).count();
    assert!((20..=40).contains(&changes), "{changes}");
    let receipts = store.find_message(&said.id).await.unwrap().unwrap().fate.receipts;
    assert_eq!((receipts.len(), receipts.iter().filter(|r| r.read_at.is_some()).count()), (20, 20));
}

pub(super) async fn a_message_says_what_the_last_change_in_the_log_says(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let answered = stored(&*store, message(&session, "first")).await;
    let file = FileNote { name: Some("$a.png".into()), size: Some(7), mime_type: None, url: Some("/x".into()) };
    let content =
        Message { form: Form::File, reply_to: Some(answered.id.clone()), file: Some(Arc::new(file)), ..Body::stored("hi").into() };
    let said = stored(&*store, draft(&session, Content::Message(content.clone()))).await;
    assert_eq!(said.message(), Some(&content));
    let (second, third) = (stored(&*store, edit(&said, "two", false)).await, stored(&*store, edit(&said, "three", false)).await);
    assert_eq!(store.list_unapplied_edits(9).await.unwrap(), [second.clone(), third.clone()]);
    for entry in [&third, &second, &third] {
        let changed = store.apply_edit(entry).await.unwrap().unwrap();
        assert_eq!(changed.message(), Some(&Message { body: Body::stored("three"), ..content.clone() }));
        assert_eq!((changed.fate.edited_at, changed.fate.edit_seq, changed.fate.is_deleted), (Some(third.at), third.seq(), false));
    }
    assert_eq!(store.list_unapplied_edits(9).await.unwrap(), []);
    let gone = stored(&*store, edit(&said, "gone", true)).await;
    let late = stored(&*store, edit(&said, "late", false)).await;
    for entry in [&gone, &late] {
        let changed = store.apply_edit(entry).await.unwrap().unwrap();
        assert_eq!(changed.message(), Some(&Message { body: Body::stored("gone"), file: None, ..content.clone() }));
        assert!(changed.fate.is_deleted && changed.fate.edit_seq == gone.seq());
    }
    for (seq, expected) in [(1, "first"), (2, "gone"), (3, "gone"), (4, "gone"), (5, "gone"), (6, "gone")] {
        assert_eq!(text(&*store, &session, seq).await, expected, "{seq}");
    }
    assert_eq!(store.list_unapplied_edits(9).await.unwrap(), []);
    let (deletion, edited) =
        (stored(&*store, edit(&answered, "gone too", true)).await, stored(&*store, edit(&answered, "still here", false)).await);
    for entry in [&edited, &deletion, &edited] {
        store.apply_edit(entry).await.unwrap();
    }
    let changed = store.find_message(&answered.id).await.unwrap().unwrap();
    assert_eq!(
        (changed.body(), changed.fate.edit_seq),
        (Some(&Body::stored("gone too")), edited.seq()),
        "a deletion counts where it stands"
    );
    let elsewhere = Draft { session: SessionId::random(), ..edit(&answered, "forged", true) };
    let elsewhere = stored(&*store, elsewhere).await;
    store.apply_edit(&elsewhere).await.unwrap();
    assert_eq!(text(&*store, &session, 1).await, "gone too", "another session's log changes nothing here");
}

pub(super) async fn changes_follow_the_end_and_nothing_else_does(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let said = stored(&*store, message(&session, "hi")).await;
    stored(&*store, end(&session)).await;
    let changed = stored(&*store, edit(&said, "ho", false)).await;
    assert_eq!(changed.head, Head { seq: 3, ordinal: 1, ended: true, ..Head::default() });
    assert_eq!(store.append(message(&session, "more")).await.unwrap(), Appended::Ended);
    assert_eq!(store.apply_edit(&changed).await.unwrap().unwrap().body(), Some(&Body::stored("ho")));
}

pub(super) async fn marks_of_readers_only_rise(store: Arc<dyn Store>) {
    let sessions = [SessionId::random(), SessionId::random(), SessionId::random()];
    for (session, person, ordinal) in [(0, "rooms:a b", 5), (0, "rooms:a b", 3), (2, "rooms:a b", 1), (1, "rooms:b", 9)] {
        store.raise_reader_mark(&sessions[session], person, ordinal).await.unwrap();
    }
    assert_eq!(store.list_reader_marks(&sessions, "rooms:a b").await.unwrap(), [5, 0, 1]);
    assert_eq!(store.list_reader_marks(&sessions, "rooms:a").await.unwrap(), [0, 0, 0]);
    let raises = (1..=20).map(|n| {
        let (store, session) = (store.clone(), sessions[1].clone());
        async move { store.raise_reader_mark(&session, "rooms:new", n).await.unwrap() }
    });
    all(raises).await;
    assert_eq!(store.list_reader_marks(&sessions[1..2], "rooms:new").await.unwrap(), [20]);
}
