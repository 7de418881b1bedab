//! The command line, on the real binary: what it prints, the exit status, and that a running server knows at once what a command made.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::harness::client::Dial;
use crate::harness::command::{Done, helpline};
use crate::harness::http::request;
use crate::harness::script::Body;
use crate::harness::server::Server;

/// The one line that a command printed.
fn id(done: &Done) -> String {
    let id = done.out.strip_suffix('\n').unwrap_or_else(|| panic!("{done:?}"));
    assert!(done.status == 0 && Uuid::try_parse(id).is_ok(), "{done:?}");
    id.to_owned()
}

async fn login(server: &Server, email: &str, password: &str) -> (u16, Value) {
    let body = Body::Json(json!({"email": email, "password": password}));
    let answer = request(server.address(), "POST", "/widget/api/auth/login", &[], body).await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test]
async fn help_is_there_and_what_is_unknown_is_refused() {
    let help = helpline(&["--help"], &[], "").await;
    assert_eq!(help.status, 0);
    for word in ["serve", "check-config", "admin", "agent", "export", "backup", "import", ".env.example", "Without a command it serves"] {
        assert!(help.out.contains(word), "{word} is missing in:\n{}", help.out);
    }
    for (arguments, why) in [
        (&["sevre"] as &[&str], "sevre"),
        (&["--port", "1"], "--port"),
        (&["admin"], "create"),
        (&["admin", "create"], "--email"),
        (&["admin", "create", "--email", "nobody"], "expected an e-mail address"),
        (&["admin", "create", "--email", "a@b"], "expected an e-mail address"),
        (&["admin", "create", "--email", "a@example.com", "--realm", "support"], "expected widget"),
        (&["agent", "add", "--name", " "], "expected 1 to 100 characters"),
        (&["agent", "add", "--name", "Ann", "--capacity", "11"], "1..=10"),
        (&["agent", "add", "--name", "Ann", "--capacity", "0"], "1..=10"),
        (&["agent", "add", "--name", "Ann", "--realm", "widget"], "expected support or operators"),
    ] {
        let done = helpline(arguments, &[], "").await;
        assert!(done.status == 2 && done.out.is_empty() && done.err.contains(why), "{arguments:?}: {done:?}");
    }
}

#[tokio::test]
async fn the_configuration_is_shown_without_secrets_or_refused() {
    let secret = "hunter2canary-hunter2canary-hunter2canary";
    let env =
        [("PORT", "5999"), ("JWT_SECRET", secret), ("API_KEY", secret), ("HELPLINE_X", "1"), ("MONGODB_URI", "mongodb://127.0.0.1:9/x")];
    let done = helpline(&["check-config"], &env, "").await;
    assert_eq!(done.status, 0, "{done:?}");
    for line in ["PORT=5999", "JWT_SECRET=***", "API_KEY=***", "MONGODB_URI=***", "NODE_ENV=development"] {
        assert!(done.out.lines().any(|l| l == line), "{line} is missing in:\n{}", done.out);
    }
    assert!(done.err.contains("HELPLINE_X is not read") && done.err.contains("open in development"), "{done:?}");
    assert!(!done.out.contains("hunter2") && !done.err.contains("hunter2"), "{done:?}");
    let done = helpline(&["check-config"], &[("PORT", "x"), ("API_KEY", ""), ("ADMIN_EMAIL", "a@example.com")], "").await;
    assert!(done.status == 2 && done.out.is_empty(), "{done:?}");
    assert!(done.err.contains("PORT=x: expected") && done.err.contains("ADMIN_PASSWORD is not set"), "{done:?}");
}

#[tokio::test]
async fn an_account_made_beside_a_running_server_logs_in_at_once() {
    let server = Server::start(&[]).await;
    let data = server.data().to_str().unwrap();
    let create = ["admin", "create", "--email", "Ann@example.com", "--name", "Ann"];
    let made = id(&helpline(&create, &[("DATA_DIR", data)], "correct horse\r\nnot this\n").await);
    let (status, answer) = login(&server, "Ann@example.com", "correct horse").await;
    assert_eq!((status, &answer["admin"]["id"], &answer["admin"]["fullName"]), (200, &json!(made), &json!("Ann")), "{answer}");
    assert_ne!(login(&server, "ann@example.com", "correct horse").await.0, 200, "the case of an address counts");

    let again = helpline(&create, &[("DATA_DIR", data), ("ADMIN_PASSWORD", "another horse"), ("LOG_LEVEL", "off")], "").await;
    assert!(again.status == 1 && again.out.is_empty(), "{again:?}");
    assert!(again.err.contains("Ann@example.com has an account in widget already; it was not changed"), "{again:?}");
    assert_eq!(login(&server, "Ann@example.com", "correct horse").await.0, 200);

    let other = ["admin", "create", "--email", "bob@example.com"];
    id(&helpline(&other, &[("DATA_DIR", data), ("ADMIN_PASSWORD", "another horse")], "ignored, for ADMIN_PASSWORD is set\n").await);
    assert_eq!(login(&server, "bob@example.com", "another horse").await.0, 200);
    assert!(!server.log().contains("example.com"), "{}", server.log());
}

#[tokio::test]
async fn a_password_with_which_nobody_could_log_in_makes_no_account() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().to_str().unwrap();
    let create = ["admin", "create", "--email", "a@example.com"];
    let long = format!("{}\n", "ü".repeat(513));
    for input in ["", "\n", "1234567\n", "1234567\n8\n", &long] {
        let done = helpline(&create, &[("DATA_DIR", data)], input).await;
        assert!(done.status == 2 && done.out.is_empty() && done.err.contains("at least 8 characters"), "{input:?}: {done:?}");
    }
    let short = helpline(&create, &[("DATA_DIR", data), ("ADMIN_PASSWORD", "1234567")], "long enough\n").await;
    assert!(short.status == 2 && short.err.contains("ADMIN_PASSWORD=***"), "{short:?}");
    let long = helpline(&create, &[("DATA_DIR", data), ("ADMIN_PASSWORD", &"x".repeat(1_025))], "long enough\n").await;
    assert!(long.status == 2 && long.err.contains("at most 1,024 bytes"), "{long:?}");
    id(&helpline(&create, &[("DATA_DIR", data)], "12345678").await);
    // The longest one is as good for the log-in.
    let server = Server::start(&[]).await;
    let longest = "ü".repeat(512);
    id(&helpline(&create, &[("DATA_DIR", server.data().to_str().unwrap()), ("ADMIN_PASSWORD", &longest)], "").await);
    assert_eq!(login(&server, "a@example.com", &longest).await.0, 200);
}

#[tokio::test]
async fn an_agent_is_added_beside_a_running_server() {
    let server = Server::start(&[("API_KEY".into(), "cli-test-key".into())]).await;
    let data = server.data().to_str().unwrap();
    let add = ["agent", "add", "--name", "Zoë", "--email", "zoe@example.com", "--capacity", "10"];
    let made = id(&helpline(&add, &[("DATA_DIR", data)], "").await);
    id(&helpline(&["agent", "add", "--name", "Op", "--realm", "operators"], &[("DATA_DIR", data)], "").await);
    // The three built-in agents take two each; whoever comes then is hers.
    let key = [("X-API-Key".to_owned(), "cli-test-key".to_owned())];
    let mut hers = 0;
    for visitor in 0..16 {
        let body = Body::Json(json!({"userId": format!("u{visitor}")}));
        let answer = request(server.address(), "POST", "/api/chat/start-session", &key, body).await.unwrap().body;
        assert_eq!(answer["data"]["status"], "active", "{answer}");
        hers += usize::from(answer["data"]["agentId"] == json!(made) && answer["data"]["agentName"] == "Zoë");
    }
    assert_eq!(hers, 10);
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_named() {
    let done = helpline(&["agent", "add", "--name", "Ann"], &[("MONGODB_URI", "mongodb://127.0.0.1:9/x")], "").await;
    assert!(done.status == 1 && done.out.is_empty() && done.err.contains("MONGODB_URI"), "{done:?}");
    let done = helpline(&["agent", "add", "--name", "Ann"], &[("MONGODB_URI", "mongodb://u:hunter2:x@/db")], "").await;
    assert!(done.status == 2 && !done.err.contains("hunter2"), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_on_mongodb_too() {
    let uri = std::env::var("HELPLINE_TEST_MONGODB_URI").expect("HELPLINE_TEST_MONGODB_URI is set: run scripts/test.sh");
    let database = format!("helpline_test_{}", Uuid::new_v4().simple());
    let env = [("MONGODB_URI", uri.as_str()), ("MONGODB_DB", database.as_str())];
    let create = ["admin", "create", "--email", "ann@example.com"];
    let made = id(&helpline(&create, &env, "correct horse\n").await);
    let again = helpline(&create, &env, "correct horse\n").await;
    assert!(again.status == 1 && again.err.contains("has an account"), "{again:?}");
    id(&helpline(&["agent", "add", "--name", "Ann"], &env, "").await);
    let owned = env.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let server = Server::start(&owned).await;
    let (status, answer) = login(&server, "ann@example.com", "correct horse").await;
    assert_eq!((status, &answer["admin"]["id"]), (200, &json!(made)), "{answer}");
    drop(server);
    let client = mongodb::Client::with_uri_str(&uri).await.expect("the tests' MongoDB");
    client.database(&database).drop().await.expect("a database to drop");
}

/// The version of an embedded database, and whether a first start was noted in it.
fn version_and_start(data: &Path) -> (i64, bool) {
    let conn = rusqlite::Connection::open(data.join("helpline.db")).unwrap();
    let version = conn.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    (version, conn.query_row("SELECT count(*) > 0 FROM meta WHERE name = 'first_start'", (), |row| row.get(0)).unwrap())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_command_makes_a_database_only_where_nothing_else_is_and_begins_no_term() {
    let folder = TempDir::new().unwrap();
    let (typo, other, fresh) = (folder.path().join("typo"), folder.path().join("other"), folder.path().join("fresh"));
    let create = ["admin", "create", "--email", "ann@example.com"];
    let agent = ["agent", "add", "--name", "Zoe"];
    let data = |path: &Path| path.to_str().unwrap().to_owned();
    let done = helpline(&agent, &[("DATA_DIR", &data(&typo))], "").await;
    assert!(done.status == 1 && done.err.contains("start the server first") && !typo.exists(), "{done:?}");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis.txt"), "x").unwrap();
    let done = helpline(&create, &[("DATA_DIR", &data(&other))], "correct horse\n").await;
    assert!(done.status == 1 && done.err.contains("holds something else"), "{done:?}");
    assert_eq!(names(&other), ["thesis.txt"]);
    let done = helpline(&create, &[("DATA_DIR", &data(&fresh))], "correct horse\n").await;
    assert!(done.err.contains("a new database is made"), "{done:?}");
    id(&done);
    assert!(!names(&fresh).contains(&"jwt-secret".to_owned()), "{:?}", names(&fresh));
    assert!(!version_and_start(&fresh).1, "the first start is the server's");
    id(&helpline(&agent, &[("DATA_DIR", &data(&fresh))], "").await);
}

#[tokio::test]
async fn a_command_leaves_the_database_of_another_version_alone() {
    let server = Server::start(&[]).await;
    let data = server.data().to_str().unwrap();
    let (present, _) = version_and_start(server.data());
    for other in [present - 1, present + 1] {
        rusqlite::Connection::open(server.data().join("helpline.db")).unwrap().pragma_update(None, "user_version", other).unwrap();
        for command in [&["agent", "add", "--name", "Zoe"] as &[&str], &["admin", "create", "--email", "ann@example.com"]] {
            let done = helpline(command, &[("DATA_DIR", data)], "correct horse\n").await;
            assert!(done.status == 1 && done.err.contains(&format!("the database has version {other}")), "{done:?}");
        }
        assert_eq!(version_and_start(server.data()).0, other, "nothing was migrated");
    }
}

#[tokio::test]
async fn a_new_password_ends_the_logins_and_closes_their_sockets() {
    let server = Server::start(&[("MOUNTS".to_owned(), "rooms@/".to_owned())]).await;
    let data = server.data().to_str().unwrap();
    let post = async |path: &str, body: Value| {
        let answer = request(server.address(), "POST", path, &[], Body::Json(body)).await.unwrap();
        (answer.status, answer.body)
    };
    let person = |password: &str| json!({"username": "ann", "email": "ann@example.com", "password": password});
    assert_eq!(post("/api/auth/register", person("correct horse")).await.0, 201);
    let (_, login) = post("/api/auth/login", person("correct horse")).await;
    let session = json!({"sessionId": login["data"]["sessionId"]});
    let mut client = Dial::to(server.address()).auth(session.clone()).connect().await.expect("a socket");
    assert_eq!(client.event().await.unwrap().name, "user-status-changed");

    let change = ["admin", "password", "--email", "ann@example.com"];
    let changed = id(&helpline(&change, &[("DATA_DIR", data)], "another horse\n").await);
    assert_eq!(login["data"]["userId"], json!(changed));
    let told = client.event().await.expect("an event within five seconds");
    assert_eq!((told.name.as_str(), &told.args[0]["message"]), ("error", &json!("Invalid or expired session")));
    assert_eq!(post("/api/auth/validate-session", session).await.0, 401);
    assert_eq!(post("/api/auth/login", person("correct horse")).await.0, 401);
    assert_eq!(post("/api/auth/login", person("another horse")).await.0, 200);

    let nobody = helpline(&["admin", "password", "--email", "bob@example.com"], &[("DATA_DIR", data)], "another horse\n").await;
    assert!(nobody.status == 1 && nobody.err.contains("bob@example.com has no account in rooms"), "{nobody:?}");
}
