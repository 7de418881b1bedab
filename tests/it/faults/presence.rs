//! Two desks over one store, as two nodes have them: who is connected to any of them is there, also when one dies, and whoever stays away loses
//! his sessions to the queue.

use std::sync::Arc;

use helpline::domain::account::Account;
use helpline::domain::agent::Availability;
use helpline::domain::desk::{Desk, Watch};
use helpline::domain::ids::{AccountId, AgentId, ConnId, SessionId};
use helpline::domain::principal::{Realm, Role};
use helpline::domain::session::Status;
use helpline::domain::store::Store;

use super::parts::desk_over;
use super::rooms::{Office, account, assert_of_one_agent, office, principal, support};

/// Longer than any test lasts, and no time at all.
const LONG: i64 = 3_600_000;
const NO_TIME: i64 = 0;

/// What a node does every few seconds.
async fn look(desk: &Desk, watch: &mut Watch) {
    desk.show_life().await.unwrap();
    desk.keep_watch(watch).await.unwrap();
}

async fn status(store: &dyn Store, id: &AccountId) -> Availability {
    store.find_account(id).await.unwrap().unwrap().status
}

async fn is_available(store: &dyn Store, account: &Account) -> bool {
    store.find_agent(&AgentId::of(Realm::Rooms, account.id.as_str())).await.unwrap().unwrap().is_available()
}

async fn who_is_on_two_nodes_is_there_until_the_last_of_them_loses_him(store: Arc<dyn Store>) {
    let (here, there) = (desk_over(Arc::clone(&store)), desk_over(Arc::clone(&store)));
    let agent = account(&*store, "agent", Role::Agent).await;
    let (phone, laptop) = (ConnId::random(), ConnId::random());
    here.person_arrived(&agent.person(), &phone).await.unwrap();
    there.person_arrived(&agent.person(), &laptop).await.unwrap();
    for desk in [&here, &there] {
        assert_eq!(desk.count_present(Realm::Rooms).await.unwrap(), 1);
        assert!(desk.known_one(agent.clone()).await.unwrap().is_here());
    }
    here.person_left(&agent.person(), &phone).await.unwrap();
    for desk in [&here, &there] {
        desk.miss_the_absent().await.unwrap();
    }
    assert!(is_available(&*store, &agent).await);
    assert_eq!(status(&*store, &agent.id).await, Availability::Online);
    there.person_left(&agent.person(), &laptop).await.unwrap();
    assert!(!is_available(&*store, &agent).await);
    assert_eq!(status(&*store, &agent.id).await, Availability::Offline);
}

async fn coming_to_one_node_and_going_from_another_at_once_leaves_nobody_behind(store: Arc<dyn Store>) {
    let nodes = [desk_over(Arc::clone(&store)), desk_over(Arc::clone(&store))];
    let agent = account(&*store, "agent", Role::Agent).await;
    let mut old = ConnId::random();
    nodes[0].person_arrived(&agent.person(), &old).await.unwrap();
    for round in 1..60 {
        let (from, to, new) = (Arc::clone(&nodes[(round - 1) % 2]), Arc::clone(&nodes[round % 2]), ConnId::random());
        let (coming, going) = (agent.person(), agent.person());
        let (came, gone) = (new.clone(), old);
        let going = tokio::spawn(async move { from.person_left(&going, &gone).await });
        let coming = tokio::spawn(async move { to.person_arrived(&coming, &came).await });
        going.await.unwrap().unwrap();
        coming.await.unwrap().unwrap();
        assert!(is_available(&*store, &agent).await, "round {round}");
        assert_eq!(status(&*store, &agent.id).await, Availability::Online, "round {round}");
        old = new;
    }
}

async fn a_dead_node_takes_its_people_with_it_and_a_slow_one_brings_them_back(store: Arc<dyn Store>) {
    let (here, there) = (desk_over(Arc::clone(&store)), desk_over(Arc::clone(&store)));
    let (of_here, of_there) = (account(&*store, "here", Role::Agent).await, account(&*store, "there", Role::Agent).await);
    let (mut watch, mut slow) = (Watch::new(false, 3), Watch::new(false, 3));
    look(&here, &mut watch).await;
    look(&there, &mut slow).await;
    here.person_arrived(&of_here.person(), &ConnId::random()).await.unwrap();
    there.person_arrived(&of_there.person(), &ConnId::random()).await.unwrap();
    for _ in 0..6 {
        look(&here, &mut watch).await;
        look(&there, &mut slow).await;
        here.miss_the_absent().await.unwrap();
    }
    assert!(is_available(&*store, &of_there).await, "both live");
    for n in 0..5 {
        assert_eq!(is_available(&*store, &of_there).await, n < 4, "after {n} looks");
        look(&here, &mut watch).await;
    }
    assert_eq!(here.count_present(Realm::Rooms).await.unwrap(), 1);
    assert!(is_available(&*store, &of_here).await);
    look(&there, &mut slow).await;
    assert!(is_available(&*store, &of_there).await, "it was slow, and not dead");
    assert_eq!(here.count_present(Realm::Rooms).await.unwrap(), 2);
    there.give_up_watch().await.unwrap();
    assert!(!is_available(&*store, &of_there).await);
    assert_eq!(store.list_nodes().await.unwrap().len(), 1);
}

/// A room whose agent has gone, and the only other agent, who is there and has one connection.
async fn left_alone(store: Arc<dyn Store>) -> (Office, SessionId, Arc<Desk>) {
    let office = office(store, 1).await;
    let other = desk_over(Arc::clone(&office.store));
    let id = office.desk.open_room(&office.user, support()).await.unwrap().session.id;
    assert_of_one_agent(&office, &id).await;
    (office, id, other)
}

async fn sessions_of_who_stays_away_wait_again_and_are_given_to_one_other(store: Arc<dyn Store>) {
    let (office, id, other) = left_alone(store).await;
    for desk in [&office.desk, &other] {
        desk.requeue_of_absent(NO_TIME).await.unwrap();
    }
    assert_of_one_agent(&office, &id).await;
    office.desk.give_up_watch().await.unwrap();
    other.requeue_of_absent(LONG).await.unwrap();
    assert_of_one_agent(&office, &id).await;
    // Both look at once.
    let looks = [&office.desk, &other].map(|desk| {
        let desk = Arc::clone(desk);
        tokio::spawn(async move { desk.requeue_of_absent(NO_TIME).await })
    });
    for look in looks {
        look.await.unwrap().unwrap();
    }
    let waiting = office.store.find_session(&id).await.unwrap().unwrap();
    assert_eq!((waiting.status, waiting.assignment, waiting.agent), (Status::Waiting, 2, None));
    let author = office.store.last_entry(&id).await.unwrap().unwrap().author;
    assert_eq!((author.realm, author.role), (Realm::Rooms, Role::System), "it is of the session's own contract");
    let late = account(&*office.store, "late", Role::Agent).await;
    other.person_arrived(&late.person(), &ConnId::random()).await.unwrap();
    assert_of_one_agent(&office, &id).await;
    let session = office.store.find_session(&id).await.unwrap().unwrap();
    assert_eq!((session.assignment, session.agent.unwrap().id), (3, AgentId::of(Realm::Rooms, late.id.as_str())));
}

async fn what_an_absent_agent_is_given_by_somebody_stays_his(store: Arc<dyn Store>) {
    let (office, id, other) = left_alone(store).await;
    let absent = account(&*office.store, "absent", Role::Agent).await;
    let conn = ConnId::random();
    other.person_arrived(&absent.person(), &conn).await.unwrap();
    other.person_left(&absent.person(), &conn).await.unwrap();
    // The next moment is another one.
    let gone = other.now();
    while other.now() <= gone {}
    let admin = principal(&account(&*office.store, "admin", Role::Admin).await);
    other.give_session(&admin, &id, &absent.id, "he knows").await.unwrap();
    other.requeue_of_absent(NO_TIME).await.unwrap();
    let session = office.store.find_session(&id).await.unwrap().unwrap();
    assert_eq!(session.agent.unwrap().id, AgentId::of(Realm::Rooms, absent.id.as_str()));
}

on_both_stores! {
    who_is_on_two_nodes_is_there_until_the_last_of_them_loses_him,
    coming_to_one_node_and_going_from_another_at_once_leaves_nobody_behind,
    a_dead_node_takes_its_people_with_it_and_a_slow_one_brings_them_back,
    sessions_of_who_stays_away_wait_again_and_are_given_to_one_other,
    what_an_absent_agent_is_given_by_somebody_stays_his,
}
