//! Agents' records: seeding, order and availability. Their slots are in `assign`.

use helpline::domain::agent::Agent;

use super::*;

fn agent(n: u8, capacity: u32) -> Agent {
    let Assignee { id, name } = assignee(n);
    Agent { id, realm: Realm::Support, name, capacity, available: true, sessions: Vec::new() }
}

/// Seeds available agents, given by number and capacity.
pub(super) async fn seeded(store: &dyn Store, agents: &[(u8, u32)]) -> Vec<Agent> {
    let agents: Vec<Agent> = agents.iter().map(|&(n, capacity)| agent(n, capacity)).collect();
    store.seed_agents(Realm::Support, &agents).await.unwrap();
    assert_eq!(store.list_agents(Realm::Support).await.unwrap(), agents);
    agents
}

pub(super) async fn agents_are_seeded_once_and_keep_their_order(store: Arc<dyn Store>) {
    let agents: Vec<Agent> = [3, 1, 2, 9, 5].map(|n| agent(n, u32::from(n))).into();
    let seeding = (0..8).map(|_| {
        let (store, agents) = (store.clone(), agents.clone());
        async move { store.seed_agents(Realm::Support, &agents).await.unwrap() }
    });
    all(seeding).await;
    assert_eq!(store.list_agents(Realm::Support).await.unwrap(), agents);
    for agent in agents {
        assert_eq!(store.find_agent(&agent.id).await.unwrap(), Some(agent));
    }
}

pub(super) async fn a_realm_with_agents_is_not_seeded(store: Arc<dyn Store>) {
    store.seed_agents(Realm::Support, &[]).await.unwrap();
    let agents = seeded(&*store, &[(1, 2)]).await;
    let renamed = Agent { name: "Renamed".into(), ..agents[0].clone() };
    store.seed_agents(Realm::Support, &[renamed, agent(2, 2)]).await.unwrap();
    assert_eq!(store.list_agents(Realm::Support).await.unwrap(), agents);
}

pub(super) async fn availability_is_what_was_last_declared(store: Arc<dyn Store>) {
    let agents = seeded(&*store, &[(1, 2), (2, 2)]).await;
    let (id, session) = (&agents[0].id, SessionId::random());
    assert!(store.reserve_slot(id, &session, NOW).await.unwrap());
    for available in [false, false, true] {
        let expected = Agent { available, sessions: vec![session.clone()], ..agents[0].clone() };
        assert_eq!(store.set_availability(id, available).await.unwrap(), Some(expected.clone()));
        assert_eq!(store.list_agents(Realm::Support).await.unwrap(), [expected, agents[1].clone()]);
    }
}
