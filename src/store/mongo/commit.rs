//! Group commit with no timer: one task takes what is waiting and writes it in rounds, at most one entry of a session in each.
//! Knows the log and nothing else.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

use crate::domain::entry::{Draft, Entry, Head};
use crate::domain::error::StoreError;
use crate::domain::ids::SessionId;
use crate::domain::store::Appended;

use super::entries::{Log, Refusal, Written};
use super::heads::Heads;
use super::within;

/// How many drafts may wait; callers beyond wait for room.
const WAITING: usize = 4096;

/// How many entries one round holds at most, and how many bytes of text, about.
const ROUND: usize = 500;
const ROUND_BYTES: usize = 4 * 1024 * 1024;

/// How long one step of a round may take. Shorter than an operation's limit, so that callers still wait when the outcome is looked up.
const STEP_LIMIT: Duration = Duration::from_secs(3);

/// How often a draft may lose its number to another writer.
const MAX_LOSSES: u32 = 200;

/// How often a draft may meet an error that leaves its outcome unknown.
const MAX_FAILURES: u32 = 3;

/// How many heads a generation of the memory holds.
const HEADS: usize = 8192;

/// The door to the task that writes entries. The task ends when this is dropped.
pub(super) struct Committer {
    queue: mpsc::Sender<Job>,
}

/// A draft on its way into the log.
struct Job {
    draft: Draft,
    reply: oneshot::Sender<Result<Appended, StoreError>>,
    /// How often its number was taken by another writer.
    losses: u32,
    /// The number that was taken last; a head below it is older than what took it.
    taken: u64,
    /// How often its outcome was unknown and it was then not found.
    failures: u32,
}

/// What the next step of a job is.
enum Step {
    Write(Box<(Job, Entry)>),
    Again(Box<Job>),
    Answered,
}

impl Committer {
    /// Starts the task.
    #[allow(clippy::disallowed_methods, reason = "the committer owns its task, which ends when the handle is dropped")]
    pub(super) fn start(log: Log) -> Self {
        let (queue, jobs) = mpsc::channel(WAITING);
        tokio::spawn(Rounds { log, heads: Heads::new(HEADS), waiting: VecDeque::new(), jobs }.run());
        Self { queue }
    }

    /// Hands the draft over and waits for its outcome. A draft that nobody waits for any more is not written, unless its round has begun.
    pub(super) async fn append(&self, draft: Draft) -> Result<Appended, StoreError> {
        let (reply, outcome) = oneshot::channel();
        let job = Job { draft, reply, losses: 0, taken: 0, failures: 0 };
        self.queue.send(job).await.map_err(|_| StoreError::Unavailable("the committer has ended".into()))?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a round of appends was lost".into())))
    }
}

/// Waits a moment for what a majority does not have yet.
#[allow(clippy::disallowed_methods, reason = "MongoDB does not announce what becomes readable; only asked for after a clash")]
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// The task: what waits, in order, and what it remembers.
struct Rounds {
    log: Log,
    heads: Heads,
    waiting: VecDeque<Job>,
    jobs: mpsc::Receiver<Job>,
}

impl Rounds {
    async fn run(mut self) {
        while self.gather().await {
            let round = self.next_round();
            let size = round.len();
            // A panic loses this round, whose callers are told so, and not the task.
            let Ok(again) = AssertUnwindSafe(self.round(round)).catch_unwind().await else {
                tracing::error!(entries = size, "a round of appends panicked");
                self.heads.clear();
                continue;
            };
            for job in again.into_iter().rev() {
                self.waiting.push_front(job); // Before its session's later drafts.
            }
        }
    }

    /// Takes what is waiting, and waits where nothing is; `false` when the handle is gone and nothing is left.
    async fn gather(&mut self) -> bool {
        if self.waiting.is_empty() {
            match self.jobs.recv().await {
                Some(job) => self.waiting.push_back(job),
                None => return false,
            }
        }
        while self.waiting.len() < WAITING {
            match self.jobs.try_recv() {
                Ok(job) => self.waiting.push_back(job),
                Err(_) => break,
            }
        }
        true
    }

    /// The first waiting draft of each session, as many as a round holds.
    fn next_round(&mut self) -> Vec<Job> {
        let (mut round, mut later, mut sessions, mut bytes) = (Vec::new(), VecDeque::new(), HashSet::new(), 0);
        while let Some(job) = self.waiting.pop_front() {
            let has_room = round.len() < ROUND && bytes < ROUND_BYTES;
            if job.reply.is_closed() {
                continue; // Its caller gave up; for the caller the outcome is unknown, and this is the simplest one.
            } else if has_room && sessions.insert(job.draft.session.clone()) {
                bytes += size(&job.draft);
                round.push(job);
            } else {
                later.push_back(job);
            }
        }
        self.waiting = later;
        round
    }

    /// Writes a round; answers the jobs that must be tried again, in order.
    async fn round(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let steps = join_all(jobs.into_iter().map(|job| self.place(job))).await;
        let (mut writes, mut again) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Write(write) => writes.push(*write),
                Step::Again(job) => again.push(*job),
                Step::Answered => {}
            }
        }
        if writes.is_empty() {
            if !again.is_empty() {
                pause().await;
            }
            return again;
        }
        let insert = async { Ok(self.log.insert(writes.iter().map(|(_, entry)| entry)).await) };
        let written = within(STEP_LIMIT, "append", insert).await.unwrap_or_else(Written::Unknown);
        again.extend(self.settle(writes, written).await);
        again
    }

    /// Gives the draft its place after the head, or its answer where it gets none.
    async fn place(&self, job: Job) -> Step {
        let head = match self.head(&job.draft.session).await {
            Ok(head) => head,
            Err(error) => return answer(job, Err(error)),
        };
        if job.taken > head.seq {
            return Step::Again(Box::new(job)); // Whoever took the number is not known to be stored yet.
        }
        if let Some(entry) = head.follow(&job.draft) {
            return Step::Write(Box::new((job, entry)));
        }
        let known = within(STEP_LIMIT, "append", self.log.find_stored(&job.draft)).await;
        answer(job, known.map(|stored| stored.unwrap_or(Appended::Ended)))
    }

    /// The head as remembered, or as stored; never an end that is only remembered, since a refusal must be certain.
    async fn head(&self, session: &SessionId) -> Result<Head, StoreError> {
        match self.heads.recall(session) {
            Some(head) if !head.ended => Ok(head),
            _ => within(STEP_LIMIT, "append", self.log.head(session)).await,
        }
    }

    /// Answers what is certain, looks up what is not; answers the jobs that must be tried again.
    async fn settle(&mut self, writes: Vec<(Job, Entry)>, written: Written) -> Vec<Job> {
        let mut refusals = match written {
            Written::Except(refusals) => refusals,
            Written::Unknown(error) => return self.settle_unknown(writes, &error).await,
        };
        let (mut known, mut again) = (Vec::new(), Vec::new());
        for (position, (mut job, entry)) in writes.into_iter().enumerate() {
            let refusal = refusals.iter().position(|(at, _)| *at == position).map(|at| refusals.swap_remove(at).1);
            match refusal {
                None => {
                    self.heads.remember(entry.session.clone(), entry.head);
                    answer(job, Ok(Appended::Stored(entry)));
                }
                Some(Refusal::NumberTaken) => {
                    self.heads.forget(&entry.session);
                    job.losses += 1;
                    job.taken = entry.head.seq;
                    again.extend(lost(job));
                }
                Some(Refusal::Refused(code)) => {
                    let cause = format!("the database refused an entry with code {code}");
                    answer(job, Err(StoreError::Unavailable(cause.into())));
                }
                Some(Refusal::Known) => known.push(job),
            }
        }
        again.extend(self.look_up(known).await);
        again
    }

    /// After an error that does not say what was written: answers what is found stored, and gives back what is not, a few times.
    async fn settle_unknown(&mut self, writes: Vec<(Job, Entry)>, error: &StoreError) -> Vec<Job> {
        tracing::warn!(entries = writes.len(), %error, "the outcome of an append is unknown, looking it up");
        let mut jobs = Vec::new();
        for (mut job, entry) in writes {
            self.heads.forget(&entry.session);
            job.failures += 1;
            jobs.push(job);
        }
        let (again, failed) = self.look_up(jobs).await.into_iter().partition(|job| job.failures <= MAX_FAILURES);
        for job in Vec::<Job>::into_iter(failed) {
            answer(job, Err(StoreError::Unavailable(error.to_string().into())));
        }
        again
    }

    /// Answers the drafts that are found stored; gives back those that are not, or not by a majority yet.
    async fn look_up(&self, jobs: Vec<Job>) -> Vec<Job> {
        let found = join_all(jobs.iter().map(|job| within(STEP_LIMIT, "append", self.log.find_stored(&job.draft)))).await;
        let mut missing = Vec::new();
        for (job, stored) in jobs.into_iter().zip(found) {
            match stored.transpose() {
                Some(outcome) => drop(answer(job, outcome)),
                None => missing.push(job),
            }
        }
        if !missing.is_empty() {
            pause().await;
        }
        missing
    }
}

/// Gives the job back unless it lost too often, which its caller is told.
fn lost(job: Job) -> Option<Job> {
    if job.losses <= MAX_LOSSES {
        return Some(job);
    }
    let conflict = StoreError::Conflict(format!("session {}", job.draft.session));
    answer(job, Err(conflict));
    None
}

/// Tells the caller, if it still waits.
fn answer(job: Job, outcome: Result<Appended, StoreError>) -> Step {
    drop(job.reply.send(outcome));
    Step::Answered
}

/// About how many bytes the draft's document has, beyond what every one has.
fn size(draft: &Draft) -> usize {
    use crate::domain::entry::Content;
    match &draft.content {
        Content::Message(message) => message.body.as_str().len(),
        Content::Assigned(assignment) => assignment.reason.as_ref().map_or(0, |r| r.len()),
        Content::Edited(edit) => edit.body.as_str().len(),
        Content::Ended(text) | Content::Opened(text) => text.len(),
    }
}
