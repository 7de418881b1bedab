//! Rooms whose people all act at once, at a desk over each store: one agent has each, the log agrees with it, and what is deleted is gone.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use helpline::domain::account::{Account, PasswordHash};
use helpline::domain::agent::Availability;
use helpline::domain::desk::{Desk, NewRoom};
use helpline::domain::entry::{Body, Content, Entry};
use helpline::domain::error::Error;
use helpline::domain::ids::{AccountId, AgentId, ConnId, SessionId};
use helpline::domain::principal::{Peer, Person, Principal, Realm, Role};
use helpline::domain::session::Status;
use helpline::domain::store::Store;
use helpline::domain::time::Timestamp;
use helpline::domain::topic::Topic;

use super::parts::desk_over;

/// A desk, its store, a user, and agents who are there.
pub(super) struct Office {
    pub(super) desk: Arc<Desk>,
    pub(super) store: Arc<dyn Store>,
    pub(super) user: Principal,
    pub(super) agents: Vec<Principal>,
}

pub(super) fn principal(account: &Account) -> Principal {
    Principal::Person { person: account.person(), expires: None, login: None, peer: Peer::Trusted }
}

pub(super) async fn account(store: &dyn Store, name: &str, role: Role) -> Account {
    let account = Account {
        id: AccountId::random(),
        realm: Realm::Rooms,
        role,
        email: format!("{name}@example.org").into(),
        username: Some(name.into()),
        name: None,
        password: PasswordHash::stored("none"),
        department: None,
        specialization: None,
        status: Availability::Offline,
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        seen_at: Timestamp(1),
    };
    assert!(store.insert_account(&account).await.unwrap());
    account
}

pub(super) async fn office(store: Arc<dyn Store>, agents: usize) -> Office {
    let desk = desk_over(Arc::clone(&store));
    let user = principal(&account(&*store, "user", Role::Visitor).await);
    let mut there = Vec::new();
    for n in 0..agents {
        let agent = account(&*store, &format!("agent{n}"), Role::Agent).await;
        desk.person_arrived(&agent.person(), &ConnId::random()).await.unwrap();
        there.push(principal(&agent));
    }
    Office { desk, store, user, agents: there }
}

pub(super) fn support() -> NewRoom {
    NewRoom { topic: Topic { subject: Some("x".into()), ..Topic::default() }, ..NewRoom::default() }
}

fn id_of(who: &Principal) -> AccountId {
    AccountId::stored(Arc::clone(&who.person().unwrap().id))
}

async fn log(store: &dyn Store, id: &SessionId) -> Vec<Entry> {
    store.list_entries(id, 0, 1_000).await.unwrap()
}

/// Document, log, slots and participants say the same of who answers.
pub(super) async fn assert_of_one_agent(office: &Office, id: &SessionId) {
    let session = office.store.find_session(id).await.unwrap().unwrap();
    let agent = session.agent.clone().expect("an agent");
    let entries = log(&*office.store, id).await;
    let made = entries.iter().rev().find_map(|e| if let Content::Assigned(made) = &e.content { Some(made) } else { None });
    assert_eq!(made.and_then(|m| m.agent.as_ref()), Some(&agent), "{id}");
    assert_eq!(entries.last().unwrap().head.assignment, session.assignment, "{id}");
    let holders: Vec<AgentId> =
        office.store.list_agents(Realm::Rooms).await.unwrap().into_iter().filter(|a| a.sessions.contains(id)).map(|a| a.id).collect();
    assert_eq!(holders, std::slice::from_ref(&agent.id), "{id}");
    let people: Vec<AgentId> = session.participants.iter().map(|p: &Person| AgentId::of(p.realm, &p.id)).collect();
    assert_eq!(people, [AgentId::of(Realm::Rooms, id_of(&office.user).as_str()), agent.id], "{id}");
}

async fn rooms_that_open_at_once_have_one_agent_each_and_are_spread(store: Arc<dyn Store>) {
    let office = office(store, 5).await;
    let opened = (0..100).map(|_| {
        let (desk, user) = (Arc::clone(&office.desk), office.user.clone());
        tokio::spawn(async move { desk.open_room(&user, support()).await.unwrap().session.id })
    });
    let mut loads: HashMap<AgentId, u32> = HashMap::new();
    for id in join_all(opened).await {
        let id = id.unwrap();
        assert_of_one_agent(&office, &id).await;
        let entries = log(&*office.store, &id).await;
        assert_eq!(entries.len(), 2, "the subject, and one assignment");
        *loads.entry(office.store.find_session(&id).await.unwrap().unwrap().agent.unwrap().id).or_default() += 1;
    }
    assert_eq!(loads.into_values().collect::<Vec<_>>(), [20; 5]);
}

async fn a_room_that_many_give_away_at_once_has_one_agent(store: Arc<dyn Store>) {
    let office = office(store, 6).await;
    let admin = principal(&account(&*office.store, "admin", Role::Admin).await);
    for round in 0..10 {
        let id = office.desk.open_room(&office.user, support()).await.unwrap().session.id;
        let moves = (0..24).map(|n| {
            let (desk, admin, id) = (Arc::clone(&office.desk), admin.clone(), id.clone());
            let agent = id_of(&office.agents[n % 6]);
            tokio::spawn(async move {
                match n % 8 {
                    7 => desk
                        .take_away_session(&admin, &id, "away")
                        .await
                        .map(drop)
                        .or_else(|e| if matches!(e, Error::AgentNotFound) { Ok(()) } else { Err(e) }),
                    _ => desk.give_session(&admin, &id, &agent, "moved").await.map(drop),
                }
            })
        });
        for moved in join_all(moves).await {
            moved.unwrap().unwrap();
        }
        office.desk.give_session(&admin, &id, &id_of(&office.agents[round % 6]), "last").await.unwrap();
        assert_of_one_agent(&office, &id).await;
        let session = office.store.find_session(&id).await.unwrap().unwrap();
        let moves = log(&*office.store, &id).await.into_iter().filter(|e| matches!(e.content, Content::Assigned(_)));
        let recorded: Vec<_> = moves.skip(1).map(|e| e.id).collect();
        assert_eq!(session.transfers.iter().map(|t| t.id.clone()).collect::<Vec<_>>(), recorded, "the history is the log's, round {round}");
    }
}

async fn ends_and_moves_at_once_leave_no_slot_behind(store: Arc<dyn Store>) {
    let office = office(store, 3).await;
    let admin = principal(&account(&*office.store, "admin", Role::Admin).await);
    for round in 0..20 {
        let id = office.desk.open_room(&office.user, support()).await.unwrap().session.id;
        let moving = (0..3).map(|n| {
            let (desk, admin, id, agent) = (Arc::clone(&office.desk), admin.clone(), id.clone(), id_of(&office.agents[n]));
            tokio::spawn(async move { desk.give_session(&admin, &id, &agent, "moved").await.map(drop) })
        });
        let ending = {
            let (desk, admin, id) = (Arc::clone(&office.desk), admin.clone(), id.clone());
            tokio::spawn(async move { desk.close_session(&admin, &id, "done").await.map(drop) })
        };
        for done in join_all(moving.chain([ending])).await {
            let done = done.unwrap();
            assert!(matches!(done, Ok(()) | Err(Error::SessionEnded(_))), "{done:?}");
        }
        assert_eq!(office.store.find_session(&id).await.unwrap().unwrap().status, Status::Ended, "round {round}");
        let held = office.store.list_agents(Realm::Rooms).await.unwrap().iter().filter(|a| a.sessions.contains(&id)).count();
        assert_eq!(held, 0, "round {round}");
    }
}

async fn what_is_deleted_while_it_is_changed_is_nowhere(store: Arc<dyn Store>) {
    let office = office(store, 1).await;
    let overview = office.desk.open_room(&office.user, support()).await.unwrap();
    for round in 0..20 {
        let post = helpline::domain::desk::Post::text(Body::stored("the secret"), None);
        let author = office.user.person().unwrap().clone();
        let id = office.desk.post_message(&office.user, author, &overview.session.id, post).await.unwrap().entry.id.clone();
        let changes = (0..8).map(|n| {
            let (desk, user, id) = (Arc::clone(&office.desk), office.user.clone(), id.clone());
            tokio::spawn(async move {
                match n {
                    4 => desk.delete_message(&user, &id, Body::stored("gone")).await.map(drop),
                    n => desk.edit_message(&user, &id, Body::stored(format!("the secret, {n}"))).await.map(drop),
                }
            })
        });
        for changed in join_all(changes).await {
            let changed = changed.unwrap();
            assert!(matches!(changed, Ok(()) | Err(Error::MessageDeleted)), "{changed:?}");
        }
        let found = office.store.find_message(&id).await.unwrap().unwrap();
        assert_eq!((found.body(), found.fate.is_deleted), (Some(&Body::stored("gone")), true), "round {round}");
    }
    for entry in log(&*office.store, &overview.session.id).await {
        assert!(!format!("{:?}", entry.content).contains("secret"), "{entry:?}");
    }
}

on_both_stores! {
    rooms_that_open_at_once_have_one_agent_each_and_are_spread,
    a_room_that_many_give_away_at_once_has_one_agent,
    ends_and_moves_at_once_leave_no_slot_behind,
    what_is_deleted_while_it_is_changed_is_nowhere,
}
