//! The operator's calls: coming and going, opening sessions, answering, ending. Rules are the desk's.

use serde_json::{Value, json};

use super::calls::{Refused, Seat, Welcome, not_sent, post, sent};
use super::{WRONG_AVAILABILITY, availability_of, events, person_id, status_word};
use crate::dialect::wire::filled;
use crate::dialect::{Line, Typing};
use crate::domain::agent::{Agent, Availability};
use crate::domain::desk::{Desk, Ending};
use crate::domain::entry::Body;
use crate::domain::error::Error;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::principal::{Realm, Role};
use crate::domain::session::Status;
use crate::domain::store::SessionQuery;

/// How many waiting sessions an operator hears of when he goes online.
const WAITING_LIMIT: u32 = 10;

const MISSING: &str = "MISSING_REQUIRED_FIELDS";

const ASSIGNMENT_FAILED: (&str, &str) = ("OPERATOR_ASSIGNMENT_FAILED", "Failed to join session");

impl Seat {
    /// `operator-status-change`. Who goes online hears of the newest sessions that wait.
    pub(super) async fn change_status(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        const CODE: &str = "STATUS_UPDATE_FAILED";
        let failed = |e: &Error| Refused::because(e, CODE, "Failed to update operator status");
        let (Some(id), Some(status)) = (filled(payload, "operatorId"), filled(payload, "status")) else {
            return Err(Refused::input(MISSING, "Operator ID and status are required"));
        };
        let to = availability_of(status).ok_or_else(|| Refused::input(CODE, WRONG_AVAILABILITY))?;
        let id = person_id(id).ok_or_else(|| Refused::input(CODE, "Failed to update operator status"))?;
        let agent = desk.register_agent(&self.who, id).await.map_err(|e| failed(&e))?;
        let agent = desk.agent_arrived_as(&self.who, &agent.id, to, line.id()).await.map_err(|e| failed(&e))?;
        self.take_post(line, &agent);
        if to == Availability::Online {
            let waiting = SessionQuery { status: Some(Status::Waiting), ..SessionQuery::of(Realm::Operators, WAITING_LIMIT) };
            for session in &desk.list_sessions(&self.who, waiting).await.map_err(|e| failed(&e))?.sessions {
                line.send(&events::waiting(session)).await;
            }
        }
        line.send(&events::status_updated(&agent, desk.now())).await;
        Ok(json!({"ok": true, "operatorId": id, "status": status}))
    }

    /// `operator-join-session`: the session is this operator's from now on, and its log says so.
    pub(super) async fn take_session(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let (agent, id) = self.opens(desk, line, payload).await?;
        // A session that this socket cannot join is not to be his.
        line.make_room(&id).await.map_err(|e| not_opened(&e))?;
        // Quirk: the line's words are the original's, in both of its languages (document 000).
        let note = Body::stored(format!("Operator {} 加入了会话", agent.name));
        let taken = desk.take_session(&self.who, &agent, &id, (Some(note), Some(line.id()))).await;
        let (_, is_new) = taken.map_err(|e| not_opened(&e))?;
        let (shown, at) = (agent.clone(), desk.now());
        let welcome = Welcome::with(move |session, messages, total| {
            vec![events::operator_session_joined(session, &shown, at), events::latest(session, messages, total)]
        });
        let person = agent.person();
        let joined = self.sit_down(desk, line, (person.clone(), &id), welcome.since(payload)).await.map_err(|e| not_opened(&e))?;
        if !is_new {
            // Otherwise the assignment itself has told the others.
            desk.signal(Signal::Joined { session: id.clone(), person, at }, line.id());
        }
        let ack = json!({"ok": true, "sessionId": id.as_str(), "status": status_word(joined.status), "headSeq": joined.reach});
        self.opened = Some(id);
        Ok(ack)
    }

    /// `operator-reconnect-session`: operators share their sessions, so any may be opened, whoever has it.
    pub(super) async fn enter_again(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let (agent, id) = self.opens(desk, line, payload).await?;
        self.adopt(desk, line, &agent, &id).await.map_err(|e| not_opened(&e))?;
        let (shown, at) = (agent.clone(), desk.now());
        let greeting = move |session: &_, _: &[_], _| vec![events::operator_session_rejoined(session, &shown, at)];
        let welcome = Welcome { greeting: Box::new(greeting), ..Welcome::silent() };
        let joined = self.sit_down(desk, line, (agent.person(), &id), welcome.since(payload)).await.map_err(|e| not_opened(&e))?;
        let ack = json!({"ok": true, "sessionId": id.as_str(), "status": status_word(joined.status), "headSeq": joined.reach});
        self.opened = Some(id);
        Ok(ack)
    }

    /// `operator-send-message`. Older pages leave out who they are, or where.
    pub(super) async fn answer(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let missing = || Refused::input(MISSING, "Operator ID, Session ID and message content are required");
        let operator = filled(payload, "operatorId").map(str::to_owned).or_else(|| self.operator_id()).ok_or_else(missing)?;
        let named = match filled(payload, "sessionId") {
            Some(text) => SessionId::parse(text).ok_or_else(|| not_sent(&Error::SessionNotFound))?,
            None => self.opened.clone().ok_or_else(missing)?,
        };
        let post = post(payload)?.ok_or_else(missing)?;
        let agent = self.act_as(desk, line, &operator).await.map_err(|e| not_sent(&e))?;
        self.adopt(desk, line, &agent, &named).await.map_err(|e| not_sent(&e))?;
        self.listen(desk, line, &agent, &named).await.map_err(|e| not_sent(&e))?;
        let posted = desk.post_message(&self.who, agent.person(), &named, post).await.map_err(|e| not_sent(&e))?;
        Ok(sent(&posted))
    }

    /// `operator-typing`, `operator-stop-typing`. Quirk: what is missing or wrong is ignored without a word (document 000).
    pub(super) async fn operator_types(
        &mut self,
        desk: &Desk,
        line: &dyn Line,
        payload: &Value,
        is_typing: bool,
    ) -> Result<Value, Refused> {
        let ignored = |e: &Error| Refused::because(e, MISSING, "Typing was not passed on").quietly();
        let named = filled(payload, "sessionId").and_then(SessionId::parse);
        let (Some(operator), Some(session)) = (filled(payload, "operatorId"), named) else {
            return Err(Refused::input(MISSING, "Operator ID and Session ID are required").quietly());
        };
        let agent = self.act_as(desk, line, operator).await.map_err(|e| ignored(&e))?;
        self.listen(desk, line, &agent, &session).await.map_err(|e| ignored(&e))?;
        line.typing(desk, Typing { session, person: agent.person(), is_typing, extra: None });
        Ok(json!({"ok": true}))
    }

    /// `operator-end-session`: the room hears `session-ended`.
    pub(super) async fn end_session(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<Value, Refused> {
        let failed = |e: &Error| Refused::because(e, "END_SESSION_FAILED", "Failed to end session");
        let (operator, named) = both(payload)?;
        let id = SessionId::parse(named).ok_or_else(|| failed(&Error::SessionNotFound))?;
        let agent = self.act_as(desk, line, operator).await.map_err(|e| failed(&e))?;
        let ending = Ending { reason: "operator_ended".into(), author: Some(agent.person()), note: None };
        desk.end_session_so(&self.who, &id, ending).await.map_err(|e| failed(&e))?;
        Ok(json!({"ok": true, "sessionId": id.as_str()}))
    }

    /// The operator and the session that a call opens.
    async fn opens(&mut self, desk: &Desk, line: &dyn Line, payload: &Value) -> Result<(Agent, SessionId), Refused> {
        let (operator, named) = both(payload)?;
        let id = SessionId::parse(named).ok_or_else(|| not_opened(&Error::SessionNotFound))?;
        let agent = self.act_as(desk, line, operator).await.map_err(|e| not_opened(&e))?;
        Ok((agent, id))
    }

    /// The session is this operator's where the one who has it is gone, as the page's own id before it was loaded again. What he wants with it
    /// does not depend on that.
    async fn adopt(&self, desk: &Desk, line: &dyn Line, agent: &Agent, id: &SessionId) -> Result<(), Error> {
        line.make_room(id).await?;
        if let Err(error) = desk.adopt_session(&self.who, agent, id, line.id()).await {
            crate::http::status::log(&error);
        }
        Ok(())
    }

    /// Listens to a session that the operator uses without having opened it on this socket, as after a reconnect: the page is shown the last
    /// messages, since it missed what was said meanwhile.
    async fn listen(&mut self, desk: &Desk, line: &dyn Line, agent: &Agent, id: &SessionId) -> Result<(), Error> {
        if !self.listens_to(id) {
            self.sit_down(desk, line, (agent.person(), id), Welcome::history()).await?;
        }
        self.opened = Some(id.clone());
        Ok(())
    }

    /// The operator whom a call names. The first call that names him makes this socket his, also after a reconnect, where pages do not say
    /// again that they are online.
    pub(super) async fn act_as(&mut self, desk: &Desk, line: &dyn Line, id: &str) -> Result<Agent, Error> {
        let id = person_id(id).ok_or(Error::AgentNotFound)?;
        if let Some(at) = self.agents.iter().position(|a| a.id == AgentId::of(Realm::Operators, id)) {
            let agent = self.agents.remove(at);
            self.agents.push(agent.clone());
            return Ok(agent);
        }
        let agent = desk.register_agent(&self.who, id).await?;
        desk.agent_arrived(&agent, line.id()).await?;
        self.take_post(line, &agent);
        Ok(agent)
    }

    /// Makes this socket the operator's, whose arrival is noted: it hears what concerns all operators, and he is there while it lives.
    fn take_post(&mut self, line: &dyn Line, agent: &Agent) {
        self.agents.retain(|a| a.id != agent.id);
        self.agents.push(agent.clone());
        line.attend(&Audience::Person(agent.id.as_str().into()));
        line.attend(&Audience::Agents(Realm::Operators));
    }

    /// Nobody is there by this socket any more.
    pub(super) async fn step_down(&mut self, desk: &Desk, line: &dyn Line) {
        for agent in std::mem::take(&mut self.agents) {
            if let Err(error) = desk.agent_left(&agent.id, line.id()).await {
                crate::http::status::log(&error);
            }
        }
    }

    /// The operator where a call names none.
    fn operator_id(&self) -> Option<String> {
        let token = self.who.person().filter(|p| p.role == Role::Agent);
        self.agents.last().map(|a| a.id.in_realm()).or_else(|| token.map(|p| &*p.id)).map(str::to_owned)
    }
}

/// The operator and the session that a call names.
fn both(payload: &Value) -> Result<(&str, &str), Refused> {
    filled(payload, "operatorId")
        .zip(filled(payload, "sessionId"))
        .ok_or_else(|| Refused::input(MISSING, "Operator ID and Session ID are required"))
}

fn not_opened(error: &Error) -> Refused {
    let (code, otherwise) = ASSIGNMENT_FAILED;
    let message = match error {
        Error::SessionEnded(_) => "Chat session has ended",
        _ => otherwise,
    };
    Refused::because(error, code, message)
}
