//! One connection: its task takes calls from the inbox one at a time, hands them to the contract's conversation, and ends with the socket.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::command::Listener;
use super::inbox::{Closed, Inbox, Item};
use super::outlet::{Counted, Outlet};
use super::roster::Listed;
use super::tails::Tails;
use crate::dialect::wire::Frame;
use crate::dialect::{Admission, Conversation, Dialect, Farewell, Joined, Line, Typing};
use crate::domain::desk::Desk;
use crate::domain::error::Error;
use crate::domain::ids::{ConnId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::principal::Principal;
use crate::domain::time::Timestamp;
use crate::http::status;
use crate::limit::Place;

/// How many sessions one socket may listen to.
const MOST_SESSIONS: usize = 500;

/// How many sessions a socket remembers to have listened to.
const MOST_KNOWN: usize = 5_000;

/// After how many milliseconds without another word a person does not type any more.
const TYPING_MS: i64 = 15_000;

/// How many milliseconds apart the others are told of typing, once a burst is over.
const TYPING_GAP_MS: i64 = 200;

/// How many times in a row they are told at once.
const TYPING_BURST: i64 = 20;

/// How long a socket waits for a store that is away before it is opened again.
const OPEN_RETRY: Duration = Duration::from_secs(1);

/// How long the library may take from admitting a socket to connecting it.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A connected socket, as its conversation and its task see it.
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) outlet: Outlet,
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) tails: Arc<Tails>,
    /// Whose it is.
    pub(super) who: Principal,
    /// The sessions it listens to.
    pub(super) joined: Mutex<HashSet<SessionId>>,
    /// The sessions that it listens to, or has left.
    pub(super) known: Mutex<HashSet<SessionId>>,
    /// Where the others were told that its person types, and until when they need not hear more.
    pub(super) typing: Mutex<Option<(Typing, Timestamp)>>,
    /// Until when the telling of typing is used up.
    pub(super) told: Mutex<Option<Timestamp>>,
    /// The place of its address, given back when the task ends.
    pub(super) _place: Option<Place>,
    /// That it is counted as open, until then.
    pub(super) _counted: Counted,
    /// Its place among the connections of its person, given up likewise.
    pub(super) _listed: Option<Listed>,
}

/// The room of an audience, for signals.
pub(super) fn room(audience: &Audience) -> String {
    match audience {
        Audience::Session(session) => format!("session:{session}"),
        Audience::Person(key) => format!("person:{key}"),
        Audience::Agents(realm) => format!("agents:{}", realm.name()),
        Audience::Admins(realm) => format!("admins:{}", realm.name()),
        Audience::Connection(conn) => format!("conn:{conn}"),
    }
}

#[async_trait]
impl Line for Conn {
    fn id(&self) -> &ConnId {
        &self.id
    }

    async fn join(&self, admission: Admission) -> Result<Joined, Error> {
        let session = admission.session.id.clone();
        self.make_room(&session).await?;
        // Before the greeting: whoever has it hears what happens from then on.
        self.attend(&Audience::Session(session.clone()));
        let listener =
            Listener { conn: self.id.clone(), outlet: self.outlet.clone(), dialect: Arc::clone(&self.dialect), who: self.who.clone() };
        let joined = self.tails.join(listener, admission).await;
        if joined.is_ok() {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MOST_KNOWN {
                known.clear();
            }
            known.insert(session.clone());
            drop(known);
            self.joined.lock().unwrap_or_else(PoisonError::into_inner).insert(session);
        } else if !self.listens_to(&session) {
            self.exit(&session);
        }
        joined
    }

    async fn make_room(&self, session: &SessionId) -> Result<(), Error> {
        if !self.is_full_for(session) {
            return Ok(());
        }
        // What may open again is not over for good.
        if !self.dialect.realm().reopens() {
            let joined: Vec<SessionId> = self.joined.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
            for over in joined {
                if self.tails.leave_if_over(&over, &self.id).await {
                    self.joined.lock().unwrap_or_else(PoisonError::into_inner).remove(&over);
                    self.exit(&over);
                }
            }
        }
        if self.is_full_for(session) { Err(Error::TooManySessions) } else { Ok(()) }
    }

    fn listens_to(&self, session: &SessionId) -> bool {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).contains(session)
    }

    async fn leave(&self, desk: &Desk, session: &SessionId) {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
        self.tails.leave(session, &self.id).await;
        self.stop_typing(desk, |typing, _| typing.session == *session);
        self.exit(session);
    }

    fn attend(&self, audience: &Audience) {
        self.enter(room(audience));
    }

    fn typing(&self, desk: &Desk, typing: Typing) {
        self.stop_typing(desk, |earlier, _| earlier.session != typing.session || !earlier.person.is(&typing.person));
        let now = desk.now();
        let due = self.may_tell_typing(now);
        {
            let mut lasting = self.typing.lock().unwrap_or_else(PoisonError::into_inner);
            match (&*lasting, typing.is_typing, due) {
                // What could not be told is taken back a little later.
                (Some((earlier, _)), false, false) => *lasting = Some((earlier.clone(), now.plus_ms(TYPING_GAP_MS))),
                (_, false, _) => *lasting = None,
                (None, true, false) => {}
                (_, true, _) => *lasting = Some((Typing { extra: None, ..typing.clone() }, now.plus_ms(TYPING_MS))),
            }
        }
        if due {
            self.tell_typing(desk, typing);
        }
    }

    async fn send(&self, frame: &Frame) {
        self.outlet.send_when_able(frame).await;
    }
}

impl Conn {
    /// Works until the socket is gone and every call that came before is carried out.
    pub(super) async fn run(
        self: Box<Self>,
        desk: Arc<Desk>,
        mut conversation: Box<dyn Conversation>,
        mut inbox: Inbox,
        connected: oneshot::Receiver<()>,
    ) {
        if !matches!(tokio::time::timeout(CONNECT_LIMIT, connected).await, Ok(Ok(()))) {
            return;
        }
        self.attend(&Audience::Connection(self.id.clone()));
        tracing::debug!(conn.id = %self.id, dialect = self.dialect.realm().name(), "socket connected");
        self.open(&desk, conversation.as_mut()).await;
        let reason = self.serve(&desk, conversation.as_mut(), &mut inbox).await;
        self.stop_typing(&desk, |_, _| true);
        let leaving = AssertUnwindSafe(conversation.closed(&desk, &*self, reason)).catch_unwind().await;
        if leaving.is_err() {
            tracing::error!(conn.id = %self.id, "a panic while a socket left");
        }
        // Whatever the conversation has forgotten, or could not do.
        let joined = std::mem::take(&mut *self.joined.lock().unwrap_or_else(PoisonError::into_inner));
        for session in joined {
            self.leave(&desk, &session).await;
        }
        tracing::debug!(conn.id = %self.id, dialect = self.dialect.realm().name(), reason, "socket gone");
    }

    /// Opens the conversation, and again while the store is away: nothing that the client calls could be done meanwhile.
    #[allow(clippy::disallowed_methods, reason = "the connection's task owns this pause")]
    async fn open(&self, desk: &Desk, conversation: &mut dyn Conversation) {
        while self.outlet.is_open() {
            let Ok(opened) = AssertUnwindSafe(conversation.opened(desk, self)).catch_unwind().await else {
                return tracing::error!(conn.id = %self.id, "a panic while a socket opened");
            };
            match opened {
                Err(error @ Error::Unavailable(_)) => status::log(&error),
                Err(error) => return status::log(&error),
                Ok(()) => return,
            }
            tokio::time::sleep(OPEN_RETRY).await;
        }
    }

    /// Makes the socket hear broadcasts to a room, while it is connected.
    fn enter(&self, room: String) {
        // The library never forgets a closed socket that entered a room, and of one that left it again it keeps an empty list of rooms.
        if !self.outlet.is_open() {
            return;
        }
        self.outlet.enter(room.clone());
        if !self.outlet.is_open() {
            self.outlet.exit(room);
        }
    }

    /// Makes the socket hear no signals of a session any more.
    fn exit(&self, session: &SessionId) {
        // A closed socket is in no room any more, and its id may belong to the client's next socket already.
        if self.outlet.is_open() {
            self.outlet.exit(room(&Audience::Session(session.clone())));
        }
    }

    /// Whether it listens to the session, or has left it.
    fn was_in(&self, session: &SessionId) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(session)
    }

    fn is_full_for(&self, session: &SessionId) -> bool {
        let joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        joined.len() >= MOST_SESSIONS && !joined.contains(session)
    }

    /// Takes back what the others were told of typing, if it is such.
    fn stop_typing(&self, desk: &Desk, such: impl Fn(&Typing, Timestamp) -> bool) {
        let stopped = self.typing.lock().unwrap_or_else(PoisonError::into_inner).take_if(|(typing, until)| such(typing, *until));
        if let Some((typing, _)) = stopped {
            self.tell_typing(desk, Typing { is_typing: false, ..typing });
        }
    }

    /// Whether the others may be told of typing now: in short bursts, and then a few times a second, however fast the client says it.
    fn may_tell_typing(&self, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.plus_ms(-TYPING_GAP_MS * TYPING_BURST);
        let next = told.map_or(earliest, |last| last.max(earliest)).plus_ms(TYPING_GAP_MS);
        let may = next <= now;
        if may {
            *told = Some(next);
        }
        may
    }

    fn tell_typing(&self, desk: &Desk, typing: Typing) {
        let Typing { session, person, is_typing, extra } = typing;
        desk.signal(Signal::Typing { session, person, is_typing, at: desk.now(), extra }, &self.id);
    }

    /// How long until something is due without a call: the end of the credential, or of typing without a word.
    fn patience(&self, desk: &Desk) -> Option<Duration> {
        let typing = self.typing.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, until)| *until);
        let due = self.who.expires().into_iter().chain(typing).min()?;
        Some(Duration::from_millis(u64::try_from(due.since(desk.now())).unwrap_or(0)))
    }

    /// Carries out calls until no more will come; answers why.
    async fn serve(&self, desk: &Desk, conversation: &mut dyn Conversation, inbox: &mut Inbox) -> &'static str {
        let mut revoked = std::pin::pin!(desk.login_ended(self.who.login()));
        loop {
            let next = tokio::select! {
                biased;
                () = &mut revoked => return self.dismiss(Farewell::Expired).await,
                next = inbox.next() => Some(next),
                () = due(self.patience(desk)) => None,
            };
            let now = desk.now();
            if self.who.expires().is_some_and(|end| end <= now) {
                return self.dismiss(Farewell::Expired).await;
            }
            self.stop_typing(desk, |_, until| until <= now);
            let Some(next) = next else { continue };
            match next {
                // Large beside a connection that waits, as most do.
                Ok(item) => Box::pin(self.carry_out(desk, conversation, item)).await,
                Err(Closed::Gone(reason)) => return reason,
                Err(Closed::Flooded) => return self.dismiss(Farewell::Flooded).await,
            }
        }
    }

    async fn carry_out(&self, desk: &Desk, conversation: &mut dyn Conversation, item: Item) {
        let panicked = || tracing::error!(conn.id = %self.id, dialect = self.dialect.realm().name(), "a panic in a call");
        let called = match item {
            Item::Called(called) => called,
            Item::Summons { session, again: true, .. } if self.was_in(&session) => return,
            Item::Summons { session, after, .. } => {
                let looked = AssertUnwindSafe(conversation.summoned(desk, self, &session, after)).catch_unwind().await;
                if !self.listens_to(&session) {
                    // It was sent away, and did not leave.
                    self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
                }
                return looked.unwrap_or_else(|_| panicked());
            }
        };
        let Ok(reply) = AssertUnwindSafe(conversation.call(desk, self, called.call())).catch_unwind().await else { return panicked() };
        if let Some(ack) = &called.ack {
            self.outlet.acknowledge(ack, &reply.ack).await;
        } else if let Some(error) = reply.error {
            self.outlet.send_when_able(&error).await;
        }
    }

    /// Tells the client why, and disconnects it.
    async fn dismiss(&self, why: Farewell) -> &'static str {
        tracing::info!(conn.id = %self.id, dialect = self.dialect.realm().name(), reason = ?why, "socket closed by the server");
        self.outlet.send_when_able(&self.dialect.farewell(why)).await;
        self.outlet.disconnect().await;
        "server namespace disconnect"
    }
}

/// Waits so long, or for ever.
#[allow(clippy::disallowed_methods, reason = "the connection's task owns this timer: the end of a credential, or of typing")]
async fn due(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}
