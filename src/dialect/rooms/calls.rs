//! What clients of `rooms` may call, and what each call answers.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{events, status_of, views};
use crate::dialect::wire::{Call, invalid, refusal, text};
use crate::dialect::{Conversation, Line, Reply};
use crate::domain::desk::Desk;
use crate::domain::error::Error;
use crate::domain::ids::AccountId;
use crate::domain::ports::Audience;
use crate::domain::principal::{Person, Principal, Realm, Role};
use crate::http::status;

/// Every event that this contract takes, for the documents and their test.
pub const CALLS: &[&str] = &["agent-status-update", "get-online-users", "get-online-agents"];

/// One socket, and whose it is.
pub(super) struct Seat {
    who: Principal,
}

/// A call that was refused: the contract's text, and the acknowledgement that says the same.
struct Refused {
    message: Option<&'static str>,
    ack: Value,
}

impl Refused {
    fn because(error: &Error, message: &'static str) -> Self {
        Self { message: Some(message), ack: refusal(error, message) }
    }
}

#[async_trait]
impl Conversation for Seat {
    async fn opened(&mut self, desk: &Desk, line: &dyn Line) {
        let Some(person) = self.who.person() else { return };
        line.attend(&Audience::Person(person.key().into()));
        if self.who.is_staff() {
            line.attend(&Audience::Agents(Realm::Rooms));
        }
        log(desk.person_arrived(person, line.id()).await);
    }

    async fn call(&mut self, desk: &Desk, line: &dyn Line, call: Call) -> Reply {
        let payload = &call.payload;
        let outcome = match call.event.as_str() {
            "agent-status-update" => self.declare(desk, payload).await,
            "get-online-users" => self.online_users(desk, line).await,
            "get-online-agents" => self.online_agents(desk, line).await,
            // Unknown events are ignored, as the original does; only an acknowledgement says so.
            _ => Err(Refused { message: None, ack: invalid("UNKNOWN_EVENT", "Unknown event") }),
        };
        match outcome {
            Ok(()) => Reply { ack: json!({"ok": true}), error: None },
            Err(refused) => Reply { ack: refused.ack, error: refused.message.map(events::error) },
        }
    }

    async fn closed(&mut self, desk: &Desk, line: &dyn Line, _: &'static str) {
        if let Some(person) = self.who.person() {
            log(desk.person_left(person, line.id()).await);
        }
    }
}

impl Seat {
    pub(super) fn new(who: Principal) -> Self {
        Self { who }
    }

    /// `agent-status-update`, for agents and admins.
    async fn declare(&self, desk: &Desk, payload: &Value) -> Result<(), Refused> {
        let person = self.staff()?;
        let wrong = Refused { message: Some("Invalid status"), ack: invalid("INVALID_STATUS", "Invalid status") };
        let to = text(payload, "status").and_then(status_of).ok_or(wrong)?;
        let id = AccountId::stored(person.id.clone());
        desk.declare_status(&self.who, &id, to).await.map(drop).map_err(|e| Refused::because(&e, "Failed to update status"))
    }

    /// `get-online-users`: admins hear of everybody, others of nobody as long as they share no room with anybody.
    async fn online_users(&self, desk: &Desk, line: &dyn Line) -> Result<(), Refused> {
        let rows = match self.who.person().map(|p| p.role) {
            Some(Role::Admin) => {
                let roles = [Role::Visitor, Role::Agent, Role::Admin];
                let all = desk.accounts(&self.who, &roles).await.map_err(|e| Refused::because(&e, "Failed to get online users"))?;
                let there = all.iter().filter_map(|a| desk.connection_of(&a.person()).map(|conn| views::online_user(a, &conn)));
                there.collect()
            }
            _ => Vec::new(),
        };
        line.send(&events::online_users(&rows)).await;
        Ok(())
    }

    /// `get-online-agents`: admins hear of all of them, agents of all others, users of nobody as long as no agent is assigned to them.
    async fn online_agents(&self, desk: &Desk, line: &dyn Line) -> Result<(), Refused> {
        let mut rows = Vec::new();
        if let Ok(person) = self.staff() {
            let all = desk.accounts(&self.who, &[Role::Agent, Role::Admin]).await;
            let all = all.map_err(|e| Refused::because(&e, "Failed to get online agents"))?;
            let is_shown = |id: &str| person.role == Role::Admin || *id != *person.id;
            let there = all.iter().filter(|a| is_shown(a.id.as_str()) && desk.connection_of(&a.person()).is_some());
            rows = there.map(|a| views::user(desk, a, true)).collect();
        }
        line.send(&events::online_agents(&rows)).await;
        Ok(())
    }

    fn staff(&self) -> Result<&Person, Refused> {
        let person = self.who.person().filter(|_| self.who.is_staff());
        person.ok_or_else(|| Refused::because(&Error::Forbidden, "Permission denied"))
    }
}

fn log(done: Result<(), Error>) {
    if let Err(error) = done {
        status::log(&error);
    }
}
