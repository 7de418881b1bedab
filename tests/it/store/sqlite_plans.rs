//! How the embedded store finds what it looks for: by SQLite's plan of every statement, and by how many steps it took.

use std::sync::{Arc, Mutex};

use helpline::domain::store::Store;
use helpline::store::sqlite::Sqlite;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, StatementStatus};

use super::plans::{call_all, fill};

/// How many of everything are stored.
const MANY: usize = 1_000;

/// How many steps of SQLite's machine a statement may take in all its calls here. Passing over [`MANY`] rows takes at least four each.
const STEPS: i32 = 3_000;

/// Tables that hold a few rows for ever.
const SMALL: [&str; 2] = ["meta", "nodes"];

/// Tables of which a question concerns few rows: what one agent has, or where one person takes part.
const FEW: [&str; 2] = ["slots", "members"];

/// A statement that ended, and for which method it ran.
#[derive(Clone)]
struct Ended {
    method: &'static str,
    sql: String,
    /// Of all its runs so far.
    steps: i32,
}

/// SQLite calls a plain function, which can keep nothing.
static ENDED: Mutex<(&str, Vec<Ended>)> = Mutex::new(("", Vec::new()));

fn hear(event: TraceEvent<'_>) {
    let TraceEvent::Profile(statement, _) = event else { return };
    let (method, ended) = &mut *ENDED.lock().unwrap();
    ended.push(Ended { method, sql: statement.sql().into_owned(), steps: statement.get_status(StatementStatus::VmStep) });
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_looks_at_more_than_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let filled = fill(&(Arc::new(Sqlite::open(folder.path()).await.unwrap()) as Arc<dyn Store>), MANY).await;
    let trace = |conn: &Connection| conn.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(hear));
    let store = Sqlite::open_with(folder.path(), trace).await.unwrap();
    call_all(&store, &filled, &|method| ENDED.lock().unwrap().0 = method).await;
    drop(store);
    let ended = ENDED.lock().unwrap().1.clone();
    let conn = Connection::open(folder.path().join("helpline.db")).unwrap();
    let found = offences(&conn, &ended);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    for (index, method) in [
        ("sessions_kind_updated", "list_sessions"),
        ("logins_account", "remove_logins"),
        ("messages_id", "find_message"),
        ("accounts_of_role", "list_accounts"),
        ("messages_others", "list_messages"),
    ] {
        conn.execute_batch(&format!("BEGIN; DROP INDEX {index}")).unwrap();
        assert!(offences(&conn, &ended).iter().any(|o| o.starts_with(method)), "without {index} {method} scans");
        conn.execute_batch("ROLLBACK").unwrap();
    }
}

/// The statements that no index serves or brings into order, with their plans, and those that took too many steps.
fn offences(conn: &Connection, ended: &[Ended]) -> Vec<String> {
    let mut found = Vec::new();
    // SQLite carries out some settings when it is only asked how it would.
    for Ended { method, sql, steps } in ended.iter().filter(|e| !e.sql.starts_with("PRAGMA")) {
        let plan = plan(conn, sql);
        let scans =
            plan.iter().any(|line| line.strip_prefix("SCAN ").is_some_and(|rest| !SMALL.iter().any(|table| rest.starts_with(table))));
        let sorts = plan.iter().any(|line| line.starts_with("USE TEMP B-TREE")) && !FEW.iter().any(|table| sql.contains(table));
        // What counts, or looks into texts, goes through all that it counts or looks into.
        let walks = sql.starts_with("SELECT count(") || sql.contains("instr(");
        if scans || sorts || (*steps > STEPS && !walks) {
            found.push(format!("{method}: {steps} steps: {sql}: {}", plan.join("; ")));
        }
    }
    found
}

/// SQLite's plan of a statement, line by line.
fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let (mut rows, mut plan) = (statement.raw_query(), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get(3).unwrap());
    }
    plan
}
