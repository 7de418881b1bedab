//! Look-ups of sessions, of which every message makes one: those that wait at the same time are one question to the database. Nothing is kept; what is
//! answered was read after it was asked for.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bson::{Bson, Document, doc};
use futures_util::{FutureExt, TryStreamExt};
use mongodb::Collection;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::documents::{id, to_session};
use super::reader::Reader;
use super::{LIMIT, within};
use crate::domain::error::StoreError;
use crate::domain::ids::SessionId;
use crate::domain::session::Session;

/// How many questions are under way at once, so that one alone seldom waits for another.
const AT_ONCE: usize = 2;

/// How many look-ups are one question at most.
const MOST: u32 = 200;

/// How many look-ups may wait; callers beyond wait for room.
const WAITING: usize = 4096;

type Found = Result<Option<Session>, StoreError>;

/// A session, and where its answer goes.
type Asked = (SessionId, oneshot::Sender<Found>);

/// The door to the tasks that ask the database.
pub(super) struct Lookups {
    queue: mpsc::Sender<Asked>,
}

impl Lookups {
    /// Starts the tasks.
    #[allow(clippy::disallowed_methods, reason = "the tasks end when this, which holds the way to them, is dropped")]
    pub(super) fn start(sessions: &Collection<Document>) -> Self {
        let (queue, asked) = mpsc::channel(WAITING);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..AT_ONCE {
            tokio::spawn(work(sessions.clone(), Arc::clone(&asked)));
        }
        Self { queue }
    }

    /// The session, or `None`, as the database has it now.
    pub(super) async fn find(&self, session: &SessionId) -> Found {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::Unavailable("look-ups of sessions have ended".into());
        self.queue.send((session.clone(), answer)).await.map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

async fn work(sessions: Collection<Document>, asked: Arc<Mutex<mpsc::Receiver<Asked>>>) {
    let mut taken = Vec::new();
    while asked.lock().await.recv_many(&mut taken, MOST as usize).await > 0 {
        // A panic loses these look-ups, whose callers are told so, and not the task.
        if AssertUnwindSafe(answer(&sessions, taken.drain(..))).catch_unwind().await.is_err() {
            tracing::error!("look-ups of sessions panicked");
        }
    }
}

/// Asks for all of them at once, and tells each who still waits.
async fn answer(sessions: &Collection<Document>, asked: impl Iterator<Item = Asked>) {
    let mut waiting: HashMap<SessionId, Vec<oneshot::Sender<Found>>> = HashMap::new();
    for (session, answer) in asked.filter(|(_, answer)| !answer.is_closed()) {
        waiting.entry(session).or_default().push(answer);
    }
    if waiting.is_empty() {
        return;
    }
    let ids: Vec<Bson> = waiting.keys().map(|session| id(session.as_str())).collect();
    let outcome = within(LIMIT, "find_session", read(sessions, ids)).await;
    let mut tell = |session: &SessionId, found: &Found| {
        for answer in waiting.remove(session).unwrap_or_default() {
            let _ = answer.send(again(found));
        }
    };
    for document in outcome.iter().flatten() {
        if let Ok(session) = Reader::new("session", document).id("_id").map(SessionId::stored) {
            tell(&session, &to_session(document).map(Some));
        }
    }
    // Whoever is left has no document, or nobody knows.
    let rest = outcome.map(|_| None);
    for answer in waiting.into_values().flatten() {
        let _ = answer.send(again(&rest));
    }
}

async fn read(sessions: &Collection<Document>, mut ids: Vec<Bson>) -> Result<Vec<Document>, StoreError> {
    let which = if ids.len() == 1 { ids.pop() } else { None };
    let filter = doc! { "_id": which.unwrap_or_else(|| doc! { "$in": ids }.into()) };
    Ok(sessions.find(filter).batch_size(MOST).await?.try_collect().await?)
}

/// What was found, or went wrong, for another caller.
fn again(found: &Found) -> Found {
    match found {
        Ok(session) => Ok(session.clone()),
        Err(StoreError::Timeout(what)) => Err(StoreError::Timeout(what)),
        Err(StoreError::Corrupt(what)) => Err(StoreError::Corrupt(what.clone())),
        Err(other) => Err(StoreError::Unavailable(other.to_string().into())),
    }
}
