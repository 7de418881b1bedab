//! The tail of one session: delivers its entries to the local sockets, strictly in order, each once. Each socket has a cursor, and never
//! gets an entry at or below it; one whose buffer is full is fed from the store when it drains. Reads the store, writes nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::command::{Command, Hint, Joining, Listener, Told};
use super::conn::room;
use super::departed::Departed;
use super::member::{Greeting, Member, is_agent};
use super::outlet::{RETRY, Sent};
use crate::dialect::wire::Frame;
use crate::dialect::{Admission, Joined, Reader, Start};
use crate::domain::entry::{Assignment, Content, Entry, Head};
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::{AgentId, ConnId, SessionId};
use crate::domain::ports::Audience;
use crate::domain::session::{Session, Status};
use crate::domain::store::Store;

/// How many entries a gap is healed by at once.
const GAP_BATCH: u32 = 200;

/// How many entries are held ready for a socket that fell behind.
const FEED_BATCH: u32 = 32;

/// How many entries a page from before this process is given at most.
const LEFT_OFF_LIMIT: u32 = 50;

/// For how long after its start a process takes a page that it does not know for one that an earlier process served, in milliseconds: official
/// clients come back within a few seconds.
const BACK_AFTER_START_MS: i64 = 30_000;

/// How often other nodes are told how far pages are that would not know it themselves.
const SHARE_EVERY: Duration = Duration::from_secs(1);

/// How long the tail waits before it asks a store again that did not answer.
const STORE_RETRY: Duration = Duration::from_millis(500);

pub(super) struct Tail {
    session: SessionId,
    store: Arc<dyn Store>,
    hint: Arc<Hint>,
    departed: Arc<Departed>,
    told: Arc<Told>,
    /// What the log says after the last entry delivered; `None` until a first look into the store succeeds.
    delivered: Option<Head>,
    /// Whether the store failed to answer at the last try.
    store_is_away: bool,
    /// When the other nodes were told how far pages are.
    shared_at: Instant,
    members: HashMap<ConnId, Member>,
}

impl Tail {
    pub(super) fn new(session: SessionId, store: Arc<dyn Store>, hint: Arc<Hint>, departed: Arc<Departed>, told: Arc<Told>) -> Self {
        Self {
            session,
            store,
            hint,
            departed,
            told,
            delivered: None,
            store_is_away: false,
            shared_at: Instant::now(),
            members: HashMap::new(),
        }
    }

    /// Works until no socket is left and the registry agrees to forget this tail.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut retire: impl FnMut(&mut mpsc::Receiver<Command>) -> bool) {
        loop {
            let command = match self.patience() {
                Some(patience) => tokio::time::timeout(patience, commands.recv()).await.ok(),
                None => Some(commands.recv().await),
            };
            match command {
                Some(Some(command)) => self.carry_out(command).await,
                Some(None) => return,
                None => {}
            }
            self.catch_up_to(self.hint.missed.load(Ordering::Relaxed)).await;
            self.feed_laggards().await;
            self.share();
            self.hint.reached.store(self.delivered.map_or(0, |d| d.seq + 1), Ordering::Relaxed);
            if self.members.is_empty() && retire(&mut commands) {
                return;
            }
        }
    }

    /// How long to wait for a command before trying again what is due; `None` where nothing is.
    fn patience(&self) -> Option<Duration> {
        let missed = self.delivered.is_some_and(|d| self.hint.missed.load(Ordering::Relaxed) > d.seq);
        let behind = self.members.values().any(|m| !self.is_level(m));
        // Without sockets it only waits for whoever holds its handle to let go.
        let due = missed || behind || self.members.is_empty();
        let retry = due.then_some(if self.store_is_away || !behind { STORE_RETRY } else { RETRY });
        retry.or_else(|| (self.departed.has_others() && self.members.values().any(Member::is_unshared)).then_some(SHARE_EVERY))
    }

    /// Tells the other nodes from time to time how far pages are, in case this one dies without a word.
    fn share(&mut self) {
        if self.shared_at.elapsed() < SHARE_EVERY || !self.departed.has_others() {
            return;
        }
        self.shared_at = Instant::now();
        for member in self.members.values_mut().filter(|m| m.is_unshared()) {
            member.shared = member.cursor;
            member.pages.iter().for_each(|page| self.departed.share(&self.session, page, member.cursor));
        }
    }

    async fn carry_out(&mut self, command: Command) {
        match command {
            Command::Entry(entry) => self.hear(&entry).await,
            Command::Look => self.look().await,
            Command::Then(work) => work(),
            // Seldom, and large: a tail lasts.
            Command::Join(joining) => Box::pin(self.join(*joining)).await,
            Command::Leave(conn, done) => {
                self.forget(&conn);
                let _ = done.send(());
            }
            Command::LeaveIfOver(conn, done) => {
                let is_over = self.delivered.is_some_and(|d| d.ended) && self.members.get(&conn).is_none_or(|m| self.is_level(m));
                if is_over {
                    self.forget(&conn);
                }
                let _ = done.send(is_over);
            }
        }
    }

    /// Delivers an entry that was heard of, and before it whatever was not.
    async fn hear(&mut self, entry: &Entry) {
        let Some(delivered) = self.delivered else { return };
        if entry.seq() == delivered.seq + 1 {
            self.deliver(entry);
        } else {
            self.catch_up_to(entry.seq()).await;
        }
    }

    /// Delivers what the store has and nobody told of.
    async fn look(&mut self) {
        while let Some(delivered) = self.delivered {
            let Some(missing) = self.read_after(delivered.seq, GAP_BATCH).await else { return };
            for entry in &missing {
                self.deliver(entry);
            }
        }
    }

    /// Reads from the store and delivers everything up to `seq`, and beyond it what is there; what the store does not tell now, soon.
    async fn catch_up_to(&mut self, seq: u64) {
        if self.delivered.is_some_and(|d| d.seq < seq) {
            self.hint.raise(seq);
            self.catch_up_with(seq).await;
        }
    }

    /// The same once, up to what a client has seen on another node before word of it came here: cursors do not go back. It may say more than
    /// there is.
    async fn catch_up_with(&mut self, seen: u64) {
        while let Some(delivered) = self.delivered.filter(|d| d.seq < seen) {
            let Some(missing) = self.read_after(delivered.seq, GAP_BATCH).await else { return };
            for entry in &missing {
                self.deliver(entry);
            }
        }
    }

    /// Entries after `seq`; `None` where the store does not answer, or has none.
    async fn read_after(&mut self, seq: u64, limit: u32) -> Option<Vec<Entry>> {
        let read = self.store.list_entries(&self.session, seq, limit).await;
        self.store_is_away = read.is_err();
        match read {
            Ok(entries) => Some(entries).filter(|e| !e.is_empty()),
            Err(error) => {
                tracing::warn!(session.id = %self.session, %error, "the tail cannot read entries now; it tries again");
                None
            }
        }
    }

    /// Delivers the next entry to every socket that is level. Its payload is encoded once for each contract, and kind of reader in it.
    fn deliver(&mut self, entry: &Entry) {
        let before = self.delivered.replace(entry.head).map(|d| d.seq);
        if let Some(told) = self.told.get() {
            told(entry);
        }
        let mut frames: Vec<((&'static str, Reader), Option<Frame>)> = Vec::new();
        self.members.retain(|_, member| {
            if Some(member.cursor) != before || !member.pending.is_empty() {
                return true;
            }
            let reader = member.reader();
            let kind = (member.dialect.realm().name(), reader);
            if !frames.iter().any(|(k, _)| *k == kind) {
                frames.push((kind, member.dialect.entry_frame(entry, reader)));
            }
            let frame = frames.iter().find(|(k, _)| *k == kind).and_then(|(_, f)| f.as_ref());
            let stays = member.advance(entry.seq(), frame) != Sent::Gone;
            if !stays {
                member.pages.iter().for_each(|page| self.departed.remember(&self.session, page, member.cursor));
            }
            stays
        });
        // Whoever answered before hears nothing more, from this very entry on; what he is to do about it his connection is told beside this.
        if let Content::Assigned(Assignment { former: Some(former), .. }) = &entry.content {
            self.send_away(former);
        }
    }

    async fn join(&mut self, joining: Joining) {
        let Joining { listener: Listener { conn, outlet, dialect, who }, admission, reply } = joining;
        let Admission { session, start, history, pages, greeting } = admission;
        let greeted = self.greet(&conn, session, (start, history, &pages)).await.map_err(Error::from);
        // It was let in before; whoever has been sent away since is not.
        let admitted = greeted.and_then(|greeted| if greeted.2.0.admits(&who) { Ok(greeted) } else { Err(Error::SessionNotFound) });
        let (joined, messages, (session, total)) = match admitted {
            Ok(greeted) => greeted,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let frames = greeting(&session, &messages, total);
        let fresh =
            Member { outlet, dialect, who, cursor: joined.reach, shared: 0, pages: Vec::new(), pending: VecDeque::new(), greeting: None };
        let member = self.members.entry(conn).or_insert(fresh);
        if !pages.is_empty() {
            member.pages = pages;
        }
        member.greeting = Some(Greeting { frames: frames.len(), joined, reply });
        for frame in frames.into_iter().rev() {
            member.pending.push_front((joined.reach, Some(frame)));
        }
        member.flush();
    }

    /// How far the greeting reaches, its messages, and the session as the log has it there, with the count of all its messages. A socket that
    /// listens already is greeted up to its own cursor. A document that is not as the log has it is read again, after the log: it may know of an
    /// assignment before the log does, and of an end only after it.
    async fn greet(
        &mut self,
        conn: &ConnId,
        known: Session,
        (start, history, pages): (Start, u32, &[Arc<str>]),
    ) -> Result<(Joined, Vec<Entry>, (Session, u64)), StoreError> {
        let seen = match start {
            Start::After(seen) => Some(seen),
            Start::LeftOff | Start::Again { .. } => self.known(pages),
            Start::Now | Start::Latest | Start::Behind(_) => None,
        };
        self.catch_up_with(seen.unwrap_or(0)).await;
        if self.store_is_away {
            return Err(StoreError::Unavailable("it did not answer the tail".into()));
        }
        let head = match self.delivered {
            Some(head) => head,
            None => *self.delivered.insert(self.store.head(&self.session).await?),
        };
        // Nothing that matters here has changed since it was let in where the log knows of none; thousands come back at once.
        let is_current = known.assignment == head.assignment && known.is_open() != head.ended;
        let mut session = if is_current { known } else { self.store.find_session(&self.session).await?.unwrap_or(known) };
        if head.ended {
            session.status = Status::Ended;
        }
        let (reach, messages) = match (self.members.get(conn), start) {
            (member, Start::After(last_seq)) => {
                // Who listens already has what was delivered to it, whatever it says.
                let reach = member.map_or(head.seq, |m| m.cursor);
                let last_seq = last_seq.min(reach);
                let mut entries =
                    if last_seq < reach { self.store.list_entries(&self.session, last_seq, history).await? } else { Vec::new() };
                entries.retain(|e| e.seq() <= reach);
                let shown = entries.last().map_or(last_seq, Entry::seq);
                let is_new = member.is_none();
                entries.retain(|e| e.body().is_some());
                (if is_new { shown } else { reach }, entries)
            }
            (None, Start::LeftOff) => (self.left_off(pages, head.seq).await?, Vec::new()),
            (None, Start::Again { now, since }) => {
                let started = self.departed.started;
                let is_early = since < started && now.since(started) < BACK_AFTER_START_MS;
                let reach = if is_early { Some(self.left_off(pages, head.seq).await?) } else { self.known(pages).map(|c| c.min(head.seq)) };
                (reach.unwrap_or(head.seq), Vec::new())
            }
            (None, Start::Behind(seq)) => (seq.min(head.seq), Vec::new()),
            (Some(member), Start::LeftOff | Start::Again { .. } | Start::Behind(_)) => (member.cursor, Vec::new()),
            (member, start @ (Start::Now | Start::Latest)) => {
                let reach = member.map_or(head.seq, |m| m.cursor);
                let skipped = if start == Start::Latest { head.ordinal.saturating_sub(history.into()) } else { 0 };
                let mut messages = self.store.list_messages(&self.session, skipped, history).await?;
                messages.retain(|m| m.seq() <= reach);
                (reach, messages)
            }
        };
        Ok((Joined { reach, head: head.seq, status: session.status }, messages, (session, head.ordinal)))
    }

    /// The last entry that a page's earlier socket got: one that still lives, or one that has gone. Where this process knows of none, the page
    /// is from before its start, and has what was stored by then.
    async fn left_off(&self, pages: &[Arc<str>], head: u64) -> Result<u64, StoreError> {
        if let Some(cursor) = self.known(pages) {
            return Ok(cursor.min(head));
        }
        let recent = self.store.list_entries(&self.session, head.saturating_sub(LEFT_OFF_LIMIT.into()), LEFT_OFF_LIMIT).await?;
        let since = self.departed.unknown_since();
        let unseen = recent.iter().find(|e| e.at >= since);
        Ok(unseen.map_or(head, |e| (e.seq() - 1).min(head)))
    }

    /// The last entry that a page's earlier socket got, as far as this process knows.
    fn known(&self, pages: &[Arc<str>]) -> Option<u64> {
        let is_of_page = |names: &[Arc<str>]| names.first().is_some_and(|name| pages.first() == Some(name));
        let living = self.members.values().filter(|m| is_of_page(&m.pages)).map(|m| m.cursor).max();
        let departed = || pages.iter().filter_map(|page| self.departed.recall(&self.session, page)).max();
        living.or_else(departed)
    }

    fn is_level(&self, member: &Member) -> bool {
        Some(member.cursor) == self.delivered.map(|d| d.seq) && member.pending.is_empty()
    }

    /// Feeds sockets that fell behind, as far as their buffers take it.
    async fn feed_laggards(&mut self) {
        let Some(delivered) = self.delivered.map(|d| d.seq) else { return };
        let lagging: Vec<ConnId> = self.members.iter().filter(|(_, m)| !self.is_level(m)).map(|(id, _)| id.clone()).collect();
        for conn in lagging {
            if self.feed(&conn, delivered).await == Sent::Gone {
                self.forget(&conn);
            }
        }
    }

    /// Takes the sockets of a former agent out, and out of the session's signals.
    fn send_away(&mut self, former: &AgentId) {
        let is_gone = |m: &Member| !m.dialect.realm().shares_sessions() && is_agent(&m.who, former);
        let gone: Vec<ConnId> = self.members.iter().filter(|(_, m)| is_gone(m)).map(|(id, _)| id.clone()).collect();
        for conn in gone {
            if let Some(member) = self.members.get(&conn).filter(|m| m.outlet.is_open()) {
                member.outlet.exit(room(&Audience::Session(self.session.clone())));
            }
            self.forget(&conn);
        }
    }

    /// Takes a socket out, and remembers how far its page is.
    fn forget(&mut self, conn: &ConnId) {
        if let Some(member) = self.members.remove(conn) {
            member.pages.iter().for_each(|page| self.departed.remember(&self.session, page, member.cursor));
        }
    }

    async fn feed(&mut self, conn: &ConnId, delivered: u64) -> Sent {
        loop {
            let Some(member) = self.members.get_mut(conn) else { return Sent::Gone };
            let sent = member.flush();
            let cursor = member.cursor;
            if sent != Sent::Buffered || cursor >= delivered {
                return sent;
            }
            let Some(entries) = self.read_after(cursor, FEED_BATCH).await else { return Sent::Full };
            let Some(member) = self.members.get_mut(conn) else { return Sent::Gone };
            let due = entries.iter().filter(|e| e.seq() <= delivered);
            let reader = member.reader();
            member.pending.extend(due.map(|e| (e.seq(), member.dialect.entry_frame(e, reader))));
        }
    }
}
