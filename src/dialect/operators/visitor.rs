//! The visitor's calls: coming, writing, typing. Rules are the desk's.

use serde_json::{Value, json};

use super::calls::{Refused, Replaced, Seat, Welcome, not_sent, post, sent};
use super::{GREETING_LIMIT, events, name, person_id};
use crate::dialect::wire::{filled, text};
use crate::dialect::{Line, Start, Typing};
use crate::domain::desk::{Desk, Opening, Posted};
use crate::domain::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::principal::{Person, Principal, Realm, Role};

/// How long after the list of a page was replaced a message may be on its way that the page shows already and the list does not have.
const IN_FLIGHT_MS: i64 = 3_000;

const CREATION_FAILED: (&str, &str) = ("SESSION_CREATION_FAILED", "Failed to create chat session");

const NOT_CONNECTED: (&str, &str) = ("NOT_CONNECTED", "User not connected to chat");

impl Seat {
    /// `user-join-chat`: finds the visitor's open session or opens one, and shows it.
    pub(super) async fn join_chat(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let (code, message) = CREATION_FAILED;
        let failed = |e: &Error| Refused::because(e, code, message);
        let said = filled(payload, "userId").ok_or_else(|| Refused::input("MISSING_USER_ID", "User ID is required"))?;
        let id = person_id(said).ok_or_else(|| Refused::input(code, message))?;
        if !self.may_be_visitor(id) {
            return Err(failed(&Error::Forbidden));
        }
        let info = payload.get("userInfo").unwrap_or(&Value::Null);
        let named = text(payload, "userName").and_then(name).or_else(|| text(info, "name").and_then(name));
        let visitor = Person { name: named, ..Person::new(Realm::Operators, id, Role::Visitor) };
        let group = text(payload, "groupName").and_then(name);
        let opening = Opening { visitor: visitor.clone(), group, address: Some(self.handshake.address) };
        let opened = desk.start_session(&self.who, opening).await.map_err(|e| failed(&e))?;
        let (session, is_new, at) = (opened.session.id, opened.is_new, desk.now());
        self.move_out(desk, line, &session).await;
        let welcome = Welcome::with(move |session, messages, total| {
            vec![events::session_created(session, is_new, at), events::latest(session, messages, total)]
        });
        let joined = self.sit_down(desk, line, (visitor.clone(), &session), welcome.since(payload)).await.map_err(|e| failed(&e))?;
        let status = super::status_word(joined.status);
        let ack = json!({"ok": true, "sessionId": session.as_str(), "status": status, "isNew": is_new, "headSeq": joined.reach});
        self.visitor = Some((visitor, session));
        Ok(ack)
    }

    /// `user-send-message`. After the end the visitor goes on in a fresh session.
    pub(super) async fn say(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let (author, id) = self.writes_to(desk, payload).await?;
        let post = post(payload)?.ok_or_else(|| Refused::input("EMPTY_MESSAGE", "Message content is required"))?;
        let address = Some(self.handshake.address);
        let posted = desk.post_onwards(&self.who, author.clone(), &id, post, address).await.map_err(|e| not_sent(&e))?;
        if let Err(error) = self.follow(desk, line, (author, id), &posted).await {
            // The message is stored; the next one tries again.
            crate::http::status::log(&error);
        }
        Ok(sent(&posted))
    }

    /// Listens where the message went: it did already, or comes back, or goes on in the next session.
    async fn follow(&mut self, desk: &Desk, line: &dyn Line, (author, before): (Person, SessionId), posted: &Posted) -> Result<(), Error> {
        let (session, now) = (posted.entry.session.clone(), desk.now());
        let late = self.replaced.clone().filter(|r| now.since(r.at) < IN_FLIGHT_MS);
        if self.listens_to(&session) && late.is_none() {
            return Ok(());
        }
        let goes_on = session != before;
        let is_new = posted.entry.seq() == 1;
        let created = move |session: &_| events::session_created(session, is_new, now);
        let welcome = if goes_on && late.is_none() && self.listens_to(&before) {
            // A list would replace what the page shows of the session before, which is all of it.
            Welcome { start: Start::After(0), history: 0, greeting: Box::new(move |session, _, _| vec![created(session)]) }
        } else {
            // The page shows its own message before it sends it, and replaces its list by this one, which has the message, and what was said in
            // the session before while the page was away.
            let before = if goes_on { Some(before) } else { late.and_then(|r| r.before) };
            let earlier = match &before {
                Some(id) => Some(desk.last_page(&self.who, id, GREETING_LIMIT).await?),
                None => None,
            };
            self.replaced = Some(Replaced { at: now, before });
            Welcome::with(move |session, messages, total| {
                let list = match &earlier {
                    Some(earlier) => events::latest_after(earlier, (session, messages, total)),
                    None => events::latest(session, messages, total),
                };
                std::iter::once(list).chain(goes_on.then(|| created(session))).collect()
            })
        };
        self.move_out(desk, line, &session).await;
        self.sit_down(desk, line, (author.clone(), &session), welcome).await?;
        self.visitor = Some((author, session));
        Ok(())
    }

    /// `user-typing`: the original's widget sends it, and its operators' page waits for it. Never an error to the widget.
    pub(super) async fn visitor_types(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let (person, session) = self.writes_to(desk, payload).await.map_err(Refused::quietly)?;
        if !self.listens_to(&session) {
            let failed = |e: &Error| Refused::because(e, NOT_CONNECTED.0, NOT_CONNECTED.1).quietly();
            self.sit_down(desk, line, (person.clone(), &session), Welcome::history()).await.map_err(|e| failed(&e))?;
            self.replaced = Some(Replaced { at: desk.now(), before: None });
            self.visitor = Some((person.clone(), session.clone()));
        }
        line.typing(desk, Typing { session, person, is_typing: true, extra: None });
        Ok(json!({"ok": true}))
    }

    /// As whom this socket writes, and where: what it joined, else the session that the call names. Its id makes whoever knows it the
    /// session's visitor, as after a reconnect, where the widget does not join again.
    async fn writes_to(&self, desk: &Desk, payload: &Value) -> Result<(Person, SessionId), Refused> {
        let (code, message) = NOT_CONNECTED;
        if let Some(known) = &self.visitor {
            return Ok(known.clone());
        }
        let named = filled(payload, "sessionId").filter(|_| self.agents.is_empty()).and_then(SessionId::parse);
        let id = named.ok_or_else(|| Refused::input(code, message))?;
        match desk.session(&self.who, &id).await {
            Ok(session) => Ok((session.visitor, id)),
            Err(Error::SessionNotFound) => Err(Refused::input(code, message)),
            Err(error) => Err(not_sent(&error)),
        }
    }

    /// Whether this socket may be the visitor `id`: a credential decides, and a guest stays who it was first.
    fn may_be_visitor(&self, id: &str) -> bool {
        match &self.who {
            Principal::Guest { .. } => self.visitor.as_ref().is_none_or(|(known, _)| *known.id == *id),
            Principal::Person { person, .. } => match person.role {
                Role::Visitor => *person.id == *id,
                Role::Agent | Role::Admin => false,
                Role::System => true,
            },
            Principal::Delegate { .. } => true,
        }
    }

    /// Leaves the session that its visitor wrote to, if it is another one.
    async fn move_out(&mut self, desk: &Desk, line: &dyn Line, to: &SessionId) {
        if let Some((_, from)) = self.visitor.take_if(|(_, from)| from != to) {
            self.joined.retain(|(session, _)| *session != from);
            line.leave(desk, &from).await;
        }
    }
}
