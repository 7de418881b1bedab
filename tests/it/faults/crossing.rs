//! Consoles of several contracts at one session: they end, take and give it at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use helpline::domain::agent::{Agent, Availability};
use helpline::domain::desk::{Desk, NewAccount, Opening, Policy, Post};
use helpline::domain::entry::{Body, Content, Draft};
use helpline::domain::error::Error;
use helpline::domain::habits::Contracts;
use helpline::domain::ids::{AccountId, AgentId, ConnId, EntryId, SessionId};
use helpline::domain::ports::Announce;
use helpline::domain::principal::{Peer, Person, Principal, Realm, Role};
use helpline::domain::session::{Session, Status};
use helpline::domain::store::Store;
use helpline::store::sqlite::Sqlite;
use tempfile::TempDir;
use tokio::time::timeout;

use super::parts::{Ear, desk_over, desk_telling, desk_under};

const SUPPORT: Principal = Principal::Delegate { realm: Realm::Support, has_key: true };
const OPERATORS: Principal = Principal::Delegate { realm: Realm::Operators, has_key: true };
const WIDGET: Principal = Principal::Delegate { realm: Realm::Widget, has_key: true };

/// How long anything may take here.
const DEADLINE: Duration = Duration::from_secs(20);

struct Floor {
    desk: Arc<Desk>,
    store: Arc<dyn Store>,
    _folder: TempDir,
}

impl Floor {
    async fn open() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder.path()).await.expect("a store"));
        let desk = desk_over(Arc::clone(&store));
        desk.seed_agents(Realm::Support).await.expect("agents");
        Self { desk, store, _folder: folder }
    }

    async fn operator(&self, id: &str) -> Agent {
        let agent = self.desk.register_agent(&OPERATORS, id).await.expect("an operator");
        self.desk.set_availability(&OPERATORS, &agent.id, Availability::Online).await.expect("an operator")
    }

    async fn start(&self, who: &Principal, visitor: &str) -> Session {
        let visitor = Person::new(who.realm(), visitor, Role::Visitor);
        self.desk.start_session(who, Opening::by(visitor)).await.expect("a session").session
    }

    /// An end in the log and nowhere else.
    async fn end_log(&self, session: &SessionId) {
        let author = Person::new(Realm::Support, "system", Role::System);
        let (session, id, at, content) = (session.clone(), EntryId::random(), self.desk.now(), Content::Ended("over".into()));
        self.store.append(Draft { session, id, at, author, client_key: None, content }).await.expect("a write");
    }

    async fn session(&self, id: &SessionId) -> Session {
        self.store.find_session(id).await.expect("a read").expect("a session")
    }

    /// Somebody who answers in `rooms`, logged in.
    async fn colleague(&self, name: &str) -> (Principal, AccountId) {
        let email = format!("{name}@example.com");
        let account = NewAccount { role: Role::Agent, ..NewAccount::of_staff(Realm::Rooms, &email, "a long password", Some(name)) };
        let account = self.desk.create_account(account).await.expect("an account");
        let who = Principal::Person { person: account.person(), expires: None, login: None, peer: Peer::Unknown };
        (who, account.id)
    }
}

/// Lets others go first for a moment shorter than timers know.
async fn breathe(pause: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < pause {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_and_takes_at_once_hold_nobody_up() {
    let floor = Floor::open().await;
    let operator = floor.operator("o1").await;
    let mut held = Vec::new();
    for n in 0..6 {
        held.push(floor.start(&SUPPORT, &format!("held {n}")).await.id);
    }
    for round in 0..300 {
        let waiting = floor.start(&SUPPORT, &format!("waiting {round}")).await;
        assert_eq!(waiting.status, Status::Waiting);
        let freed = held.remove(0);
        // The end of one serves the queue, whose next is over already by its log alone, and is taken meanwhile: each a little earlier or later than in
        // the round before.
        floor.end_log(&waiting.id).await;
        let (desk, pause) = (Arc::clone(&floor.desk), Duration::from_micros(round * 37 % 100 * 30));
        let ending = tokio::spawn(async move { desk.end_session(&SUPPORT, &freed, "done").await.map(drop) });
        let takes = [pause, pause * 2].map(|pause| {
            let (desk, operator, id) = (Arc::clone(&floor.desk), operator.clone(), waiting.id.clone());
            tokio::spawn(async move {
                breathe(pause).await;
                desk.take_session(&OPERATORS, &operator, &id, (None, None)).await.map(drop)
            })
        });
        let (ended, _) = timeout(DEADLINE, async { tokio::join!(ending, join_all(takes)) }).await.expect("nobody waits for nobody");
        ended.expect("no panic").expect("an end");
        floor.desk.end_session(&SUPPORT, &waiting.id, "done").await.expect("an end");
        held.push(timeout(DEADLINE, floor.start(&SUPPORT, &format!("next {round}"))).await.expect("the queue is served").id);
    }
    for id in held {
        floor.desk.end_session(&SUPPORT, &id, "done").await.expect("an end");
    }
    for agent in floor.store.list_agents(Realm::Support).await.expect("agents").iter().chain([&operator]) {
        let agent = floor.store.find_agent(&agent.id).await.expect("a read").expect("an agent");
        assert!(agent.sessions.is_empty(), "{agent:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_has_comes_to_one_of_all_who_want_it() {
    let floor = Floor::open().await;
    let agents = floor.store.list_agents(Realm::Support).await.expect("agents");
    let (ada, eve) = (floor.colleague("ada").await, floor.colleague("eve").await);
    for round in 0..25 {
        let id = floor.start(&WIDGET, "v1").await.id;
        let joins = agents[..2].iter().map(|agent| async {
            let joined = floor.desk.join_or_take(&SUPPORT, &agent.person(), &id).await;
            assert!(matches!(joined, Ok(_) | Err(Error::NotTheAgent)), "{joined:?}");
            joined.is_ok().then(|| agent.id.clone())
        });
        let gifts = [&ada, &eve].map(|(who, account)| async {
            let given = floor.desk.give_session(who, &id, account, "mine").await;
            assert!(matches!(given, Ok(_) | Err(Error::SessionNotFound)), "{given:?}");
            given.is_ok().then(|| AgentId::of(Realm::Rooms, account.as_str()))
        });
        let (joined, given) = timeout(DEADLINE, async { tokio::join!(join_all(joins), join_all(gifts)) }).await.expect("in time");
        let told: Vec<AgentId> = joined.into_iter().chain(given).flatten().collect();
        assert_eq!(told.len(), 1, "round {round}: {told:?}");
        assert_eq!(floor.session(&id).await.agent.map(|a| a.id), told.first().cloned());
        floor.desk.end_session(&WIDGET, &id, "done").await.expect("an end");
    }
}

#[tokio::test]
async fn what_is_opened_again_and_changed_is_over_when_its_log_says_so() {
    let floor = Floor::open().await;
    let (who, account) = floor.colleague("ada").await;
    let ada = who.person().expect("a person").clone();
    let id = floor.start(&WIDGET, "v1").await.id;
    floor.desk.give_session(&who, &id, &account, "").await.expect("a session");
    let said = Post::text(Body::stored("hello"), None);
    let message = floor.desk.post_message(&who, ada.clone(), &id, said).await.expect("a message").entry.id.clone();
    floor.desk.end_session(&WIDGET, &id, "done").await.expect("an end");
    for n in 0..5 {
        floor.desk.edit_message(&who, &message, Body::stored(format!("change {n}"))).await.expect("a change");
    }
    let again = floor.desk.open_again(&WIDGET, &id, "active").await.expect("a session");
    assert_eq!((again.status, again.agent), (Status::Waiting, None), "whoever answered it before has others by now");
    assert!(floor.store.find_agent(&AgentId::of(Realm::Rooms, account.as_str())).await.unwrap().unwrap().sessions.is_empty());
    // And a change after it: the process died between.
    floor.end_log(&id).await;
    let edited = Content::Edited(helpline::domain::entry::Edit { message, body: Body::stored("after the end"), is_deletion: false });
    let draft = Draft { session: id.clone(), id: EntryId::random(), at: floor.desk.now(), author: ada, client_key: None, content: edited };
    floor.store.append(draft).await.expect("a write");
    floor.desk.repair().await.expect("a repair");
    assert_eq!(floor.session(&id).await.status, Status::Ended);
}

#[tokio::test]
async fn walls_hold_for_sessions_that_crossed_before_them() {
    let floor = Floor::open().await;
    let (who, account) = floor.colleague("ada").await;
    let (free, given) = (floor.start(&WIDGET, "v1").await.id, floor.start(&WIDGET, "v2").await.id);
    floor.desk.give_session(&who, &given, &account, "").await.expect("a session");
    let agent = floor.store.list_agents(Realm::Support).await.expect("agents").remove(0);
    floor.desk.join_or_take(&SUPPORT, &agent.person(), &free).await.expect("a session");
    let seen = async |desk: &Desk| {
        let own = desk.own_sessions(&who).await.expect("a list").len();
        let answered = desk.answered_sessions(&who, None).await.expect("a list").len();
        let of_agent = desk.sessions_of_agent(&SUPPORT, &agent.id, None).await.expect("a list").len();
        let read = desk.session(&who, &given).await.is_ok();
        let joined = desk.join(&SUPPORT, &agent.person(), &free).await.is_ok();
        let overview = desk.inbox(&OPERATORS, 10).await.expect("a list").len();
        (own, answered, of_agent, read, joined, overview)
    };
    assert_eq!(seen(&floor.desk).await, (1, 1, 1, true, true, 2));
    let apart = desk_under(Arc::clone(&floor.store), Policy { contracts: Contracts::Apart, ..Policy::default() });
    assert_eq!(seen(&apart).await, (0, 0, 0, false, false, 0));
}

#[tokio::test]
async fn where_contracts_are_apart_nobody_hears_of_an_agent_of_another_one() {
    let floor = Floor::open().await;
    let operator = floor.operator("o1").await;
    let (own, other) = (floor.start(&OPERATORS, "a visitor of operators").await, floor.start(&WIDGET, "a visitor of widget").await);
    for session in [&own, &other] {
        floor.desk.take_session(&OPERATORS, &operator, &session.id, (None, None)).await.expect("a session");
    }
    let told = async |contracts| {
        let ear = Arc::new(Ear::default());
        let policy = Policy { contracts, ..Policy::default() };
        let desk = desk_telling(Arc::clone(&floor.store), Arc::clone(&ear) as Arc<dyn Announce>, policy);
        desk.set_availability(&OPERATORS, &operator.id, Availability::Busy).await.expect("a write");
        ear.last_sessions()
    };
    assert_eq!(told(Contracts::Together).await, [own.id.clone(), other.id.clone()]);
    assert_eq!(told(Contracts::Apart).await, [own.id]);
}

#[tokio::test]
async fn others_hear_of_the_first_connection_and_of_the_last_in_sessions_that_cross() {
    let floor = Floor::open().await;
    let ((who, account), operator) = (floor.colleague("ada").await, floor.operator("o1").await);
    let (crossing, taken) = (floor.start(&WIDGET, "v1").await.id, floor.start(&WIDGET, "v2").await.id);
    let ada = who.person().expect("a person");
    for id in [&crossing, &taken] {
        floor.desk.give_session(&who, id, &account, "").await.expect("a session");
    }
    floor.desk.take_session(&OPERATORS, &operator, &taken, (None, None)).await.expect("a session");
    for (contracts, expected) in
        [(Contracts::Together, vec![(crossing.clone(), true), (crossing.clone(), false)]), (Contracts::Apart, vec![])]
    {
        let ear = Arc::new(Ear::default());
        let policy = Policy { contracts, ..Policy::default() };
        let nodes = [(); 2].map(|()| desk_telling(Arc::clone(&floor.store), Arc::clone(&ear) as Arc<dyn Announce>, policy));
        let (phone, laptop) = (ConnId::random(), ConnId::random());
        nodes[0].person_arrived(ada, &phone).await.expect("an arrival");
        nodes[1].person_arrived(ada, &laptop).await.expect("an arrival");
        nodes[0].declare_status(&who, &account, Availability::Busy).await.expect("a status");
        nodes[0].person_left(ada, &phone).await.expect("a departure");
        nodes[1].person_left(ada, &laptop).await.expect("a departure");
        assert_eq!(ear.passages(), expected);
    }
}

#[tokio::test]
async fn a_list_without_pages_is_not_filled_by_the_other_contracts() {
    let floor = Floor::open().await;
    for n in 0..4 {
        floor.start(&WIDGET, &format!("own {n}")).await;
    }
    for n in 0..12 {
        floor.start(&SUPPORT, &format!("other {n}")).await;
    }
    let count = async |limit| {
        let listed = floor.desk.inbox(&WIDGET, limit).await.expect("a list");
        let own = listed.iter().filter(|s| s.realm == Realm::Widget).count();
        (own, listed.len() - own)
    };
    assert_eq!((count(20).await, count(10).await, count(6).await), ((4, 12), (4, 6), (3, 3)));
}
