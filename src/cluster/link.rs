//! The link to Redis: what is published there, the subscriptions that are kept whatever happens to it, and what is heard. Redis may come, go and
//! come back; nothing waits for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fred::bytes::Bytes;
use fred::clients::SubscriberClient;
use fred::prelude::{Builder, ClientLike, Config, Error, EventInterface, PubsubInterface, ReconnectPolicy};
use fred::types::RespVersion;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

/// How many subscriptions may wait to be made. What does not fit is not made.
const WAITING: usize = 10_000;

/// How many messages may wait to be heard; the library's own 32 lose bursts.
const HEARD: usize = 65_536;

/// How long one command may take, and for how long the start waits for Redis.
const LIMIT: Duration = Duration::from_secs(2);

/// How soon what failed is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(500);

/// What is heard over the link.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// Somebody, this node too, published this on that channel.
    Message(Arc<str>, Vec<u8>),
    /// What is published on this channel is heard from now on.
    Subscribed(Arc<str>),
    /// What was published before may have been missed, on any channel.
    Lost,
}

/// Hears. Must return at once.
pub(super) type Listener = Box<dyn Fn(Heard) + Send + Sync>;

/// What is asked of the task that subscribes.
enum Wish {
    Subscribe(Arc<str>),
    Unsubscribe(Arc<str>),
}

/// What went over the link since the start, and what did not.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Messages that were published.
    pub said: AtomicU64,
    /// Messages that were not, because Redis was away or too much waited.
    pub unsaid: AtomicU64,
    /// Messages of any node that were heard.
    pub heard: AtomicU64,
    /// How often Redis went.
    pub cuts: AtomicU64,
}

/// A link. Dropping the last one ends its tasks.
pub(super) struct Link {
    client: SubscriberClient,
    wishes: mpsc::Sender<Wish>,
    pub(super) traffic: Arc<Traffic>,
}

impl Link {
    /// A link to the Redis of this URL, with all who listen. Waits a little for it, and goes on without it if need be.
    ///
    /// # Errors
    /// A URL that cannot be used.
    pub(super) async fn open(url: &str, listeners: Vec<Listener>) -> Result<Self, Error> {
        let (client, traffic, listeners) = (client(url)?, Arc::new(Traffic::default()), Arc::new(listeners));
        let (wishes, wished) = mpsc::channel(WAITING);
        start(&client, &listeners, &traffic, wished);
        drop(client.connect());
        if timeout(LIMIT, client.wait_for_connect()).await.is_err() {
            tracing::warn!("Redis (REDIS_URL) does not answer; the start goes on without it, and other nodes are heard through the store");
        }
        Ok(Self { client, wishes, traffic })
    }

    /// Publishes a message, unless Redis is away.
    pub(super) async fn publish(&self, channel: &str, message: impl Into<Bytes>) -> bool {
        if !self.is_up() {
            return false;
        }
        let published = self.client.publish::<(), _, _>(channel, message.into()).await;
        if let Err(error) = &published {
            tracing::debug!(%error, "a word was not said");
        }
        self.traffic.said.fetch_add(u64::from(published.is_ok()), Ordering::Relaxed);
        published.is_ok()
    }

    /// Publishes messages on their channels, in this order and with one wait for all answers, unless Redis is away. Answers which of them were
    /// published for certain.
    pub(super) async fn publish_all(&self, messages: Vec<(String, String)>) -> Vec<bool> {
        let mut are_published = vec![false; messages.len()];
        if messages.is_empty() || !self.is_up() {
            return are_published;
        }
        let pipeline = self.client.to_client().pipeline();
        for (channel, message) in messages {
            // Only put there: what becomes of it is told below.
            let _ = pipeline.publish::<(), _, _>(channel, message).await;
        }
        for (is_published, answer) in are_published.iter_mut().zip(pipeline.try_all::<()>().await) {
            match answer {
                Ok(()) => *is_published = true,
                Err(error) => tracing::debug!(%error, "a word was not said"),
            }
        }
        let count = are_published.iter().filter(|is_published| **is_published).count();
        self.traffic.said.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        are_published
    }

    /// Subscribes soon, and again whenever Redis is back.
    pub(super) fn subscribe(&self, channel: &str) {
        self.wish(Wish::Subscribe(channel.into()));
    }

    pub(super) fn unsubscribe(&self, channel: &str) {
        self.wish(Wish::Unsubscribe(channel.into()));
    }

    /// Whether Redis is there, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        self.client.is_connected()
    }

    fn wish(&self, wish: Wish) {
        if self.wishes.try_send(wish).is_err() {
            tracing::warn!("too many subscriptions wait for Redis; what is said there is heard through the store, or not at all");
        }
    }
}

/// A client that reconnects for ever, and fails a command rather than keeping it for later.
fn client(url: &str) -> Result<SubscriberClient, Error> {
    let mut config = Config::from_url(url)?;
    config.version = RespVersion::RESP3;
    config.fail_fast = false;
    let mut builder = Builder::from_config(config);
    builder.set_policy(ReconnectPolicy::new_exponential(0, 50, 1_000, 2));
    builder.with_performance_config(|performance| {
        performance.broadcast_channel_capacity = HEARD;
        performance.default_command_timeout = LIMIT;
    });
    builder.with_connection_config(|connection| {
        connection.max_command_attempts = 1;
        connection.unresponsive.max_timeout = Some(Duration::from_secs(5));
        connection.unresponsive.interval = Duration::from_secs(1);
    });
    builder.build_subscriber_client()
}

/// Starts the two tasks: one subscribes, one hears.
#[allow(clippy::disallowed_methods, reason = "each task ends with the link, whose channel and client it works on")]
fn start(client: &SubscriberClient, listeners: &Arc<Vec<Listener>>, traffic: &Arc<Traffic>, wished: mpsc::Receiver<Wish>) {
    let subscriptions = Subscriptions {
        client: client.clone(),
        listeners: Arc::clone(listeners),
        traffic: Arc::clone(traffic),
        missing: HashSet::new(),
        made: HashSet::new(),
        was_up: false,
        was_refused: false,
    };
    tokio::spawn(subscriptions.keep(wished));
    tokio::spawn(hear(client.clone(), Arc::clone(listeners), Arc::clone(traffic)));
}

fn tell(listeners: &[Listener], heard: &Heard) {
    for listener in listeners {
        listener(heard.clone());
    }
}

/// The subscriptions: those that are made, and those that are not yet.
struct Subscriptions {
    client: SubscriberClient,
    listeners: Arc<Vec<Listener>>,
    traffic: Arc<Traffic>,
    missing: HashSet<Arc<str>>,
    made: HashSet<Arc<str>>,
    was_up: bool,
    was_refused: bool,
}

impl Subscriptions {
    /// Makes what is wished: at once, and what that failed for, soon. All of it again when Redis is back.
    async fn keep(mut self, mut wished: mpsc::Receiver<Wish>) {
        let (mut back, mut again) = (self.client.reconnect_rx(), interval(AGAIN));
        loop {
            tokio::select! {
                wish = wished.recv() => match wish {
                    Some(Wish::Subscribe(channel)) => drop(self.missing.insert(channel)),
                    Some(Wish::Unsubscribe(channel)) => {
                        self.missing.remove(&channel);
                        if self.made.remove(&channel) && self.client.is_connected() {
                            let _ = self.client.unsubscribe(&*channel).await;
                        }
                    }
                    None => return drop(self.client.quit().await),
                },
                connected = back.recv() => {
                    if matches!(connected, Err(RecvError::Closed)) {
                        return;
                    }
                    self.missing.extend(self.made.drain());
                    tracing::info!(channels = self.missing.len(), "Redis carries word between nodes");
                    self.was_up = true;
                    tell(&self.listeners, &Heard::Lost);
                }
                _ = again.tick() => self.notice_cut(),
            }
            if self.client.is_connected() {
                self.catch_up().await;
            }
        }
    }

    /// Says once that Redis is away.
    fn notice_cut(&mut self) {
        let is_up = self.client.is_connected();
        if self.was_up && !is_up {
            self.traffic.cuts.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                "Redis (REDIS_URL) is away; messages of other nodes come through the store, a second late, and their signals do not"
            );
        }
        self.was_up = is_up;
    }

    /// Subscribes to what is missing, until Redis fails.
    async fn catch_up(&mut self) {
        while let Some(channel) = self.missing.iter().next().cloned() {
            if let Err(error) = self.client.subscribe(&*channel).await {
                if !self.was_refused {
                    tracing::warn!(%error, "Redis refuses a subscription; what is said there is heard late or not at all until it is made");
                }
                self.was_refused = true;
                return;
            }
            self.missing.remove(&channel);
            self.made.insert(Arc::clone(&channel));
            tell(&self.listeners, &Heard::Subscribed(channel));
        }
        if std::mem::take(&mut self.was_refused) {
            tracing::info!("Redis takes subscriptions again");
        }
    }
}

/// Passes on what is published.
async fn hear(client: SubscriberClient, listeners: Arc<Vec<Listener>>, traffic: Arc<Traffic>) {
    let mut messages = client.message_rx();
    loop {
        match messages.recv().await {
            Ok(message) => {
                traffic.heard.fetch_add(1, Ordering::Relaxed);
                let Some(value) = message.value.into_owned_bytes() else { continue };
                tell(&listeners, &Heard::Message(Arc::from(&*message.channel), value));
            }
            Err(RecvError::Lagged(_)) => tell(&listeners, &Heard::Lost),
            Err(RecvError::Closed) => return,
        }
    }
}
