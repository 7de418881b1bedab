//! What the desk lets callers see, where no contract asks for it yet, and what it tells when a write fails half-way.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use helpline::auth::password::Hasher;
use helpline::domain::desk::{Desk, Opening, Policy, Ports, Post};
use helpline::domain::entry::{Body, Content, Entry};
use helpline::domain::error::Error;
use helpline::domain::ids::SessionId;
use helpline::domain::ports::{Announce, Audience, Signal};
use helpline::domain::principal::{Peer, Person, Principal, Realm, Role};
use helpline::domain::store::SessionQuery;
use helpline::domain::time::SystemClock;
use helpline::store::sqlite::Sqlite;
use tempfile::TempDir;

use crate::faults::parts::authority;

/// A fan-out that keeps what it is told.
#[derive(Default)]
struct Heard(Mutex<Vec<Arc<Entry>>>);

impl Announce for Heard {
    fn appended(&self, entry: Arc<Entry>) {
        self.0.lock().unwrap().push(entry);
    }

    fn signal(&self, _: &[Audience], _: Signal, _: Option<&Audience>) {}

    fn summon(&self, _: &str, _: &SessionId, _: u64) {}
}

async fn desk(folder: &TempDir) -> (Desk, Arc<Heard>) {
    desk_with(folder, None).await
}

async fn desk_with(folder: &TempDir, posts_per_minute: Option<u32>) -> (Desk, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let ports = Ports {
        store: Arc::new(Sqlite::open(folder.path()).await.unwrap()),
        announce: Arc::clone(&heard) as _,
        authority: authority(),
        passwords: Arc::new(Hasher::default()),
        clock: Arc::new(SystemClock),
    };
    (Desk::new(ports, Policy { posts_per_minute, ..Policy::default() }), heard)
}

fn key(realm: Realm) -> Principal {
    Principal::Delegate { realm, has_key: true }
}

fn agent(realm: Realm, id: &str) -> Principal {
    Principal::Person { person: Person::new(realm, id, Role::Agent), expires: None, login: None, peer: Peer::Unknown }
}

#[tokio::test]
async fn an_agent_lists_what_his_realm_shares_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let (desk, _) = desk(&folder).await;
    for realm in Realm::ALL {
        let (who, query) = (agent(realm, "a1"), SessionQuery::of(realm, 9));
        let listed = [desk.list_sessions(&who, query.clone()).await.map(drop), desk.agents(&who).await.map(drop)];
        for answer in listed {
            assert!(if realm.shares_sessions() { answer.is_ok() } else { matches!(answer, Err(Error::Forbidden)) }, "{realm:?}");
        }
        assert!(desk.list_sessions(&key(realm), query).await.is_ok() && desk.agents(&key(realm)).await.is_ok(), "{realm:?}");
    }
}

#[tokio::test]
async fn last_messages_stand_in_the_order_of_their_sessions_also_where_one_is_hidden() {
    let folder = TempDir::new().unwrap();
    let (desk, _) = desk(&folder).await;
    desk.seed_agents(Realm::Support).await.unwrap();
    let mut sessions = Vec::new();
    for n in 0..4 {
        let visitor = Person::new(Realm::Support, format!("u{n}"), Role::Visitor);
        let opened = desk.start_session(&key(Realm::Support), Opening::by(visitor.clone())).await.unwrap().session;
        let post = Post::text(Body::stored(format!("of {n}")), None);
        desk.post_message(&key(Realm::Support), visitor, &opened.id, post).await.unwrap();
        sessions.push(opened);
    }
    let hers = sessions[3].agent.as_ref().expect("an agent").id.clone();
    let who = agent(Realm::Support, hers.in_realm());
    let last = desk.last_messages(&who, &sessions, true).await.unwrap();
    let texts: Vec<_> = last.iter().map(|l| l.as_ref().and_then(|e| e.body()).map(|b| b.as_str().to_owned())).collect();
    let own = |n: usize| (sessions[n].agent.as_ref().map(|a| &a.id) == Some(&hers)).then(|| format!("of {n}"));
    assert_eq!(texts, (0..4).map(own).collect::<Vec<_>>());
    assert!(texts[3].is_some() && texts.iter().any(Option::is_none), "{texts:?}");
}

#[tokio::test]
async fn a_session_that_was_opened_again_is_told_of_though_its_document_could_not_be_written() {
    let folder = TempDir::new().unwrap();
    let (desk, heard) = desk(&folder).await;
    let who = key(Realm::Widget);
    let visitor = Person::new(Realm::Widget, "u1", Role::Visitor);
    let session = desk.start_session(&who, Opening::by(visitor)).await.unwrap().session;
    desk.end_session(&who, &session.id, "closed").await.unwrap();
    let past = rusqlite::Connection::open(folder.path().join("helpline.db")).unwrap();
    past.execute_batch("CREATE TRIGGER planted BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'planted'); END").unwrap();
    assert!(desk.open_again(&who, &session.id, "active").await.is_err());
    let last = heard.0.lock().unwrap().last().cloned().expect("entries");
    assert!(matches!(last.content, Content::Opened(_)), "{last:?}");
    past.execute_batch("DROP TRIGGER planted").unwrap();
    assert!(desk.open_again(&who, &session.id, "active").await.unwrap().is_open());
}

#[tokio::test]
async fn a_guest_who_marks_counts_or_closes_without_end_has_to_wait() {
    let folder = TempDir::new().unwrap();
    let (desk, _) = desk_with(&folder, Some(100)).await;
    let guest = Principal::Guest { realm: Realm::Operators, address: IpAddr::V4(Ipv4Addr::LOCALHOST) };
    for kind in 0..3 {
        let visitor = Person::new(Realm::Operators, format!("visitor-number-{kind}"), Role::Visitor);
        let id = desk.start_session(&guest, Opening::by(visitor)).await.unwrap().session.id;
        let mut served = 0;
        let refused = loop {
            let answer = match kind {
                0 => desk.mark_session_read(&guest, &id).await.map(drop),
                1 => desk.unread(&guest, &id).await.map(drop),
                _ => desk.end_session(&guest, &id, "closed").await.map(drop),
            };
            match answer {
                Ok(()) => served += 1,
                Err(error) => break error,
            }
            assert!(served < 200, "kind {kind}");
        };
        assert!(matches!(refused, Error::RateLimited { .. }) && served >= 60, "kind {kind}: {refused:?} after {served}");
        assert!(desk.unread(&key(Realm::Operators), &id).await.is_ok(), "the company is not counted");
    }
}
