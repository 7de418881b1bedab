//! One socket of a session, as its tail knows it: how far it is, and what it gets next. Reads no store.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::outlet::{Outlet, Sent};
use crate::dialect::wire::Frame;
use crate::dialect::{Dialect, Joined, Reader};
use crate::domain::error::Error;
use crate::domain::ids::AgentId;
use crate::domain::principal::Principal;

/// A socket that listens.
pub(super) struct Member {
    pub(super) outlet: Outlet,
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) who: Principal,
    /// The last entry it got, or need not get.
    pub(super) cursor: u64,
    /// The cursor of which other nodes were told last.
    pub(super) shared: u64,
    /// Whose page it is, by all its names, where a later socket of that page will not know what it has.
    pub(super) pages: Vec<Arc<str>>,
    /// What it gets next, with the cursor after each: its greeting, and entries read while its buffer was full.
    pub(super) pending: VecDeque<(u64, Option<Frame>)>,
    /// Its greeting, while some of that is pending.
    pub(super) greeting: Option<Greeting>,
}

/// Whoever waits for a greeting to be sent. Only then can the socket ask for another, so what is pending stays small.
pub(super) struct Greeting {
    /// How many of its frames are still pending.
    pub(super) frames: usize,
    pub(super) joined: Joined,
    pub(super) reply: oneshot::Sender<Result<Joined, Error>>,
}

/// Whether the caller is this agent.
pub(super) fn is_agent(who: &Principal, agent: &AgentId) -> bool {
    who.person().is_some_and(|p| p.role.answers() && AgentId::of(p.realm, &p.id) == *agent)
}

impl Member {
    pub(super) fn reader(&self) -> Reader {
        self.dialect.reader(&self.who)
    }

    /// Whether other nodes are to be told how far its page is.
    pub(super) fn is_unshared(&self) -> bool {
        self.shared < self.cursor && !self.pages.is_empty()
    }

    /// Sends what is pending, as far as the buffer takes it, and moves the cursor with it.
    pub(super) fn flush(&mut self) -> Sent {
        if let Some(done) = self.greeting.take_if(|g| g.frames == 0) {
            let _ = done.reply.send(Ok(done.joined));
        }
        while let Some((seq, frame)) = self.pending.front() {
            let sent = frame.as_ref().map_or(Sent::Buffered, |f| self.outlet.send(f));
            if sent != Sent::Buffered {
                return sent;
            }
            self.cursor = *seq;
            self.pending.pop_front();
            if let Some(greeting) = &mut self.greeting {
                greeting.frames -= 1;
            }
            if let Some(done) = self.greeting.take_if(|g| g.frames == 0) {
                let _ = done.reply.send(Ok(done.joined));
            }
        }
        Sent::Buffered
    }

    /// Sends the frame of entry `seq`, if its contract has one, and moves the cursor if that succeeds.
    pub(super) fn advance(&mut self, seq: u64, frame: Option<&Frame>) -> Sent {
        let sent = frame.map_or(Sent::Buffered, |f| self.outlet.send(f));
        if sent == Sent::Buffered {
            self.cursor = seq;
        }
        sent
    }
}
