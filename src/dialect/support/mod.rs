//! The contract `support` (document 001, its sibling, and the design card's union), as `docs/dialects/support.md` tables it.
//!
//! A visitor or an agent joins a session with `join_session`, says something with `send_message`, and everybody in it hears `new_message`.
//! REST lives under `/api`; its envelope is `{success, message, data}`. Knows neither storage nor sockets.

pub mod calls;
mod events;
mod views;
pub mod rest;

use async_trait::async_trait;

use super::wire::{Frame, handshake_credential};
use super::{Conversation, Dialect, Farewell, Handshake, Reader, Unadmitted};
use crate::domain::desk::Desk;
use crate::domain::entry::{Entry, trim};
use crate::domain::ports::Signal;
use crate::domain::principal::{Person, Principal, Realm, Role};
use crate::domain::session::Status;

/// How long a message may be, in UTF-16 code units.
const MESSAGE_LIMIT: usize = 1_000;

/// How many messages `session_joined` shows.
const GREETING_LIMIT: u32 = 50;

/// The longest id of a person, in bytes.
const PERSON_ID_LIMIT: usize = 256;

/// The contract.
#[derive(Clone, Copy, Debug, Default)]
pub struct Support;

#[async_trait]
impl Dialect for Support {
    fn realm(&self) -> Realm {
        Realm::Support
    }

    fn admits_any_origin(&self) -> bool {
        false
    }

    async fn admit(&self, desk: &Desk, handshake: &Handshake) -> Result<Principal, Unadmitted> {
        let credential = handshake_credential(&handshake.auth);
        desk.admit(Realm::Support, credential.as_ref(), handshake.peer).await.map_err(|e| Unadmitted::because(e, "Authentication failed"))
    }

    fn converse(&self, who: Principal, _: Handshake) -> Box<dyn Conversation> {
        Box::new(calls::Seat::new(who))
    }

    fn entry_frame(&self, entry: &Entry, _: Reader) -> Option<Frame> {
        events::of_entry(entry)
    }

    fn signal_frame(&self, signal: &Signal) -> Option<Frame> {
        events::of_signal(signal)
    }

    fn farewell(&self, why: Farewell) -> Frame {
        events::error(match why {
            Farewell::Expired => "Invalid or expired token",
            Farewell::Flooded => "Too many requests",
        })
    }
}

/// The contract's word for a role.
fn user_type(role: Role) -> &'static str {
    match role {
        Role::Visitor => "user",
        Role::Agent | Role::Admin => "agent",
        Role::System => "system",
    }
}

/// The contract's word for how a session stands. One that was taken from its agent, as other contracts do, waits for another.
fn status_word(status: Status) -> &'static str {
    match status {
        Status::Waiting | Status::Pending => "waiting",
        Status::Active => "active",
        Status::Ended => "ended",
    }
}

/// The role of the contract's word.
fn role_of(user_type: &str) -> Option<Role> {
    [Role::Visitor, Role::Agent, Role::System].into_iter().find(|r| self::user_type(*r) == user_type)
}

/// An id of a person, trimmed; `None` where it is blank, overlong, or holds control characters.
fn person_id(text: &str) -> Option<&str> {
    let id = trim(text);
    let fits = !id.is_empty() && id.len() <= PERSON_ID_LIMIT && !id.chars().any(char::is_control);
    fits.then_some(id)
}

/// Whom a privileged caller acts for.
fn named_person(id: &str, role: Role) -> Person {
    Person::new(Realm::Support, id, role)
}
