//! The contract `operators` (documents 000 and 003), as `docs/dialects/operators.md` tables it: visitors and operators, and no login.
//!
//! A visitor comes with `user-join-chat`, an operator with `operator-status-change`, and every operator may open every session. REST lives under
//! `/api` in the envelope `{success, data, message}`. Knows neither storage nor sockets.

pub mod calls;
mod visitor;
mod operator;
mod events;
mod views;
pub mod rest;

use std::sync::Arc;

use async_trait::async_trait;

use super::wire::{Frame, handshake_credential};
use super::{Conversation, Dialect, Farewell, Handshake, Reader, Unadmitted};
use crate::domain::agent::Availability;
use crate::domain::desk::Desk;
use crate::domain::entry::{Entry, Form, trim};
use crate::domain::ports::Signal;
use crate::domain::principal::{Principal, Realm, Role};
use crate::domain::session::Status;

/// How long a message may be, in UTF-16 code units.
const MESSAGE_LIMIT: usize = 10_000;

/// How many messages a greeting shows.
const GREETING_LIMIT: u32 = 50;

/// The longest id of a person, in characters: the original's columns.
const ID_LIMIT: usize = 255;

/// The longest name of a person or a group, in characters.
const NAME_LIMIT: usize = 100;

/// The contract's text for an availability that it does not know.
const WRONG_AVAILABILITY: &str = "Status must be one of: online, offline, busy";

/// The contract.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operators;

#[async_trait]
impl Dialect for Operators {
    fn realm(&self) -> Realm {
        Realm::Operators
    }

    fn admits_any_origin(&self) -> bool {
        true
    }

    async fn admit(&self, desk: &Desk, handshake: &Handshake) -> Result<Principal, Unadmitted> {
        let credential = handshake_credential(&handshake.auth);
        let visit = (handshake.peer, handshake.address);
        desk.receive(Realm::Operators, credential.as_ref(), visit).await.map_err(|e| Unadmitted::because(e, "Authentication failed"))
    }

    fn converse(&self, who: Principal, handshake: Handshake) -> Box<dyn Conversation> {
        Box::new(calls::Seat::new(who, handshake))
    }

    fn entry_frame(&self, entry: &Entry, _: Reader) -> Option<Frame> {
        events::of_entry(entry)
    }

    fn signal_frame(&self, signal: &Signal) -> Option<Frame> {
        events::of_signal(signal)
    }

    fn farewell(&self, why: Farewell) -> Frame {
        events::error(match why {
            Farewell::Expired => ("INTERNAL_ERROR", "Invalid or expired token"),
            Farewell::Flooded => ("INTERNAL_ERROR", "Too many requests"),
        })
    }
}

/// The contract's word for how a session stands.
fn status_word(status: Status) -> &'static str {
    match status {
        Status::Waiting | Status::Pending => "waiting",
        Status::Active => "active",
        Status::Ended => "closed",
    }
}

/// The contract's word for an availability. Who is away is offline to everybody.
fn availability_word(availability: Availability) -> &'static str {
    match availability {
        Availability::Online => "online",
        Availability::Busy => "busy",
        Availability::Offline | Availability::Away => "offline",
    }
}

/// The availability of the contract's word.
fn availability_of(word: &str) -> Option<Availability> {
    [Availability::Online, Availability::Offline, Availability::Busy].into_iter().find(|a| availability_word(*a) == word)
}

/// The contract's word for a role.
fn sender_type(role: Role) -> &'static str {
    match role {
        Role::Visitor => "user",
        Role::Agent | Role::Admin => "operator",
        Role::System => "system",
    }
}

/// The contract's word for a kind of text; it has none for files.
fn message_type(form: Form) -> &'static str {
    match form {
        Form::Text | Form::File => "text",
        Form::Image => "image",
        Form::Notice => "system",
    }
}

/// The kind of text of the contract's word.
fn form_of(word: &str) -> Option<Form> {
    [Form::Text, Form::Image, Form::Notice].into_iter().find(|f| message_type(*f) == word)
}

/// An id of a person, as it is; `None` where it is empty, overlong, or holds control characters.
fn person_id(text: &str) -> Option<&str> {
    let fits = (1..=ID_LIMIT).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then_some(text)
}

/// A name of a person or a group, trimmed; `None` where it is blank, overlong, or holds control characters.
fn name(text: &str) -> Option<Arc<str>> {
    let name = trim(text);
    let fits = (1..=NAME_LIMIT).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    fits.then(|| name.into())
}
