//! Operators who come, go and take sessions all at once, at a desk over each store: who is connected is shown as being there.

use std::sync::Arc;

use futures_util::future::join_all;
use helpline::domain::agent::{Agent, Availability};
use helpline::domain::desk::{Desk, Opening, Policy, Watch};
use helpline::domain::entry::Content;
use helpline::domain::ids::{AgentId, ConnId};
use helpline::domain::ports::Announce;
use helpline::domain::principal::{Person, Principal, Realm, Role};
use helpline::domain::store::Store;

use super::parts::{Ear, desk_over, desk_telling};

const WHO: Principal = Principal::Delegate { realm: Realm::Operators, has_key: true };

async fn availability(desk: &Desk, agent: &Agent) -> Availability {
    desk.agent(&agent.id).await.expect("a read").expect("a record").availability
}

async fn whoever_comes_back_while_he_goes_is_there(store: Arc<dyn Store>) {
    let desk = desk_over(store);
    let agent = desk.register_agent(&WHO, "op").await.expect("a record");
    desk.set_availability(&WHO, &agent.id, Availability::Online).await.expect("a write");
    let mut old = ConnId::random();
    desk.agent_arrived(&agent, &old).await.expect("an arrival");
    for round in 0..150 {
        let new = ConnId::random();
        let leaving = {
            let (desk, agent, old) = (Arc::clone(&desk), agent.clone(), old.clone());
            tokio::spawn(async move { desk.agent_left(&agent.id, &old).await })
        };
        desk.agent_arrived(&agent, &new).await.expect("an arrival");
        leaving.await.expect("a task").expect("a departure");
        assert_eq!(availability(&desk, &agent).await, Availability::Online, "round {round}");
        old = new;
    }
    desk.agent_left(&agent.id, &old).await.expect("a departure");
    assert_eq!(availability(&desk, &agent).await, Availability::Away);
}

async fn who_was_connected_when_the_process_died_is_away_and_who_was_declared_stays(store: Arc<dyn Store>) {
    let died = desk_over(Arc::clone(&store));
    let mut agents = Vec::new();
    for id in ["declared", "connected", "busy", "left", "offline"] {
        let agent = died.register_agent(&WHO, id).await.expect("a record");
        died.set_availability(&WHO, &agent.id, Availability::Online).await.expect("a write");
        agents.push(agent);
    }
    let conns = [(); 4].map(|()| ConnId::random());
    for ((agent, conn), to) in
        agents[1..].iter().zip(&conns).zip([Availability::Online, Availability::Busy, Availability::Online, Availability::Offline])
    {
        died.agent_arrived_as(&WHO, &agent.id, to, conn).await.expect("an arrival");
    }
    died.agent_left(&agents[3].id, &conns[2]).await.expect("a departure");
    died.set_availability(&WHO, &agents[3].id, Availability::Online).await.expect("a write");
    died.miss_the_absent().await.expect("a look");
    assert_eq!(availability(&died, &agents[1]).await, Availability::Online, "he is connected");

    // The process before this one, which had the store for itself, showed a sign of life.
    died.show_life().await.expect("a sign");
    let desk = desk_over(store);
    desk.show_life().await.expect("a sign");
    desk.keep_watch(&mut Watch::new(true, 1)).await.expect("a look");
    for (agent, expected) in
        agents.iter().zip([Availability::Online, Availability::Away, Availability::Away, Availability::Online, Availability::Offline])
    {
        assert_eq!(availability(&desk, agent).await, expected, "{}", agent.id);
    }
    desk.agent_arrived(&agents[1], &conns[0]).await.expect("an arrival");
    assert_eq!(availability(&desk, &agents[1]).await, Availability::Online);
}

async fn all_who_take_a_session_at_once_get_it_and_the_last_one_has_it(store: Arc<dyn Store>) {
    let desk = desk_over(Arc::clone(&store));
    let mut agents = Vec::new();
    for n in 0..10 {
        let agent = desk.register_agent(&WHO, &format!("op{n}")).await.expect("a record");
        agents.push(desk.set_availability(&WHO, &agent.id, Availability::Online).await.expect("a write"));
    }
    for round in 0..20 {
        let visitor = Person::new(Realm::Operators, format!("visitor-number-{round}"), Role::Visitor);
        let id = desk.start_session(&WHO, Opening::by(visitor)).await.expect("a session").session.id;
        let takers = agents.iter().cloned().map(|agent| {
            let (desk, id) = (Arc::clone(&desk), id.clone());
            tokio::spawn(async move { desk.take_session(&WHO, &agent, &id, (None, None)).await.map(drop) })
        });
        for taken in join_all(takers).await {
            taken.expect("a task").expect("an answer");
        }
        let holder = store.find_session(&id).await.expect("a read").expect("a session").agent.expect("an agent");
        let log = store.list_entries(&id, 0, 100).await.expect("a read");
        let Content::Assigned(last) = &log[9].content else { panic!("no assignment in round {round}") };
        assert_eq!((log.len(), last.agent.as_ref()), (10, Some(&holder)), "round {round}");
        let of = store.list_agents(Realm::Operators).await.expect("a read").into_iter().filter(|a| a.sessions.contains(&id));
        assert_eq!(of.map(|a| a.id).collect::<Vec<_>>(), [holder.id], "one slot is held");
    }
}

async fn whoever_vanishes_is_not_the_one_who_was_active_last(store: Arc<dyn Store>) {
    let desk = desk_over(store);
    let (first, last) = (AgentId::of(Realm::Operators, "first"), AgentId::of(Realm::Operators, "last"));
    let conns = [ConnId::random(), ConnId::random()];
    for (id, conn) in ["first", "last"].into_iter().zip(&conns) {
        let agent = desk.register_agent(&WHO, id).await.expect("a record");
        // The next moment is another one.
        let said = desk.agent_arrived_as(&WHO, &agent.id, Availability::Online, conn).await.expect("an arrival").active_at;
        while desk.now() <= said {}
    }
    let order = async || desk.agents(&WHO).await.expect("a list").into_iter().map(|a| a.id).collect::<Vec<_>>();
    assert_eq!(order().await, [last.clone(), first.clone()]);
    desk.agent_left(&first, &conns[0]).await.expect("a departure");
    assert_eq!(order().await, [last, first]);
}

async fn who_was_taken_for_gone_and_is_not_is_told_to_be_there(store: Arc<dyn Store>) {
    let ear = Arc::new(Ear::default());
    let [here, there] = [(); 2].map(|()| desk_telling(Arc::clone(&store), Arc::clone(&ear) as Arc<dyn Announce>, Policy::default()));
    let agent = there.register_agent(&WHO, "op").await.expect("a record");
    let (mut watch, mut slow) = (Watch::new(false, 3), Watch::new(false, 3));
    for (desk, watch) in [(&here, &mut watch), (&there, &mut slow)] {
        desk.show_life().await.expect("a sign");
        desk.keep_watch(watch).await.expect("a look");
    }
    there.agent_arrived_as(&WHO, &agent.id, Availability::Online, &ConnId::random()).await.expect("an arrival");
    for _ in 0..6 {
        here.show_life().await.expect("a sign");
        here.keep_watch(&mut watch).await.expect("a look");
    }
    assert_eq!(ear.heard(), [Availability::Online, Availability::Away]);
    there.show_life().await.expect("a sign");
    there.keep_watch(&mut slow).await.expect("a look");
    assert_eq!(ear.heard(), [Availability::Online, Availability::Away, Availability::Online]);
}

async fn who_leaves_one_node_while_he_comes_to_another_is_told_to_be_there_last(store: Arc<dyn Store>) {
    let ear = Arc::new(Ear::default());
    let nodes = [(); 2].map(|()| desk_telling(Arc::clone(&store), Arc::clone(&ear) as Arc<dyn Announce>, Policy::default()));
    let agent = nodes[0].register_agent(&WHO, "op").await.expect("a record");
    let mut old = ConnId::random();
    nodes[0].agent_arrived_as(&WHO, &agent.id, Availability::Online, &old).await.expect("an arrival");
    for round in 1..100 {
        let (from, to, new) = (Arc::clone(&nodes[(round - 1) % 2]), Arc::clone(&nodes[round % 2]), ConnId::random());
        let (going, gone) = (agent.clone(), old);
        let leaving = tokio::spawn(async move { from.agent_left(&going.id, &gone).await });
        to.agent_arrived(&agent, &new).await.expect("an arrival");
        leaving.await.expect("a task").expect("a departure");
        assert_eq!(availability(&nodes[0], &agent).await, Availability::Online, "round {round}");
        assert_eq!(ear.heard().last(), Some(&Availability::Online), "round {round}");
        old = new;
    }
}

on_both_stores! {
    who_leaves_one_node_while_he_comes_to_another_is_told_to_be_there_last,
    who_was_taken_for_gone_and_is_not_is_told_to_be_there,
    whoever_comes_back_while_he_goes_is_there,
    who_was_connected_when_the_process_died_is_away_and_who_was_declared_stays,
    whoever_vanishes_is_not_the_one_who_was_active_last,
    all_who_take_a_session_at_once_get_it_and_the_last_one_has_it,
}
