//! What clients of `support` may call, and what each call answers.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{GREETING_LIMIT, MESSAGE_LIMIT, events, named_person, role_of, status_word, views};
use crate::dialect::wire::{self, Call, Frame, client_key, filled, invalid, refusal, text};
use crate::dialect::{Admission, Conversation, Joined, Line, Reply, Start, Typing};
use crate::domain::desk::{Desk, Entered, Post};
use crate::domain::entry::{Body, BodyError};
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::ports::Signal;
use crate::domain::principal::{Person, Principal, Realm, Role};

/// Every event that this contract takes, for the documents and their test.
pub const CALLS: &[&str] = &["join_session", "leave_session", "send_message", "typing_start", "typing_stop", "typing", "resume"];

/// One socket: who it is, where it sits, and where else it listens.
pub(super) struct Seat {
    who: Principal,
    /// The person it acts as; for a privileged caller bound by the first join.
    person: Option<Person>,
    /// The session joined last: messages and typing go there.
    current: Option<SessionId>,
    /// All sessions joined, with the person as each knows it.
    joined: Vec<(SessionId, Person)>,
}

/// A call that was refused: the contract's text, and the acknowledgement that says the same.
struct Refused {
    message: &'static str,
    ack: Value,
}

impl Refused {
    fn input(code: &'static str, message: &'static str) -> Self {
        Self { message, ack: invalid(code, message) }
    }

    fn because(error: &Error, message: &'static str) -> Self {
        Self { message, ack: refusal(error, message) }
    }
}

#[async_trait]
impl Conversation for Seat {
    /// An agent may have lost a session to somebody of another contract: then he is out of it, and the others need not hear that he leaves.
    async fn summoned(&mut self, desk: &Desk, line: &dyn Line, session: &SessionId, _: u64) {
        let Some(at) = self.joined.iter().position(|(s, _)| s == session) else { return };
        let may_stay = match self.joined.get(at) {
            Some((_, person)) => !matches!(desk.join(&self.who, person, session).await, Err(Error::NotTheAgent)),
            None => true,
        };
        if !may_stay {
            self.joined.remove(at);
            self.current.take_if(|c| c == session);
            line.leave(desk, session).await;
        }
    }

    async fn call(&mut self, desk: &Desk, line: &dyn Line, call: Call) -> Reply {
        let payload = &call.payload;
        let outcome = match call.event.as_str() {
            "join_session" => self.join(desk, line, payload).await,
            "leave_session" => self.leave(desk, line, payload).await,
            "send_message" => self.send(desk, line, payload).await,
            "typing_start" => self.typing(desk, line, payload, true).await,
            "typing_stop" => self.typing(desk, line, payload, false).await,
            "typing" => self.typing(desk, line, payload, payload.get("isTyping").and_then(Value::as_bool).unwrap_or(false)).await,
            "resume" => self.resume(desk, payload).await,
            // Unknown events are ignored, as the original does; only an acknowledgement says so.
            _ => return Reply { ack: invalid("UNKNOWN_EVENT", "Unknown event"), error: None },
        };
        match outcome {
            Ok(ack) => Reply { ack, error: None },
            Err(refused) => Reply { ack: refused.ack, error: Some(events::error(refused.message)) },
        }
    }

    async fn closed(&mut self, desk: &Desk, line: &dyn Line, reason: &'static str) {
        for (session, person) in std::mem::take(&mut self.joined) {
            line.leave(desk, &session).await;
            desk.signal(Signal::Left { session, person, at: desk.now(), reason }, line.id());
        }
    }
}

impl Seat {
    pub(super) fn new(who: Principal) -> Self {
        Self { who, person: None, current: None, joined: Vec::new() }
    }

    async fn join(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        // Quirk: the design card's union allows the bare session id.
        let named = payload.as_str().filter(|t| !t.is_empty()).or_else(|| filled(payload, "sessionId"));
        let named = named.ok_or_else(|| Refused::input("SESSION_ID_REQUIRED", "SessionId is required"))?;
        let id = SessionId::parse(named).ok_or_else(|| Refused::because(&Error::SessionNotFound, "Failed to join session"))?;
        let person =
            self.person_to_join_as(payload).ok_or_else(|| Refused::because(&Error::Forbidden, "Unauthorized to join this session"))?;
        let last_seq = payload.get("lastSeq").and_then(Value::as_u64);
        let entered = desk.join_or_take(&self.who, &person, &id).await.map_err(|e| Refused::because(&e, join_text(&e)))?;
        let joined = self.sit_down(desk, line, person, (entered, last_seq)).await?;
        Ok(json!({"ok": true, "sessionId": id.as_str(), "status": status_word(joined.status), "headSeq": joined.reach}))
    }

    /// Listens as `person`, who has been let in, and greets.
    async fn sit_down(
        &mut self,
        desk: &Desk,
        line: &dyn Line,
        person: Person,
        (entered, last_seq): (Entered, Option<u64>),
    ) -> Result<Joined, Refused> {
        let Entered { session, has_taken } = entered;
        let id = session.id.clone();
        let person = session.introduce(person);
        let admission = Admission {
            session,
            start: last_seq.map_or(Start::Now, Start::After),
            history: GREETING_LIMIT,
            pages: Vec::new(),
            greeting: Box::new(|session, messages, _| vec![Frame::new("session_joined", &views::session_joined(session, messages))]),
        };
        // The others hear of it before the greeting, so that whoever joins after the greeting does not hear of it at all.
        // Where this call made it his, the log tells them.
        if !has_taken {
            desk.signal(Signal::Joined { session: id.clone(), person: person.clone(), at: desk.now() }, line.id());
        }
        let joined = match line.join(admission).await {
            Ok(joined) => joined,
            Err(error) => {
                desk.signal(Signal::Left { session: id, person, at: desk.now(), reason: "left session" }, line.id());
                return Err(Refused::because(&error, join_text(&error)));
            }
        };
        self.person = Some(person.clone());
        self.current = Some(id.clone());
        self.joined.retain(|(s, _)| *s != id);
        self.joined.push((id, person));
        Ok(joined)
    }

    /// Frontends do not join again after their socket has reconnected. The first call that names a session of the token's person joins it,
    /// as the person's page did before; `session_joined` replaces what the page shows. Where that is refused, the call is answered as ever.
    async fn join_again(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) {
        let person = self.who.person().filter(|p| p.role != Role::System).cloned();
        let named = filled(payload, "sessionId").and_then(SessionId::parse);
        if let (true, Some(person), Some(id)) = (self.joined.is_empty(), person, named)
            && let Ok(session) = desk.join(&self.who, &person, &id).await
        {
            let _ = self.sit_down(desk, line, person, (Entered { session, has_taken: false }, None)).await;
        }
    }

    /// Whom this socket joins as: the person of its credential, else the one that the call names; `None` where the two disagree.
    fn person_to_join_as(&self, payload: &Value) -> Option<Person> {
        let id = filled(payload, "userId").or_else(|| filled(payload, "agentId"));
        let role = text(payload, "userType").map(role_of);
        let bound = self.who.person().filter(|p| p.role != Role::System).or(self.person.as_ref());
        if let Some(person) = bound {
            let agrees = id.is_none_or(|i| *i == *person.id) && role.is_none_or(|r| r == Some(person.role));
            return agrees.then(|| person.clone());
        }
        match (id, role) {
            (None, _) => Some(self.who.person().cloned().unwrap_or_else(|| named_person("system", Role::System))),
            (Some(_), Some(None)) => None,
            (Some(id), role) => Some(Person::new(Realm::Support, id, role.flatten().unwrap_or(Role::Visitor))),
        }
    }

    async fn leave(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let named = payload.as_str().or_else(|| text(payload, "sessionId")).and_then(SessionId::parse);
        let at = self.joined.iter().position(|(s, _)| Some(s) == named.as_ref());
        if let Some(at) = at {
            let (session, person) = self.joined.remove(at);
            line.leave(desk, &session).await;
            self.current.take_if(|c| *c == session);
            desk.signal(Signal::Left { session, person, at: desk.now(), reason: "left session" }, line.id());
        }
        Ok(json!({"ok": true}))
    }

    async fn send(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        self.join_again(desk, line, payload).await;
        let invalid = || Refused::input("INVALID_MESSAGE", "Invalid message data");
        let current = self.current.as_ref().ok_or_else(invalid)?;
        let named = filled(payload, "sessionId").ok_or_else(invalid)?;
        let said = filled(payload, "message").or_else(|| filled(payload, "content")).ok_or_else(invalid)?;
        if !named.eq_ignore_ascii_case(current.as_str()) {
            return Err(Refused::because(&Error::Forbidden, "Not authorized for this session"));
        }
        let body = Body::parse(said, MESSAGE_LIMIT).map_err(|e| match e {
            BodyError::Blank => Refused::input("INVALID_MESSAGE", "Failed to send message"),
            BodyError::TooLong => Refused::input("MESSAGE_TOO_LONG", "Failed to send message"),
        })?;
        let client_key = client_key(payload).map_err(|_| Refused::input("INVALID_CLIENT_KEY", "Invalid message data"))?;
        let author = self.person.clone().ok_or_else(invalid)?;
        let posted = desk.post_message(&self.who, author, current, Post::text(body, client_key)).await;
        posted.map(|p| wire::posted_ack(&p)).map_err(|e| Refused::because(&e, send_text(&e)))
    }

    async fn typing(&mut self, desk: &Desk, line: &dyn Line, payload: &Value, is_typing: bool) -> Result<Value, Refused> {
        self.join_again(desk, line, payload).await;
        let here = self.current.as_ref().filter(|c| text(payload, "sessionId").is_some_and(|s| s.eq_ignore_ascii_case(c.as_str())));
        // Quirk: typing in a session that is not the joined one is ignored without a word (document 001).
        if let (Some(session), Some(person)) = (here.cloned(), self.person.clone()) {
            line.typing(desk, Typing { session, person, is_typing, extra: None });
            return Ok(json!({"ok": true}));
        }
        Ok(json!({"ok": false, "code": "NOT_JOINED", "message": "Not joined to this session", "retryable": false}))
    }

    async fn resume(&self, desk: &Desk, payload: &Value) -> Result<Value, Refused> {
        let id = text(payload, "sessionId").and_then(SessionId::parse);
        let id = id.ok_or_else(|| Refused::because(&Error::SessionNotFound, "Session not found"))?;
        let last_seq = payload.get("lastSeq").and_then(Value::as_u64).unwrap_or(0);
        let resumed = desk.resume(&self.who, &id, last_seq).await.map_err(|e| Refused::because(&e, resume_text(&e)))?;
        let entries: Vec<Value> = resumed.entries.iter().map(views::resumed_entry).collect();
        Ok(json!({"ok": true, "entries": entries, "headSeq": resumed.head_seq, "complete": resumed.complete}))
    }
}

fn join_text(error: &Error) -> &'static str {
    match error {
        Error::NotTheVisitor => "Unauthorized to join this session",
        Error::NotTheAgent => "Agent not assigned to this session",
        Error::RateLimited { .. } => "Too many requests",
        _ => "Failed to join session",
    }
}

fn resume_text(error: &Error) -> &'static str {
    match error {
        Error::SessionNotFound => "Session not found",
        _ => "Failed to resume session",
    }
}

fn send_text(error: &Error) -> &'static str {
    match error {
        Error::SessionEnded(_) => "Session has ended",
        Error::SessionNotFound => "Not authorized for this session",
        Error::RateLimited { .. } => "Too many requests",
        _ => "Failed to send message",
    }
}
