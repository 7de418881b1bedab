//! Documents that an earlier version of this server wrote: they lack the newer fields, are read with their defaults, and change as new ones do.

use bson::{Document, doc};
use helpline::domain::account::{Account, AccountChange};
use helpline::domain::agent::{Agent, Availability};
use helpline::domain::entry::{Body, Content};
use helpline::domain::error::StoreError;
use helpline::domain::ids::{AgentId, SessionId};
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::session::{Session, Status};
use helpline::domain::store::{Inserted, SessionQuery, Store};
use helpline::domain::time::Timestamp;

use super::accounts::{account, named};
use super::mongo_server::{Place, message, on_database, stored};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Takes these fields from every document of the collection, as if they had never been written.
async fn strip(place: &Place, collection: &str, fields: &[&str]) {
    let gone: Document = fields.iter().map(|field| ((*field).to_owned(), "".into())).collect();
    let documents = place.raw().await.collection::<Document>(collection);
    assert!(documents.update_many(doc! {}, doc! { "$unset": gone }).await.unwrap().modified_count > 0);
}

#[tokio::test]
async fn a_session_ends_is_opened_again_and_is_read_as_a_new_one() {
    on_database(|place| async move {
        let store = place.open().await;
        let ids = ["0f8fad5b-d9cb-469f-a165-70867728950e", "507f1f77bcf86cd799439011", "507f1f77bcf86cd799439012"];
        let sessions = [("u1", None), ("u2", Some("Ann".into())), ("U3", Some("$b.*".into()))].map(|(id, name)| {
            let who = Person { name, ..Person::new(Realm::Support, id, Role::Visitor) };
            Session { id: SessionId::stored(ids[usize::from(id.as_bytes()[1] - b'1')]), ..Session::open(who, NOW) }
        });
        for session in &sessions {
            assert_eq!(store.insert_session(session, Some(&session.visitor.key())).await.unwrap(), Inserted::Created);
        }
        strip(&place, "sessions", &["stateSeq", "readOrdinal", "spoken", "search", "label", "group"]).await;
        let [first, second, third] = sessions;
        assert_eq!(store.find_session(&first.id).await.unwrap().as_ref(), Some(&first));
        assert_eq!(store.insert_session(&first, Some("support:u1")).await.unwrap(), Inserted::Exists(first.clone()));
        let spoken = SessionQuery { spoken_only: true, ..SessionQuery::of(Realm::Support, 9) };
        assert_eq!(store.list_sessions(&spoken).await.unwrap().total, 0);
        for (keyword, found) in [("U1", &first), ("ANN", &second), ("u3", &third), ("$B.*", &third), ("F8FA", &first), ("439011", &second)]
        {
            let query = SessionQuery { keyword: Some(keyword.into()), ..SessionQuery::of(Realm::Support, 9) };
            assert_eq!(store.list_sessions(&query).await.unwrap().sessions, std::slice::from_ref(found), "{keyword}");
        }
        assert_eq!(store.finish_session(&first.id, 0, NOW, "done").await.unwrap(), None);
        assert_eq!(store.finish_session(&first.id, 1, NOW, "done").await.unwrap(), Some(first));
        store.reopen_session(&second.id, 1, NOW, "new").await.unwrap();
        let labelled = Session { label: Some("new".into()), state_seq: 1, ..second };
        assert_eq!(store.find_session(&labelled.id).await.unwrap(), Some(labelled));
        assert_eq!(store.mark_session_read(&third.id, 4).await.unwrap(), Some(0));
        assert_eq!(store.mark_session_read(&third.id, 2).await.unwrap(), Some(4));
    })
    .await;
}

#[tokio::test]
async fn an_ended_session_without_a_state_number_is_opened_again_and_has_no_key() {
    on_database(|place| async move {
        let store = place.open().await;
        let session = Session::open(Person::new(Realm::Support, "u1", Role::Visitor), NOW);
        store.insert_session(&session, Some("support:u1")).await.unwrap();
        store.finish_session(&session.id, 1, NOW, "done").await.unwrap().unwrap();
        strip(&place, "sessions", &["stateSeq", "readOrdinal", "spoken", "search", "keyFreed"]).await;
        let next = Session::open(session.visitor.clone(), NOW);
        assert_eq!(store.insert_session(&next, Some("support:u1")).await.unwrap(), Inserted::Created);
        store.reopen_session(&session.id, 2, NOW, "active").await.unwrap();
        assert_eq!(store.find_session(&session.id).await.unwrap().map(|s| s.status), Some(Status::Active));
        assert_eq!(store.insert_session(&session, Some("support:u1")).await.unwrap(), Inserted::Exists(next));
    })
    .await;
}

#[tokio::test]
async fn a_message_is_a_signed_text_that_nobody_has_read() {
    on_database(|place| async move {
        let store = place.open().await;
        let session = SessionId::random();
        let entry = stored(&store, message(&session, "hi")).await;
        strip(&place, "messages", &["form", "signed", "notices", "readAt"]).await;
        assert_eq!(entry.content, Content::Message(Body::stored("hi").into()));
        let fresh = place.open().await;
        assert_eq!(fresh.list_entries(&session, 0, 9).await.unwrap(), std::slice::from_ref(&entry));
        assert_eq!(stored(&fresh, message(&session, "ho")).await.head.notices, 0);
        assert_eq!(fresh.mark_message_read(&entry.id, NOW).await.unwrap().and_then(|e| e.fate.read_at), Some(NOW));
    })
    .await;
}

#[tokio::test]
async fn an_agent_is_as_available_as_it_said_and_changes_by_what_it_is() {
    on_database(|place| async move {
        use Availability::{Away, Busy, Offline, Online};
        let store = place.open().await;
        let fresh = |n| Agent { availability: Online, ..Agent::new(Realm::Support, AgentId::seeded(n), "Ann", 2, Timestamp(0)) };
        let agents = [fresh(1), Agent { availability: Offline, ..fresh(2) }];
        store.seed_agents(Realm::Support, &agents).await.unwrap();
        let raw = place.raw().await.collection::<Document>("agents");
        for agent in &agents {
            let set = doc! { "$set": { "isOnline": agent.is_available() } };
            raw.update_one(doc! { "_id": agent.id.as_str() }, set).await.unwrap();
        }
        strip(&place, "agents", &["availability", "createdAt", "activeAt", "attended", "email"]).await;
        assert_eq!(store.list_agents(Realm::Support).await.unwrap(), agents);
        let (online, offline) = (&agents[0].id, &agents[1].id);
        assert!(store.reserve_slot(online, &SessionId::random(), NOW).await.unwrap());
        assert!(!store.reserve_slot(offline, &SessionId::random(), NOW).await.unwrap());
        assert_eq!(store.set_availability(online, Some(&[Offline, Busy, Away]), Busy, Some(NOW)).await.unwrap(), None);
        assert_eq!(store.set_availability(offline, Some(&[Online, Busy, Away]), Busy, Some(NOW)).await.unwrap(), None);
        assert_eq!(store.set_availability(online, Some(&[Online]), Busy, Some(NOW)).await.unwrap().map(|a| a.availability), Some(Busy));
        assert_eq!(
            store.set_availability(offline, Some(&[Offline]), Online, Some(NOW)).await.unwrap().map(|a| a.availability),
            Some(Online)
        );
        assert_eq!(store.set_availability(online, Some(&[Online]), Away, Some(NOW)).await.unwrap(), None, "what it said before is past");
        assert!(!store.reserve_slot(online, &SessionId::random(), NOW).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn an_account_is_an_agents_who_was_last_there_when_it_was_created() {
    on_database(|place| async move {
        let store = place.open().await;
        let made = account("ann@example.org");
        assert!(store.insert_account(&made).await.unwrap());
        strip(&place, "accounts", &["role", "status", "updatedAt", "seenAt"]).await;
        let ann = Account { updated_at: made.created_at, seen_at: made.created_at, ..made };
        assert_eq!((ann.role, ann.status), (Role::Agent, Availability::Offline));
        assert_eq!(store.find_account(&ann.id).await.unwrap().as_ref(), Some(&ann));
        for (roles, found) in [(&[Role::Agent, Role::Admin][..], 1), (&[Role::Admin, Role::Visitor], 0), (&[Role::Agent], 1)] {
            assert_eq!(store.list_accounts(Realm::Widget, roles, 9).await.unwrap().len(), found, "{roles:?}");
        }
        assert!(store.insert_account(&Account { realm: Realm::Widget, ..named("bob@example.org", "bob") }).await.unwrap());
        assert!(!store.insert_account(&account("ann@example.org")).await.unwrap());
        let online = AccountChange { status: Some(Availability::Online), seen_at: None };
        let changed = Account { status: Availability::Online, updated_at: NOW, ..ann.clone() };
        assert_eq!(store.change_account(&ann.id, &online, NOW).await.unwrap(), Some(changed));
        let raw = place.raw().await.collection::<Document>("accounts");
        raw.update_one(doc! { "_id": ann.id.as_str() }, doc! { "$set": { "role": "king" } }).await.unwrap();
        let error = store.find_account(&ann.id).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(why) if why.contains("role")), "a role that is unknown is nobody's: {error}");
    })
    .await;
}
