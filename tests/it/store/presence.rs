//! Who is there, by the connections of all nodes, and the nodes' signs of life.

use std::collections::BTreeSet;
use std::sync::Arc;

use helpline::domain::ids::{ConnId, NodeId};
use helpline::domain::presence::Presence;
use helpline::domain::store::Store;

use super::all;

fn presence(conn: &str, person: &str, node: &NodeId) -> Presence {
    Presence { conn: ConnId::stored(conn), person: person.into(), node: node.clone() }
}

async fn present(store: &dyn Store, people: &[&str]) -> BTreeSet<(Arc<str>, String)> {
    let people: Vec<Arc<str>> = people.iter().map(|p| Arc::from(*p)).collect();
    store.find_present(&people).await.unwrap().into_iter().map(|(who, conn)| (who, conn.to_string())).collect()
}

pub(super) async fn people_are_there_while_any_node_has_a_connection_of_theirs(store: Arc<dyn Store>) {
    let (here, there) = (NodeId::random(), NodeId::random());
    assert!(present(&*store, &["rooms:ann"]).await.is_empty());
    let noted = [presence("c2", "rooms:ann", &here), presence("c1", "rooms:ann", &there), presence("c3", "rooms:bob", &there)];
    for is_new in [true, false] {
        for one in &noted {
            assert_eq!(store.insert_presence(one).await.unwrap(), is_new);
        }
    }
    store.insert_presence(&presence("c4", "roomsy:eve", &here)).await.unwrap();
    let both = BTreeSet::from([("rooms:ann".into(), "c1".into()), ("rooms:bob".into(), "c3".into())]);
    assert_eq!(present(&*store, &["rooms:ann", "rooms:bob", "rooms:eve"]).await, both);
    assert_eq!((store.count_present("rooms:").await.unwrap(), store.count_present("r").await.unwrap()), (2, 3));
    let mut of_there = store.list_presences(&there).await.unwrap();
    of_there.sort_by_key(|p| p.conn.to_string());
    assert_eq!(of_there, noted[1..]);
    for (who, gone) in [("rooms:ann", "c1"), ("rooms:ann", "c1"), ("rooms:ann", "c3"), ("nobody", "c2")] {
        store.remove_presence(who, &ConnId::stored(gone)).await.unwrap();
    }
    assert_eq!(present(&*store, &["rooms:ann"]).await, BTreeSet::from([("rooms:ann".into(), "c2".into())]));
    store.remove_presence("rooms:ann", &ConnId::stored("c2")).await.unwrap();
    assert!(present(&*store, &["rooms:ann"]).await.is_empty());
    store.insert_presence(&presence("c3", "rooms:eve", &here)).await.unwrap();
    let shared = BTreeSet::from([("rooms:bob".into(), "c3".into()), ("rooms:eve".into(), "c3".into())]);
    assert_eq!(present(&*store, &["rooms:bob", "rooms:eve"]).await, shared, "one connection acts for two people");
    assert!(present(&*store, &[]).await.is_empty());
}

pub(super) async fn signs_of_life_are_counted_from_one(store: Arc<dyn Store>) {
    let (node, other) = (NodeId::random(), NodeId::random());
    let beats = (0..20).map(|_| {
        let (store, node) = (Arc::clone(&store), node.clone());
        async move { store.beat(&node).await.unwrap() }
    });
    let counted: BTreeSet<u64> = all(beats).await.into_iter().collect();
    assert_eq!(counted, (1..=20).collect());
    assert_eq!(store.beat(&other).await.unwrap(), 1);
    let known: BTreeSet<(NodeId, u64)> = store.list_nodes().await.unwrap().into_iter().collect();
    assert_eq!(known, BTreeSet::from([(node.clone(), 20), (other.clone(), 1)]));
    for _ in 0..2 {
        store.remove_node(&node).await.unwrap();
    }
    assert_eq!(store.list_nodes().await.unwrap(), [(other, 1)]);
    assert_eq!(store.beat(&node).await.unwrap(), 1, "it was removed");
}
