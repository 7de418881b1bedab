//! What tails are asked to do, by whom, and what they share with their registry. Delivers nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::outlet::Outlet;
use crate::dialect::{Admission, Dialect, Joined};
use crate::domain::entry::Entry;
use crate::domain::error::Error;
use crate::domain::ids::ConnId;
use crate::domain::principal::Principal;

/// What a tail is asked to do.
pub(super) enum Command {
    /// An entry was stored.
    Entry(Arc<Entry>),
    /// The log may have gone on.
    Look,
    /// Something to do when the entries before are delivered.
    Then(Box<dyn FnOnce() + Send>),
    /// A socket wants in; the answer comes when its greeting is sent.
    Join(Box<Joining>),
    /// A socket leaves. The answer comes when nothing more will be delivered to it.
    Leave(ConnId, oneshot::Sender<()>),
    /// A socket leaves if the session is over and it has been told so. The answer says whether.
    LeaveIfOver(ConnId, oneshot::Sender<bool>),
}

/// Who is told of each entry that is delivered on this node; must return at once.
pub(super) type Told = OnceLock<Box<dyn Fn(&Entry) + Send + Sync>>;

/// A socket as tails know it.
pub(super) struct Listener {
    pub(super) conn: ConnId,
    pub(super) outlet: Outlet,
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) who: Principal,
}

/// A socket that wants in.
pub(super) struct Joining {
    pub(super) listener: Listener,
    pub(super) admission: Admission,
    pub(super) reply: oneshot::Sender<Result<Joined, Error>>,
}

/// What the registry and the tail share.
#[derive(Default)]
pub(super) struct Hint {
    /// The highest number heard of that did not fit into the tail's queue.
    pub(super) missed: AtomicU64,
    /// The number of the last entry delivered, and one more; 0 as long as none is known.
    pub(super) reached: AtomicU64,
}

impl Hint {
    pub(super) fn raise(&self, seq: u64) {
        self.missed.fetch_max(seq, Ordering::Relaxed);
    }

    /// The number of the last entry delivered, once the tail knows it.
    pub(super) fn reached(&self) -> Option<u64> {
        self.reached.load(Ordering::Relaxed).checked_sub(1)
    }
}
