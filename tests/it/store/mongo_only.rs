//! What only the MongoDB store promises: write concern on the wire, document shapes, indexes, several nodes on one database.

use std::sync::{Arc, Mutex};

use bson::{Bson, Document, doc};
use futures_util::future::join_all;
use helpline::domain::account::AccountChange;
use helpline::domain::agent::{Agent, Availability};
use helpline::domain::entry::Content;
use helpline::domain::error::StoreError;
use helpline::domain::ids::{AgentId, EntryId, SessionId};
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::session::{Assignee, Session};
use helpline::domain::store::{Appended, Inserted, SessionQuery, Store};
use helpline::domain::time::Timestamp;
use helpline::store::mongo::{open, open_with};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;

use super::accounts::account;
use super::logins::login;
use super::mongo_server::{Place, end, keyed, message, numbers, on_database, original_message, stored};
use crate::store::to;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn agent(n: u8, capacity: u32) -> Agent {
    Agent { availability: Availability::Online, ..Agent::new(Realm::Support, AgentId::seeded(n), "Ann", capacity, NOW) }
}

fn visitor(id: &str) -> Person {
    Person::new(Realm::Support, id, Role::Visitor)
}

/// Opens the store with an ear on every command it sends.
pub(super) async fn overheard(place: &Place) -> (helpline::store::mongo::Mongo, Arc<Mutex<Vec<Document>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    let handler = EventHandler::callback(move |event: CommandEvent| {
        if let CommandEvent::Started(started) = event {
            ear.lock().unwrap().push(started.command);
        }
    });
    let store = open_with(&place.uri, Some(&place.name), |options| options.command_event_handler = Some(handler)).await.unwrap();
    (store, heard)
}

#[tokio::test]
async fn every_write_asks_for_a_majority_with_journal_and_every_read_of_a_replica_set_for_a_majority() {
    on_database(|place| async move {
        let weak = Place { uri: format!("{}?w=1&journal=false&readConcernLevel=local", place.uri), name: place.name.clone() };
        let (store, heard) = overheard(&weak).await;
        let session = Session::open(visitor("u1"), NOW);
        store.insert_session(&session, Some(&session.visitor.key())).await.unwrap();
        store.seed_agents(Realm::Support, &[agent(1, 2)]).await.unwrap();
        stored(&store, message(&session.id, "hi")).await;
        store.reserve_slot(&agent(1, 2).id, &session.id, NOW).await.unwrap();
        store.reassign_session(&session.id, 0, &to(&Assignee { id: agent(1, 2).id, name: "Ann".into() }), NOW).await.unwrap().unwrap();
        store.finish_session(&session.id, 1, NOW, "done").await.unwrap();
        store.reopen_session(&session.id, 2, NOW, "active").await.unwrap();
        store.touch_session(&session.id, Some(NOW)).await.unwrap();
        store.mark_session_read(&session.id, 1).await.unwrap();
        store.mark_message_read(&store.last_entry(&session.id).await.unwrap().unwrap().id, NOW).await.unwrap().unwrap();
        store.insert_agent(&agent(2, 2)).await.unwrap();
        store.set_availability(&agent(2, 2).id, None, Availability::Busy, Some(NOW)).await.unwrap().unwrap();
        let ann = account("ann@example.org");
        assert!(store.insert_account(&ann).await.unwrap());
        assert!(store.replace_password(&ann.id, &ann.password, &ann.password).await.unwrap());
        store.change_account(&ann.id, &AccountChange::default(), NOW).await.unwrap().unwrap();
        store.insert_login(&login("5f", &ann.id, 0, 1)).await.unwrap();
        assert!(store.remove_login(&login("5f", &ann.id, 0, 1).id).await.unwrap());
        store.remove_account(&ann.id).await.unwrap();
        store.list_sessions(&SessionQuery::of(Realm::Support, 10)).await.unwrap();
        store.last_messages(std::slice::from_ref(&session.id), false).await.unwrap();
        store.list_entries(&session.id, 0, 10).await.unwrap();
        store.list_messages(&session.id, 0, 10).await.unwrap();
        store.last_entry(&session.id).await.unwrap().unwrap();
        let replicated = hello(&place).await.contains_key("setName");
        let heard = heard.lock().unwrap();
        let mut seen = Vec::new();
        for command in heard.iter() {
            let name = command.keys().next().unwrap().as_str();
            if ["insert", "findAndModify", "update", "delete", "createIndexes"].contains(&name) {
                let concern = command.get_document("writeConcern").expect("a write concern");
                assert_eq!(concern, &doc! { "w": "majority", "j": true }, "{name}");
            }
            if ["find", "aggregate"].contains(&name) && replicated {
                assert_eq!(command.get_document("readConcern").unwrap().get_str("level").unwrap(), "majority", "{name}");
            }
            seen.push(name);
        }
        for name in ["insert", "findAndModify", "update", "delete", "createIndexes", "find", "aggregate"] {
            assert!(seen.contains(&name), "no {name} was sent");
        }
    })
    .await;
}

async fn hello(place: &Place) -> Document {
    place.raw().await.run_command(doc! { "hello": 1 }).await.unwrap()
}

#[tokio::test]
async fn a_database_with_an_originals_messages_is_refused_before_any_index_is_built() {
    on_database(|place| async move {
        let messages = place.raw().await.collection::<Document>("messages");
        messages.insert_one(original_message()).await.unwrap();
        let error = open(&place.uri, Some(&place.name)).await.map(drop).unwrap_err();
        assert!(matches!(&error, StoreError::Foreign(why) if why.contains("without a number") && why.contains(&place.name)), "{error}");
        assert_eq!(messages.list_index_names().await.unwrap(), ["_id_"]);
    })
    .await;
}

#[tokio::test]
async fn an_original_that_wrote_into_our_database_is_noticed_at_the_next_start() {
    on_database(|place| async move {
        let store = place.open().await;
        stored(&store, message(&SessionId::random(), "hi")).await;
        place.open().await;
        place.raw().await.collection::<Document>("messages").insert_one(original_message()).await.unwrap();
        assert!(matches!(open(&place.uri, Some(&place.name)).await.map(drop), Err(StoreError::Foreign(_))));
    })
    .await;
}

#[tokio::test]
async fn hexadecimal_ids_are_object_ids_in_the_database_and_the_same_text_outside() {
    on_database(|place| async move {
        let store = place.open().await;
        let hex = SessionId::parse("507f1f77bcf86cd799439011").unwrap();
        let mut session = Session::open(Person { name: Some("$set".into()), email: Some("a@b".into()), ..visitor("u.$1") }, NOW);
        session.id = hex.clone();
        assert_eq!(store.insert_session(&session, Some(&session.visitor.key())).await.unwrap(), Inserted::Created);
        let taken = Assignee { id: AgentId::stored("507f1f77bcf86cd799439012"), name: "Ann".into() };
        let mut draft = message(&hex, "hi");
        (draft.id, draft.content) = (EntryId::stored("507f1f77bcf86cd799439013"), Content::Assigned(taken.clone().into()));
        let entry = stored(&store, draft).await;
        store.reassign_session(&hex, 0, &to(&taken), NOW).await.unwrap().unwrap();
        assert_eq!(store.list_entries(&hex, 0, 9).await.unwrap(), [entry]);
        let read = store.find_session(&hex).await.unwrap().unwrap();
        assert_eq!((read.id, read.visitor, read.agent), (hex, session.visitor, Some(taken)));
        let raw = place.raw().await;
        let kept = raw.collection::<Document>("messages").find_one(doc! {}).await.unwrap().unwrap();
        assert!(matches!(
            (kept.get("_id"), kept.get("sessionId"), kept.get("agentId")),
            (Some(Bson::ObjectId(_)), Some(Bson::ObjectId(_)), Some(Bson::ObjectId(_)))
        ));
        assert!(!kept.contains_key("clientKey") && !kept.contains_key("message"));
        // Upper case would not come back as it was, so it stays text.
        let upper = SessionId::stored("507F1F77BCF86CD799439011");
        assert_eq!(stored(&store, message(&upper, "hi")).await.seq(), 1);
        assert_eq!(store.last_entry(&upper).await.unwrap().unwrap().session, upper);
    })
    .await;
}

#[tokio::test]
async fn paging_over_open_sessions_reaches_text_ids_and_object_ids() {
    on_database(|place| async move {
        let store = place.open().await;
        let ids = [
            "507f1f77bcf86cd799439011",
            "507f1f77bcf86cd799439012",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "ff8fad5b-d9cb-469f-a165-70867728950e",
        ];
        for id in ids {
            let session = Session { id: SessionId::stored(id), ..Session::open(visitor(id), NOW) };
            store.insert_session(&session, Some(&session.visitor.key())).await.unwrap();
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.list_open(after.as_ref(), 1).await.unwrap();
            let Some(session) = page.into_iter().next() else { break };
            seen.push(session.id.to_string());
            after = Some(session.id);
        }
        assert_eq!(seen.len(), 4, "{seen:?}");
        seen.sort();
        let mut ids = ids.map(str::to_owned);
        ids.sort();
        assert_eq!(seen, ids);
    })
    .await;
}

#[tokio::test]
async fn indexes_have_names_and_opening_again_changes_nothing() {
    on_database(|place| async move {
        place.open().await;
        place.open().await;
        let raw = place.raw().await;
        let names = async |c: &str| {
            let mut names = raw.collection::<Document>(c).list_index_names().await.unwrap();
            names.sort();
            names
        };
        let messages = "_id_ messages_client_key messages_edits messages_session_kind_ordinal messages_session_seq messages_unapplied";
        assert_eq!(names("messages").await.join(" "), messages);
        let sessions = "_id_ sessions_agent_created sessions_members_updated sessions_realm_agent_updated \
             sessions_realm_status_created sessions_realm_status_updated sessions_realm_updated \
             sessions_realm_visitor_updated sessions_spoken_updated sessions_status_id sessions_type_agent_updated \
             sessions_type_spoken_updated sessions_type_status_updated sessions_type_updated sessions_visit";
        assert_eq!(names("sessions").await.join(" "), sessions);
        assert_eq!(names("agents").await, ["_id_", "agents_realm_position"]);
        let accounts = ["_id_", "accounts_realm_email", "accounts_realm_role_created", "accounts_realm_username"];
        assert_eq!(names("accounts").await, accounts);
        assert_eq!(names("logins").await, ["_id_", "logins_account_expires"]);
    })
    .await;
}

#[tokio::test]
async fn a_node_with_an_old_head_in_memory_neither_skips_nor_doubles_nor_refuses_wrongly() {
    on_database(|place| async move {
        let (here, there) = (place.open().await, place.open().await);
        let session = SessionId::random();
        assert_eq!(stored(&here, message(&session, "1")).await.seq(), 1);
        for n in 2..=5 {
            assert_eq!(stored(&there, message(&session, "x")).await.seq(), n);
        }
        let sixth = stored(&here, keyed(&session, "6", "k")).await;
        assert_eq!((sixth.seq(), sixth.head.ordinal), (6, 6));
        // The other node knows head 5 and must find the key, then the end, that it has not seen.
        assert_eq!(there.append(keyed(&session, "6 again", "k")).await.unwrap(), Appended::Duplicate(sixth.clone()));
        let last = stored(&here, end(&session)).await;
        assert_eq!(there.append(message(&session, "late")).await.unwrap(), Appended::Ended);
        for store in [&here, &there] {
            assert_eq!(store.append(keyed(&session, "6 again", "k")).await.unwrap(), Appended::Duplicate(sixth.clone()));
            assert_eq!(store.append(message(&session, "late")).await.unwrap(), Appended::Ended);
            let again = helpline::domain::entry::Draft { id: last.id.clone(), ..end(&session) };
            assert_eq!(store.append(again).await.unwrap(), Appended::Stored(last.clone()));
        }
        assert_eq!(numbers(&here, &session).await, (1..=7).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn a_node_that_remembers_an_end_or_an_opening_sees_what_another_node_made_of_it() {
    on_database(|place| async move {
        let (here, there) = (place.open().await, place.open().await);
        let session = SessionId::random();
        let reopening = || helpline::domain::entry::Draft { content: Content::Opened("active".into()), ..message(&session, "") };
        stored(&here, message(&session, "1")).await;
        stored(&here, end(&session)).await;
        assert_eq!(there.append(message(&session, "late")).await.unwrap(), Appended::Ended);
        assert_eq!(stored(&there, reopening()).await.seq(), 3);
        assert_eq!(stored(&here, message(&session, "4")).await.seq(), 4);
        stored(&there, end(&session)).await;
        assert_eq!(here.append(message(&session, "late")).await.unwrap(), Appended::Ended);
        assert_eq!(stored(&here, reopening()).await.seq(), 6);
        assert_eq!(numbers(&there, &session).await, [1, 2, 3, 4, 5, 6]);
    })
    .await;
}

#[tokio::test]
async fn an_end_that_is_only_remembered_refuses_nothing() {
    on_database(|place| async move {
        let store = place.open().await;
        let session = SessionId::random();
        stored(&store, message(&session, "1")).await;
        let last = stored(&store, end(&session)).await;
        // As if the end had been rolled back: what decides is the log and not the memory.
        let raw = place.raw().await.collection::<Document>("messages");
        raw.delete_one(doc! { "_id": last.id.as_str() }).await.unwrap();
        assert_eq!(stored(&store, message(&session, "2")).await.seq(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_on_two_nodes_number_one_session_without_a_hole() {
    on_database(|place| async move {
        let nodes = [place.open().await, place.open().await];
        let session = SessionId::random();
        let writers = (0..16).map(|w| {
            let (store, session) = (&nodes[w % 2], &session);
            async move {
                for n in 0..10 {
                    stored(store, keyed(session, "hi", &format!("{w}:{n}"))).await;
                }
            }
        });
        join_all(writers).await;
        assert_eq!(numbers(&nodes[0], &session).await, (1..=160).collect::<Vec<_>>());
        let ordinals: Vec<u64> = nodes[1].list_messages(&session, 150, 100).await.unwrap().iter().map(|e| e.head.ordinal).collect();
        assert_eq!(ordinals, (151..=160).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_reservations_on_two_nodes_never_exceed_the_capacity() {
    on_database(|place| async move {
        let nodes = [place.open().await, place.open().await];
        join_all(nodes.iter().map(|n| n.seed_agents(Realm::Support, &[]))).await;
        let seeds = [agent(1, 3), agent(2, 1)];
        for outcome in join_all((0..8).map(|n| nodes[n % 2].seed_agents(Realm::Support, &seeds))).await {
            outcome.unwrap();
        }
        assert_eq!(nodes[0].list_agents(Realm::Support).await.unwrap(), seeds);
        let sessions: Vec<_> = (0..20).map(|_| SessionId::random()).collect();
        let tries = sessions.iter().enumerate().map(|(n, s)| nodes[n % 2].reserve_slot(&seeds[0].id, s, NOW));
        let held = join_all(tries).await.into_iter().filter(|r| *r.as_ref().unwrap()).count();
        assert_eq!(held, 3);
        assert_eq!(nodes[0].find_agent(&seeds[0].id).await.unwrap().unwrap().sessions.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_seeding_that_was_cut_short_is_completed_and_not_replaced() {
    on_database(|place| async move {
        let store = place.open().await;
        let seeds = [agent(1, 3), agent(2, 1)];
        let raw = place.raw().await;
        store.seed_agents(Realm::Support, &seeds).await.unwrap();
        // As if the node had died after its plan and its first agent.
        let agents = raw.collection::<Document>("agents");
        let second = agents.find_one_and_delete(doc! { "position": 1_i64 }).await.unwrap().unwrap();
        let plan = doc! { "$set": { "agents": [second] } };
        raw.collection::<Document>("meta").update_one(doc! { "_id": "seed:support" }, plan).await.unwrap();
        store.seed_agents(Realm::Support, &[agent(3, 1)]).await.unwrap();
        assert_eq!(store.list_agents(Realm::Support).await.unwrap(), seeds);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_who_comes_to_two_nodes_at_once_gets_one_session_each_time() {
    on_database(|place| async move {
        let nodes = [place.open().await, place.open().await];
        for _ in 0..5 {
            let inserts = (0..10).map(|n| {
                let store = &nodes[n % 2];
                async move { store.insert_session(&Session::open(visitor("u1"), NOW), Some("support:u1")).await.unwrap() }
            });
            let created = join_all(inserts).await.into_iter().filter(|i| *i == Inserted::Created).count();
            assert_eq!(created, 1);
            let open = nodes[0].list_open(None, 10).await.unwrap();
            assert_eq!(open.len(), 1);
            nodes[1].finish_session(&open[0].id, 1, NOW, "done").await.unwrap().unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn values_that_this_server_never_wrote_are_reported_with_their_id() {
    on_database(|place| async move {
        let store = place.open().await;
        let session = Session::open(visitor("u1"), NOW);
        store.insert_session(&session, Some(&session.visitor.key())).await.unwrap();
        let sessions = place.raw().await.collection::<Document>("sessions");
        sessions.update_one(doc! {}, doc! { "$set": { "status": "archived" } }).await.unwrap();
        let error = store.find_session(&session.id).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(why) if why.contains(session.id.as_str()) && why.contains("status")), "{error}");
    })
    .await;
}
