//! What clients of `operators` may call, and what both sides share: the seat, joining, reading, refusals. Each side's calls stand beside.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{GREETING_LIMIT, MESSAGE_LIMIT, events, form_of, views};
use crate::dialect::wire::{self, Call, Frame, client_key, filled, invalid, refusal, text};
use crate::dialect::{Admission, Conversation, Greeting, Handshake, Joined, Line, Reply, Start};
use crate::domain::agent::Agent;
use crate::domain::desk::{Desk, Post, Posted, Reading};
use crate::domain::entry::{Body, BodyError, Entry, Form, trim};
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::ports::Signal;
use crate::domain::principal::{Person, Principal};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;

/// Every event that this contract takes, for the documents and their test.
pub const CALLS: &[&str] = &[
    "user-join-chat",
    "user-send-message",
    "user-typing",
    "operator-status-change",
    "operator-join-session",
    "operator-reconnect-session",
    "operator-send-message",
    "operator-typing",
    "operator-stop-typing",
    "operator-end-session",
    "get-message-history",
    "resume",
];

/// How many messages a page holds at most.
const PAGE_LIMIT: u32 = 100;

/// One socket: who calls, which visitor or operator it is, and where it listens.
pub(super) struct Seat {
    pub(super) who: Principal,
    pub(super) handshake: Handshake,
    /// The visitor that it is, and the session that it writes to.
    pub(super) visitor: Option<(Person, SessionId)>,
    /// The list that last replaced the visitor's without his page having asked.
    pub(super) replaced: Option<Replaced>,
    /// The operators who are there by it, the one who acted last at the end. Several where a delegate speaks for them.
    pub(super) agents: Vec<Agent>,
    /// The session that its operator opened last.
    pub(super) opened: Option<SessionId>,
    /// All sessions joined, with the person as each knows it.
    pub(super) joined: Vec<(SessionId, Person)>,
}

/// A list that a visitor's page was given.
#[derive(Clone)]
pub(super) struct Replaced {
    pub(super) at: Timestamp,
    /// The session before the one that he writes to, where the list begins with its last messages.
    pub(super) before: Option<SessionId>,
}

/// A call that was refused: the contract's code and text, and the acknowledgement that says the same.
pub(super) struct Refused {
    /// `None` where the contract ignores the call without a word.
    spoken: Option<(&'static str, &'static str)>,
    ack: Value,
}

impl Refused {
    /// Arguments are missing or wrong.
    pub(super) fn input(code: &'static str, message: &'static str) -> Self {
        Self { spoken: Some((code, message)), ack: invalid(code, message) }
    }

    /// The desk refused; `code` is the contract's for this call, `message` its text where the desk's reason has none of its own.
    pub(super) fn because(error: &Error, code: &'static str, message: &'static str) -> Self {
        let message = text_of(error).unwrap_or(message);
        Self { spoken: Some((code, message)), ack: refusal(error, message) }
    }

    /// The same without the contract's error: only an acknowledgement says it.
    pub(super) fn quietly(self) -> Self {
        Self { spoken: None, ..self }
    }
}

/// The texts that do not depend on the call.
fn text_of(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::SessionNotFound | Error::NotTheVisitor | Error::NotTheAgent => "Chat session does not exist",
        Error::AgentUnavailable => "Operator is not available for assignment",
        Error::Unauthenticated => "Authentication required",
        Error::Forbidden => "Not authorized",
        Error::RateLimited { .. } => "Too many requests",
        _ => return None,
    })
}

/// How a socket joins a session.
pub(super) struct Welcome {
    pub(super) start: Start,
    /// How many messages the greeting shows.
    pub(super) history: u32,
    pub(super) greeting: Greeting,
}

impl Welcome {
    /// Without a word.
    pub(super) fn silent() -> Self {
        Self { start: Start::Now, history: 0, greeting: Box::new(|_, _, _| Vec::new()) }
    }

    /// With the last messages, which replace what the page shows.
    pub(super) fn history() -> Self {
        Self::with(|session, messages, total| vec![events::latest(session, messages, total)])
    }

    /// With frames that are drawn from the last messages.
    pub(super) fn with(greeting: impl FnOnce(&Session, &[Entry], u64) -> Vec<Frame> + Send + 'static) -> Self {
        Self { start: Start::Latest, history: GREETING_LIMIT, greeting: Box::new(greeting) }
    }

    /// From the entry on that the client says it has.
    pub(super) fn since(self, payload: &Value) -> Self {
        match payload.get("lastSeq").and_then(Value::as_u64) {
            Some(last_seq) => Self { start: Start::After(last_seq), ..self },
            None => self,
        }
    }
}

#[async_trait]
impl Conversation for Seat {
    /// The operator's page says who it is in its handshake, also when its socket has come back by itself.
    async fn opened(&mut self, desk: &Desk, line: &dyn Line) -> Result<(), Error> {
        let asked = |name: &str| self.handshake.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        if let (Some("operator"), Some(id)) = (asked("type").as_deref(), asked("operatorId")) {
            // A refusal is said when the page does something.
            let _ = self.act_as(desk, line, &id).await;
        }
        Ok(())
    }

    async fn call(&mut self, desk: &Desk, line: &dyn Line, call: Call) -> Reply {
        let payload = &call.payload;
        let outcome = match call.event.as_str() {
            "user-join-chat" => self.join_chat(desk, line, payload).await,
            "user-send-message" => self.say(desk, line, payload).await,
            "user-typing" => self.visitor_types(desk, line, payload).await,
            "operator-status-change" => self.change_status(desk, line, payload).await,
            "operator-join-session" => self.take_session(desk, line, payload).await,
            "operator-reconnect-session" => self.enter_again(desk, line, payload).await,
            "operator-send-message" => self.answer(desk, line, payload).await,
            "operator-typing" => self.operator_types(desk, line, payload, true).await,
            "operator-stop-typing" => self.operator_types(desk, line, payload, false).await,
            "operator-end-session" => self.end_session(desk, line, payload).await,
            "get-message-history" => self.read(desk, line, payload).await,
            "resume" => self.resume(desk, payload).await,
            // Unknown events are ignored, as the original does; only an acknowledgement says so.
            _ => Err(Refused::input("UNKNOWN_EVENT", "Unknown event").quietly()),
        };
        match outcome {
            Ok(ack) => Reply { ack, error: None },
            Err(refused) => Reply { ack: refused.ack, error: refused.spoken.map(events::error) },
        }
    }

    async fn closed(&mut self, desk: &Desk, line: &dyn Line, reason: &'static str) {
        for (session, person) in std::mem::take(&mut self.joined) {
            line.leave(desk, &session).await;
            desk.signal(Signal::Left { session, person, at: desk.now(), reason }, line.id());
        }
        self.step_down(desk, line).await;
    }
}

impl Seat {
    pub(super) fn new(who: Principal, handshake: Handshake) -> Self {
        Self { who, handshake, visitor: None, replaced: None, agents: Vec::new(), opened: None, joined: Vec::new() }
    }

    /// Lets the person into the session, and joins the socket to its delivery.
    pub(super) async fn sit_down(
        &mut self,
        desk: &Desk,
        line: &dyn Line,
        (person, id): (Person, &SessionId),
        welcome: Welcome,
    ) -> Result<Joined, Error> {
        let session = desk.join(&self.who, &person, id).await?;
        let person = session.introduce(person);
        let Welcome { start, history, greeting } = welcome;
        let joined = line.join(Admission { session, start, history, pages: Vec::new(), greeting }).await?;
        self.joined.retain(|(s, _)| s != id && line.listens_to(s));
        self.joined.push((id.clone(), person));
        Ok(joined)
    }

    pub(super) fn listens_to(&self, id: &SessionId) -> bool {
        self.joined.iter().any(|(session, _)| session == id)
    }

    /// A page of messages. A session's id opens them, as everywhere in this contract.
    async fn read(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        const CODE: &str = "HISTORY_LOAD_FAILED";
        let failed = |e: &Error| Refused::because(e, CODE, "Failed to load message history");
        let named = filled(payload, "sessionId").ok_or_else(|| Refused::input("MISSING_SESSION_ID", "Session ID is required"))?;
        let id = SessionId::parse(named).ok_or_else(|| failed(&Error::SessionNotFound))?;
        let number =
            |field: &str| payload.get(field).and_then(|v| v.as_f64().or_else(|| v.as_str()?.parse().ok())).filter(|n| n.is_finite());
        // Whole ones: what is behind the point is cut off, and what does not fit is brought to the nearest that does.
        let limit = number("limit").map_or(GREETING_LIMIT, |n| (n as u32).clamp(1, PAGE_LIMIT));
        let offset = number("offset").map_or(0, |n| n as u64);
        let wanted = Reading { offset, limit, ..Reading::default() };
        let history = desk.read(&self.who, &id, wanted).await.map_err(|e| failed(&e))?;
        line.send(&events::history(&history, limit, offset)).await;
        Ok(json!({"ok": true, "sessionId": id.as_str()}))
    }

    async fn resume(&self, desk: &Desk, payload: &Value) -> Result<Value, Refused> {
        let failed = |e: &Error| Refused::because(e, "HISTORY_LOAD_FAILED", "Failed to resume session");
        let named = filled(payload, "sessionId").ok_or_else(|| Refused::input("MISSING_SESSION_ID", "Session ID is required"))?;
        let id = SessionId::parse(named).ok_or_else(|| failed(&Error::SessionNotFound))?;
        let last_seq = payload.get("lastSeq").and_then(Value::as_u64).unwrap_or(0);
        let resumed = desk.resume(&self.who, &id, last_seq).await.map_err(|e| failed(&e))?;
        let entries: Vec<Value> = resumed.entries.iter().map(views::resumed_entry).collect();
        Ok(json!({"ok": true, "entries": entries, "headSeq": resumed.head_seq, "complete": resumed.complete}))
    }
}

/// What a call wants to say: its text is trimmed, and people do not write lines of the system. `None` where there is no text.
pub(super) fn post(payload: &Value) -> Result<Option<Post>, Refused> {
    let wrong = |code: &str| Refused {
        ack: invalid(code, "Failed to send message"),
        ..Refused::input("MESSAGE_SEND_FAILED", "Failed to send message")
    };
    let form = match payload.get("messageType") {
        None | Some(Value::Null) => Form::Text,
        Some(kind) => kind.as_str().and_then(form_of).filter(|f| *f != Form::Notice).ok_or_else(|| wrong("INVALID_MESSAGE_TYPE"))?,
    };
    let client_key = client_key(payload).map_err(|_| wrong("INVALID_CLIENT_KEY"))?;
    match Body::parse(trim(text(payload, "content").unwrap_or_default()), MESSAGE_LIMIT) {
        Ok(body) => Ok(Some(Post { form, ..Post::text(body, client_key) })),
        Err(BodyError::Blank) => Ok(None),
        Err(BodyError::TooLong) => Err(wrong("MESSAGE_TOO_LONG")),
    }
}

/// Why a message was not stored.
pub(super) fn not_sent(error: &Error) -> Refused {
    let message = match error {
        Error::SessionEnded(_) => "Cannot send message to closed session",
        _ => "Failed to send message",
    };
    Refused::because(error, "MESSAGE_SEND_FAILED", message)
}

/// The acknowledgement of a stored message, with the session that took it.
pub(super) fn sent(posted: &Posted) -> Value {
    views::with(wire::posted_ack(posted), [("sessionId", posted.entry.session.as_str().into())])
}
