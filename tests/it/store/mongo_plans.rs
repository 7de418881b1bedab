//! How the MongoDB store finds what it looks for: by the server's plan of every command it sends. The stand-in of the tests answers which plan a
//! MongoDB would choose, by rules that were measured there, and what that plan would look at; how the stand-in itself finds documents is
//! another matter.

use std::sync::{Arc, Mutex};

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use helpline::domain::store::Store;
use helpline::store::mongo::open_with;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::{Database, IndexModel};

use super::mongo_server::on_database;
use super::plans::{call_all, fill};

/// How many of everything are stored.
const MANY: usize = 240;

/// How many keys or documents a command may look at.
const LOOKED_AT: i64 = 100;

/// Commands that have plans.
const PLANNED: [&str; 7] = ["find", "aggregate", "count", "distinct", "update", "delete", "findAndModify"];

/// Collections that hold a few documents for ever.
const SMALL: [&str; 2] = ["meta", "nodes"];

/// A command as it was sent, and for which method.
type Sent = (&'static str, Document);

#[tokio::test(flavor = "multi_thread")]
async fn no_command_looks_at_more_than_it_answers() {
    on_database(|place| async move {
        let filled = fill(&(Arc::new(place.open().await) as Arc<dyn Store>), MANY).await;
        let heard = Arc::new(Mutex::new(("", Vec::<Sent>::new())));
        let ear = heard.clone();
        let handler = EventHandler::callback(move |event: CommandEvent| {
            if let CommandEvent::Started(started) = event {
                let (method, sent) = &mut *ear.lock().unwrap();
                sent.push((method, started.command));
            }
        });
        let store = open_with(&place.uri, Some(&place.name), |options| options.command_event_handler = Some(handler)).await.unwrap();
        heard.lock().unwrap().1.clear();
        call_all(&store, &filled, &|method| heard.lock().unwrap().0 = method).await;
        let sent = heard.lock().unwrap().1.clone();
        let database = place.raw().await;
        let found = offences(&database, &sent).await;
        assert!(found.is_empty(), "\n{}", found.join("\n"));
        for (collection, index, method) in [
            ("logins", "logins_account_expires", "remove_logins"),
            ("messages", "messages_edits", "apply_edit"),
            ("sessions", "sessions_agent_created", "list_of_agent"),
            ("messages", "messages_client_key", "find_by_key"),
            ("attachments.chunks", "files_id_1_n_1", "read_content"),
        ] {
            database.collection::<Document>(collection).drop_index(index).await.unwrap();
            let sent: Vec<Sent> = sent.iter().filter(|(of, _)| *of == method).cloned().collect();
            assert!(!offences(&database, &sent).await.is_empty(), "without {index} {method} scans");
        }
    })
    .await;
}

#[tokio::test]
async fn the_plans_of_these_tests_tell_a_scan_from_an_index() {
    on_database(|place| async move {
        place.open().await;
        let database = place.raw().await;
        let several = (0..9).map(|n| doc! { "_id": n, "sessionId": "s", "seq": n, "other": n });
        database.collection::<Document>("messages").insert_many(several).await.unwrap();
        for (field, scans) in [("other", true), ("sessionId", false), ("_id", false)] {
            let filter = doc! { field: "x" };
            for command in [
                doc! { "find": "messages", "filter": filter.clone() },
                doc! { "aggregate": "messages", "pipeline": [{ "$match": filter.clone() }], "cursor": {} },
                doc! { "count": "messages", "query": filter.clone() },
                doc! { "distinct": "messages", "key": field, "query": filter.clone() },
                doc! { "update": "messages", "updates": [{ "q": filter.clone(), "u": { "$set": { "n": 1 } } }] },
                doc! { "delete": "messages", "deletes": [{ "q": filter.clone(), "limit": 0 }] },
                doc! { "findAndModify": "messages", "query": filter.clone(), "update": { "$set": { "n": 1 } } },
            ] {
                assert_eq!(offences(&database, &[("", command.clone())]).await.is_empty(), !scans, "{command}");
            }
        }
    })
    .await;
}

/// The commands that no index serves, or that look at too much, with their plans.
async fn offences(database: &Database, sent: &[Sent]) -> Vec<String> {
    let mut found = Vec::new();
    for (method, command) in sent {
        let Some((name, collection)) = command.iter().next().filter(|(name, _)| PLANNED.contains(&name.as_str())) else { continue };
        if collection.as_str().is_some_and(|c| SMALL.contains(&c)) || is_peek(command) {
            continue;
        }
        let filter = command.get_document("filter").cloned().unwrap_or_default();
        if filter.to_string().contains("$type") {
            if !has_partial(database, collection.as_str().unwrap(), &filter).await {
                found.push(format!("{method}: no partial index serves {filter}"));
            }
            continue;
        }
        let question = doc! { "explain": plain(command), "verbosity": "executionStats" };
        let answer = database.run_command(question).await.unwrap_or_else(|e| panic!("{method}: {command}: {e}"));
        let (mut stages, mut looked_at) = (Vec::new(), 0);
        look(&Bson::from(answer), false, &mut stages, &mut looked_at);
        assert!(!stages.is_empty(), "{method}: no plan of {command}");
        // What counts, or looks into texts, goes through all that it counts or looks into; and figures are of all sessions.
        let is_count = ["aggregate", "count", "distinct"].contains(&name.as_str());
        let walks = is_count || *method == "totals" || command.to_string().contains("$indexOfBytes");
        if stages.iter().any(|s| s == "COLLSCAN") || (looked_at > LOOKED_AT && !walks) {
            found.push(format!("{method}: {} looks at {looked_at}: {}", stages.join(" "), plain(command)));
        }
    }
    found
}

/// Whether a partial index serves the filter, which names the index's condition as it stands, and whose fields are the index's first ones. The
/// stand-in knows of comparisons that they imply such a condition, and not of types.
async fn has_partial(database: &Database, collection: &str, filter: &Document) -> bool {
    let indexes: Vec<IndexModel> = database.collection::<Document>(collection).list_indexes().await.unwrap().try_collect().await.unwrap();
    indexes.iter().any(|index| {
        let Some(condition) = index.options.as_ref().and_then(|o| o.partial_filter_expression.as_ref()) else { return false };
        let is_named = |(field, operators): (&String, &Bson)| {
            let (given, wanted) = (filter.get_document(field), operators.as_document().into_iter().flatten());
            given.is_ok_and(|given| wanted.into_iter().all(|(operator, value)| given.get(operator) == Some(value)))
        };
        let leading: Vec<&String> = index.keys.keys().take(filter.len()).collect();
        condition.iter().all(is_named) && filter.keys().all(|field| leading.contains(&field))
    })
}

/// Whether a command asks for any one document, whichever it is.
fn is_peek(command: &Document) -> bool {
    command.get_document("filter").is_ok_and(Document::is_empty) && command.get_i64("limit").is_ok_and(|limit| limit == 1)
}

/// The command without what only belongs to its sending, and the first of several updates, which are alike: no more than one is explained.
fn plain(command: &Document) -> Document {
    let own = ["lsid", "$db", "$clusterTime", "$readPreference", "txnNumber", "writeConcern", "readConcern", "ordered"];
    let kept = command.iter().filter(|(field, _)| !own.contains(&field.as_str()));
    let mut plain: Document = kept.map(|(field, value)| (field.clone(), value.clone())).collect();
    if let Ok(updates) = plain.get_array_mut("updates") {
        updates.truncate(1);
    }
    plain
}

/// Gathers the stages of the winning plans, and the most keys or documents that any of them looked at.
fn look(answer: &Bson, is_plan: bool, stages: &mut Vec<String>, looked_at: &mut i64) {
    match answer {
        Bson::Array(items) => items.iter().for_each(|item| look(item, is_plan, stages, looked_at)),
        Bson::Document(fields) => {
            for (field, value) in fields {
                match (field.as_str(), value) {
                    ("stage", Bson::String(stage)) if is_plan => stages.push(stage.clone()),
                    ("totalKeysExamined" | "totalDocsExamined", Bson::Int32(n)) => *looked_at = i64::from(*n).max(*looked_at),
                    ("totalKeysExamined" | "totalDocsExamined", Bson::Int64(n)) => *looked_at = (*n).max(*looked_at),
                    ("rejectedPlans" | "allPlansExecution", _) => {}
                    (name, value) => look(value, is_plan || name == "winningPlan", stages, looked_at),
                }
            }
        }
        _ => {}
    }
}
