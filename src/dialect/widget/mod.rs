//! The contract `widget` (document 004), as `docs/dialects/widget.md` tables it: a website widget and an admin inbox.
//!
//! A session's id is the visitor's only credential; admins log in over REST, and their page talks over a socket without a credential, which is
//! honoured from trusted networks alone. Bare objects and arrays, no envelope. Knows neither storage nor sockets.

pub mod calls;
mod events;
pub mod rest;
mod views;

use async_trait::async_trait;
use serde_json::Value;

use super::wire::{Frame, filled, handshake_credential};
use super::{Conversation, Dialect, Farewell, Handshake, Reader, Unadmitted};
use crate::domain::desk::Desk;
use crate::domain::entry::Entry;
use crate::domain::ports::Signal;
use crate::domain::principal::{Principal, Realm, Role};

/// How long a message may be, in UTF-16 code units: what the original's bodies could hold.
const MESSAGE_LIMIT: usize = 100_000;

/// The longest id, name or address of a person, in characters: the original's columns.
const FIELD_LIMIT: usize = 255;

/// The id of an admin who does not say who he is.
const SOME_ADMIN: &str = "admin";

/// The contract.
#[derive(Clone, Copy, Debug, Default)]
pub struct Widget;

#[async_trait]
impl Dialect for Widget {
    fn realm(&self) -> Realm {
        Realm::Widget
    }

    fn admits_any_origin(&self) -> bool {
        true
    }

    async fn admit(&self, desk: &Desk, handshake: &Handshake) -> Result<Principal, Unadmitted> {
        let credential = handshake_credential(&handshake.auth);
        let visit = (handshake.peer, handshake.address);
        desk.receive(Realm::Widget, credential.as_ref(), visit).await.map_err(|e| Unadmitted::because(e, "Authentication failed"))
    }

    fn converse(&self, who: Principal, handshake: Handshake) -> Box<dyn Conversation> {
        Box::new(calls::Seat::new(who, &handshake))
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
fn sender_type(role: Role) -> &'static str {
    match role {
        Role::Visitor => "user",
        Role::Agent | Role::Admin | Role::System => "admin",
    }
}

/// The role of the contract's word.
fn role_of(word: &str) -> Option<Role> {
    [Role::Visitor, Role::Agent].into_iter().find(|r| sender_type(*r) == word)
}

/// A field that the original stored as a text of bounded length: a text, or a number in its digits.
fn stored_text(body: &Value, field: &str) -> Option<String> {
    let text = match body.get(field)? {
        Value::Number(number) => number.to_string(),
        _ => filled(body, field)?.to_owned(),
    };
    let fits = text.chars().count() <= FIELD_LIMIT && !text.contains('\0');
    fits.then_some(text)
}
