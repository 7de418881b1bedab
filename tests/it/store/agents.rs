//! Agents' records: seeding, order and availability. Their slots are in `assign`.

use helpline::domain::agent::{Agent, Availability};

use super::*;

fn agent(n: u8, capacity: u32) -> Agent {
    let Assignee { id, name } = assignee(n);
    let (email, availability) = (Some(format!("$agent{n}@example.org\0").into()), Availability::Online);
    Agent { email, availability, active_at: at(-1), ..Agent::new(Realm::Support, id, name, capacity, at(-2)) }
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
        assert_eq!(store.find_agent(&agent.id).await.unwrap().as_ref(), Some(&agent));
        assert_eq!(store.find_agents(&[AgentId::seeded(8), agent.id.clone()]).await.unwrap(), [agent]);
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
    for (ms, availability) in
        [Availability::Busy, Availability::Busy, Availability::Away, Availability::Offline, Availability::Online].into_iter().enumerate()
    {
        let now = at(ms as i64);
        let expected = Agent { availability, active_at: now, sessions: vec![session.clone()], ..agents[0].clone() };
        assert_eq!(store.set_availability(id, None, availability, Some(now)).await.unwrap(), Some(expected.clone()));
        assert_eq!(store.list_agents(Realm::Support).await.unwrap(), [expected, agents[1].clone()]);
    }
}

pub(super) async fn availability_changes_only_from_what_was_named(store: Arc<dyn Store>) {
    use Availability::{Away, Busy, Offline, Online};
    let agents = seeded(&*store, &[(1, 2)]).await;
    let set = async |from: &[Availability], to| store.set_availability(&agents[0].id, Some(from), to, Some(at(5))).await.unwrap();
    for from in [&[][..], &[Busy, Offline, Away]] {
        assert_eq!(set(from, Away).await, None);
    }
    assert_eq!(store.list_agents(Realm::Support).await.unwrap(), agents, "nothing was changed");
    for (from, to) in [(&[Online, Busy][..], Away), (&[Away], Online), (&[Online], Busy), (&[Online, Busy], Offline), (&[Offline], Online)]
    {
        assert_eq!(set(from, to).await.map(|a| (a.availability, a.active_at)), Some((to, at(5))));
    }
}

pub(super) async fn attendance_and_what_nobody_said_leave_the_rest_alone(store: Arc<dyn Store>) {
    let agents = seeded(&*store, &[(1, 2), (2, 2)]).await;
    for (attended, now, absent_since) in
        [(false, 1, None), (true, 2, None), (true, 3, None), (false, 4, Some(4)), (false, 5, Some(4)), (true, 6, None), (false, 7, Some(7))]
    {
        store.set_attended(&agents[0].id, attended, at(now)).await.unwrap();
        let expected = Agent { attended, absent_since: absent_since.map(at), ..agents[0].clone() };
        assert_eq!(store.find_agent(&agents[0].id).await.unwrap(), Some(expected.clone()));
        assert_eq!(store.list_agents(Realm::Support).await.unwrap(), [expected, agents[1].clone()]);
    }
    store.set_attended(&AgentId::random(), true, at(8)).await.unwrap();
    let away = Agent { availability: Availability::Away, absent_since: Some(at(7)), ..agents[0].clone() };
    assert_eq!(store.set_availability(&away.id, None, Availability::Away, None).await.unwrap(), Some(away));
}

pub(super) async fn one_of_many_changes_of_availability_wins(store: Arc<dyn Store>) {
    let id = &seeded(&*store, &[(1, 2)]).await[0].id;
    for _ in 0..5 {
        let changes = (0..20).map(|n| {
            let (store, id) = (store.clone(), id.clone());
            async move { store.set_availability(&id, Some(&[Availability::Online]), Availability::Away, Some(at(n))).await.unwrap() }
        });
        let won: Vec<Agent> = all(changes).await.into_iter().flatten().collect();
        assert_eq!(won, store.list_agents(Realm::Support).await.unwrap());
        store.set_availability(id, None, Availability::Online, Some(NOW)).await.unwrap().unwrap();
    }
}

pub(super) async fn an_agent_is_inserted_once_and_stays_as_it_was(store: Arc<dyn Store>) {
    let mut agents = seeded(&*store, &[(7, 2), (3, 1)]).await;
    let same = Agent { name: "Another".into(), ..agent(7, 5) };
    assert_eq!(store.insert_agent(&same).await.unwrap(), agents[0], "it is there already");
    for n in [5, 1] {
        let agent = Agent { sessions: vec![SessionId::random()], ..agent(n, Agent::NO_LIMIT) };
        assert_eq!(store.insert_agent(&agent).await.unwrap(), agent);
        agents.push(agent);
    }
    assert_eq!(store.list_agents(Realm::Support).await.unwrap(), agents);
    let inserts = (0..20).map(|n| {
        let store = store.clone();
        let agent = Agent { name: format!("From task {n}").into(), realm: Realm::Operators, ..agent(10 + n % 2, 2) };
        async move { store.insert_agent(&agent).await.unwrap() }
    });
    let answered = all(inserts).await;
    let kept = store.list_agents(Realm::Operators).await.unwrap();
    assert_eq!(kept.len(), 2);
    assert!(answered.iter().all(|a| kept.contains(a)), "each answer is the agent that is stored");
    assert_eq!(store.list_agents(Realm::Support).await.unwrap(), agents);
}
