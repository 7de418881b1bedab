//! What a crash leaves between two writes, built through the storage port: a repair makes all of it consistent, and a second one changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use helpline::auth::password::Hasher;
use helpline::domain::agent::{Agent, Availability};
use helpline::domain::desk::{Desk, Opening, Policy, Ports};
use helpline::domain::entry::{Body, Content, Draft, Entry};
use helpline::domain::ids::{AgentId, EntryId, SessionId};
use helpline::domain::principal::{Person, Principal, Realm, Role};
use helpline::domain::session::{Assignee, Session, Status};
use helpline::domain::store::{Inserted, Store};
use helpline::domain::time::{Clock, Timestamp};
use helpline::store::sqlite::Sqlite;
use tempfile::TempDir;

use super::parts::{Unheard, authority};
use crate::store::to;

const WHO: Principal = Principal::Delegate { realm: Realm::Support, has_key: true };

/// Longer than what is left alone as being in progress.
const SETTLED_MS: i64 = 61_000;

/// A clock that the test moves.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// A desk over a store of its own.
struct Office {
    desk: Desk,
    store: Arc<dyn Store>,
    clock: Arc<Hands>,
    _folder: TempDir,
}

/// Everything that a repair may touch.
#[derive(Debug, PartialEq)]
struct State {
    agents: Vec<Agent>,
    sessions: Vec<Option<Session>>,
    logs: Vec<Vec<Entry>>,
}

impl Office {
    async fn open() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder.path()).await.expect("a store"));
        let clock = Arc::new(Hands(AtomicI64::new(1_795_163_582_007)));
        let ports = Ports {
            store: Arc::clone(&store),
            announce: Arc::new(Unheard),
            authority: authority(),
            passwords: Arc::new(Hasher::default()),
            clock: Arc::clone(&clock) as _,
        };
        let desk = Desk::new(ports, Policy::default());
        desk.seed_agents(Realm::Support).await.expect("agents");
        Self { desk, store, clock, _folder: folder }
    }

    fn wait(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    async fn start(&self, visitor: &str) -> Session {
        self.desk.start_session(&WHO, Opening::by(person(visitor))).await.expect("a session").session
    }

    /// A session that nobody was asked to take.
    async fn waiting(&self, visitor: &str) -> Session {
        let session = Session::open(person(visitor), self.clock.now());
        assert_eq!(self.store.insert_session(&session, Some(&session.visitor.key())).await.expect("a write"), Inserted::Created);
        session
    }

    /// An end in the log and nowhere else.
    async fn end_log(&self, session: &SessionId) {
        let content = Content::Ended("done".into());
        let (id, at, author) = (EntryId::random(), self.clock.now(), person("u1"));
        self.store.append(Draft { session: session.clone(), id, at, author, client_key: None, content }).await.expect("a write");
    }

    async fn state(&self, ids: &[&SessionId]) -> State {
        let mut state = State { agents: self.store.list_agents(Realm::Support).await.expect("agents"), sessions: vec![], logs: vec![] };
        for id in ids {
            state.sessions.push(self.store.find_session(id).await.expect("a read"));
            state.logs.push(self.store.list_entries(id, 0, 1_000).await.expect("a read"));
        }
        state
    }

    /// Repairs twice; the second time must change nothing, and then slots, documents and logs must agree. Answers the documents.
    async fn repaired(&self, ids: &[&SessionId]) -> Vec<Session> {
        self.desk.repair().await.expect("a repair");
        let once = self.state(ids).await;
        self.wait(SETTLED_MS);
        self.desk.repair().await.expect("a repair");
        assert_eq!(self.state(ids).await, once, "a second repair changed something");
        let sessions: Vec<Session> = once.sessions.into_iter().map(|s| s.expect("a session")).collect();
        for (session, log) in sessions.iter().zip(&once.logs) {
            let head = log.last().map(|e| e.head).unwrap_or_default();
            assert_eq!(head.ended, session.status == Status::Ended, "{session:?}");
            assert_eq!(head.assignment, session.assignment, "{session:?}");
            let holders: Vec<&AgentId> = once.agents.iter().filter(|a| a.sessions.contains(&session.id)).map(|a| &a.id).collect();
            let active = session.agent.as_ref().filter(|_| session.status == Status::Active);
            assert_eq!(holders, active.map(|a| &a.id).into_iter().collect::<Vec<_>>(), "{session:?}");
        }
        sessions
    }

    async fn set_all_available(&self, available: bool) {
        for agent in self.store.list_agents(Realm::Support).await.expect("agents") {
            let to = if available { Availability::Online } else { Availability::Offline };
            self.store.set_availability(&agent.id, None, to, Some(self.clock.now())).await.expect("a write");
        }
    }
}

fn person(id: &str) -> Person {
    Person::new(Realm::Support, id, Role::Visitor)
}

fn first_agent() -> Assignee {
    Assignee { id: AgentId::seeded(1), name: "Support Agent 1".into() }
}

#[tokio::test]
async fn a_log_that_ended_ends_its_document_frees_the_slot_and_lets_the_visitor_come_back() {
    let office = Office::open().await;
    let session = office.start("u1").await;
    assert_eq!(session.status, Status::Active);
    office.end_log(&session.id).await;
    // An end is final at once: nothing needs to settle.
    let sessions = office.repaired(&[&session.id]).await;
    assert_eq!((sessions[0].status, sessions[0].end_reason.as_deref()), (Status::Ended, Some("done")));
    assert_ne!(office.start("u1").await.id, session.id);
}

#[tokio::test]
async fn a_visitor_whose_ended_session_is_still_open_in_its_document_gets_a_new_one_without_a_repair() {
    let office = Office::open().await;
    let session = office.start("u1").await;
    office.end_log(&session.id).await;
    let next = office.start("u1").await;
    assert_ne!(next.id, session.id);
    office.repaired(&[&session.id, &next.id]).await;
}

#[tokio::test]
async fn a_slot_without_a_session_is_given_back_once_it_is_old_and_the_session_is_served() {
    let office = Office::open().await;
    let session = office.waiting("u1").await;
    assert!(office.store.reserve_slot(&first_agent().id, &session.id, office.clock.now()).await.expect("a write"));
    office.set_all_available(false).await;
    let holds = async || office.state(&[]).await.agents[0].sessions.contains(&session.id);
    office.desk.repair().await.expect("a repair");
    assert!(holds().await, "whoever is between two writes must not lose its slot");
    office.wait(SETTLED_MS);
    office.desk.repair().await.expect("a repair");
    assert!(!holds().await);
    office.set_all_available(true).await;
    assert_eq!(office.repaired(&[&session.id]).await[0].status, Status::Active);
}

#[tokio::test]
async fn a_claim_without_its_entry_gets_one_once_it_is_old() {
    let office = Office::open().await;
    let session = office.waiting("u1").await;
    let now = office.clock.now();
    assert!(office.store.reserve_slot(&first_agent().id, &session.id, now).await.expect("a write"));
    office.store.reassign_session(&session.id, 0, &to(&first_agent()), now).await.expect("a write").expect("a claim");
    office.desk.repair().await.expect("a repair");
    assert!(office.state(&[&session.id]).await.logs[0].is_empty(), "whoever is between two writes writes its own entry");
    office.wait(SETTLED_MS);
    office.repaired(&[&session.id]).await;
    let log = &office.state(&[&session.id]).await.logs[0];
    assert!(matches!(&log[..], [entry] if entry.content == Content::Assigned(first_agent().into())), "{log:?}");
}

#[tokio::test]
async fn a_log_that_names_another_agent_last_than_the_document_names_the_right_one_again() {
    let office = Office::open().await;
    let session = office.waiting("u1").await;
    let now = office.clock.now();
    let second = Assignee { id: AgentId::seeded(2), name: "Support Agent 2".into() };
    office.store.reassign_session(&session.id, 0, &to(&first_agent()), now).await.expect("a write").expect("a claim");
    office.store.reassign_session(&session.id, 1, &to(&second), now).await.expect("a write").expect("a transfer");
    // Each node wrote its own entry, the one that came second before the other; then visitors went on.
    let contents = [Content::Assigned(second.clone().into()), Content::Assigned(first_agent().into())];
    let said = (0..5).map(|n| Content::Message(Body::stored(format!("{n}")).into()));
    for content in contents.into_iter().chain(said) {
        let (id, author) = (EntryId::random(), person("u1"));
        office.store.append(Draft { session: session.id.clone(), id, at: now, author, client_key: None, content }).await.expect("a write");
    }
    office.wait(SETTLED_MS);
    let repaired = office.repaired(&[&session.id]).await;
    assert_eq!(repaired[0].agent, Some(second.clone()));
    let log = &office.state(&[&session.id]).await.logs[0];
    assert_eq!((log.len(), &log[7].content), (8, &Content::Assigned(second.into())));
}

#[tokio::test]
async fn a_claim_whose_slot_is_gone_gets_it_back() {
    let office = Office::open().await;
    let session = office.start("u1").await;
    let agent = session.agent.clone().expect("an agent").id;
    assert!(office.store.release_slot(&agent, &session.id).await.expect("a write"));
    office.wait(SETTLED_MS);
    office.repaired(&[&session.id]).await;
}

#[tokio::test]
async fn a_slot_of_an_ended_session_is_given_back_and_the_next_visitor_is_served() {
    let office = Office::open().await;
    let mut sessions = Vec::new();
    for n in 0..7 {
        sessions.push(office.start(&format!("u{n}")).await);
    }
    assert_eq!(sessions[6].status, Status::Waiting);
    office.end_log(&sessions[0].id).await;
    office.store.finish_session(&sessions[0].id, 2, office.clock.now(), "done").await.expect("a write").expect("the document");
    office.wait(SETTLED_MS);
    let ids: Vec<&SessionId> = sessions.iter().map(|s| &s.id).collect();
    let repaired = office.repaired(&ids).await;
    assert_eq!((repaired[0].status, repaired[6].status), (Status::Ended, Status::Active));
    assert_eq!(repaired[6].agent, sessions[0].agent);
}

#[tokio::test]
async fn everything_at_once_is_repaired_in_one_pass() {
    let office = Office::open().await;
    let ended = office.start("u1").await;
    let (reserved, claimed) = (office.waiting("u2").await, office.waiting("u3").await);
    let now = office.clock.now();
    office.end_log(&ended.id).await;
    assert!(office.store.reserve_slot(&AgentId::seeded(2), &reserved.id, now).await.expect("a write"));
    assert!(office.store.reserve_slot(&AgentId::seeded(3), &claimed.id, now).await.expect("a write"));
    let third = Assignee { id: AgentId::seeded(3), name: "Support Agent 3".into() };
    office.store.reassign_session(&claimed.id, 0, &to(&third), now).await.expect("a write").expect("a claim");
    office.wait(SETTLED_MS);
    let repaired = office.repaired(&[&ended.id, &reserved.id, &claimed.id]).await;
    assert_eq!(repaired.iter().map(|s| s.status).collect::<Vec<_>>(), [Status::Ended, Status::Active, Status::Active]);
}
