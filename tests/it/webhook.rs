//! The outgoing webhook against a small HTTP server on loopback: what it says, when it tries again, and what it never does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use helpline::domain::entry::{Body, Content, Draft, Entry, Form, Head, Message};
use helpline::domain::ids::{ConnId, EntryId, SessionId};
use helpline::domain::ports::{Announce, Audience, Signal};
use helpline::domain::principal::{Person, Realm, Role};
use helpline::domain::session::Session;
use helpline::domain::time::Timestamp;
use helpline::secret::Secret;
use helpline::webhook::{Limits, Webhook};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing_subscriber::fmt::MakeWriter;

use crate::harness::client::Dial;
use crate::harness::server::Server;

const TOKEN: &str = "hunter2canary";
const OPERATORS: [Audience; 1] = [Audience::Agents(Realm::Operators)];

/// A request as the server saw it.
struct Heard {
    path: String,
    headers: HeaderMap,
    body: Value,
}

/// Answers each request with the next status, the last one for ever; status 0 is no answer until `freed`.
struct Hook {
    statuses: Mutex<Vec<u16>>,
    heard: mpsc::UnboundedSender<Heard>,
    freed: Notify,
}

/// A hook that runs, and what it heard. Dropping it stops it.
struct Running {
    address: SocketAddr,
    heard: mpsc::UnboundedReceiver<Heard>,
    hook: Arc<Hook>,
    serving: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(hook): State<Arc<Hook>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1_000_000).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let status = {
        let mut statuses = hook.statuses.lock().unwrap();
        if statuses.len() > 1 { statuses.remove(0) } else { statuses[0] }
    };
    hook.heard.send(Heard { path, headers: parts.headers, body }).unwrap();
    if status == 0 {
        hook.freed.notified().await;
    }
    let status = StatusCode::from_u16(status.max(200)).unwrap();
    (status, [(header::LOCATION, "/elsewhere")]).into_response()
}

async fn hook(statuses: &[u16]) -> Running {
    let (sender, heard) = mpsc::unbounded_channel();
    let hook = Arc::new(Hook { statuses: Mutex::new(statuses.into()), heard: sender, freed: Notify::new() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(Arc::clone(&hook));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Running { address, heard, hook, serving }
}

impl Running {
    async fn next(&mut self) -> Heard {
        timeout(Duration::from_secs(10), self.heard.recv()).await.expect("a request in time").unwrap()
    }

    /// Fails if another request comes within a time in which one would have come.
    async fn is_silent(&mut self) {
        if let Ok(more) = timeout(Duration::from_millis(300), self.heard.recv()).await {
            panic!("{}", more.map(|h| h.body.to_string()).unwrap_or_default());
        }
    }
}

/// Keeps what is passed on.
#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

impl Announce for Kept {
    fn appended(&self, entry: Arc<Entry>) {
        self.0.lock().unwrap().push(format!("entry {}", entry.seq()));
    }

    fn signal(&self, to: &[Audience], _: Signal, except: Option<&Audience>) {
        self.0.lock().unwrap().push(format!("signal to {} except {except:?}", to.len()));
    }

    fn summon(&self, person: &str, _: &SessionId, after: u64) {
        self.0.lock().unwrap().push(format!("summons of {person} after {after}"));
    }
}

fn webhook(address: SocketAddr, limits: Limits) -> Webhook {
    let url = Secret::new(format!("http://{address}/hooks/{TOKEN}?t={TOKEN}"));
    Webhook::with_limits(Arc::new(Kept::default()), &url, limits).unwrap()
}

fn quick() -> Limits {
    Limits { per_try: Duration::from_secs(5), pause: Duration::from_millis(5), waiting: 100 }
}

fn session(realm: Realm, name: Option<&str>) -> Arc<Session> {
    let visitor = Person { name: name.map(Into::into), ..Person::new(realm, "user_77", Role::Visitor) };
    Arc::new(Session { id: SessionId::stored("s-1"), ..Session::open(visitor, Timestamp(1_795_163_582_007)) })
}

fn entry(session: &Session, form: Form) -> Arc<Entry> {
    let message = Message { form, ..Body::stored("hello \"you\" 你好").into() };
    let (author, content) = (session.visitor.clone(), Content::Message(message));
    let draft =
        Draft { session: session.id.clone(), id: EntryId::random(), at: Timestamp(1_795_163_583_007), author, client_key: None, content };
    Arc::new(Head::default().follow(&draft).unwrap())
}

fn opened(webhook: &Webhook) {
    webhook.signal(&OPERATORS, Signal::Opened { session: session(Realm::Operators, None) }, None);
}

#[tokio::test]
async fn a_new_session_and_a_message_are_told() {
    let mut hook = hook(&[204]).await;
    let webhook = webhook(hook.address, quick());
    opened(&webhook);
    let heard = hook.next().await;
    let expected = json!({"type": "new_chat", "sessionId": "s-1", "userId": "user_77", "userName": "访客", "groupName": null, "timestamp": "2026-11-20T08:33:02.007Z"});
    assert_eq!(heard.body.to_string(), expected.to_string());
    assert_eq!(heard.path, format!("/hooks/{TOKEN}?t={TOKEN}"));
    assert_eq!(heard.headers["content-type"], "application/json");
    assert_eq!(heard.headers["user-agent"], "CustomerServiceChat/1.0");

    let named = session(Realm::Operators, Some("Una"));
    let named = Arc::new(Session { group: Some("Acme".into()), ..(*named).clone() });
    for (form, word) in [(Form::Text, "text"), (Form::Image, "image"), (Form::Notice, "system")] {
        let said = Signal::Said { session: Arc::clone(&named), entry: entry(&named, form) };
        webhook.signal(&[Audience::Session(named.id.clone()), OPERATORS[0].clone()], said, None);
        let expected = json!({"type": "new_message", "sessionId": "s-1", "userId": "user_77", "userName": "Una", "groupName": "Acme",
            "content": "hello \"you\" 你好", "messageType": word, "timestamp": "2026-11-20T08:33:03.007Z"});
        assert_eq!(hook.next().await.body.to_string(), expected.to_string());
    }
    hook.is_silent().await;
}

#[tokio::test]
async fn everything_is_passed_on_and_only_what_operators_hear_is_told() {
    let mut hook = hook(&[200]).await;
    let kept = Arc::new(Kept::default());
    let url = Secret::new(format!("http://{}/", hook.address));
    let webhook = Webhook::with_limits(Arc::clone(&kept) as _, &url, quick()).unwrap();
    let (other, caller) = (session(Realm::Support, None), Audience::Connection(ConnId::random()));
    webhook.appended(entry(&other, Form::Text));
    webhook.signal(&[Audience::Agents(Realm::Support)], Signal::Opened { session: Arc::clone(&other) }, Some(&caller));
    webhook.signal(
        &[Audience::Session(other.id.clone())],
        Signal::Said { session: Arc::clone(&other), entry: entry(&other, Form::Text) },
        None,
    );
    let typing =
        Signal::Typing { session: other.id.clone(), person: other.visitor.clone(), is_typing: true, at: Timestamp(1), extra: None };
    webhook.signal(&OPERATORS, typing, None);
    hook.is_silent().await;
    opened(&webhook);
    assert_eq!(hook.next().await.body["type"], "new_chat");
    let passed = kept.0.lock().unwrap().clone();
    assert_eq!(passed.len(), 5, "{passed:?}");
    assert_eq!((passed[0].as_str(), passed[1].clone()), ("entry 1", format!("signal to 1 except {:?}", Some(&caller))));
}

#[tokio::test]
async fn two_failures_are_tried_again_and_a_third_ends_it() {
    for failing in [500, 503, 429] {
        let mut hook = hook(&[failing, failing, 200]).await;
        let webhook = webhook(hook.address, quick());
        opened(&webhook);
        let (first, second, third) = (hook.next().await, hook.next().await, hook.next().await);
        assert_eq!((&first.body, &second.body), (&second.body, &third.body));
        hook.is_silent().await;
    }
    let mut hook = hook(&[500]).await;
    let webhook = webhook(hook.address, quick());
    opened(&webhook);
    for _ in 0..3 {
        hook.next().await;
    }
    hook.is_silent().await;
}

#[tokio::test]
async fn refusals_and_redirects_are_final_and_not_followed() {
    for status in [400, 401, 404, 301, 302, 307, 308] {
        let mut hook = hook(&[status]).await;
        let webhook = webhook(hook.address, quick());
        opened(&webhook);
        assert_ne!(hook.next().await.path, "/elsewhere");
        hook.is_silent().await;
    }
}

#[tokio::test]
async fn one_that_never_answers_is_given_up_on_and_tried_again() {
    let mut hook = hook(&[0, 0, 200]).await;
    let webhook = webhook(hook.address, Limits { per_try: Duration::from_millis(100), ..quick() });
    opened(&webhook);
    for _ in 0..3 {
        hook.next().await;
    }
    hook.is_silent().await;
}

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_dropped_and_nobody_waits() {
    let mut hook = hook(&[0]).await;
    let webhook = webhook(hook.address, Limits { waiting: 3, ..quick() });
    // Four are on their way before the others come.
    for _ in 0..4 {
        opened(&webhook);
        hook.next().await;
    }
    for _ in 0..50 {
        opened(&webhook);
    }
    hook.is_silent().await;
    *hook.hook.statuses.lock().unwrap() = vec![200];
    hook.hook.freed.notify_waiters();
    // Of the fifty, those that fitted.
    for _ in 0..3 {
        hook.next().await;
    }
    hook.is_silent().await;
}

#[tokio::test]
async fn its_task_ends_with_it() {
    let mut hook = hook(&[500]).await;
    let webhook = webhook(hook.address, Limits { pause: Duration::from_millis(100), ..quick() });
    opened(&webhook);
    hook.next().await;
    drop(webhook);
    hook.is_silent().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_of_the_real_server_is_told_of() {
    let mut hook = hook(&[200]).await;
    let env = [("MOUNTS", "operators@/".to_owned()), ("ADMIN_NOTIFICATION_URL", format!("http://{}/{TOKEN}", hook.address))];
    let server = Server::start(&env.map(|(k, v)| (k.to_owned(), v))).await;
    let visitor = Dial::to(server.address()).connect().await.unwrap_or_else(|_| panic!("{}", server.log()));
    visitor.emit("user-join-chat", &[json!({"userId": "user_77_long_enough", "userName": "Una"})]);
    let chat = hook.next().await.body;
    assert_eq!(
        (&chat["type"], &chat["userId"], &chat["userName"]),
        (&json!("new_chat"), &json!("user_77_long_enough"), &json!("Una")),
        "{chat}"
    );
    visitor.emit("user-send-message", &[json!({"content": "hello"})]);
    let message = hook.next().await.body;
    let fields = [&message["type"], &message["sessionId"], &message["content"], &message["messageType"]];
    assert_eq!(fields, [&json!("new_message"), &chat["sessionId"], &json!("hello"), &json!("text")], "{message}");
    hook.is_silent().await;
    assert!(!server.log().contains(TOKEN), "{}", server.log());
}

/// A log that is kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        self.clone()
    }
}

#[tokio::test]
async fn logs_name_the_host_and_the_session_and_nothing_else() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut refusing = hook(&[404]).await;
    let mut silent = hook(&[0]).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let limits = Limits { per_try: Duration::from_millis(50), pause: Duration::from_millis(1), waiting: 1 };
    let hooks = [refusing.address, silent.address, nobody].map(|address| webhook(address, limits));
    for webhook in &hooks {
        let named = session(Realm::Operators, Some("Una Secretname"));
        webhook.signal(&OPERATORS, Signal::Said { entry: entry(&named, Form::Text), session: named }, None);
        // The queue has room for one, and its task has not run yet.
        opened(webhook);
    }
    refusing.next().await;
    silent.next().await;
    let said = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let complete = async {
        while said().matches("was not told").count() < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), complete).await.unwrap_or_else(|_| panic!("{}", said()));
    let text = said();
    for word in ["127.0.0.1", "s-1", "it answered 404", "timed out", "refused", "ADMIN_NOTIFICATION_URL", "dropped"] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
    for secret in [TOKEN, "/hooks", "Secretname", "hello", "user_77"] {
        assert!(!text.contains(secret), "{secret} in:\n{text}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_not_shown() {
    let error = Webhook::new(Arc::new(Kept::default()), &Secret::new(format!("http://[{TOKEN}/"))).err().expect("no URL");
    assert!(!format!("{error:#}").contains(TOKEN), "{error:#}");
}
