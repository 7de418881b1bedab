//! What clients of `widget` may call, and what each call answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{MESSAGE_LIMIT, SOME_ADMIN, events, role_of, sender_type, stored_text, views};
use crate::dialect::wire::{self, Call, client_key, invalid, refusal, text};
use crate::dialect::{Admission, Conversation, Handshake, Line, Reply, Start, Typing};
use crate::domain::desk::{Desk, Post};
use crate::domain::entry::{Body, BodyError};
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::principal::{Person, Principal, Role};
use crate::domain::session::Session;
use crate::http::status;

/// Every event that this contract takes, for the documents and their test.
pub const CALLS: &[&str] = &["join_session", "leave_session", "send_message", "typing", "resume"];

/// How many bytes of unknown fields typing passes on.
const EXTRA_LIMIT: usize = 1_000;

/// One socket: who it is, and what it listens to.
pub(super) struct Seat {
    who: Principal,
    /// From where it calls and with which program, which tells its browser page from others.
    place: String,
    /// Whether it is a page that may come back without joining; a machine with a credential says itself what it wants to hear.
    may_come_back: bool,
    joined: Vec<Joined>,
}

/// A session that a socket listens to.
struct Joined {
    /// As it was when the socket was let in.
    session: Session,
    /// Whether its page is known by the part that it plays.
    is_known: bool,
}

/// A call that was refused: whether the contract has an error for it, and the acknowledgement.
struct Refused {
    is_loud: bool,
    ack: Value,
}

impl Refused {
    fn input(code: &'static str, message: &'static str) -> Self {
        Self { is_loud: true, ack: invalid(code, message) }
    }

    fn because(error: &Error, message: &'static str) -> Self {
        Self { is_loud: true, ack: refusal(error, message) }
    }

    /// The same without the contract's `error` event.
    fn quietly(self) -> Self {
        Self { is_loud: false, ..self }
    }
}

#[async_trait]
impl Conversation for Seat {
    async fn call(&mut self, desk: &Desk, line: &dyn Line, call: Call) -> Reply {
        let payload = &call.payload;
        let outcome = match call.event.as_str() {
            "join_session" => self.join(desk, line, payload).await,
            "leave_session" => self.leave(desk, line, payload).await,
            "send_message" => self.send(desk, line, payload).await,
            "typing" => self.typing(desk, line, payload).await,
            "resume" => self.resume(desk, payload).await,
            // Unknown events are ignored, as the original does; only an acknowledgement says so.
            _ => Err(Refused::input("UNKNOWN_EVENT", "Unknown event").quietly()),
        };
        match outcome {
            Ok(ack) => Reply { ack, error: None },
            Err(refused) => Reply { ack: refused.ack, error: refused.is_loud.then(|| events::error("Failed to send message")) },
        }
    }

    async fn closed(&mut self, desk: &Desk, line: &dyn Line, _: &'static str) {
        for joined in std::mem::take(&mut self.joined) {
            line.leave(desk, &joined.session.id).await;
        }
    }
}

impl Seat {
    pub(super) fn new(who: Principal, handshake: &Handshake) -> Self {
        let place = format!("{} {}", handshake.address, handshake.program);
        let is_machine = matches!(who, Principal::Delegate { has_key: true, .. });
        Self { who, place, may_come_back: !is_machine, joined: Vec::new() }
    }

    /// Quirk: joining says nothing, whether it succeeds or not (document 004); only an acknowledgement tells.
    async fn join(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let refused = |e: &Error| Refused::because(e, "Failed to join session").quietly();
        let id = named(payload).ok_or_else(|| refused(&Error::SessionNotFound))?;
        let session = desk.session(&self.who, &id).await.map_err(|e| refused(&e))?;
        let (person, part) = match &self.who {
            Principal::Guest { .. } => (session.visitor.clone(), Some(Role::Visitor)),
            Principal::Person { person, .. } => (person.clone(), Some(person.role)),
            Principal::Delegate { realm, .. } => (Person::new(*realm, SOME_ADMIN, Role::System), None),
        };
        let start = payload.get("lastSeq").and_then(Value::as_u64).map_or(Start::Now, Start::After);
        let head = self.sit_down(desk, line, (&person, &id), (start, part)).await.map_err(|e| refused(&e))?;
        self.may_come_back = false;
        Ok(json!({"ok": true, "sessionId": id.as_str(), "headSeq": head}))
    }

    /// Lets the person in, and joins silently: the contract has no greeting, and its pages load what was said over REST. Answers the number of
    /// the session's last entry.
    async fn sit_down(
        &mut self,
        desk: &Desk,
        line: &dyn Line,
        (person, id): (&Person, &SessionId),
        (start, part): (Start, Option<Role>),
    ) -> Result<u64, Error> {
        let session = desk.join(&self.who, person, id).await?;
        let pages = self.pages(part);
        let admission = Admission { session: session.clone(), start, history: 0, pages, greeting: Box::new(|_, _, _| Vec::new()) };
        let joined = line.join(admission).await?;
        self.joined.retain(|j| j.session.id != *id);
        self.joined.push(Joined { session, is_known: part.is_some() });
        Ok(joined.head)
    }

    async fn leave(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        self.may_come_back = false;
        if let Some(id) = named(payload) {
            self.joined.retain(|j| j.session.id != id);
            line.leave(desk, &id).await;
        }
        Ok(json!({"ok": true}))
    }

    async fn send(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let text_of = "Failed to send message";
        let wrong = |code| Refused::input(code, text_of);
        let failed = |e: &Error| Refused::because(e, text_of);
        let id = text(payload, "sessionId").and_then(SessionId::parse).ok_or_else(|| failed(&Error::SessionNotFound))?;
        let role = text(payload, "senderType").and_then(role_of).ok_or_else(|| wrong("INVALID_SENDER_TYPE"))?;
        let body = text(payload, "content").ok_or_else(|| wrong("INVALID_CONTENT"))?;
        let body = Body::parse(body, MESSAGE_LIMIT).map_err(|e| match e {
            BodyError::Blank => wrong("INVALID_CONTENT"),
            BodyError::TooLong => wrong("CONTENT_TOO_LONG"),
        })?;
        let client_key = client_key(payload).map_err(|_| wrong("INVALID_CLIENT_KEY"))?;
        let session = desk.session(&self.who, &id).await.map_err(|e| failed(&e))?;
        let sender = stored_text(payload, "senderId");
        let speaker = session.speaker(&self.who, role, sender.as_deref(), SOME_ADMIN);
        let (author, signed) = speaker.ok_or_else(|| failed(&Error::Forbidden))?;
        if let Err(error) = self.come_back(desk, line, (&author, &id), role).await {
            // Whoever sends need not listen.
            status::log(&error);
        }
        let post = Post { signed, ..Post::text(body, client_key) };
        let posted = desk.post_message(&self.who, author, &id, post).await.map_err(|e| failed(&e))?;
        Ok(wire::posted_ack(&posted))
    }

    /// Quirk: typing that cannot be passed on is dropped without a word (document 004).
    async fn typing(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let refused = |e: &Error| Refused::because(e, "Typing was not passed on").quietly();
        let id = text(payload, "sessionId").and_then(SessionId::parse).ok_or_else(|| refused(&Error::SessionNotFound))?;
        let role = text(payload, "userType").and_then(role_of).ok_or_else(|| refused(&Error::Forbidden))?;
        let session = match self.joined.iter().find(|j| j.session.id == id) {
            Some(joined) => joined.session.clone(),
            None => desk.session(&self.who, &id).await.map_err(|e| refused(&e))?,
        };
        let (person, _) = session.speaker(&self.who, role, None, SOME_ADMIN).ok_or_else(|| refused(&Error::Forbidden))?;
        self.come_back(desk, line, (&person, &id), role).await.map_err(|e| refused(&e))?;
        let is_typing = payload.get("isTyping").and_then(Value::as_bool).unwrap_or(false);
        line.typing(desk, Typing { session: id, person, is_typing, extra: extra(payload) });
        Ok(json!({"ok": true}))
    }

    /// Frontends do not join again after their socket has come back: the first call that names a session joins it, from where the page's last
    /// socket left off. A socket that has joined or left by itself knows what it listens to; of that one only the part it plays is learned.
    async fn come_back(&mut self, desk: &Desk, line: &dyn Line, (person, id): (&Person, &SessionId), role: Role) -> Result<(), Error> {
        let start = match self.joined.iter().find(|j| j.session.id == *id) {
            Some(joined) if joined.is_known => return Ok(()),
            Some(_) => Start::Now,
            None if !self.may_come_back => return Ok(()),
            None => Start::LeftOff,
        };
        self.sit_down(desk, line, (person, id), (start, Some(role))).await.map(drop)
    }

    /// The names under which this socket's page is remembered in a session. A guest is the session's visitor wherever he calls from, and a
    /// token names its person; of others there is the part that they play, if that is known yet, and the place.
    fn pages(&self, part: Option<Role>) -> Vec<Arc<str>> {
        let somebody = Arc::from(format!("? {}", self.place));
        match (&self.who, part) {
            (Principal::Guest { .. }, _) => vec!["guest".into()],
            (Principal::Person { person, .. }, _) => vec![person.key().into()],
            (Principal::Delegate { .. }, Some(role)) => vec![format!("{} {}", sender_type(role), self.place).into(), somebody],
            (Principal::Delegate { .. }, None) => vec![somebody],
        }
    }

    async fn resume(&self, desk: &Desk, payload: &Value) -> Result<Value, Refused> {
        let refused = |e: &Error| Refused::because(e, "Failed to resume session").quietly();
        let id = named(payload).ok_or_else(|| refused(&Error::SessionNotFound))?;
        let last_seq = payload.get("lastSeq").and_then(Value::as_u64).unwrap_or(0);
        let resumed = desk.resume(&self.who, &id, last_seq).await.map_err(|e| refused(&e))?;
        let entries: Vec<Value> = resumed.entries.iter().map(|e| views::resumed_entry(e, self.who.is_staff())).collect();
        Ok(json!({"ok": true, "entries": entries, "headSeq": resumed.head_seq, "complete": resumed.complete}))
    }
}

/// The session that a call names: the bare id, or an object with it.
fn named(payload: &Value) -> Option<SessionId> {
    payload.as_str().or_else(|| text(payload, "sessionId")).and_then(SessionId::parse)
}

/// The fields that the contract does not know, which typing passes on as they are: texts, numbers and flags.
fn extra(payload: &Value) -> Option<Arc<str>> {
    let known = |name: &str| matches!(name, "sessionId" | "userType" | "isTyping");
    let plain = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    let fields = payload.as_object()?.iter().filter(|(name, value)| !known(name) && plain(value));
    let more: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    let text = Value::Object(more).to_string();
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    (!inside.is_empty() && inside.len() <= EXTRA_LIMIT).then(|| inside.into())
}
