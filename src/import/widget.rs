//! The rows of document 004: admins, sessions and messages as they stand here.

use std::collections::VecDeque;

use super::fields::Fields;
use super::operators::read_at;
use super::support::{body, ended, entry_id, said_at, session_id};
use super::{Plan, Report, Said};
use crate::domain::account::{Account, PasswordHash};
use crate::domain::agent::Availability;
use crate::domain::entry::{Content, Draft, Message};
use crate::domain::error::StoreError;
use crate::domain::ids::AccountId;
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::session::{Session, Status};
use crate::domain::store::Store;
use crate::domain::time::Timestamp;

/// The word for a session that is over, and for one that is not; any other is an admin's own.
const CLOSED: &str = "closed";
const ACTIVE: &str = "active";

/// Who spoke as an admin and gave no id, as the dialect calls him.
const SOME_ADMIN: &str = "admin";

/// Imports an admin's account.
pub(super) async fn take_account(
    row: Fields<'_>,
    target: Option<&dyn Store>,
    now: Timestamp,
    report: &mut Report,
) -> Result<Option<Person>, StoreError> {
    let key = row.id();
    let Some(email) = row.shared("email") else {
        report.note("admins without an e-mail address: left out", &key);
        return Ok(None);
    };
    if !row.has("password") {
        report.note("admins without a password: nobody logs in with it", &key);
    }
    let created_at = row.moment("createdAt").unwrap_or(now);
    let updated_at = row.moment("updatedAt").unwrap_or(created_at);
    let account = Account {
        id: AccountId::stored(key.as_str()),
        realm: Realm::Widget,
        role: Role::Agent,
        email,
        username: None,
        name: row.shared("fullName"),
        password: PasswordHash::stored(row.text("password").unwrap_or_default()),
        department: None,
        specialization: None,
        status: Availability::Offline,
        created_at,
        updated_at,
        seen_at: updated_at,
    };
    let Some(store) = target else { return Ok(Some(account.person())) };
    if !store.insert_account(&account).await? && store.find_account(&account.id).await?.is_none() {
        report.note("admins whose address another account has here: left out", &key);
    }
    Ok(Some(account.person()))
}

/// A session. Nobody has it: all admins share one inbox.
pub(super) fn session(row: Fields<'_>, report: &mut Report) -> Plan {
    let key = row.id();
    let id = session_id(&key, report);
    let user = row.key("userId").unwrap_or_else(|| {
        report.note("sessions without a userId: their own id is their visitor's", &key);
        id.to_string()
    });
    let visitor =
        Person { name: row.shared("userName"), email: row.shared("userEmail"), ..Person::new(Realm::Widget, user, Role::Visitor) };
    let created_at = row.moment("createdAt").unwrap_or_else(|| {
        report.note("sessions that do not say when they began: in 1970", &key);
        Timestamp(0)
    });
    let updated_at = row.moment("updatedAt").unwrap_or(created_at);
    let word = row.text("status").unwrap_or(ACTIVE);
    let ended_at = (word == CLOSED).then_some(updated_at);
    let session = Session {
        id,
        status: if ended_at.is_some() { Status::Ended } else { Status::Active },
        label: (word != CLOSED && word != ACTIVE).then(|| word.into()),
        updated_at,
        ended_at,
        end_reason: ended_at.map(|_| CLOSED.into()),
        ..Session::open(visitor, created_at)
    };
    let end = ended_at.map(|at| ended(&session, at, CLOSED.into()));
    Plan { key: None, assignments: VecDeque::new(), end, session }
}

/// A message; `None` where it says nothing.
pub(super) fn message(row: Fields<'_>, session: &Session, report: &mut Report) -> Option<Said> {
    let key = row.id();
    let Some(text) = row.text("content") else {
        report.note("messages without a text: left out", &key);
        return None;
    };
    let role = match row.text("senderType") {
        Some("user") => Role::Visitor,
        Some("admin") => Role::Agent,
        _ => {
            report.note("messages with an unknown senderType: a user's", &key);
            Role::Visitor
        }
    };
    let sender = row.key("senderId");
    let signed = sender.is_some();
    let author = match (sender, role) {
        (Some(sender), _) => session.introduce(Person::new(Realm::Widget, sender, role)),
        (None, Role::Visitor) => session.visitor.clone(),
        (None, _) => Person::new(Realm::Widget, SOME_ADMIN, role),
    };
    let at = said_at(row, "createdAt", session, report);
    let content = Content::Message(Message { signed, ..Message::from(body(text, &key, report)) });
    let draft = Draft { session: session.id.clone(), id: entry_id(&key, report), at, author, client_key: None, content };
    Some(Said { read_at: read_at(row, at), ..Said::of(draft) })
}
