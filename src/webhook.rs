//! The outgoing webhook of `operators` (contract operators, 1.7, row 12): tells a company's own address of new sessions and messages. Best effort
//! and never in the way of a message. It knows no sockets and no store.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::domain::entry::{Entry, Form};
use crate::domain::ids::SessionId;
use crate::domain::ports::{Announce, Audience, Signal};
use crate::domain::principal::Realm;
use crate::domain::session::Session;
use crate::secret::Secret;

/// As the original called itself.
const USER_AGENT: &str = "CustomerServiceChat/1.0";
/// How often a note is tried in all.
const TRIES: u32 = 3;
/// How many notes are on their way at once.
const SENDERS: usize = 4;
/// What a visitor without a name is called, as in the contract's own events.
const NAMELESS: &str = "访客";

/// How much time and room notes may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long one try may take.
    pub per_try: Duration,
    /// The pause before the second try; that before the third is four times as long.
    pub pause: Duration,
    /// How many notes may wait; more are dropped.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_try: Duration::from_secs(10), pause: Duration::from_secs(1), waiting: 1_000 }
    }
}

/// Passes every event on to another fan-out, and tells the webhook of those it is for. Dropping it ends its task, with what still waits.
pub struct Webhook {
    next: Arc<dyn Announce>,
    notes: mpsc::Sender<Note>,
    dropped: AtomicU64,
    host: Arc<str>,
    sending: AbortHandle,
}

/// What the webhook is to be told.
struct Note {
    session: Arc<Session>,
    said: Option<Arc<Entry>>,
}

impl Webhook {
    /// Begins to send to `url`. Needs a runtime.
    ///
    /// # Errors
    /// Where the URL cannot be read. The text does not hold it.
    pub fn new(next: Arc<dyn Announce>, url: &Secret) -> anyhow::Result<Self> {
        Self::with_limits(next, url, Limits::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// Where the URL cannot be read. The text does not hold it.
    #[allow(clippy::disallowed_methods, reason = "the task that sends notes is aborted when the webhook is dropped")]
    pub fn with_limits(next: Arc<dyn Announce>, url: &Secret, limits: Limits) -> anyhow::Result<Self> {
        let url = Url::parse(url.expose()).context("expected an http or https URL")?;
        let host: Arc<str> = url.host_str().context("expected an http or https URL with a host name")?.into();
        // Proxies of the environment are not asked: only the configuration says where data goes.
        let client = Client::builder().user_agent(USER_AGENT).redirect(Policy::none()).no_proxy().timeout(limits.per_try);
        let target = Target { client: client.build()?, url, host: Arc::clone(&host), pause: limits.pause };
        let (notes, queue) = mpsc::channel(limits.waiting);
        let sending = tokio::spawn(target.send_all(queue)).abort_handle();
        Ok(Self { next, notes, dropped: AtomicU64::new(0), host, sending })
    }

    fn queue(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                tracing::warn!(
                    webhook.host = &*self.host,
                    webhook.dropped = dropped,
                    "the webhook is slower than what it is told (ADMIN_NOTIFICATION_URL); the surplus is dropped"
                );
            }
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

impl Announce for Webhook {
    fn appended(&self, entry: Arc<Entry>) {
        self.next.appended(entry);
    }

    fn signal(&self, to: &[Audience], signal: Signal, except: Option<&Audience>) {
        let note = match &signal {
            Signal::Opened { session } => Some(Note { session: Arc::clone(session), said: None }),
            Signal::Said { session, entry } => Some(Note { session: Arc::clone(session), said: Some(Arc::clone(entry)) }),
            Signal::Joined { .. }
            | Signal::Left { .. }
            | Signal::Came { .. }
            | Signal::Went { .. }
            | Signal::Typing { .. }
            | Signal::Receipt { .. }
            | Signal::Reassigned { .. }
            | Signal::Given { .. }
            | Signal::Taken { .. }
            | Signal::Dismissed { .. }
            | Signal::Presence { .. }
            | Signal::Availability { .. } => None,
        };
        self.next.signal(to, signal, except);
        if let Some(note) = note.filter(|_| to.contains(&Audience::Agents(Realm::Operators))) {
            self.queue(note);
        }
    }

    fn summon(&self, person: &str, session: &SessionId, after: u64) {
        self.next.summon(person, session, after);
    }
}

/// Where notes go.
struct Target {
    client: Client,
    url: Url,
    host: Arc<str>,
    pause: Duration,
}

/// Why a note did not arrive.
struct Failure {
    why: String,
    /// Whether another try may help.
    passing: bool,
}

impl Target {
    /// Sends what is queued, a few notes at once, so that a slow answer does not hold up all others.
    async fn send_all(self, queue: mpsc::Receiver<Note>) {
        let notes = stream::unfold(queue, |mut queue| async move { queue.recv().await.map(|note| (note, queue)) });
        notes.for_each_concurrent(SENDERS, |note| self.send(note)).await;
    }

    /// Sends a note, with pauses between the tries.
    #[allow(clippy::disallowed_methods, reason = "the pause between two tries; nobody tells us when the other side is well again")]
    async fn send(&self, note: Note) {
        let body = note.body().to_string();
        for tried in 1..=TRIES {
            let Err(failure) = self.post(body.clone()).await else { return };
            if tried == TRIES || !failure.passing {
                tracing::warn!(
                    webhook.host = &*self.host,
                    webhook.tries = tried,
                    session.id = %note.session.id,
                    "the webhook was not told (ADMIN_NOTIFICATION_URL): {}",
                    failure.why
                );
                return;
            }
            tokio::time::sleep(self.pause * 4_u32.pow(tried - 1)).await;
        }
    }

    /// One try. Only what may pass by itself is worth another one: the network, 5xx and 429.
    async fn post(&self, body: String) -> Result<(), Failure> {
        let json = HeaderValue::from_static("application/json");
        let answer = self.client.post(self.url.clone()).header(CONTENT_TYPE, json).body(body).send().await;
        match answer.map(|a| a.status()) {
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => {
                let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                Err(Failure { why: format!("it answered {}", status.as_u16()), passing })
            }
            Err(error) => Err(Failure { why: causes(error), passing: true }),
        }
    }
}

/// What went wrong, down to its cause, without the URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

impl Note {
    fn body(&self) -> Value {
        let Session { id, visitor, group, created_at, .. } = &*self.session;
        let mut fields = vec![
            ("type", json!(if self.said.is_some() { "new_message" } else { "new_chat" })),
            ("sessionId", json!(id.as_str())),
            ("userId", json!(&*visitor.id)),
            ("userName", json!(visitor.name.as_deref().unwrap_or(NAMELESS))),
            ("groupName", json!(group.as_deref())),
        ];
        if let Some(message) = self.said.as_deref().and_then(Entry::message) {
            fields.extend([("content", json!(message.body.as_str())), ("messageType", json!(word(message.form)))]);
        }
        fields.push(("timestamp", json!(self.said.as_deref().map_or(*created_at, |entry| entry.at).iso())));
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The contract's word for a kind of text.
fn word(form: Form) -> &'static str {
    match form {
        Form::Text | Form::File => "text",
        Form::Image => "image",
        Form::Notice => "system",
    }
}
