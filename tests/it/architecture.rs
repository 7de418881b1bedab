//! Tidy checks as ordinary tests: which module may name which, file headers and sizes, promises left in the code.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module under `src/` may name of the crate. Arrows point down only (docs/ARCHITECTURE.md).
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("limit", &["domain"]),
    ("secret", &[]),
    ("auth", &["domain", "secret"]),
    ("store", &["domain", "secret"]),
    ("cluster", &["domain", "secret"]),
    ("http", &["domain"]),
    ("dialect", &["domain", "http"]),
    ("socket", &["domain", "http", "dialect", "cluster", "limit"]),
    ("config", &["domain", "secret"]),
    ("webhook", &["domain", "secret"]),
    ("import", &["domain"]),
    ("telemetry", &["config"]),
    ("shutdown", &[]),
    (
        "app",
        &[
            "domain",
            "limit",
            "secret",
            "auth",
            "store",
            "cluster",
            "http",
            "dialect",
            "socket",
            "config",
            "telemetry",
            "shutdown",
            "webhook",
            "import",
        ],
    ),
    ("cli", &["app", "config", "domain", "secret", "shutdown", "telemetry"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Libraries that only these folders or files may name.
const OWNERS: &[(&str, &[&str])] = &[
    ("socketioxide", &["socket/", "app/"]),
    ("socketioxide_redis", &["socket/", "cluster/driver.rs"]),
    ("engineioxide", &["socket/"]),
    // An original's database is no store of ours: what reads it is where it is understood.
    ("mongodb", &["store/mongo/", "import/source.rs", "import/in_place.rs"]),
    ("bson", &["store/mongo/", "import/"]),
    ("rusqlite", &["store/sqlite/"]),
    ("fred", &["cluster/", "presence/"]),
    ("jsonwebtoken", &["auth/"]),
    ("axum", &["http/", "socket/", "app/", "dialect/support/rest", "dialect/operators/rest", "dialect/rooms/rest", "dialect/widget/rest"]),
    ("reqwest", &["webhook.rs"]),
    ("prometheus_client", &["app/metrics.rs"]),
    ("clap", &["cli/"]),
    ("rpassword", &["cli/"]),
    ("serde", &["dialect/", "http/", "auth/", "socket/", "store/mongo/", "config/", "cluster/said.rs"]),
    ("serde_json", &["dialect/", "http/", "auth/", "socket/", "store/", "webhook.rs", "cli/export/", "import/file.rs", "cluster/said.rs"]),
];

/// What a dialect may show and translate, and never decide by.
const SESSION_STATE: &[&str] =
    &["Status::", ".status ==", ".status !=", ".is_open(", ".ended_at", ".state_seq", ".head.ended", ".assignment", ".spoken", ".label"];

#[test]
fn arrows_point_down_and_libraries_stay_at_home() {
    let found: Vec<String> = sources().iter().flat_map(|(path, text)| violations(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_planted_wrong_arrow_is_found() {
    let plant = |path: &str, line: &str| violations(path, &format!("//! Header.\n{line}\n"));
    assert!(plant("domain/entry.rs", "use crate::store::Sqlite;")[0].contains("domain may not name store"));
    assert!(plant("dialect/support/calls.rs", "use crate::dialect::rooms::Room;")[0].contains("another dialect"));
    assert!(plant("dialect/support/calls.rs", "let x = crate::auth::verify();")[0].contains("dialect may not name auth"));
    assert!(plant("dialect/widget/calls.rs", "if session.status == Status::Ended { return; }")[0].contains("belongs into the desk"));
    assert!(plant("domain/entry.rs", "use serde::Serialize;")[0].contains("serde"));
    assert!(plant("domain/entry.rs", "use tokio::time::sleep;")[0].contains("tokio::time"));
    assert!(plant("http/serve.rs", "fn f() { todo!() }")[0].contains("todo!"));
    assert!(plant("http/serve.rs", "use tokio::time::sleep;").is_empty());
    assert!(violations("http/serve.rs", "use std::io;\n")[0].contains("header"));
    assert!(violations("http/serve.rs", &"//! x\n".repeat(401))[0].contains("401 lines"));
}

fn violations(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |what: String| found.push(format!("src/{path}: {what}"));
    if !text.starts_with("//! ") {
        say("no `//!` header that says what it is".into());
    }
    let count = text.lines().count();
    if count > 400 {
        say(format!("{count} lines, more than 400"));
    }
    let module = path.split(['/', '.']).next().unwrap_or_default();
    let Some((_, allowed)) = ARROWS.iter().find(|(m, _)| *m == module) else {
        say(format!("module {module} is not in the table of layers"));
        return found;
    };
    for line in text.lines().map(str::trim_start).filter(|l| !l.starts_with("//")) {
        for named in names_after(line, "crate::") {
            if named != module && !allowed.contains(&named) && ARROWS.iter().any(|(m, _)| *m == named) {
                say(format!("{module} may not name {named}: {line}"));
            }
        }
        if let Some(own) = path.strip_prefix("dialect/").and_then(|p| p.split_once('/')).map(|(d, _)| d) {
            let other = |d: &&str| *d != own && ["support", "rooms", "operators", "widget"].contains(d);
            if names_after(line, "dialect::").iter().any(other) {
                say(format!("names another dialect: {line}"));
            }
        }
        if module == "dialect" && line.contains("if ") {
            let state = SESSION_STATE.iter().find(|s| line.contains(*s));
            if let Some(state) = state {
                say(format!("a rule on a session's state ({state}) belongs into the desk: {line}"));
            }
        }
        for (library, homes) in OWNERS {
            let named = line.contains(&format!("{library}::")) && !line.contains(&format!("_{library}::"));
            if named && !homes.iter().any(|h| path.starts_with(h)) {
                say(format!("{library} does not belong here: {line}"));
            }
        }
        if module == "domain" {
            let foreign = names_after(line, "tokio::").into_iter().find(|n| *n != "sync");
            if let Some(part) = foreign {
                say(format!("domain may not use tokio::{part}: {line}"));
            }
        }
        for promise in ["todo!(", "unimplemented!(", "FIXME", "XXX"] {
            if line.contains(promise) {
                say(format!("{promise} is a promise, not code: {line}"));
            }
        }
    }
    found
}

/// The identifiers that follow each occurrence of `prefix`.
fn names_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let ends = |c: char| !c.is_alphanumeric() && c != '_';
    line.match_indices(prefix).map(|(at, _)| line[at + prefix.len()..].split(ends).next().unwrap_or_default()).collect()
}

/// Every source file under `src/`, by its path from there.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let relative = |p: &PathBuf| p.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
    files.iter().map(|p| (relative(p), fs::read_to_string(p).expect("a readable source"))).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}
