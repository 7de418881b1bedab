//! What clients of `widget` may call, and what each call answers.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{MESSAGE_LIMIT, SOME_ADMIN};
use super::{events, page, role_of, speaker, stored_text, views};
use crate::dialect::wire::{self, Call, client_key, invalid, refusal, text};
use crate::dialect::{Admission, Conversation, Line, Reply, Start, Typing};
use crate::domain::desk::{Desk, Post};
use crate::domain::entry::{Body, BodyError, Form};
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::principal::{Person, Principal, Role};
use crate::domain::session::Session;

/// Every event that this contract takes, for the documents and their test.
pub const CALLS: &[&str] = &["join_session", "leave_session", "send_message", "typing", "resume"];

/// How many bytes of unknown fields typing passes on.
const EXTRA_LIMIT: usize = 1_000;

/// One socket: who it is, and what it listens to.
pub(super) struct Seat {
    who: Principal,
    address: IpAddr,
    /// The sessions it listens to, each with whether its page is known by the part that it plays.
    joined: Vec<(SessionId, bool)>,
    /// Whether it has joined or left by itself. Only a page whose socket has come back does not.
    knows_its_way: bool,
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
        for (session, _) in std::mem::take(&mut self.joined) {
            line.leave(desk, &session).await;
        }
    }
}

impl Seat {
    pub(super) fn new(who: Principal, address: IpAddr) -> Self {
        Self { who, address, joined: Vec::new(), knows_its_way: false }
    }

    /// Quirk: joining says nothing, whether it succeeds or not (document 004); only an acknowledgement tells.
    async fn join(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let refused = |e: &Error| Refused::because(e, "Failed to join session").quietly();
        self.knows_its_way = true;
        let id = named(payload).ok_or_else(|| refused(&Error::SessionNotFound))?;
        let session = desk.session(&self.who, &id).await.map_err(|e| refused(&e))?;
        let person = match &self.who {
            Principal::Guest { .. } => session.visitor.clone(),
            Principal::Person { person, .. } => person.clone(),
            Principal::Delegate { realm, .. } => Person::new(*realm, SOME_ADMIN, Role::System),
        };
        let session = desk.join(&self.who, &person, &id).await.map_err(|e| refused(&e))?;
        let start = payload.get("lastSeq").and_then(Value::as_u64).map_or(Start::Now, Start::After);
        let (pages, known) = match &self.who {
            Principal::Guest { .. } => (vec![self.page_of(Role::Visitor)], true),
            Principal::Person { .. } => (vec![self.page_of(Role::Agent)], true),
            Principal::Delegate { .. } => (vec![self.some_page()], false),
        };
        let joined = line.join(silently(session, start, pages)).await.map_err(|e| refused(&e))?;
        self.note(id.clone(), known);
        Ok(json!({"ok": true, "sessionId": id.as_str(), "headSeq": joined.reach}))
    }

    async fn leave(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        self.knows_its_way = true;
        if let Some(id) = named(payload) {
            self.joined.retain(|(session, _)| *session != id);
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
        let (author, signed) = speaker(&self.who, &session, role, sender.as_deref()).ok_or_else(|| failed(&Error::Forbidden))?;
        self.come_back(line, session, role).await.map_err(|e| failed(&e))?;
        let post = Post { body, form: Form::Text, signed, client_key };
        let posted = desk.post_message(&self.who, author, &id, post).await.map_err(|e| failed(&e))?;
        Ok(wire::posted_ack(&posted))
    }

    /// Quirk: typing that cannot be passed on is dropped without a word (document 004).
    async fn typing(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let refused = |e: &Error| Refused::because(e, "Typing was not passed on").quietly();
        let id = text(payload, "sessionId").and_then(SessionId::parse).ok_or_else(|| refused(&Error::SessionNotFound))?;
        let role = text(payload, "userType").and_then(role_of).ok_or_else(|| refused(&Error::Forbidden))?;
        let session = desk.session(&self.who, &id).await.map_err(|e| refused(&e))?;
        let (person, _) = speaker(&self.who, &session, role, None).ok_or_else(|| refused(&Error::Forbidden))?;
        self.come_back(line, session, role).await.map_err(|e| refused(&e))?;
        let is_typing = payload.get("isTyping").and_then(Value::as_bool).unwrap_or(false);
        line.typing(desk, Typing { session: id, person, is_typing, extra: extra(payload) });
        Ok(json!({"ok": true}))
    }

    /// Frontends do not join again after their socket has come back: the first call that names a session joins it, from where the page's last
    /// socket left off. A socket that has joined or left by itself knows what it listens to; of that one only the part it plays is learned.
    async fn come_back(&mut self, line: &dyn Line, session: Session, role: Role) -> Result<(), Error> {
        let seat = self.joined.iter().find(|(joined, _)| *joined == session.id);
        let start = match seat {
            Some((_, true)) => return Ok(()),
            Some((_, false)) => Start::Now,
            None if self.knows_its_way => return Ok(()),
            None => Start::LeftOff,
        };
        let id = session.id.clone();
        line.join(silently(session, start, vec![self.page_of(role), self.some_page()])).await?;
        self.note(id, true);
        Ok(())
    }

    fn note(&mut self, id: SessionId, known: bool) {
        self.joined.retain(|(session, _)| *session != id);
        self.joined.push((id, known));
    }

    /// The name of this socket's page, by the part it plays.
    fn page_of(&self, role: Role) -> Arc<str> {
        match self.who.person() {
            Some(person) => page(&person.id, self.address),
            None => page(super::sender_type(role), self.address),
        }
    }

    /// The name of a page of which the part is not known.
    fn some_page(&self) -> Arc<str> {
        page("?", self.address)
    }

    async fn resume(&self, desk: &Desk, payload: &Value) -> Result<Value, Refused> {
        let refused = |e: &Error| Refused::because(e, "Failed to resume session").quietly();
        let id = named(payload).ok_or_else(|| refused(&Error::SessionNotFound))?;
        let last_seq = payload.get("lastSeq").and_then(Value::as_u64).unwrap_or(0);
        let resumed = desk.resume(&self.who, &id, last_seq).await.map_err(|e| refused(&e))?;
        let entries: Vec<Value> = resumed.entries.iter().map(views::resumed_entry).collect();
        Ok(json!({"ok": true, "entries": entries, "headSeq": resumed.head_seq, "complete": resumed.complete}))
    }
}

/// The session that a call names: the bare id, or an object with it.
fn named(payload: &Value) -> Option<SessionId> {
    payload.as_str().or_else(|| text(payload, "sessionId")).and_then(SessionId::parse)
}

/// Joins without a greeting: the contract has none, and its pages load what was said over REST.
fn silently(session: Session, start: Start, pages: Vec<Arc<str>>) -> Admission {
    Admission { session, start, history: 0, pages, greeting: Box::new(|_, _| Vec::new()) }
}

/// The fields that the contract does not know, which typing passes on as they are: texts, numbers and flags.
fn extra(payload: &Value) -> Option<Arc<str>> {
    let known = |name: &str| matches!(name, "sessionId" | "userType" | "isTyping");
    let plain = |value: &Value| !value.is_array() && !value.is_object();
    let fields = payload.as_object()?.iter().filter(|(name, value)| !known(name) && plain(value));
    let more: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    let text = Value::Object(more).to_string();
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    (!inside.is_empty() && inside.len() <= EXTRA_LIMIT).then(|| inside.into())
}
