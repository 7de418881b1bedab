//! The tails of this node, by session: started by the first socket that joins, forgotten when the last one leaves.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::sync::{Notify, mpsc, oneshot};

use super::command::{Command, Hint, Joining, Listener, Told};
use super::departed::Departed;
use super::tail::Tail;
use crate::cluster::bus::{Command as Asked, News, SessionBus};
use crate::dialect::{Admission, Joined};
use crate::domain::entry::Entry;
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::{ConnId, SessionId};
use crate::domain::store::Store;
use crate::domain::time::Timestamp;

/// How many commands may wait for a tail. Entries that do not fit are read from the store.
const QUEUE: usize = 256;

/// All tails of a node.
pub(super) struct Tails {
    store: Arc<dyn Store>,
    memory: Arc<Departed>,
    live: Mutex<HashMap<SessionId, Handle>>,
    bus: Arc<dyn SessionBus>,
    told: Arc<Told>,
    /// Told when word may have been lost.
    lost: Notify,
}

#[derive(Clone)]
struct Handle {
    commands: mpsc::Sender<Command>,
    hint: Arc<Hint>,
}

impl Tails {
    /// Tails of a process that began at `started`.
    pub(super) fn new(store: Arc<dyn Store>, bus: Arc<dyn SessionBus>, started: Timestamp) -> Self {
        Self {
            store,
            memory: Arc::new(Departed::new(started, Arc::clone(&bus))),
            live: Mutex::default(),
            bus,
            lost: Notify::new(),
            told: Arc::default(),
        }
    }

    /// Passes on what is heard on the bus to the tail that it is for, if this node has it. Never blocks.
    pub(super) fn hear(&self, news: News) {
        match news {
            News::Entry(entry) => self.hear_entry(entry),
            News::Ahead(session, seq) => self.wake(&session, seq),
            News::Followed(session) => {
                if let Some(handle) = self.live().get(&session) {
                    let _ = handle.commands.try_send(Command::Look);
                }
            }
            News::Lost => self.lost.notify_one(),
            News::Asked(Asked::Remember { session, cursor, page }) => self.memory.note(&session, &page, cursor),
            News::Asked(Asked::Summon { .. } | Asked::Follow { .. }) => {}
        }
    }

    /// How far pages were delivered whose sockets have gone.
    pub(super) fn memory(&self) -> &Departed {
        &self.memory
    }

    /// Who is told of each entry that is delivered.
    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// Has a tail read up to this number, unless it is there.
    pub(super) fn wake(&self, session: &SessionId, seq: u64) {
        let Some(handle) = self.live().get(session).cloned() else { return };
        if handle.hint.reached().is_none_or(|reached| reached < seq) {
            handle.hint.raise(seq);
            // It looks when it has something to do; a full queue is that.
            let _ = handle.commands.try_send(Command::Then(Box::new(|| {})));
        }
    }

    fn hear_entry(&self, entry: Arc<Entry>) {
        let Some(handle) = self.live().get(&entry.session).cloned() else { return };
        let seq = entry.seq();
        if handle.commands.try_send(Command::Entry(entry)).is_err() {
            handle.hint.raise(seq);
        }
    }

    /// Waits until word may have been lost since this was asked last.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// Asks the store whether the logs of the sessions with sockets here have gone on without a word, and has their tails read what they lack.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(super) async fn heal(&self) -> Result<(), StoreError> {
        let reached: Vec<(SessionId, u64)> =
            self.live().iter().filter_map(|(session, handle)| Some((session.clone(), handle.hint.reached()?))).collect();
        for session in self.store.list_ahead(&reached).await? {
            if let Some(handle) = self.live().get(&session) {
                let _ = handle.commands.try_send(Command::Look);
            }
        }
        Ok(())
    }

    /// Does this when all entries that were told of the session before are delivered; at once where no socket listens, or its tail is too busy.
    pub(super) fn afterwards(&self, session: &SessionId, work: Box<dyn FnOnce() + Send>) {
        let Some(handle) = self.live().get(session).cloned() else { return work() };
        if let Err(kept) = handle.commands.try_send(Command::Then(work))
            && let Command::Then(work) = kept.into_inner()
        {
            work();
        }
    }

    /// Joins a socket to a session, as [`crate::dialect::Line::join`] promises.
    pub(super) async fn join(self: &Arc<Self>, listener: Listener, admission: Admission) -> Result<Joined, Error> {
        let (reply, answer) = oneshot::channel();
        let session = admission.session.id.clone();
        let mut command = Command::Join(Box::new(Joining { listener, admission, reply }));
        loop {
            let handle = self.handle(&session);
            match handle.commands.send(command).await {
                Ok(()) => break,
                // The tail retired between the look and the sending: the next look starts another.
                Err(mpsc::error::SendError(back)) => command = back,
            }
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Conflict(format!("joins of session {session}")).into()))
    }

    /// Takes a socket out of a session; when this answers, nothing more is delivered to it.
    pub(super) async fn leave(&self, session: &SessionId, conn: &ConnId) {
        let Some(handle) = self.live().get(session).cloned() else { return };
        let (done, left) = oneshot::channel();
        if handle.commands.send(Command::Leave(conn.clone(), done)).await.is_ok() {
            let _ = left.await;
        }
    }

    /// Takes a socket out of a session that is over, once it has been told so; answers whether nothing more is delivered to it.
    pub(super) async fn leave_if_over(&self, session: &SessionId, conn: &ConnId) -> bool {
        let Some(handle) = self.live().get(session).cloned() else { return true };
        let (answer, over) = oneshot::channel();
        handle.commands.send(Command::LeaveIfOver(conn.clone(), answer)).await.is_err() || over.await.unwrap_or(true)
    }

    /// The session's tail; starts one where there is none.
    #[allow(clippy::disallowed_methods, reason = "a tail's task ends when its last socket leaves")]
    fn handle(self: &Arc<Self>, session: &SessionId) -> Handle {
        let mut live = self.live();
        // A tail that panicked has left its handle behind.
        if let Some(handle) = live.get(session).filter(|h| !h.commands.is_closed()) {
            return handle.clone();
        }
        let (commands, receiver) = mpsc::channel(QUEUE);
        let handle = Handle { commands, hint: Arc::default() };
        live.insert(session.clone(), handle.clone());
        self.bus.follow(session);
        let tail =
            Tail::new(session.clone(), Arc::clone(&self.store), Arc::clone(&handle.hint), Arc::clone(&self.memory), Arc::clone(&self.told));
        let (tails, session) = (Arc::clone(self), session.clone());
        let running = tail.run(receiver, {
            let session = session.clone();
            move |commands| tails.retire(&session, commands)
        });
        tokio::spawn(async move {
            if AssertUnwindSafe(running).catch_unwind().await.is_err() {
                tracing::error!(session.id = %session, "a panic in a tail; its sockets hear nothing more of the session until they join again");
            }
        });
        handle
    }

    /// Forgets a tail without sockets, unless somebody is about to use it.
    fn retire(&self, session: &SessionId, commands: &mut mpsc::Receiver<Command>) -> bool {
        let mut live = self.live();
        // The map holds one sender; another one belongs to a caller who is just sending.
        if live.get(session).is_some_and(|h| h.commands.strong_count() > 1) || !commands.is_empty() {
            return false;
        }
        live.remove(session);
        self.bus.unfollow(session);
        true
    }

    fn live(&self) -> MutexGuard<'_, HashMap<SessionId, Handle>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
