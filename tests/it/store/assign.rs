//! Assignment under concurrency: claims, ends and slots. Agents' records are in `agents`.

use helpline::domain::agent::{Agent, Availability};
use helpline::domain::session::Status;

use super::agents::seeded;
use super::*;

pub(super) async fn one_of_many_claims_wins(store: Arc<dyn Store>) {
    let session = opened(&*store, "v1", 0).await;
    let claims = (1..=20).map(|n| {
        let (store, id) = (store.clone(), session.id.clone());
        async move { store.reassign_session(&id, 0, &to(&assignee(n)), at(1)).await.unwrap() }
    });
    let won: Vec<Session> = all(claims).await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert_eq!(won[0].assignment, 1);
    assert_eq!(store.find_session(&session.id).await.unwrap().as_ref(), won.first());
}

pub(super) async fn an_end_that_races_a_claim_names_the_agent_to_free(store: Arc<dyn Store>) {
    for round in 0..40 {
        let session = opened(&*store, &format!("v{round}"), 0).await;
        let claim = {
            let (store, id) = (store.clone(), session.id.clone());
            tokio::spawn(async move { store.reassign_session(&id, 0, &to(&assignee(1)), at(1)).await.unwrap() })
        };
        let finish = {
            let (store, id) = (store.clone(), session.id.clone());
            tokio::spawn(async move { store.finish_session(&id, 1, at(2), "done").await.unwrap() })
        };
        let (claimed, old) = (claim.await.unwrap(), finish.await.unwrap().expect("one end finds it open"));
        assert_eq!(old.agent, claimed.map(|s| s.agent.unwrap()), "the old document names whoever won a claim");
        let over = store.find_session(&session.id).await.unwrap().unwrap();
        assert_eq!((over.status, over.agent), (Status::Ended, old.agent));
    }
}

pub(super) async fn slots_never_pass_the_capacity(store: Arc<dyn Store>) {
    seeded(&*store, &[(1, 3), (2, 1)]).await;
    let (busy, small) = (AgentId::seeded(1), AgentId::seeded(2));
    for _ in 0..5 {
        let reserve = (0..30).map(|n| {
            let (store, agent) = (store.clone(), if n % 2 == 0 { busy.clone() } else { small.clone() });
            async move {
                let session = SessionId::random();
                let held = store.reserve_slot(&agent, &session, NOW).await.unwrap();
                let load = store.find_agent(&agent).await.unwrap().unwrap();
                assert!(load.sessions.len() <= load.capacity as usize);
                assert_eq!(load.sessions.contains(&session), held);
                held.then_some((agent, session))
            }
        });
        let held: Vec<_> = all(reserve).await.into_iter().flatten().collect();
        let of = |agent: &AgentId| held.iter().filter(|(a, _)| a == agent).count();
        assert_eq!((of(&busy), of(&small)), (3, 1));
        let release = held.into_iter().map(|(agent, session)| {
            let store = store.clone();
            async move { store.release_slot(&agent, &session).await.unwrap() }
        });
        assert_eq!(all(release).await, [true; 4]);
    }
}

pub(super) async fn an_agent_without_a_limit_takes_every_session(store: Arc<dyn Store>) {
    let agents = seeded(&*store, &[(1, Agent::NO_LIMIT)]).await;
    let reserve = (0..60).map(|_| {
        let (store, agent) = (store.clone(), agents[0].id.clone());
        async move { store.reserve_slot(&agent, &SessionId::random(), NOW).await.unwrap() }
    });
    assert_eq!(all(reserve).await, [true; 60]);
    let agent = store.find_agent(&agents[0].id).await.unwrap().unwrap();
    assert_eq!((agent.sessions.len(), agent.capacity), (60, Agent::NO_LIMIT));
}

pub(super) async fn a_slot_is_held_once_and_released_once(store: Arc<dyn Store>) {
    seeded(&*store, &[(1, 2)]).await;
    let (agent, one, two, three) = (AgentId::seeded(1), SessionId::random(), SessionId::random(), SessionId::random());
    let same = (0..10).map(|_| {
        let (store, agent, one) = (store.clone(), agent.clone(), one.clone());
        async move { store.reserve_slot(&agent, &one, NOW).await.unwrap() }
    });
    assert_eq!(all(same).await, [true; 10]);
    assert_eq!(store.find_agent(&agent).await.unwrap().unwrap().sessions, std::slice::from_ref(&one));
    assert!(store.reserve_slot(&agent, &two, NOW).await.unwrap());
    assert!(!store.reserve_slot(&agent, &three, NOW).await.unwrap(), "full");
    assert!(store.reserve_slot(&agent, &two, NOW).await.unwrap(), "full, but its own");
    store.set_availability(&agent, None, Availability::Busy, Some(NOW)).await.unwrap().unwrap();
    assert!(store.release_slot(&agent, &one).await.unwrap());
    assert!(!store.release_slot(&agent, &one).await.unwrap(), "freed already");
    assert!(!store.reserve_slot(&agent, &three, NOW).await.unwrap(), "not available");
    assert!(store.reserve_slot(&agent, &two, NOW).await.unwrap(), "not available, but its own");
    store.set_availability(&agent, None, Availability::Online, Some(NOW)).await.unwrap().unwrap();
    assert!(store.reserve_slot(&agent, &three, NOW).await.unwrap());
}

pub(super) async fn slots_are_listed_by_age(store: Arc<dyn Store>) {
    seeded(&*store, &[(1, 2), (2, 2)]).await;
    let slots: Vec<(AgentId, SessionId)> = [1, 2, 1].map(|n| (AgentId::seeded(n), SessionId::random())).into();
    for (n, (agent, session)) in slots.iter().enumerate() {
        assert!(store.reserve_slot(agent, session, at(n as i64)).await.unwrap());
    }
    let sorted = |mut slots: Vec<(AgentId, SessionId)>| {
        slots.sort();
        slots
    };
    let list = |before| store.list_slots(Realm::Support, before);
    assert_eq!(list(at(0)).await.unwrap(), []);
    assert_eq!(sorted(list(at(2)).await.unwrap()), sorted(slots[..2].to_vec()));
    assert_eq!(sorted(list(at(3)).await.unwrap()), sorted(slots.clone()));
    assert!(store.reserve_slot(&slots[0].0, &slots[0].1, at(9)).await.unwrap());
    assert_eq!(list(at(1)).await.unwrap(), slots[..1], "holding a slot again does not make it younger");
    assert!(store.release_slot(&slots[0].0, &slots[0].1).await.unwrap());
    assert_eq!(list(at(2)).await.unwrap(), slots[1..2]);
}
