//! The contract of the storage port, as one suite that every backend passes under its own name. No backend is known to the cases.
//!
//! A backend is a file here with a `Fixture` (`async fn create() -> Fixture`, `fn store(&self) -> Arc<dyn Store>`, `async fn reopen(&mut self)`, which
//! closes the store and opens it again on the same data) and the line `contract_suite!(Fixture);`.

use std::future::Future;
use std::sync::Arc;

use helpline::domain::entry::{Body, Content, Draft, Entry, Fate, Head};
use helpline::domain::ids::{AgentId, ClientKey, EntryId, SessionId};
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::session::{Assignee, Session};
use helpline::domain::store::{Appended, Inserted, Store};
use helpline::domain::time::Timestamp;
use helpline::domain::topic::Reassignment;
use tokio::task::JoinSet;

mod accounts;
mod agents;
mod append;
mod assign;
mod attachments;
mod bulk;
mod durable;
mod fates;
mod last;
mod lists;
mod logins;
mod pages;
mod participants;
mod plans;
mod presence;
mod sessions;
mod states;

/// Stamps the whole suite for the fixture in scope.
macro_rules! contract_suite {
    ($fixture:ident) => {
        $crate::store::stamp! { $fixture:
            append::append_is_gap_free_under_64_writers,
            append::one_key_from_20_tasks_is_stored_once,
            append::keys_of_other_senders_and_sessions_are_independent,
            append::a_key_is_looked_up_before_the_end,
            append::nothing_follows_an_end_that_races_messages,
            append::a_retry_with_the_same_id_is_the_same_entry,
            append::sessions_do_not_disturb_each_other,
            append::the_head_counts_messages_and_assignments,
            append::a_reopening_follows_an_end_and_messages_follow_it,
            append::reopenings_that_race_messages_and_ends_keep_the_order,
            bulk::many_drafts_are_appended_in_their_order_and_once,
            bulk::many_drafts_meet_keys_and_ends_as_each_would,
            bulk::many_drafts_that_race_others_leave_no_gap,
            bulk::a_session_that_is_over_when_it_is_stored_is_nobodys_open_one,
            pages::pages_are_gap_free_while_a_writer_runs,
            pages::messages_are_listed_without_other_kinds,
            pages::unknown_ids_are_absent,
            pages::logs_that_went_on_are_told_from_those_that_did_not,
            last::last_messages_pass_over_what_is_none,
            last::a_message_keeps_its_first_reading,
            sessions::one_of_50_inserts_of_a_visitor_is_created,
            sessions::look_ups_at_the_same_time_get_each_its_own_session,
            sessions::a_look_up_answers_what_was_written_before_it,
            sessions::finish_frees_the_open_key_and_answers_the_old_document_once,
            sessions::claim_needs_a_waiting_session,
            sessions::waiting_sessions_are_listed_oldest_first,
            sessions::open_sessions_are_paged_by_id,
            sessions::sessions_of_an_agent_are_listed_newest_first,
            sessions::totals_count_sessions_messages_and_time,
            lists::queries_answer_what_they_say_last_changed_first,
            lists::keywords_are_text_and_nothing_else,
            states::sessions_without_a_key_are_always_stored,
            states::a_transfer_needs_the_assignment_that_was_seen,
            states::one_of_many_transfers_wins,
            states::an_end_that_races_a_transfer_names_the_agent_to_free,
            states::ends_and_reopenings_happen_in_the_order_of_the_log,
            states::ends_and_reopenings_that_race_agree_on_the_last_one,
            states::a_reopened_session_gets_no_key_back,
            states::a_label_for_an_open_session_leaves_its_key,
            states::speaking_raises_the_time_and_never_lowers_it,
            states::read_marks_only_rise_and_each_rise_is_answered_once,
            assign::one_of_many_claims_wins,
            assign::an_end_that_races_a_claim_names_the_agent_to_free,
            assign::slots_never_pass_the_capacity,
            assign::an_agent_without_a_limit_takes_every_session,
            assign::a_slot_is_held_once_and_released_once,
            assign::slots_are_listed_by_age,
            presence::people_are_there_while_any_node_has_a_connection_of_theirs,
            presence::signs_of_life_are_counted_from_one,
            agents::agents_are_seeded_once_and_keep_their_order,
            agents::a_realm_with_agents_is_not_seeded,
            agents::availability_is_what_was_last_declared,
            agents::availability_changes_only_from_what_was_named,
            agents::attendance_and_what_nobody_said_leave_the_rest_alone,
            agents::one_of_many_changes_of_availability_wins,
            agents::an_agent_is_inserted_once_and_stays_as_it_was,
            accounts::an_address_has_one_account_in_its_realm,
            accounts::one_of_many_inserts_of_an_address_is_stored,
            accounts::a_removed_account_frees_its_address,
            accounts::a_password_is_replaced_by_one_of_many,
            accounts::a_username_has_one_account_in_its_realm,
            accounts::one_of_many_inserts_of_a_username_is_stored,
            accounts::a_removed_account_frees_its_username,
            accounts::accounts_are_listed_by_role_newest_first,
            accounts::a_change_of_an_account_is_what_it_names,
            accounts::changes_of_an_account_that_race_do_not_undo_one_another,
            logins::a_login_is_found_until_one_removes_it,
            logins::a_login_is_never_replaced_by_another_with_its_id,
            logins::a_login_removes_those_of_its_account_that_ended_before_it,
            logins::logins_of_one_account_that_race_are_all_stored,
            logins::a_removed_account_takes_its_logins_with_it,
            logins::logins_are_found_and_removed_by_many,
            participants::what_a_session_is_about_is_kept_whole,
            participants::open_sessions_are_found_by_who_takes_part,
            participants::a_session_moves_with_its_participants_and_its_history,
            participants::accounts_are_found_by_many_ids,
            participants::a_held_slot_needs_neither_room_nor_presence,
            attachments::a_content_is_read_as_it_was_written,
            attachments::what_is_removed_is_gone_finished_or_not,
            attachments::what_is_not_kept_is_listed_oldest_first,
            fates::receipts_are_kept_by_reader_and_only_rise,
            fates::receipts_that_race_are_all_kept,
            fates::a_message_says_what_the_last_change_in_the_log_says,
            fates::changes_follow_the_end_and_nothing_else_does,
            fates::marks_of_readers_only_rise,
            durable::texts_survive_byte_for_byte,
            durable::people_survive_whole,
            durable::the_first_start_stays,
            durable::a_store_that_works_answers_a_ping,
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn reopening_keeps_everything() {
            let mut fixture = $fixture::create().await;
            let kept = $crate::store::durable::fill(&*fixture.store()).await;
            fixture.reopen().await;
            kept.check(&*fixture.store()).await;
        }
    };
}

/// Makes each case a test of the module it is stamped in.
macro_rules! stamp {
    ($fixture:ident: $($file:ident::$case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let fixture = $fixture::create().await;
                $crate::store::$file::$case(fixture.store()).await;
            }
        )*
    };
}
use stamp;

mod mongo;
mod mongo_earlier;
mod mongo_faults;
mod mongo_figures;
mod mongo_lost_replies;
mod mongo_only;
mod mongo_plans;
pub(crate) mod mongo_server;
mod sqlite;
mod sqlite_plans;

const NOW: Timestamp = Timestamp(1_795_163_582_007);

/// A moment `ms` after the suite's present.
fn at(ms: i64) -> Timestamp {
    NOW.plus_ms(ms)
}

fn visitor(id: &str) -> Person {
    Person::new(Realm::Support, id, Role::Visitor)
}

fn assignee(n: u8) -> Assignee {
    Assignee { id: AgentId::seeded(n), name: format!("Agent {n}").into() }
}

/// The change that gives a session without participants to this agent.
pub(crate) fn to(agent: &Assignee) -> Reassignment {
    Reassignment { agent: Some(agent.clone()), ..Reassignment::default() }
}

fn key(text: &str) -> ClientKey {
    ClientKey::parse(text).unwrap()
}

fn draft(session: &SessionId, content: Content) -> Draft {
    Draft { session: session.clone(), id: EntryId::random(), at: NOW, author: visitor("v1"), client_key: None, content }
}

fn message(session: &SessionId, text: &str) -> Draft {
    draft(session, Content::Message(Body::stored(text).into()))
}

fn keyed(session: &SessionId, text: &str, name: &str) -> Draft {
    Draft { client_key: Some(key(name)), ..message(session, text) }
}

fn end(session: &SessionId) -> Draft {
    draft(session, Content::Ended("done".into()))
}

/// Appends a draft that must be stored.
async fn stored(store: &dyn Store, draft: Draft) -> Entry {
    match store.append(draft).await.unwrap() {
        Appended::Stored(entry) => entry,
        other => panic!("not stored: {other:?}"),
    }
}

/// A line of the system.
fn notice(session: &SessionId, text: &str) -> Draft {
    Draft { author: Person::new(Realm::Support, "system", Role::System), ..message(session, text) }
}

/// The session is open again, or still, under this word.
fn reopening(session: &SessionId, word: &str) -> Draft {
    draft(session, Content::Opened(word.into()))
}

/// Inserts a session under the key of its visitor.
async fn insert(store: &dyn Store, session: &Session) -> Inserted {
    store.insert_session(session, Some(&session.visitor.key())).await.unwrap()
}

/// Inserts a fresh waiting session of this visitor, opened `ms` after the suite's present.
async fn opened(store: &dyn Store, who: &str, ms: i64) -> Session {
    let session = Session::open(visitor(who), at(ms));
    assert_eq!(insert(store, &session).await, Inserted::Created);
    session
}

/// The whole log of a session.
async fn log(store: &dyn Store, session: &SessionId) -> Vec<Entry> {
    store.list_entries(session, 0, u32::MAX).await.unwrap()
}

/// Checks that entries are exactly what a log holds: numbered 1, 2, 3 …, each head following from the one before.
fn check_log(entries: &[Entry]) {
    let mut head = Head::default();
    for entry in entries {
        let Entry { session, id, at, author, client_key, content, .. } = entry.clone();
        let followed = head.follow(&Draft { session, id, at, author, client_key, content });
        assert_eq!(followed.as_ref(), Some(entry));
        head = entry.head;
    }
}

/// Runs all the tasks at once, each on its own, and answers their results in the order in which they ended.
async fn all<T: Send + 'static>(tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let mut running = JoinSet::new();
    for task in tasks {
        running.spawn(task);
    }
    running.join_all().await
}

/// The task of appending one draft.
fn appending(store: &Arc<dyn Store>, draft: Draft) -> impl Future<Output = Appended> + Send + 'static {
    let store = store.clone();
    async move { store.append(draft).await.unwrap() }
}
