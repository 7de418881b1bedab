//! What clients of `rooms` may call, and what each call answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::views::Eyes;
use super::{events, room, said, status_of, views};
use crate::dialect::wire::{Call, invalid, posted_ack, refusal, text};
use crate::dialect::{Admission, Conversation, Line, Reply, Start, Typing};
use crate::domain::desk::Desk;
use crate::domain::entry::Body;
use crate::domain::error::Error;
use crate::domain::ids::{AccountId, EntryId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::principal::{Person, Principal, Realm, Role};
use crate::domain::session::Session;
use crate::http::status;

/// Every event that this contract takes, for the documents and their test.
pub const CALLS: &[&str] = &[
    "join-room",
    "leave-room",
    "send-message",
    "message-delivered",
    "message-read",
    "typing",
    "set-active-chat",
    "edit-message",
    "delete-message",
    "resume",
    "agent-status-update",
    "get-online-users",
    "get-online-agents",
];

/// How many messages `chat-history` shows: the oldest (document 002).
const GREETING_LIMIT: u32 = 20;

/// One socket, and whose it is.
pub(super) struct Seat {
    who: Principal,
    /// The room that its page shows.
    viewed: Option<SessionId>,
}

/// A call that was refused: the contract's text, where it has one, and the acknowledgement.
struct Refused {
    message: Option<&'static str>,
    ack: Value,
}

impl Refused {
    fn because(error: &Error, message: &'static str) -> Self {
        Self { message: Some(message), ack: refusal(error, message) }
    }

    fn input(code: &'static str, message: &'static str) -> Self {
        Self { message: Some(message), ack: invalid(code, message) }
    }

    /// The same without the contract's `error` event.
    fn quietly(self) -> Self {
        Self { message: None, ..self }
    }
}

#[async_trait]
impl Conversation for Seat {
    async fn opened(&mut self, desk: &Desk, line: &dyn Line) -> Result<(), Error> {
        let Some(person) = self.who.person() else { return Ok(()) };
        line.attend(&Audience::Person(person.key().into()));
        if self.who.is_staff() {
            line.attend(&Audience::Agents(Realm::Rooms));
        }
        if desk.demand_admin(&self.who).is_ok() {
            line.attend(&Audience::Admins(Realm::Rooms));
        }
        let (now, since) = (desk.now(), desk.login_began(&self.who));
        for session in desk.own_sessions(&self.who).await? {
            match self.listen(line, session, Start::Again { now, since }).await {
                // Whoever has more rooms, or was sent away this moment, has the others.
                Err(error @ Error::Unavailable(_)) => return Err(error),
                done => log(done),
            }
        }
        desk.person_arrived(person, line.id()).await
    }

    async fn summoned(&mut self, desk: &Desk, line: &dyn Line, id: &SessionId, after: u64) {
        match desk.session(&self.who, id).await {
            Ok(session) => log(self.listen(line, session, Start::Behind(after)).await),
            Err(Error::SessionNotFound | Error::Forbidden) => {
                log(desk.look_at(&self.who, line.id(), self.viewed.take_if(|v| v == id).as_ref(), None).await);
                line.leave(desk, id).await;
            }
            Err(error) => status::log(&error),
        }
    }

    async fn call(&mut self, desk: &Desk, line: &dyn Line, call: Call) -> Reply {
        let payload = &call.payload;
        let outcome = match call.event.as_str() {
            "join-room" => self.join(desk, line, payload).await,
            "leave-room" => self.leave(desk, line, payload).await,
            "send-message" => self.send(desk, payload).await,
            "message-delivered" => self.receive(desk, line, payload, false).await,
            "message-read" => self.receive(desk, line, payload, true).await,
            "typing" => self.typing(desk, line, payload),
            "set-active-chat" => self.view(desk, line, payload).await,
            "edit-message" => self.edit(desk, payload).await,
            "delete-message" => self.delete(desk, payload).await,
            "resume" => self.resume(desk, payload).await,
            "agent-status-update" => self.declare(desk, payload).await,
            "get-online-users" => self.online_users(desk, line).await,
            "get-online-agents" => self.online_agents(desk, line).await,
            // Unknown events are ignored, as the original does; only an acknowledgement says so.
            _ => Err(Refused::input("UNKNOWN_EVENT", "Unknown event").quietly()),
        };
        match outcome {
            Ok(ack) => Reply { ack, error: None },
            Err(refused) => Reply { ack: refused.ack, error: refused.message.map(events::error) },
        }
    }

    async fn closed(&mut self, desk: &Desk, line: &dyn Line, _: &'static str) {
        log(desk.look_at(&self.who, line.id(), self.viewed.take().as_ref(), None).await);
        if let Some(person) = self.who.person() {
            log(desk.person_left(person, line.id()).await);
        }
    }
}

impl Seat {
    pub(super) fn new(who: Principal) -> Self {
        Self { who, viewed: None }
    }

    /// Joins the room's delivery without a greeting.
    async fn listen(&self, line: &dyn Line, session: Session, start: Start) -> Result<(), Error> {
        let admission = Admission { session, start, history: 0, pages: self.pages(), greeting: Box::new(|_, _, _| Vec::new()) };
        line.join(admission).await.map(drop)
    }

    /// A page is known by its login: after a cut its socket comes back with it.
    fn pages(&self) -> Vec<Arc<str>> {
        self.who.login().map(|login| Arc::from(login.as_str())).into_iter().collect()
    }

    fn person(&self) -> Result<&Person, Refused> {
        self.who.person().ok_or_else(|| Refused::because(&Error::Unauthenticated, "Permission denied"))
    }

    /// `join-room`: self `chat-history`, others `user-joined-room`.
    async fn join(&self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let failed = || Refused::input("INVALID_ROOM_ID", "Failed to join room");
        let (id, person) = (room_of(payload).ok_or_else(failed)?, self.person()?.clone());
        let refuse = |e: Error| match e {
            Error::NotTheVisitor | Error::NotTheAgent => Refused::because(&Error::SessionNotFound, "Chat room not found"),
            other => Refused::because(&other, join_text(&other)),
        };
        let session = desk.join(&self.who, &person, &id).await.map_err(refuse)?;
        let (last_seq, eyes) = (payload.get("lastSeq").and_then(Value::as_u64), self.who.clone());
        if last_seq.is_some() {
            // It says what it has; whatever was delivered to it before counts for nothing.
            line.leave(desk, &id).await;
        }
        let admission = Admission {
            session,
            start: last_seq.map_or(Start::Now, Start::After),
            history: GREETING_LIMIT,
            pages: self.pages(),
            greeting: Box::new(move |session, messages, _| vec![events::chat_history(session, messages, Eyes::of(&eyes))]),
        };
        // Before the greeting, so that whoever joins after it does not hear of this one.
        desk.signal(Signal::Joined { session: id.clone(), person: person.clone(), at: desk.now() }, line.id());
        let joined = match line.join(admission).await {
            Ok(joined) => joined,
            Err(error) => {
                desk.signal(Signal::Left { session: id, person, at: desk.now(), reason: "left room" }, line.id());
                return Err(Refused::because(&error, join_text(&error)));
            }
        };
        Ok(json!({"ok": true, "chatRoomId": id.as_str(), "headSeq": joined.reach}))
    }

    /// `leave-room`: others `user-left-room`. The next connection is in the room again.
    async fn leave(&self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let person = self.person()?.clone();
        if let Some(session) = room_of(payload).filter(|id| line.listens_to(id)) {
            line.leave(desk, &session).await;
            desk.signal(Signal::Left { session, person, at: desk.now(), reason: "left room" }, line.id());
        }
        Ok(json!({"ok": true}))
    }

    /// `send-message`: `new-message` to the room, the sender too.
    async fn send(&self, desk: &Desk, payload: &Value) -> Result<Value, Refused> {
        let post = said::post(payload).map_err(|e| Refused::input(e.0, "Failed to send message"))?;
        // Quirk: this is the text for any lack of rights, in any kind of room (document 002).
        let denied = "Only assigned agents can initiate conversation in support chat rooms";
        let id = room_of(payload).ok_or_else(|| Refused::because(&Error::SessionNotFound, denied))?;
        let author = self.person()?.clone();
        let posted = desk.post_message(&self.who, author, &id, post).await.map_err(|e| {
            let text = match &e {
                Error::SessionNotFound | Error::Forbidden => denied,
                Error::SessionEnded(_) => "Chat room is closed",
                Error::RateLimited { .. } => "Too many requests",
                _ => "Failed to send message",
            };
            Refused::because(&e, text)
        })?;
        Ok(posted_ack(&posted))
    }

    /// `message-delivered`, `message-read`: `message-status-updated` to the others. Whatever is wrong with them, the contract has no error for it.
    async fn receive(&self, desk: &Desk, line: &dyn Line, payload: &Value, is_read: bool) -> Result<Value, Refused> {
        let id = message_of(payload).ok_or_else(|| Refused::input("INVALID_MESSAGE_ID", "Message ID is required").quietly())?;
        let noted = desk.note_receipt(&self.who, &id, is_read, Some(line.id())).await;
        noted.map_err(|e| Refused::because(&e, "Message not found").quietly())?;
        Ok(json!({"ok": true}))
    }

    /// `typing`: `user-typing` to the others. In a room that the socket is not in, nobody hears of it.
    fn typing(&self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let here = room_of(payload).filter(|id| line.listens_to(id));
        let session = here.ok_or_else(|| Refused::input("NOT_JOINED", "Not joined to this room").quietly())?;
        let is_typing = payload.get("isTyping").and_then(Value::as_bool).unwrap_or(false);
        line.typing(desk, Typing { session, person: self.person()?.clone(), is_typing, extra: None });
        Ok(json!({"ok": true}))
    }

    /// `set-active-chat`: the room that the page shows, or none.
    async fn view(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let to = match payload.get("chatRoomId") {
            None | Some(Value::Null) => None,
            Some(_) => Some(room_of(payload).ok_or_else(|| Refused::input("INVALID_ROOM_ID", "Chat room not found").quietly())?),
        };
        let from = self.viewed.take();
        let looked = desk.look_at(&self.who, line.id(), from.as_ref(), to.as_ref()).await;
        looked.map_err(|e| Refused::because(&e, "Chat room not found").quietly())?;
        self.viewed = to;
        Ok(json!({"ok": true}))
    }

    /// `edit-message`: `message-edited` to the room.
    async fn edit(&self, desk: &Desk, payload: &Value) -> Result<Value, Refused> {
        let id = message_of(payload).ok_or_else(|| Refused::input("INVALID_MESSAGE_ID", "Message not found"))?;
        let body = said::content(payload).map_err(|e| Refused::input(e.0, said::content_text(&e)))?;
        let edited = desk.edit_message(&self.who, &id, body).await;
        let (_, message) = edited.map_err(|e| Refused::because(&e, change_text(&e)))?;
        Ok(json!({"ok": true, "id": id.as_str(), "seq": message.fate.edit_seq}))
    }

    /// `delete-message`: `message-deleted` to the room.
    async fn delete(&self, desk: &Desk, payload: &Value) -> Result<Value, Refused> {
        let id = message_of(payload).ok_or_else(|| Refused::input("INVALID_MESSAGE_ID", "Message not found"))?;
        let deleted = desk.delete_message(&self.who, &id, Body::stored(room::DELETED)).await;
        let (_, message) = deleted.map_err(|e| Refused::because(&e, change_text(&e)))?;
        Ok(json!({"ok": true, "id": id.as_str(), "seq": message.fate.edit_seq}))
    }

    /// `resume`: what a client that knows `seq` has missed.
    async fn resume(&self, desk: &Desk, payload: &Value) -> Result<Value, Refused> {
        let id = room_of(payload).ok_or_else(|| Refused::because(&Error::SessionNotFound, "Chat room not found"))?;
        let last_seq = payload.get("lastSeq").and_then(Value::as_u64).unwrap_or(0);
        let resumed = desk.resume(&self.who, &id, last_seq).await.map_err(|e| Refused::because(&e, join_text(&e)))?;
        let entries: Vec<Value> = resumed.entries.iter().map(|e| room::resumed_entry(e, Eyes::of(&self.who))).collect();
        Ok(json!({"ok": true, "entries": entries, "headSeq": resumed.head_seq, "complete": resumed.complete}))
    }

    /// `agent-status-update`, for agents and admins.
    async fn declare(&self, desk: &Desk, payload: &Value) -> Result<Value, Refused> {
        if !self.who.is_staff() {
            return Err(Refused::because(&Error::Forbidden, "Permission denied"));
        }
        let to = text(payload, "status").and_then(status_of).ok_or_else(|| Refused::input("INVALID_STATUS", "Invalid status"))?;
        let id = AccountId::stored(Arc::clone(&self.person()?.id));
        desk.declare_status(&self.who, &id, to).await.map_err(|e| Refused::because(&e, "Failed to update status"))?;
        Ok(json!({"ok": true}))
    }

    /// `get-online-users`: admins hear of everybody, agents of the users in their rooms, users of nobody.
    async fn online_users(&self, desk: &Desk, line: &dyn Line) -> Result<Value, Refused> {
        let failed = |e: Error| Refused::because(&e, "Failed to get online users");
        let people = match self.person()?.role {
            Role::Admin => desk.accounts(&self.who, &[Role::Visitor, Role::Agent, Role::Admin]).await.map_err(failed)?,
            Role::Agent => {
                let people = desk.companions(&self.who).await.map_err(failed)?;
                people.into_iter().filter(|a| a.role == Role::Visitor).collect()
            }
            Role::Visitor | Role::System => Vec::new(),
        };
        let known = desk.known(people).await.map_err(failed)?;
        let there = known.iter().filter_map(|k| k.conn.as_ref().map(|conn| views::online_user(&k.account, conn)));
        line.send(&events::online_users(&there.collect::<Vec<_>>())).await;
        Ok(json!({"ok": true}))
    }

    /// `get-online-agents`: admins hear of all of them, agents of all others, users of those in their rooms.
    async fn online_agents(&self, desk: &Desk, line: &dyn Line) -> Result<Value, Refused> {
        let failed = |e: Error| Refused::because(&e, "Failed to get online agents");
        let person = self.person()?;
        let mut agents = match person.role {
            Role::Visitor => desk.companions(&self.who).await.map_err(failed)?,
            Role::Agent | Role::Admin | Role::System => desk.accounts(&self.who, &[Role::Agent, Role::Admin]).await.map_err(failed)?,
        };
        let is_shown = |id: &str| person.role == Role::Admin || *id != *person.id;
        agents.retain(|a| a.role.answers() && is_shown(a.id.as_str()));
        let known = desk.known(agents).await.map_err(failed)?;
        let rows: Vec<Value> = known.iter().filter(|k| k.is_here()).map(|k| views::user(k, self.who.is_staff())).collect();
        line.send(&events::online_agents(&rows)).await;
        Ok(json!({"ok": true}))
    }
}

fn room_of(payload: &Value) -> Option<SessionId> {
    text(payload, "chatRoomId").and_then(SessionId::parse)
}

fn message_of(payload: &Value) -> Option<EntryId> {
    text(payload, "messageId").and_then(EntryId::parse)
}

fn join_text(error: &Error) -> &'static str {
    match error {
        Error::SessionNotFound => "Chat room not found",
        Error::Forbidden => "Access denied to chat room",
        Error::RateLimited { .. } => "Too many requests",
        _ => "Failed to join room",
    }
}

fn change_text(error: &Error) -> &'static str {
    match error {
        Error::Forbidden => "You can only change your own messages",
        Error::MessageDeleted => "Message was deleted",
        Error::RateLimited { .. } => "Too many requests",
        Error::MessageNotFound => "Message not found",
        _ => "Failed to change message",
    }
}

fn log(done: Result<(), Error>) {
    if let Err(error) = done {
        status::log(&error);
    }
}
