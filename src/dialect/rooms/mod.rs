//! The contract `rooms` (document 002), as `docs/dialects/rooms.md` tables it: people with accounts log in, and their sockets show the login.
//!
//! What it calls a chat room is a session of several people. REST lives under `/api`; its envelope is `{success, message, data}`. Knows neither
//! storage nor sockets.

pub mod calls;
mod events;
pub mod rest;
mod room;
mod said;
mod views;

use async_trait::async_trait;

use super::wire::{Frame, filled};
use super::{Conversation, Dialect, Farewell, Handshake, Reader, Unadmitted};
use crate::domain::agent::Availability;
use crate::domain::desk::Desk;
use crate::domain::entry::{Entry, Form};
use crate::domain::ports::{Credential, Signal};
use crate::domain::principal::{Principal, Realm, Role};
use crate::domain::session::Status;
use crate::domain::topic::SessionKind;
use views::Eyes;

/// The departments that the contract knows; the first is that of people of whom nothing else is known.
const DEPARTMENTS: &[&str] = &["unknown", "technical_support", "billing", "sales", "general_support", "account_management", "other"];

/// The contract.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rooms;

#[async_trait]
impl Dialect for Rooms {
    fn realm(&self) -> Realm {
        Realm::Rooms
    }

    fn admits_any_origin(&self) -> bool {
        false
    }

    async fn admit(&self, desk: &Desk, handshake: &Handshake) -> Result<Principal, Unadmitted> {
        let secret = filled(&handshake.auth, "sessionId").ok_or(Unadmitted::Refused("Authentication error: No session ID"))?;
        let login = Credential::Login(secret.to_owned());
        let admitted = desk.admit(Realm::Rooms, Some(&login), handshake.peer).await;
        admitted.map_err(|e| Unadmitted::because(e, "Authentication error: Invalid session"))
    }

    fn converse(&self, who: Principal, _: Handshake) -> Box<dyn Conversation> {
        Box::new(calls::Seat::new(who))
    }

    fn reader(&self, who: &Principal) -> Reader {
        if who.is_staff() { Reader::Staff } else { Reader::Visitor }
    }

    fn entry_frame(&self, entry: &Entry, reader: Reader) -> Option<Frame> {
        room::of_entry(entry, Eyes::of_reader(reader))
    }

    fn signal_frame(&self, signal: &Signal) -> Option<Frame> {
        events::of_signal(signal)
    }

    fn farewell(&self, why: Farewell) -> Frame {
        events::error(match why {
            Farewell::Expired => "Invalid or expired session",
            Farewell::Flooded => "Too many requests",
        })
    }
}

/// The contract's word for a role.
fn role_word(role: Role) -> &'static str {
    match role {
        Role::Visitor => "user",
        Role::Agent => "agent",
        Role::Admin | Role::System => "admin",
    }
}

/// The role of the contract's word.
fn role_of(word: &str) -> Option<Role> {
    [Role::Visitor, Role::Agent, Role::Admin].into_iter().find(|r| role_word(*r) == word)
}

/// The contract's word for how a room stands. One that waits for an agent is as active as any other.
fn status_word(status: Status) -> &'static str {
    match status {
        Status::Waiting | Status::Active => "active",
        Status::Pending => "pending",
        Status::Ended => "closed",
    }
}

/// The contract's word for a kind of room.
fn kind_word(kind: SessionKind) -> &'static str {
    // The stored names are this contract's words.
    kind.name()
}

/// The contract's word for a kind of message.
fn message_type(form: Form) -> &'static str {
    match form {
        Form::Text => "text",
        Form::Image => "image",
        Form::File => "file",
        Form::Notice => "system",
    }
}

/// The kind of message of the contract's word, as far as people may send it.
fn form_of(word: &str) -> Option<Form> {
    [Form::Text, Form::Image, Form::File].into_iter().find(|f| message_type(*f) == word)
}

/// The status of the contract's word.
fn status_of(word: &str) -> Option<Availability> {
    // The stored names are this contract's words.
    Availability::named(word)
}
