//! What is stored comes back as it was, also after the store was closed and opened again.

use helpline::domain::account::{Account, Login};
use helpline::domain::agent::{Agent, Availability};
use helpline::domain::entry::{Form, Message};
use helpline::domain::store::{Listed, SessionQuery, Totals};

use super::accounts::named;
use super::agents::seeded;
use super::logins::login;
use super::*;

pub(super) async fn texts_survive_byte_for_byte(store: Arc<dyn Store>) {
    let session = SessionId::random();
    let long = "añ😀\u{1F468}\u{200D}\u{1F469}\"'\\\0\r\n".repeat(9_000);
    assert!(long.len() > 200_000);
    let texts = [
        "😀",
        "nul \0 inside",
        "\0",
        "'; DROP TABLE messages; --",
        "\"quoted\" 'twice' \\",
        " \t spaces \n",
        "$set",
        "{\"a.b\":1}",
        "e\u{301} é",
        &long,
    ];
    for text in texts {
        let entry = stored(&*store, message(&session, text)).await;
        assert_eq!(entry.body().unwrap().as_str(), text);
        assert_eq!(store.last_entry(&session).await.unwrap(), Some(entry));
    }
    let kept = log(&*store, &session).await;
    assert!(kept.iter().map(|e| e.body().unwrap().as_str()).eq(texts));
    for (n, name) in ["k\0a", "k\0b", "k", "K", "😀", "$k.x"].into_iter().enumerate() {
        let entry = stored(&*store, keyed(&session, "keyed", name)).await;
        assert_eq!(entry.seq() as usize, texts.len() + n + 1, "keys are compared byte for byte");
        assert_eq!(store.find_by_key(&session, &visitor("v1"), &key(name)).await.unwrap(), Some(entry));
    }
}

pub(super) async fn people_survive_whole(store: Arc<dyn Store>) {
    let who = Person { name: Some("Ann \"😀\"\0".into()), email: Some("ann@example.org".into()), ..visitor("$a.b:c\0d") };
    let session = Session { group: Some("ACME \"😀\"\0".into()), label: Some("$new".into()), ..Session::open(who.clone(), NOW) };
    assert_eq!(insert(&*store, &session).await, Inserted::Created);
    assert_eq!(store.find_session(&session.id).await.unwrap(), Some(session.clone()));
    let other = Session::open(visitor("$a.b:c\0e"), NOW);
    assert_eq!(insert(&*store, &other).await, Inserted::Created, "ids are compared byte for byte");
    for author in [who, Person::new(Realm::Support, "a1", Role::Agent), Person::new(Realm::Support, "m", Role::System)] {
        let entry = stored(&*store, Draft { author: author.clone(), at: Timestamp(-1), ..message(&session.id, "hi") }).await;
        assert_eq!((entry.author.clone(), entry.at), (author, Timestamp(-1)));
        assert_eq!(store.last_entry(&session.id).await.unwrap(), Some(entry));
    }
}

pub(super) async fn the_first_start_stays(store: Arc<dyn Store>) {
    let starts = (0..10).map(|n| {
        let store = store.clone();
        async move { store.first_start(at(n)).await.unwrap() }
    });
    let answers = all(starts).await;
    assert!(answers.iter().all(|a| *a == answers[0]));
    assert_eq!(store.first_start(at(99)).await.unwrap(), answers[0]);
}

pub(super) async fn a_store_that_works_answers_a_ping(store: Arc<dyn Store>) {
    store.ping().await.unwrap();
}

/// What a store held before it was closed.
pub(super) struct Kept {
    sessions: Vec<Session>,
    entries: Vec<Entry>,
    agents: Vec<Agent>,
    slots: Vec<(AgentId, SessionId)>,
    listed: Listed,
    account: Account,
    login: Login,
    totals: Totals,
    first_start: Timestamp,
}

/// Stores one of everything.
pub(super) async fn fill(store: &dyn Store) -> Kept {
    let first_start = store.first_start(NOW).await.unwrap();
    seeded(store, &[(2, 1), (1, 2)]).await;
    let [waiting, active, ended] = [opened(store, "w", 1).await.id, opened(store, "a", 2).await.id, opened(store, "e", 3).await.id];
    assert!(store.reserve_slot(&AgentId::seeded(1), &active, NOW).await.unwrap());
    store.reassign_session(&active, 0, &to(&assignee(1)), NOW).await.unwrap().unwrap();
    store.finish_session(&ended, 1, at(9), "done").await.unwrap().unwrap();
    store.set_availability(&AgentId::seeded(2), None, Availability::Away, Some(at(5))).await.unwrap().unwrap();
    let picture = Content::Message(Message { form: Form::Image, signed: false, ..Body::stored("data:").into() });
    let told = [
        keyed(&active, "hi", "k"),
        notice(&active, "joined"),
        draft(&active, picture),
        draft(&active, Content::Assigned(assignee(1).into())),
    ];
    for draft in told.into_iter().chain([reopening(&active, "still"), end(&active)]) {
        stored(store, draft).await;
    }
    let read = log(store, &active).await[0].id.clone();
    store.mark_message_read(&read, at(4)).await.unwrap().unwrap();
    store.mark_session_read(&waiting, 3).await.unwrap().unwrap();
    store.reopen_session(&waiting, 2, at(4), "new").await.unwrap();
    store.touch_session(&active, Some(at(6))).await.unwrap();
    let account = named("ann@example.org", "ann");
    assert!(store.insert_account(&account).await.unwrap());
    let login = login("5f", &account.id, 0, 50);
    store.insert_login(&login).await.unwrap();
    let mut sessions = Vec::new();
    for id in [&waiting, &active, &ended] {
        sessions.push(store.find_session(id).await.unwrap().unwrap());
    }
    Kept {
        sessions,
        entries: log(store, &active).await,
        agents: store.list_agents(Realm::Support).await.unwrap(),
        slots: store.list_slots(Realm::Support, at(1)).await.unwrap(),
        listed: store.list_sessions(&SessionQuery::of(Realm::Support, 10)).await.unwrap(),
        account,
        login,
        totals: store.totals(Realm::Support).await.unwrap(),
        first_start,
    }
}

impl Kept {
    /// Checks that a store holds the same, and goes on from there.
    pub(super) async fn check(self, store: &dyn Store) {
        for session in &self.sessions {
            assert_eq!(store.find_session(&session.id).await.unwrap().as_ref(), Some(session));
        }
        let active = &self.sessions[1].id;
        assert_eq!(self.entries.len(), 6);
        assert_eq!(log(store, active).await, self.entries);
        assert_eq!(store.list_messages(active, 0, 10).await.unwrap(), self.entries[..3]);
        assert_eq!(self.entries[0].fate.read_at, Some(at(4)));
        let picture = self.entries[2].message().unwrap();
        assert_eq!((picture.form, picture.signed), (Form::Image, false));
        assert_eq!(store.last_messages(std::slice::from_ref(active), false).await.unwrap(), [Some(self.entries[2].clone())]);
        let waiting = &self.sessions[0];
        assert_eq!((waiting.label.as_deref(), waiting.state_seq, waiting.read_ordinal), (Some("new"), 2, 3));
        assert_eq!(store.list_sessions(&SessionQuery::of(Realm::Support, 10)).await.unwrap(), self.listed);
        assert_eq!(store.find_account(&self.account.id).await.unwrap().as_ref(), Some(&self.account));
        assert!(!store.insert_account(&named("new@example.org", "ann")).await.unwrap());
        assert_eq!(store.find_login(&self.login.id).await.unwrap().as_ref(), Some(&self.login));
        assert_eq!(store.list_agents(Realm::Support).await.unwrap(), self.agents);
        assert_eq!(self.slots, [(AgentId::seeded(1), active.clone())]);
        assert_eq!(store.list_slots(Realm::Support, at(1)).await.unwrap(), self.slots);
        assert_eq!(store.totals(Realm::Support).await.unwrap(), self.totals);
        assert_eq!(store.first_start(at(99)).await.unwrap(), self.first_start);
        assert_eq!(store.append(keyed(active, "hi", "k")).await.unwrap(), Appended::Duplicate(self.entries[0].clone()));
        assert_eq!(store.append(message(active, "late")).await.unwrap(), Appended::Ended);
        let waiting = &self.sessions[0].id;
        assert_eq!(stored(store, message(waiting, "first")).await.seq(), 1);
    }
}
