//! Sessions of several people: kept whole, found by who takes part, and moved from hand to hand.

use helpline::domain::session::Status;
use helpline::domain::store::SessionQuery;
use helpline::domain::topic::{Customer, Priority, SessionKind, Topic, Transfer};

use super::accounts::named;
use super::*;

fn person(id: &str, role: Role) -> Person {
    let name = Some(format!("{id} $name \"😀\"").into());
    Person { name, email: Some(format!("{id}@example.org").into()), ..Person::new(Realm::Rooms, id, role) }
}

/// A session with all that a session can have, of these people; the first one opened it.
fn room(people: &[&str], ms: i64) -> Session {
    let mut participants: Vec<Person> = people.iter().map(|id| person(id, Role::Visitor)).collect();
    participants[0].email = None;
    let customer = Customer { name: Some("$ne".into()), email: None, phone: Some("+1 \0".into()) };
    let topic = Topic {
        name: Some("a.b".into()),
        subject: Some("Printer \"$set\"".into()),
        priority: Priority::Urgent,
        tags: vec!["$".into(), "".into()],
        customer: Some(customer),
    };
    let opened = Session::open(participants[0].clone(), at(ms));
    Session { kind: SessionKind::Group, status: Status::Active, topic: Some(Arc::new(topic)), participants, ..opened }
}

async fn kept(store: &dyn Store, people: &[&str], ms: i64) -> Session {
    let room = room(people, ms);
    assert_eq!(store.insert_session(&room, None).await.unwrap(), Inserted::Created);
    room
}

pub(super) async fn what_a_session_is_about_is_kept_whole(store: Arc<dyn Store>) {
    let full = kept(&*store, &["a", "b"], 1).await;
    let bare = Session { topic: Some(Arc::default()), ..room(&["a"], 2) };
    store.insert_session(&bare, None).await.unwrap();
    for session in [full, bare] {
        assert_eq!(store.find_session(&session.id).await.unwrap(), Some(session));
    }
}

pub(super) async fn open_sessions_are_found_by_who_takes_part(store: Arc<dyn Store>) {
    let of = async |id: &str, limit| store.list_of_person(&format!("rooms:{id}"), limit).await.unwrap();
    let (first, second) = (kept(&*store, &["a", "b"], 10).await, kept(&*store, &["b", "a"], 30).await);
    let third = kept(&*store, &["c", "a"], 20).await;
    opened(&*store, "a", 40).await;
    assert_eq!(of("a", 9).await, [second.clone(), third.clone(), first.clone()]);
    assert_eq!(of("a", 2).await, [second.clone(), third.clone()]);
    assert_eq!((of("c", 9).await, of("b", 0).await, of("x", 9).await), (vec![third], vec![], vec![]));
    store.finish_session(&second.id, 1, at(50), "done").await.unwrap().unwrap();
    assert_eq!(of("b", 9).await, std::slice::from_ref(&first));
    let open = SessionQuery { open_only: true, ..SessionQuery::of(Realm::Rooms, 9) };
    assert_eq!(store.list_sessions(&open).await.unwrap().total, 2);
    store.reopen_session(&second.id, 2, at(60), "active").await.unwrap();
    assert_eq!(of("b", 9).await.len(), 2);
}

pub(super) async fn a_session_moves_with_its_participants_and_its_history(store: Arc<dyn Store>) {
    let room = kept(&*store, &["a"], 0).await;
    let transfer = |from: Option<u8>, to: Option<u8>, ms: i64| Transfer {
        id: EntryId::random(),
        from: from.map(AgentId::seeded),
        to: to.map(AgentId::seeded),
        at: at(ms),
        reason: "$why \"😀\"".into(),
    };
    let (given, taken) = (transfer(None, Some(1), 5), transfer(Some(1), None, 6));
    let with_agent = vec![person("a", Role::Visitor), person("agent", Role::Agent)];
    let give = Reassignment { participants: with_agent.clone(), transfer: Some(given.clone()), ..to(&assignee(1)) };
    let moved = store.reassign_session(&room.id, 0, &give, at(5)).await.unwrap().unwrap();
    let expected = Session {
        agent: Some(assignee(1)),
        assignment: 1,
        participants: with_agent,
        transfers: vec![given.clone()],
        updated_at: at(5),
        ..room.clone()
    };
    assert_eq!(moved, expected);
    assert_eq!(store.list_of_person("rooms:agent", 9).await.unwrap(), [moved]);
    let take = Reassignment { agent: None, participants: room.participants.clone(), transfer: Some(taken.clone()), waits: false };
    assert_eq!(store.reassign_session(&room.id, 0, &take, at(6)).await.unwrap(), None, "another assignment");
    let moved = store.reassign_session(&room.id, 1, &take, at(6)).await.unwrap().unwrap();
    let expected = Session { status: Status::Pending, assignment: 2, transfers: vec![given, taken], updated_at: at(6), ..room.clone() };
    assert_eq!(moved, expected);
    assert_eq!(store.find_session(&room.id).await.unwrap(), Some(expected));
    assert_eq!(store.list_of_person("rooms:agent", 9).await.unwrap(), []);
    assert_eq!(store.list_waiting(Realm::Rooms, 9).await.unwrap(), [], "nobody is given what was taken away");
    assert_eq!(store.list_open(None, 9).await.unwrap().len(), 1);
    let totals = store.totals(Realm::Rooms).await.unwrap();
    assert_eq!((totals.pending, totals.waiting, totals.active), (1, 0, 0));
    let queue = Reassignment { agent: None, waits: true, participants: room.participants.clone(), transfer: None };
    let waiting = store.reassign_session(&room.id, 2, &queue, at(7)).await.unwrap().unwrap();
    assert_eq!((waiting.status, &waiting.agent, waiting.assignment), (Status::Waiting, &None, 3));
    assert_eq!(store.list_waiting(Realm::Rooms, 9).await.unwrap(), [waiting]);
}

pub(super) async fn accounts_are_found_by_many_ids(store: Arc<dyn Store>) {
    let (ann, bob) = (named("ann@example.org", "ann"), named("bob@example.org", "bob"));
    for account in [&ann, &bob] {
        assert!(store.insert_account(account).await.unwrap());
    }
    let ids = [bob.id.clone(), helpline::domain::ids::AccountId::random(), ann.id.clone()];
    let mut found = store.find_accounts(&ids).await.unwrap();
    found.sort_by(|a, b| a.email.cmp(&b.email));
    assert_eq!(found, [ann, bob]);
    assert_eq!(store.find_accounts(&[]).await.unwrap(), []);
}

pub(super) async fn a_held_slot_needs_neither_room_nor_presence(store: Arc<dyn Store>) {
    use helpline::domain::agent::Agent;
    let agent = Agent::new(Realm::Rooms, AgentId::of(Realm::Rooms, "a1"), "Ann", 1, at(1));
    store.insert_agent(&agent).await.unwrap();
    let sessions: Vec<SessionId> = (0..3).map(|_| SessionId::random()).collect();
    for session in sessions.iter().chain(&sessions) {
        assert!(!store.reserve_slot(&agent.id, &SessionId::random(), at(2)).await.unwrap(), "it is not there");
        store.hold_slot(&agent.id, session, at(2)).await.unwrap();
    }
    let mut held = store.find_agent(&agent.id).await.unwrap().unwrap().sessions;
    held.sort();
    let mut expected = sessions;
    expected.sort();
    assert_eq!(held, expected);
    store.hold_slot(&AgentId::seeded(9), &expected[0], at(2)).await.unwrap();
    assert_eq!(store.find_agent(&AgentId::seeded(9)).await.unwrap(), None);
}
