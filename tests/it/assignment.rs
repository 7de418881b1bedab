//! Sessions and agents under concurrency, over REST, on both stores: one open session a visitor, nobody above capacity, the oldest first.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::http::{Answer, request};
use crate::harness::script::Body;
use crate::harness::server::Server;

const KEY: &str = "assignment-test-key";

async fn call(server: &Server, method: &str, path: &str, body: Option<Value>) -> Answer {
    let headers = [("X-API-Key".to_owned(), KEY.to_owned())];
    let answer = request(server.address(), method, path, &headers, body.map_or(Body::None, Body::Json)).await;
    answer.unwrap_or_else(|e| panic!("{method} {path}: {e}\n{}", server.log()))
}

async fn start(server: &Server, visitor: &str) -> Value {
    let answer = call(server, "POST", "/api/chat/start-session", Some(json!({ "userId": visitor }))).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.body["data"].clone()
}

async fn session(server: &Server, id: &str) -> Value {
    call(server, "GET", &format!("/api/chat/session/{id}"), None).await.body["data"].clone()
}

/// The sessions of each agent that are active, as the sessions themselves say.
async fn loads(server: &Server, ids: &[String]) -> HashMap<String, usize> {
    let mut loads = HashMap::new();
    for view in join_all(ids.iter().map(|id| session(server, id))).await {
        if view["status"] == "active" {
            *loads.entry(view["agent"]["id"].as_str().expect("an active session has an agent").to_owned()).or_default() += 1;
        }
    }
    loads
}

async fn fifty_starts_of_one_visitor_open_one_session(server: Server) {
    let started = join_all((0..50).map(|_| start(&server, "u1"))).await;
    let first = started[0]["sessionId"].clone();
    assert!(started.iter().all(|s| s["sessionId"] == first), "{started:?}");
    let stats = call(&server, "GET", "/api/chat/stats", None).await.body;
    assert_eq!(stats["data"]["sessions"], json!({"active": 1, "total": 1, "waiting": 0, "ended": 0}));
    let load: u64 = stats["data"]["agents"].as_array().unwrap().iter().map(|a| a["activeUsers"].as_u64().unwrap()).sum();
    assert_eq!(load, 1, "one slot is held");
}

async fn nobody_is_above_capacity_and_the_oldest_come_first(server: Server) {
    let visitors: Vec<String> = (0..24).map(|n| format!("v{n}")).collect();
    let started = join_all(visitors.iter().map(|v| start(&server, v))).await;
    let ids: Vec<String> = started.iter().map(|s| s["sessionId"].as_str().unwrap().to_owned()).collect();
    for _ in 0..6 {
        let now = loads(&server, &ids).await;
        assert!(now.len() == 3 && now.values().all(|n| *n == 2), "three agents with two sessions each: {now:?}");
        let views = join_all(ids.iter().map(|id| session(&server, id))).await;
        let mut waiting: Vec<&Value> = views.iter().filter(|v| v["status"] == "waiting").collect();
        let age = |v: &&Value| (v["createdAt"].as_str().unwrap().to_owned(), v["id"].as_str().unwrap().to_owned());
        waiting.sort_by_key(age);
        let active = views.iter().filter(|v| v["status"] == "active").take(3);
        let ends: Vec<String> = active.map(|v| format!("/api/chat/end-session/{}", v["id"].as_str().unwrap())).collect();
        for answer in join_all(ends.iter().map(|path| call(&server, "POST", path, None))).await {
            assert_eq!(answer.status, 200);
        }
        for next in waiting.iter().take(3) {
            assert_eq!(session(&server, next["id"].as_str().unwrap()).await["status"], "active", "the oldest are picked up first");
        }
    }
    assert_eq!(loads(&server, &ids).await.values().sum::<usize>(), 6);
}

async fn ends_and_starts_at_once_leave_no_slot_behind(server: Server) {
    for round in 0..5 {
        let people: Vec<String> = (0..12).map(|n| format!("r{round}-{n}")).collect();
        let started = join_all(people.iter().map(|v| start(&server, v))).await;
        let end = |s: &Value| format!("/api/chat/end-session/{}", s["sessionId"].as_str().unwrap());
        let paths: Vec<String> = started.iter().flat_map(|s| [end(s), end(s)]).collect();
        for answer in join_all(paths.iter().map(|p| call(&server, "POST", p, None))).await {
            assert_eq!(answer.status, 200, "{:?}", answer.body);
        }
    }
    let stats = call(&server, "GET", "/api/chat/stats", None).await.body;
    assert_eq!(stats["data"]["sessions"], json!({"active": 0, "total": 60, "waiting": 0, "ended": 60}));
    for agent in stats["data"]["agents"].as_array().unwrap() {
        assert_eq!(agent["activeUsers"], 0, "{agent}");
    }
}

async fn on_embedded<F: Future<Output = ()>>(case: impl FnOnce(Server) -> F) {
    case(Server::start(&[("API_KEY".to_owned(), KEY.to_owned())]).await).await;
}

async fn on_mongo<F: Future<Output = ()>>(case: impl FnOnce(Server) -> F) {
    let uri = std::env::var("HELPLINE_TEST_MONGODB_URI").expect("HELPLINE_TEST_MONGODB_URI is set: run scripts/test.sh");
    let database = format!("helpline_test_{}", Uuid::new_v4().simple());
    let env = [("API_KEY", KEY), ("MONGODB_URI", &uri), ("MONGODB_DB", &database)].map(|(k, v)| (k.to_owned(), v.to_owned()));
    case(Server::start(&env).await).await;
    let client = mongodb::Client::with_uri_str(&uri).await.expect("the tests' MongoDB");
    client.database(&database).drop().await.expect("a database to drop");
}

macro_rules! on_both_stores {
    ($($case:ident),* $(,)?) => {
        mod embedded { $(#[tokio::test(flavor = "multi_thread")] async fn $case() { super::on_embedded(super::$case).await; })* }
        mod mongo { $(#[tokio::test(flavor = "multi_thread")] async fn $case() { super::on_mongo(super::$case).await; })* }
    };
}

on_both_stores!(
    fifty_starts_of_one_visitor_open_one_session,
    nobody_is_above_capacity_and_the_oldest_come_first,
    ends_and_starts_at_once_leave_no_slot_behind,
);
