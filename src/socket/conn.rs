//! One connection: its task takes calls from the inbox one at a time, hands them to the contract's conversation, and ends with the socket.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::inbox::{Closed, Inbox, Item};
use super::outlet::Outlet;
use super::tails::Tails;
use crate::dialect::{Admission, Conversation, Dialect, Farewell, Joined, Line};
use crate::domain::desk::Desk;
use crate::domain::error::Error;
use crate::domain::ids::{ConnId, SessionId};
use crate::domain::time::Timestamp;
use crate::limit::Place;

/// How long the library may take from admitting a socket to connecting it.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A connected socket, as its conversation and its task see it.
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) outlet: Outlet,
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) tails: Arc<Tails>,
    /// When the credential ends.
    pub(super) expires: Option<Timestamp>,
    /// The place of its address, given back when the task ends.
    pub(super) _place: Option<Place>,
}

/// The room of everybody in a session, for signals.
pub(super) fn session_room(session: &SessionId) -> String {
    format!("session:{session}")
}

/// The room of one connection alone, by which a broadcast leaves it out.
pub(super) fn own_room(conn: &ConnId) -> String {
    format!("conn:{conn}")
}

#[async_trait]
impl Line for Conn {
    fn id(&self) -> &ConnId {
        &self.id
    }

    async fn join(&self, admission: Admission) -> Result<Joined, Error> {
        let session = admission.session.id.clone();
        let dialect = Arc::clone(&self.dialect);
        let joined = self.tails.join(self.id.clone(), self.outlet.clone(), dialect, admission).await?;
        self.outlet.enter(session_room(&session));
        if !self.outlet.is_open() {
            // The library never forgets a room that a closed socket entered.
            self.outlet.exit(session_room(&session));
        }
        Ok(joined)
    }

    async fn leave(&self, session: &SessionId) {
        self.tails.leave(session, &self.id).await;
        // A closed socket is in no room any more, and its id may belong to the client's next socket already.
        if self.outlet.is_open() {
            self.outlet.exit(session_room(session));
        }
    }
}

impl Conn {
    /// Works until the socket is gone and every call that came before is carried out.
    pub(super) async fn run(
        self,
        desk: Arc<Desk>,
        mut conversation: Box<dyn Conversation>,
        mut inbox: Inbox,
        connected: oneshot::Receiver<()>,
    ) {
        if !matches!(tokio::time::timeout(CONNECT_LIMIT, connected).await, Ok(Ok(()))) {
            return;
        }
        self.outlet.enter(own_room(&self.id));
        tracing::debug!(conn.id = %self.id, dialect = self.dialect.name(), "socket connected");
        let reason = self.serve(&desk, conversation.as_mut(), &mut inbox).await;
        let leaving = AssertUnwindSafe(conversation.closed(&desk, &self, reason)).catch_unwind().await;
        if leaving.is_err() {
            tracing::error!(conn.id = %self.id, "a panic while a socket left");
        }
        tracing::debug!(conn.id = %self.id, dialect = self.dialect.name(), reason, "socket gone");
    }

    /// Carries out calls until no more will come; answers why.
    async fn serve(&self, desk: &Desk, conversation: &mut dyn Conversation, inbox: &mut Inbox) -> &'static str {
        loop {
            let next = match self.remaining(desk) {
                None => inbox.next().await,
                Some(left) => match tokio::time::timeout(left, inbox.next()).await {
                    Ok(next) if self.remaining(desk) != Some(Duration::ZERO) => next,
                    _ => return self.dismiss(Farewell::Expired).await,
                },
            };
            match next {
                Ok(item) => self.carry_out(desk, conversation, item).await,
                Err(Closed::Gone(reason)) => return reason,
                Err(Closed::Flooded) => return self.dismiss(Farewell::Flooded).await,
            }
        }
    }

    async fn carry_out(&self, desk: &Desk, conversation: &mut dyn Conversation, item: Item) {
        let Ok(reply) = AssertUnwindSafe(conversation.call(desk, self, item.call())).catch_unwind().await else {
            tracing::error!(conn.id = %self.id, dialect = self.dialect.name(), "a panic in a call");
            return;
        };
        if let Some(ack) = &item.ack {
            self.outlet.acknowledge(ack, &reply.ack).await;
        } else if let Some(error) = reply.error {
            self.outlet.send_when_able(&error).await;
        }
    }

    /// How long the credential is still good; `None` where it has no end.
    fn remaining(&self, desk: &Desk) -> Option<Duration> {
        let left = self.expires?.since(desk.now());
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    /// Tells the client why, and disconnects it.
    async fn dismiss(&self, why: Farewell) -> &'static str {
        tracing::info!(conn.id = %self.id, dialect = self.dialect.name(), reason = ?why, "socket closed by the server");
        self.outlet.send_when_able(&self.dialect.farewell(why)).await;
        self.outlet.disconnect().await;
        "server namespace disconnect"
    }
}
