//! What a store is filled with. No store is known here.

use std::sync::Arc;

use helpline::domain::ids::{AgentId, SessionId};
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::session::{Assignee, Session, Status};
use helpline::domain::time::Timestamp;

/// How many short sessions are measured, and how many rooms; they are the same in every store.
pub(crate) const SHORT: usize = 64;
pub(crate) const ROOMS: usize = 20;

/// How many agents have had the sessions that are not measured.
pub(crate) const AGENTS: usize = 20;

/// The agent of the rooms that are measured, who has no others.
pub(crate) const OWN_AGENT: usize = AGENTS;

/// How many messages a session has about, and every one that is measured exactly.
const MESSAGES: u64 = 50;

/// The moment of the first session.
const BEGIN: i64 = 1_735_689_600_000;

/// Between two sessions, and between two messages of one, in milliseconds.
const SESSION_STEP: i64 = 150_000;
pub(crate) const MESSAGE_STEP: i64 = 20_000;

/// A session and how many messages are said in it.
pub(crate) struct Planned {
    pub(crate) session: Session,
    pub(crate) messages: u64,
}

/// All sessions, in the order of their ids, and which of them are measured.
pub(crate) struct Content {
    pub(crate) sessions: Vec<Planned>,
    pub(crate) long: SessionId,
    pub(crate) short: Vec<SessionId>,
    pub(crate) rooms: Vec<SessionId>,
}

impl Content {
    /// What is measured, and nothing else.
    pub(crate) fn least(long: u64) -> Self {
        Self::with(0, long)
    }

    /// So many messages, so many of them in one session.
    pub(crate) fn of(messages: u64, long: u64) -> Self {
        let others = messages.saturating_sub(long) / MESSAGES;
        Self::with(usize::try_from(others).unwrap().saturating_sub(SHORT + ROOMS), long)
    }

    fn with(others: usize, long_messages: u64) -> Self {
        let measured = 1 + SHORT + ROOMS;
        let count = measured + others;
        let mut ids: Vec<SessionId> = (0..count).map(|_| SessionId::random()).collect();
        ids.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        // Those that are measured are spread evenly over all.
        let stride = count / measured;
        let (mut sessions, mut of_measure) = (Vec::with_capacity(count), Vec::new());
        for (n, id) in ids.into_iter().enumerate() {
            let place = n / stride;
            let is_measured = n % stride == 0 && place < measured;
            let (realm, status, agent, messages) = match (is_measured, place) {
                (true, 0) => (Realm::Operators, Status::Active, 0, long_messages),
                (true, place) if place <= SHORT => (Realm::Operators, Status::Active, 0, MESSAGES),
                (true, _) => (Realm::Rooms, Status::Active, OWN_AGENT, MESSAGES),
                _ => (other_realm(n), other_status(n), n % AGENTS, other_messages(n)),
            };
            if is_measured {
                of_measure.push(id.clone());
            }
            sessions.push(Planned { session: session(id, n, (realm, status, agent), messages), messages });
        }
        let rooms = of_measure.split_off(1 + SHORT);
        let short = of_measure.split_off(1);
        Self { sessions, long: of_measure.remove(0), short, rooms }
    }

    pub(crate) fn messages(&self) -> u64 {
        self.sessions.iter().map(|planned| planned.messages).sum()
    }

    pub(crate) fn long_messages(&self) -> u64 {
        self.sessions.iter().map(|planned| planned.messages).max().unwrap()
    }
}

fn other_realm(n: usize) -> Realm {
    if n.is_multiple_of(10) { Realm::Rooms } else { Realm::Operators }
}

/// Few are open, as in a house that answers.
fn other_status(n: usize) -> Status {
    match n % 1_000 {
        7 => Status::Waiting,
        1..=3 => Status::Active,
        _ => Status::Ended,
    }
}

fn other_messages(n: usize) -> u64 {
    MESSAGES - 20 + (n as u64).wrapping_mul(7_919) % 41
}

pub(crate) fn agent(realm: Realm, n: usize) -> Person {
    Person { name: Some(format!("Agent {n}").into()), ..Person::new(realm, format!("agent-{n}"), Role::Agent) }
}

pub(crate) fn agent_id(realm: Realm, n: usize) -> AgentId {
    AgentId::of(realm, &format!("agent-{n}"))
}

fn session(id: SessionId, n: usize, (realm, status, by): (Realm, Status, usize), messages: u64) -> Session {
    let visitor = Person { name: Some(format!("Visitor {n}").into()), ..Person::new(realm, format!("visitor-{n}"), Role::Visitor) };
    let opened = Timestamp(BEGIN + SESSION_STEP * i64::try_from(n).unwrap());
    let last = opened.plus_ms(MESSAGE_STEP * i64::try_from(messages).unwrap());
    let is_taken = status != Status::Waiting;
    let mut session = Session { id, status, spoken: true, updated_at: last, ..Session::open(visitor, opened) };
    if is_taken {
        let agent = agent(realm, by);
        session.agent = Some(Assignee::of(&agent));
        session.assignment = 1;
        session.participants.extend(realm.has_participants().then_some(agent));
    }
    if status == Status::Ended {
        (session.ended_at, session.end_reason, session.state_seq) = (Some(last), Some(Arc::from("closed")), messages + 2);
    }
    session
}
