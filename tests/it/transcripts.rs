//! Every transcript, on both stores, as a test of its own. The files are the contract; see tests/transcripts/README.md.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::harness::replay::replay;
use crate::harness::script::parse;
use crate::harness::server::Server;

/// The folder whose files are played on a server with all contracts.
const CROSSING: &str = "crossing";

/// Where sessions are kept.
#[derive(Clone, Copy)]
enum Backend {
    Embedded,
    Mongo,
}

/// Makes two tests of each file of `tests/transcripts/<dialect>/`.
macro_rules! transcripts {
    ($dialect:ident: $($name:ident),+ $(,)?) => {
        mod $dialect {
            #[test]
            fn every_file_is_listed() {
                super::assert_listed(stringify!($dialect), &[$(stringify!($name)),+]);
            }

            mod embedded {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::transcripts::play(stringify!($dialect), stringify!($name), crate::transcripts::Backend::Embedded).await;
                })+
            }

            mod mongo {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::transcripts::play(stringify!($dialect), stringify!($name), crate::transcripts::Backend::Mongo).await;
                })+
            }
        }
    };
}

transcripts! {
    support:
    acks,
    anonymous,
    anonymous_untrusted,
    availability,
    conversation,
    end_session,
    foreign_tokens,
    handshake,
    join,
    join_forms,
    leave,
    messages,
    no_api_key,
    origins,
    queue,
    rate,
    reconnect,
    rest_auth,
    restart,
    resume,
    root_and_health,
    send,
    send_by_rest,
    session,
    sibling,
    start_session,
    stats,
    tokens,
    tokens_by_key,
    tokens_untrusted,
    typing,
    unknown_paths,
}

transcripts! {
    widget:
    accounts,
    acks,
    conversation,
    guests,
    inbox,
    join,
    messages,
    moved,
    origins,
    proxies,
    rate,
    reconnect,
    restart,
    send,
    signup_closed,
    signup_first,
    signup_pages,
    stale_tokens,
    typing,
    unknown_paths,
    unlisted_proxy,
    untrusted,
}

transcripts! {
    crossing:
    apart,
    handed_over,
    kept_out,
    standing,
    operators_rooms,
    operators_support,
    operators_widget,
    rooms_operators,
    rooms_support,
    rooms_widget,
    support_operators,
    support_rooms,
    support_widget,
    widget_operators,
    widget_rooms,
    widget_support,
}

transcripts! {
    operators:
    conversation,
    end,
    guests,
    history,
    join_chat,
    long_history,
    operator_join,
    operator_send,
    rate,
    reconnect,
    reload,
    rest_history,
    rest_messages,
    rest_operators,
    rest_other,
    rest_sessions,
    retries,
    short_ids,
    status,
    tokens,
    typing,
    visitor_send,
}

transcripts! {
    rooms:
    accounts,
    admin,
    attachments,
    closing,
    company,
    conversation,
    edits,
    figures,
    handed_back,
    logins,
    messages,
    moves,
    presence,
    restart,
    rooms,
    transfer_agent,
    transfers,
    unknown_paths,
    unread,
    viewing,
}

async fn play(dialect: &str, name: &str, backend: Backend) {
    let path = folder(dialect).join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let script = parse(&text).unwrap_or_else(|e| panic!("{dialect}/{name}.txt:{e}"));
    let alone = (dialect != CROSSING).then(|| ("MOUNTS".to_owned(), format!("{dialect}@/")));
    let mut env: Vec<(String, String)> = alone.into_iter().collect();
    env.extend(script.env.clone());
    let database = format!("helpline_test_{}", Uuid::new_v4().simple());
    if let Backend::Mongo = backend {
        env.push(("MONGODB_URI".into(), mongo_uri()));
        env.push(("MONGODB_DB".into(), database.clone()));
    }
    let mut server = Server::start(&env).await;
    let played = replay(&script, &mut server).await;
    let log = server.log();
    drop(server);
    if let Backend::Mongo = backend {
        let client = mongodb::Client::with_uri_str(mongo_uri()).await.expect("the tests' MongoDB");
        client.database(&database).drop().await.expect("a database to drop");
    }
    if let Err(why) = played {
        panic!("{dialect}/{name}.txt:{why}\n--- the server's log\n{log}");
    }
}

pub(crate) fn mongo_uri() -> String {
    std::env::var("HELPLINE_TEST_MONGODB_URI").expect("HELPLINE_TEST_MONGODB_URI is set: run scripts/test.sh, or scripts/services.sh up")
}

fn folder(dialect: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(dialect)
}

fn assert_listed(dialect: &str, listed: &[&str]) {
    let entries = std::fs::read_dir(folder(dialect)).expect("the folder");
    let mut found: Vec<String> =
        entries.map(|e| e.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into()).collect();
    found.sort();
    let mut listed = listed.to_vec();
    listed.sort_unstable();
    assert_eq!(found, listed, "tests/transcripts/{dialect} and the list in transcripts.rs differ");
}

#[test]
fn every_transcript_can_be_read() {
    let dialects = std::fs::read_dir(folder("")).expect("the transcripts").map(|e| e.expect("an entry").path()).filter(|p| p.is_dir());
    let files = dialects.flat_map(|d| std::fs::read_dir(d).expect("a dialect").map(|e| e.expect("an entry").path()));
    let wrong: Vec<String> = files
        .filter_map(|f| {
            let text = std::fs::read_to_string(&f).expect("a transcript");
            parse(&text).err().map(|e| format!("{}:{e}", f.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
