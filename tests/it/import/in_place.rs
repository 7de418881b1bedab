//! `helpline import --in-place`: the store has the original's own database, whose collections step aside.

use bson::{Document, doc};

use super::{Move, at, hex, id, rooms, support};

async fn collections(moved: &Move) -> Vec<String> {
    let mut names = moved.original.list_collection_names().await.unwrap();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_of_document_001_goes_on_in_place() {
    support::an_original_goes_on(Move::in_place().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_of_document_002_goes_on_in_place() {
    rooms::an_original_goes_on(Move::in_place().await).await;
}

/// An original with one session that waits, and one message.
async fn small() -> Move {
    let moved = Move::in_place().await;
    moved.fill("agents", [doc! { "_id": id(1, 1), "name": "Ann", "maxUsers": 2, "isOnline": true }]).await;
    let session = doc! { "_id": id(2, 1), "userId": "u1", "userType": "user", "status": "waiting", "createdAt": at(0) };
    moved.fill("sessions", [session]).await;
    let said =
        doc! { "_id": id(3, 1), "sessionId": id(2, 1), "senderId": "u1", "senderType": "user", "message": "hello", "timestamp": at(1) };
    moved.fill("messages", [said]).await;
    moved
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_a_server_refuses_what_is_not_taken_over() {
    let moved = small().await;
    let report = moved.import(&["--dry-run"]).await;
    assert!(report.contains("messages to read: 1\n") && report.ends_with("nothing was written\n"), "{report}");
    assert_eq!(collections(&moved).await, ["agents", "messages", "sessions"]);
    let refused = moved.run(&["export", "--session", &hex(2, 1)]).await;
    assert!(refused.status == 1 && refused.err.contains("helpline import --in-place"), "{refused:?}");
    moved.import(&[]).await;
    let names = collections(&moved).await;
    for name in ["messages", "original_agents", "original_messages", "original_sessions", "takeover"] {
        assert!(names.iter().any(|n| n == name), "{name} is not among {names:?}");
    }
    let kept = moved.original.collection::<Document>("original_messages").find_one(doc! {}).await.unwrap().unwrap();
    assert!(kept.get_str("message").is_ok_and(|m| m == "hello") && !kept.contains_key("seq"), "the original's own is as it was");
    let report = moved.import(&["--dry-run"]).await;
    assert!(report.contains("messages to read: 1\n"), "{report}");
    moved.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_that_was_cut_short_between_two_names_goes_on() {
    let moved = small().await;
    let mark = doc! { "_id": "in place", "contract": "support", "setAside": false };
    moved.original.collection::<Document>("takeover").insert_one(mark).await.unwrap();
    let admin = moved.original.client().database("admin");
    let full = |name: &str| format!("{}.{name}", moved.original.name());
    admin.run_command(doc! { "renameCollection": full("agents"), "to": full("original_agents") }).await.unwrap();
    let dry = moved.run(&["import", "--in-place", "--dry-run"]).await;
    assert!(dry.status == 1 && dry.err.contains("was cut short"), "{dry:?}");
    let report = moved.import(&[]).await;
    for line in ["agents here after: 1", "sessions here after: 1", "messages here after: 1"] {
        assert!(report.lines().any(|l| l == line), "{line} is missing in:\n{report}");
    }
    moved.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_that_still_runs_is_seen() {
    let moved = small().await;
    let mark = doc! { "_id": "in place", "contract": "support", "setAside": false };
    moved.original.collection::<Document>("takeover").insert_one(mark).await.unwrap();
    moved.fill("original_sessions", [doc! { "_id": id(2, 9) }]).await;
    let refused = moved.run(&["import", "--in-place"]).await;
    assert!(refused.status == 1 && refused.err.contains("has both sessions and original_sessions"), "{refused:?}");
    moved.end().await;
    let embedded = Move::new(false).await;
    let refused = embedded.run(&["import", "--in-place"]).await;
    assert!(refused.status == 2 && refused.err.contains("MONGODB_URI, which is not set"), "{refused:?}");
    embedded.end().await;
}
