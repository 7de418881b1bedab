//! The session bus over Redis: a channel for each session, subscribed to while this node has sockets in it. It carries numbers, and the entries are
//! read from the store. Redis may come, go and come back; nothing waits for it, and what is lost meanwhile is healed from the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fred::clients::SubscriberClient;
use fred::prelude::{Builder, ClientLike, Config, Error, EventInterface, PubsubInterface, ReconnectPolicy};
use fred::types::{Message, RespVersion};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::bus::{Listener, LocalBus, News, SessionBus};
use crate::domain::entry::Entry;
use crate::domain::ids::{ConnId, SessionId};

/// What channels begin with.
const PREFIX: &str = "helpline:session:";

/// The version of what is said on them. Others are passed over, so that nodes of two versions heal from the store what they do not understand.
const VERSION: &str = "1";

/// How many words, or sessions with one, may wait to be said, and how many subscriptions to be made. What does not fit is healed.
const WAITING: usize = 10_000;

/// How many words may wait to be heard; the library's own 32 lose bursts.
const HEARD: usize = 65_536;

/// How long one command may take, and for how long the start waits for Redis.
const LIMIT: Duration = Duration::from_secs(2);

/// How soon a word or a subscription that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// What is asked of the task that subscribes.
enum Wish {
    Follow(SessionId),
    Unfollow(SessionId),
}

/// The bus of nodes that share a Redis. Dropping it ends its tasks.
pub struct RedisBus {
    client: SubscriberClient,
    local: Arc<LocalBus>,
    node: Arc<str>,
    words: mpsc::Sender<(SessionId, u64)>,
    wishes: mpsc::Sender<Wish>,
    /// Words that were not said.
    dropped: AtomicU64,
}

impl RedisBus {
    /// A bus over the Redis of this URL. Waits a little for it, and starts without it if need be.
    ///
    /// # Errors
    /// A URL that cannot be used.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let client = client(url)?;
        let (local, node) = (Arc::new(LocalBus::default()), Arc::from(ConnId::random().as_str()));
        let (words, to_say) = mpsc::channel(WAITING);
        let (wishes, wished) = mpsc::channel(WAITING);
        start(&client, &local, &node, (to_say, wished));
        drop(client.connect());
        if timeout(LIMIT, client.wait_for_connect()).await.is_err() {
            tracing::warn!("Redis (REDIS_URL) does not answer; the start goes on without it, and other nodes are heard through the store");
        }
        Ok(Self { client, local, node, words, wishes, dropped: AtomicU64::new(0) })
    }

    fn wish(&self, wish: Wish) {
        if self.wishes.try_send(wish).is_err() {
            tracing::debug!("a subscription did not fit; its session is heard through the store");
        }
    }
}

impl SessionBus for RedisBus {
    fn publish(&self, entry: Arc<Entry>) {
        let word = (entry.session.clone(), entry.seq());
        self.local.tell(&News::Entry(entry));
        if self.words.try_send(word).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn listen(&self, listener: Listener) {
        self.local.listen(listener);
    }

    fn follow(&self, session: &SessionId) {
        self.wish(Wish::Follow(session.clone()));
    }

    fn unfollow(&self, session: &SessionId) {
        self.wish(Wish::Unfollow(session.clone()));
    }

    fn is_cut(&self) -> bool {
        !self.client.is_connected()
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        tracing::debug!(node = %self.node, words.dropped = dropped, "the bus over Redis ends");
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

/// Starts the three tasks: one says, one subscribes, one hears.
#[allow(clippy::disallowed_methods, reason = "each task ends with the bus, whose channels and client it works on")]
fn start(
    client: &SubscriberClient,
    local: &Arc<LocalBus>,
    node: &Arc<str>,
    (to_say, wished): (mpsc::Receiver<(SessionId, u64)>, mpsc::Receiver<Wish>),
) {
    tokio::spawn(say(client.clone(), Arc::clone(node), to_say));
    tokio::spawn(subscribe(client.clone(), Arc::clone(local), wished));
    tokio::spawn(hear(client.clone(), Arc::clone(local), Arc::clone(node)));
}

/// Says what is stored. What that fails for is said soon: a node that was back earlier believes to hear everything.
async fn say(client: SubscriberClient, node: Arc<str>, mut words: mpsc::Receiver<(SessionId, u64)>) {
    let (mut unsaid, mut again) = (HashMap::<SessionId, u64>::new(), tokio::time::interval(AGAIN));
    loop {
        tokio::select! {
            word = words.recv() => match word {
                Some((session, seq)) if unsaid.len() < WAITING => {
                    let last = unsaid.entry(session).or_default();
                    *last = seq.max(*last);
                }
                Some((session, _)) => tracing::debug!(session.id = %session, "other nodes hear of an entry through the store"),
                None => return,
            },
            _ = again.tick() => {}
        }
        while client.is_connected() {
            let Some((session, seq)) = unsaid.iter().next().map(|(session, seq)| (session.clone(), *seq)) else { break };
            let said = client.publish::<(), _, _>(channel(&session), format!("{VERSION} {node} {seq}")).await;
            if let Err(error) = said {
                tracing::debug!(session.id = %session, %error, "word of an entry is said again");
                break;
            }
            unsaid.remove(&session);
        }
    }
}

/// Subscribes to the sessions that are followed: at once, and what that failed for, soon. All of them again when Redis is back.
async fn subscribe(client: SubscriberClient, local: Arc<LocalBus>, mut wished: mpsc::Receiver<Wish>) {
    let (mut missing, mut subscribed) = (HashSet::new(), HashSet::new());
    let (mut back, mut again) = (client.reconnect_rx(), tokio::time::interval(AGAIN));
    loop {
        tokio::select! {
            wish = wished.recv() => match wish {
                Some(Wish::Follow(session)) => drop(missing.insert(session)),
                Some(Wish::Unfollow(session)) => {
                    missing.remove(&session);
                    if subscribed.remove(&session) && client.is_connected() {
                        let _ = client.unsubscribe(channel(&session)).await;
                    }
                }
                None => return,
            },
            connected = back.recv() => {
                if matches!(connected, Err(RecvError::Closed)) {
                    return;
                }
                missing.extend(subscribed.drain());
                tracing::info!(sessions = missing.len(), "Redis carries word between nodes");
                local.tell(&News::Lost);
            }
            _ = again.tick() => {}
        }
        if client.is_connected() {
            catch_up(&client, &local, &mut missing, &mut subscribed).await;
        }
    }
}

/// Subscribes to what is missing, until Redis fails. Tails count on word only from then on.
async fn catch_up(client: &SubscriberClient, local: &LocalBus, missing: &mut HashSet<SessionId>, subscribed: &mut HashSet<SessionId>) {
    while let Some(session) = missing.iter().next().cloned() {
        if let Err(error) = client.subscribe(channel(&session)).await {
            return tracing::debug!(session.id = %session, %error, "sessions are heard through the store");
        }
        local.tell(&News::Followed(session.clone()));
        missing.remove(&session);
        subscribed.insert(session);
    }
}

fn channel(session: &SessionId) -> String {
    format!("{PREFIX}{session}")
}

/// Passes on what other nodes say.
async fn hear(client: SubscriberClient, local: Arc<LocalBus>, node: Arc<str>) {
    let mut heard = client.message_rx();
    loop {
        match heard.recv().await {
            Ok(message) => {
                if let Some((session, seq)) = read(&message, &node) {
                    local.tell(&News::Ahead(session, seq));
                }
            }
            Err(RecvError::Lagged(_)) => local.tell(&News::Lost),
            Err(RecvError::Closed) => return,
        }
    }
}

/// The session and number of a word of another node; `None` for this node's own, and for what is not understood.
fn read(message: &Message, node: &str) -> Option<(SessionId, u64)> {
    let session = message.channel.strip_prefix(PREFIX)?;
    let said = message.value.as_str()?;
    let mut parts = said.split(' ');
    let (version, from, seq) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
    (version == VERSION && from != node).then(|| (SessionId::stored(session), seq))
}
