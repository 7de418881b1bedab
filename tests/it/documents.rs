//! The documents of a dialect against its code: what is served stands in a table of `docs/dialects/<name>.md`, and what stands there is served.
//! The same holds of `docs/METRICS.md`.
//! The lists that the code keeps of its own calls and paths are held against its `match` and its routes, so that nothing is served beside them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use helpline::dialect::{operators, rooms, support, widget};

use crate::harness::metrics::{SHOWN, look};
use crate::harness::shop::Shop;

type Names = BTreeSet<String>;

/// A contract, and what its code lists of itself.
struct Contract {
    name: &'static str,
    calls: &'static [&'static str],
    paths: &'static [&'static str],
    /// Routes that only guard the contract's 404.
    guards: &'static [&'static str],
}

const CONTRACTS: &[Contract] = &[
    Contract {
        name: "support",
        calls: support::calls::CALLS,
        paths: support::rest::PATHS,
        // They stand there to ask for a credential before they answer 404.
        guards: &["ANY /api/chat", "ANY /api/chat/"],
    },
    Contract { name: "operators", calls: operators::calls::CALLS, paths: operators::rest::PATHS, guards: &[] },
    Contract { name: "widget", calls: widget::calls::CALLS, paths: widget::rest::PATHS, guards: &[] },
    Contract { name: "rooms", calls: rooms::calls::CALLS, paths: rooms::rest::PATHS, guards: &[] },
];

#[test]
fn every_call_is_served_listed_and_documented() {
    for contract in CONTRACTS {
        let listed: Names = contract.calls.iter().map(ToString::to_string).collect();
        assert_eq!(differences("CALLS", &listed, "the match of calls.rs", &arms(&contract.source("calls.rs"))), "", "{}", contract.name);
        let documented = column(&contract.document(), "## Calls", "Event");
        assert_eq!(differences("CALLS", &listed, "the document", &documented), "", "{}", contract.name);
    }
}

#[test]
fn every_path_is_served_listed_and_documented() {
    for contract in CONTRACTS {
        let listed: Names = contract.paths.iter().map(|path| unnamed(path)).collect();
        let mut routed: Names = contract.sources().iter().flat_map(|text| routes(text)).collect();
        for guard in contract.guards {
            assert!(routed.remove(*guard), "{guard}");
        }
        let documented: Names = column(&contract.document(), "## REST", "Method and path").iter().map(|path| unnamed(path)).collect();
        assert_eq!(differences("PATHS", &listed, "the routes", &routed), "", "{}", contract.name);
        assert_eq!(differences("PATHS", &listed, "the document", &documented), "", "{}", contract.name);
    }
}

#[test]
fn every_event_is_documented() {
    for contract in CONTRACTS {
        let sent: Names = contract.sources().iter().flat_map(|text| frames(text)).collect();
        let documented = column(&contract.document(), "## Events", "Event");
        assert_eq!(differences("the frames", &sent, "the document", &documented), "", "{}", contract.name);
    }
}

#[test]
fn every_call_event_and_path_is_in_a_transcript() {
    for contract in CONTRACTS {
        let transcripts = contract.transcripts();
        let said = |word: &str| transcripts.iter().flat_map(|t| t.lines()).any(|line| line.split_whitespace().any(|part| part == word));
        let calls = contract.calls.iter().map(ToString::to_string);
        let events = contract.sources().into_iter().flat_map(|text| frames(&text));
        let unsaid: Vec<String> = calls.chain(events).filter(|name| !said(name)).collect();
        assert!(unsaid.is_empty(), "in no transcript of {}: {unsaid:?}", contract.name);
        let asked: Vec<&str> = transcripts.iter().flat_map(|t| t.lines()).collect();
        let unasked: Vec<&&str> = contract.paths.iter().filter(|path| !asked.iter().any(|line| is_request(line, path))).collect();
        assert!(unasked.is_empty(), "in no transcript of {}: {unasked:?}", contract.name);
    }
}

/// `docs/dialects/README.md` holds the table that this test generates, so that nobody counts by hand.
#[test]
fn the_table_of_contracts_is_up_to_date() {
    let mut table = String::from(
        "| Contract | Paths served / documented | Calls served / documented | Events sent / documented | Transcripts |\n|---|---|---|---|---|\n",
    );
    for contract in CONTRACTS {
        let document = contract.document();
        let documented = |section, heading| column(&document, section, heading).len();
        let sent: Names = contract.sources().iter().flat_map(|text| frames(text)).collect();
        let pair = |served: usize, documented: usize| format!("{served} / {documented}");
        let cells = [
            format!("[`{name}`]({name}.md)", name = contract.name),
            pair(contract.paths.len(), documented("## REST", "Method and path")),
            pair(contract.calls.len(), documented("## Calls", "Event")),
            pair(sent.len(), documented("## Events", "Event")),
            contract.transcripts().len().to_string(),
        ];
        table += &format!("| {} |\n", cells.join(" | "));
    }
    let kept = read(Path::new("docs/dialects/README.md"));
    assert!(kept.contains(&table), "docs/dialects/README.md should hold this table:\n\n{table}");
}

/// Those of Redis are held against the table where there is a Redis (`cluster::metrics`).
#[tokio::test]
async fn every_metric_is_documented() {
    let shop = Shop::open(&[SHOWN]).await;
    let documented: Names = documented_metrics().into_iter().filter(|name| !name.starts_with("helpline_redis_")).collect();
    assert_eq!(differences("/metrics", &look(&shop.server).await.names(), "the document", &documented), "");
}

/// The names in the table of metrics.
pub(crate) fn documented_metrics() -> Names {
    column(&read(Path::new("docs/METRICS.md")), "## Metrics", "Metric")
}

/// Whether a line of a transcript asks for such a path, `GET /x/{id}`.
fn is_request(line: &str, path: &str) -> bool {
    let mut words = line.split_whitespace();
    let (Some(method), Some(asked)) = (words.next(), words.next()) else { return false };
    let Some((wanted, path)) = path.split_once(' ') else { return false };
    let asked: Vec<&str> = asked.split('?').next().unwrap_or_default().split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    let same = |(a, p): (&&str, &&str)| p.starts_with('{') || a == p;
    method == wanted && asked.len() == path.len() && asked.iter().zip(&path).all(same)
}

#[test]
fn planted_calls_paths_and_events_are_found() {
    let found = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Names>();
    let call = "match call.event.as_str() {\n \"a\" => x(),\n \"b\" | \"c\" if y => {\n z(\"no\")\n }\n // \"d\" =>\n _ => {}\n}";
    assert_eq!(arms(call), found(&["a", "b", "c"]));
    assert!(panics(|| arms(&format!("{call}\nif call.event == \"secret\" {{}}"))));
    assert!(panics(|| arms("match name {\n\"a\" => {}\n_ => {}\n}")));

    let route =
        "r.route(\"/a/{id}\", get(f).put(g)).route(\n  \"/b\",\n  axum::routing::delete(|| async {}),\n)\n// .route(\"/no\", get(f))";
    assert_eq!(routes(route), found(&["GET /a/{}", "PUT /a/{}", "DELETE /b"]));
    assert_eq!(routes(".route(\"/all\", axum::routing::any(f))"), found(&["ANY /all"]));
    assert_eq!(routes(".route(\"/rest/{*rest}\", any(f))"), found(&[]));
    for hidden in [".route(path, get(f))", ".nest(\"/x\", other)", ".route(\"/x\", on(FILTER, f))", ".route_service(\"/x\", s)"] {
        assert!(panics(|| routes(hidden)), "{hidden}");
    }

    assert_eq!(frames("Frame::new(\"one\", &x); Frame::new(\n    \"two\",\n &y)"), found(&["one", "two"]));
    assert!(panics(|| frames("Frame::new(name, &x)")));

    let table = "## A\n| Event | X |\n|---|---|\n| `one` | `no` |\n| `GET /x/:id` | |\n\n| Other | |\n|---|---|\n| `no` | |\n## B\n| Event |\n| `no` |\n";
    assert_eq!(column(table, "## A", "Event"), found(&["one", "GET /x/:id"]));
    assert_eq!(unnamed("GET /x/:sessionId/y/{id}"), "GET /x/{}/y/{}");
    assert_eq!(differences("l", &found(&["a", "b"]), "r", &found(&["b", "c"])), "only in l: a\nonly in r: c\n");
}

/// What stands in one set and not in the other, a line each; empty where they are equal.
fn differences(left: &str, here: &Names, right: &str, there: &Names) -> String {
    let only = |whose: &str, name: &String| format!("only in {whose}: {name}\n");
    let lost = here.difference(there).map(|n| only(left, n));
    lost.chain(there.difference(here).map(|n| only(right, n))).collect()
}

/// The patterns of the one `match` over a call's name. Panics where the name is looked at anywhere else.
fn arms(source: &str) -> Names {
    const MATCH: &str = "match call.event.as_str() {";
    let code = without_comments(source);
    assert_eq!(code.matches(".event").count(), 1, "the name of a call is looked at outside of `{MATCH}`");
    let (_, inside) = code.split_once(MATCH).expect("a match over the names of calls");
    let (arms, _) = inside.split_once("_ =>").expect("an arm for unknown calls");
    let patterns = arms.lines().filter(|line| line.trim_start().starts_with('"')).filter_map(|line| line.split_once("=>"));
    patterns.flat_map(|(pattern, _)| literals(pattern)).collect()
}

/// Method and path of every `.route(…)`, ids without their names. Panics at whatever else could serve a path. A wildcard path is the contract's 404.
fn routes(source: &str) -> Names {
    const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "any"];
    let code = without_comments(source);
    for other in [".nest(", ".nest_service(", ".route_service("] {
        assert!(!code.contains(other), "this test cannot tell which paths {other}…) serves");
    }
    let mut found = Names::new();
    for (at, call) in code.match_indices(".route(") {
        let arguments = balanced(&code[at + call.len()..]);
        let (path, handlers) = literal(arguments).unwrap_or_else(|| panic!("a path that is no literal: {arguments}"));
        if path.contains("{*") {
            continue;
        }
        let methods: Vec<&str> = called(handlers).into_iter().filter(|name| METHODS.contains(name)).collect();
        assert!(!methods.is_empty(), "no method is known for {path}: {handlers}");
        found.extend(methods.iter().map(|method| unnamed(&format!("{} {path}", method.to_uppercase()))));
    }
    found
}

/// The names of all frames. Panics at a name that is no literal.
fn frames(source: &str) -> Names {
    let code = without_comments(source);
    let after = code.match_indices("Frame::new(").map(|(at, call)| &code[at + call.len()..]);
    after.map(|rest| literal(rest).unwrap_or_else(|| panic!("an event whose name is no literal")).0.to_owned()).collect()
}

/// The code spans that the first cells of a table hold: the table with this first heading, below this section's.
fn column(document: &str, section: &str, heading: &str) -> Names {
    let lines = document.lines().skip_while(|line| *line != section).skip(1);
    let section = lines.take_while(|line| !line.starts_with("## "));
    let first_cell = |line: &str| line.strip_prefix('|').and_then(|rest| rest.split_once('|')).map(|(cell, _)| cell.trim().to_owned());
    let table = section.skip_while(|line| first_cell(line).as_deref() != Some(heading)).map_while(first_cell);
    table.filter_map(|cell| cell.strip_prefix('`')?.strip_suffix('`').map(str::to_owned)).collect()
}

/// A path whose ids have lost their names: `:id` and `{id}` are `{}`.
fn unnamed(path: &str) -> String {
    let part = |part: &str| if part.starts_with([':', '{']) { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The first literal, where nothing but blanks stands before it, and what follows.
fn literal(text: &str) -> Option<(&str, &str)> {
    text.trim_start().strip_prefix('"')?.split_once('"')
}

fn literals(text: &str) -> Vec<String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names before each opening parenthesis.
fn called(text: &str) -> Vec<&str> {
    let named = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices('(').map(|(at, _)| text[..at].rsplit(|c| !named(c)).next().unwrap_or_default()).collect()
}

/// What stands before the parenthesis that closes an open one.
fn balanced(text: &str) -> &str {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 {
            return &text[..at];
        }
    }
    panic!("a parenthesis that nobody closes");
}

fn without_comments(source: &str) -> String {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn panics<T>(work: impl FnOnce() -> T) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err()
}

impl Contract {
    fn document(&self) -> String {
        read(&Path::new("docs/dialects").join(format!("{}.md", self.name)))
    }

    fn source(&self, file: &str) -> String {
        read(&Path::new("src/dialect").join(self.name).join(file))
    }

    /// Every source file of the dialect.
    fn sources(&self) -> Vec<String> {
        ["", "rest"].iter().flat_map(|folder| files(&Path::new("src/dialect").join(self.name).join(folder), "rs")).collect()
    }

    fn transcripts(&self) -> Vec<String> {
        files(&Path::new("tests/transcripts").join(self.name), "txt")
    }
}

fn files(folder: &Path, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a readable folder");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    paths.filter(|path| path.extension().is_some_and(|e| e == extension)).map(|path| read(&path)).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
