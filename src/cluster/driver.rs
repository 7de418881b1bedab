//! The way of signals to other nodes: the driver under the Socket.IO library's Redis adapter. It never blocks or fails a broadcast, which the adapter
//! publishes before it serves the sockets of this node; what cannot be said now is dropped and counted.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use socketioxide_redis::drivers::{ChanItem, Driver, MessageStream};
use tokio::sync::mpsc;

use super::link::{Heard, Link, Listener};

/// How many signals may wait to be said.
const WAITING: usize = 10_000;

/// The adapter's channels, and who reads them.
type Readers = Arc<Mutex<HashMap<Arc<str>, mpsc::Sender<ChanItem>>>>;

/// The way of signals. Without a link they stay on this node.
#[derive(Clone, Default)]
pub struct Signals {
    readers: Readers,
    way: Arc<OnceLock<Way>>,
}

/// A link, and what waits for it.
struct Way {
    link: Arc<Link>,
    to_say: mpsc::Sender<ChanItem>,
}

impl Signals {
    /// A way without a link yet, and what listens for it.
    pub(super) fn pair() -> (Self, Listener) {
        let signals = Self::default();
        let readers = Arc::clone(&signals.readers);
        let listener = move |heard| {
            let Heard::Message(channel, said) = heard else { return };
            let readers = readers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(reader) = readers.get(&channel)
                && reader.try_send((channel.to_string(), said)).is_err()
            {
                tracing::debug!(%channel, "a signal of another node was dropped: too many wait");
            }
        };
        (signals, Box::new(listener))
    }

    /// Lays the way over this link, once.
    pub(super) fn over(&self, link: &Arc<Link>) {
        let (to_say, waiting) = mpsc::channel(WAITING);
        if self.way.set(Way { link: Arc::clone(link), to_say }).is_ok() {
            start(Arc::clone(link), waiting);
        }
    }

    /// Whether there may be other nodes that hear.
    pub fn has_link(&self) -> bool {
        self.way.get().is_some()
    }
}

#[allow(clippy::disallowed_methods, reason = "the task ends with the driver, whose channel it empties")]
fn start(link: Arc<Link>, waiting: mpsc::Receiver<ChanItem>) {
    tokio::spawn(say(link, waiting));
}

/// Says what waits, one after the other, so that a start of typing stays before its stop. Nobody hears later what was said while Redis was away.
async fn say(link: Arc<Link>, mut waiting: mpsc::Receiver<ChanItem>) {
    while let Some((channel, message)) = waiting.recv().await {
        if !link.publish(&channel, message).await {
            link.traffic.unsaid.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Driver for Signals {
    type Error = Infallible;

    async fn publish(&self, channel: String, message: Vec<u8>) -> Result<(), Infallible> {
        if let Some(way) = self.way.get()
            && way.to_say.try_send((channel, message)).is_err()
        {
            way.link.traffic.unsaid.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn subscribe(&self, channel: String, size: usize) -> Result<MessageStream<ChanItem>, Infallible> {
        let (reader, messages) = mpsc::channel(size);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.as_str().into(), reader);
        if let Some(way) = self.way.get() {
            way.link.subscribe(&channel);
        }
        Ok(MessageStream::new(messages))
    }

    async fn unsubscribe(&self, channel: String) -> Result<(), Infallible> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).remove(channel.as_str());
        if let Some(way) = self.way.get() {
            way.link.unsubscribe(&channel);
        }
        Ok(())
    }

    /// Signals ask for no answers, so nobody counts who would answer.
    async fn num_serv(&self, _: &str) -> Result<u16, Infallible> {
        Ok(1)
    }
}
