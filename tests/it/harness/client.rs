//! A small Socket.IO client over one WebSocket (Engine.IO 4, namespace `/`). It knows the protocol and nothing of any contract.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::DEADLINE;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Acks = Arc<Mutex<HashMap<u64, oneshot::Sender<Vec<Value>>>>>;

/// An event as it was received.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) args: Vec<Value>,
}

/// Why a connection did not come about.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The namespace was refused, with this message (`connect_error` to a frontend).
    Connect(String),
    /// The WebSocket itself was refused.
    Handshake(Box<tungstenite::Error>),
}

/// A connection about to be made.
pub(crate) struct Dial {
    address: SocketAddr,
    auth: Option<Value>,
    headers: Vec<(String, String)>,
    /// What the URL's query has besides the protocol's own.
    query: String,
    /// What stands before the payload of every packet: empty for the namespace `/`.
    namespace: String,
}

impl Dial {
    /// A connection to this server.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, auth: None, headers: Vec::new(), query: String::new(), namespace: String::new() }
    }

    /// With this `auth` object.
    pub(crate) fn auth(mut self, auth: impl Into<Option<Value>>) -> Self {
        self.auth = auth.into();
        self
    }

    /// With this header on the WebSocket handshake, for example `Origin`.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With this in the URL's query, `a=b&c=d`.
    pub(crate) fn query(mut self, query: &str) -> Self {
        self.query = query.into();
        self
    }

    /// To this namespace instead of `/`.
    pub(crate) fn namespace(mut self, name: &str) -> Self {
        self.namespace = format!("{name},");
        self
    }

    /// Connects, within the deadline.
    pub(crate) async fn connect(self) -> Result<Client, Refused> {
        timeout(DEADLINE, self.handshake()).await.expect("the server answers a handshake in time")
    }

    async fn handshake(self) -> Result<Client, Refused> {
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket&{}", self.address, self.query);
        let mut request = url.into_client_request().expect("a URL");
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).expect("a header name");
            request.headers_mut().insert(name, HeaderValue::try_from(value).expect("a header value"));
        }
        let refused = |e| Refused::Handshake(Box::new(e));
        let (mut socket, _) = connect_async(request).await.map_err(refused)?;
        let auth = self.auth.map(|a| a.to_string()).unwrap_or_default();
        socket.send(Message::text(format!("40{}{auth}", self.namespace))).await.map_err(refused)?;
        while let Some(frame) = socket.next().await {
            let Message::Text(text) = frame.map_err(refused)? else { continue };
            if text.starts_with("40") {
                return Ok(Client::run(socket, self.namespace));
            } else if let Some(error) = text.strip_prefix("44") {
                let error = error.strip_prefix(&self.namespace).unwrap_or(error);
                let error: Value = serde_json::from_str(error).expect("a CONNECT_ERROR packet");
                return Err(Refused::Connect(error["message"].as_str().unwrap_or_default().into()));
            } else if text == "2" {
                socket.send(Message::text("3")).await.map_err(refused)?;
            }
        }
        Err(refused(tungstenite::Error::ConnectionClosed))
    }
}

/// How [`Client::arrived`] sees that a namespace was refused, as frontends do.
const REFUSAL: &str = "connect_error";

/// A connected socket. Dropping it closes the connection without leaving the namespace first.
pub(crate) struct Client {
    frames: mpsc::UnboundedSender<String>,
    events: mpsc::UnboundedReceiver<Event>,
    /// Those that came before one that was asked for by name.
    passed: VecDeque<Event>,
    acks: Acks,
    last_ack: u64,
    namespace: String,
    task: JoinHandle<()>,
}

impl Client {
    fn run(socket: Socket, namespace: String) -> Self {
        let (frames, outgoing) = mpsc::unbounded_channel();
        let (incoming, events) = mpsc::unbounded_channel();
        let acks = Acks::default();
        let task =
            tokio::spawn(exchange(socket, outgoing, Inbound { namespace: namespace.clone(), events: incoming, acks: Arc::clone(&acks) }));
        Self { frames, events, passed: VecDeque::new(), acks, last_ack: 0, namespace, task }
    }

    /// Emits an event.
    pub(crate) fn emit(&self, event: &str, args: &[Value]) {
        self.send_text(&format!("42{}{}", self.namespace, packet(event, args)));
    }

    /// Emits an event and asks for its acknowledgement, which [`Client::ack`] awaits.
    pub(crate) fn ask(&mut self, event: &str, args: &[Value]) -> oneshot::Receiver<Vec<Value>> {
        self.last_ack += 1;
        let (answer, receiver) = oneshot::channel();
        self.acks.lock().expect("the acks").insert(self.last_ack, answer);
        if self.frames.send(format!("42{}{}{}", self.namespace, self.last_ack, packet(event, args))).is_err() {
            self.acks.lock().expect("the acks").clear();
        }
        receiver
    }

    /// Emits an event and awaits the first argument of its acknowledgement.
    pub(crate) async fn call(&mut self, event: &str, arg: Value) -> Result<Value, String> {
        let asked = self.ask(event, &[arg]);
        Ok(Self::ack(asked).await?.first().cloned().unwrap_or_default())
    }

    /// The acknowledgement, within the deadline.
    pub(crate) async fn ack(asked: oneshot::Receiver<Vec<Value>>) -> Result<Vec<Value>, String> {
        match timeout(DEADLINE, asked).await {
            Ok(Ok(args)) => Ok(args),
            Ok(Err(_)) => Err("the connection closed before the acknowledgement came".into()),
            Err(_) => Err("no acknowledgement in time".into()),
        }
    }

    /// The next event, within the deadline.
    pub(crate) async fn event(&mut self) -> Result<Event, String> {
        match self.passed.pop_front() {
            Some(event) => Ok(event),
            None => self.newest().await,
        }
    }

    /// The next event of this name, within the deadline. Those before it stay unread.
    pub(crate) async fn event_named(&mut self, name: &str) -> Result<Event, String> {
        if let Some(event) = self.passed.iter().position(|e| e.name == name).and_then(|i| self.passed.remove(i)) {
            return Ok(event);
        }
        loop {
            match self.newest().await? {
                event if event.name == name => return Ok(event),
                event => self.passed.push_back(event),
            }
        }
    }

    async fn newest(&mut self) -> Result<Event, String> {
        match timeout(DEADLINE, self.events.recv()).await {
            Ok(Some(event)) => Ok(event),
            Ok(None) => Err("the connection closed".into()),
            Err(_) => Err("nothing was received in time".into()),
        }
    }

    /// The events that were received by the time the server has handled all that this client sent, and that nobody has read.
    pub(crate) async fn leftover(&mut self) -> Result<VecDeque<Event>, String> {
        let asked = self.ask("transcript-barrier", &[]);
        Self::ack(asked).await?;
        Ok(self.received())
    }

    /// Waits until the server has read all that this client sent: it carries calls out later, but refuses a namespace that it has not at once.
    /// Events that come meanwhile are lost.
    pub(crate) async fn arrived(&mut self) {
        self.send_text("40/nowhere,");
        while self.event().await.expect("the refusal").name != REFUSAL {}
    }

    /// The events that are here now and that nobody has read.
    pub(crate) fn received(&mut self) -> VecDeque<Event> {
        let newest = std::iter::from_fn(|| self.events.try_recv().ok());
        self.passed.drain(..).chain(newest).collect()
    }

    /// Sends a text frame as it stands, whatever it says.
    pub(crate) fn send_text(&self, frame: &str) {
        // A closed connection shows when something is awaited from it.
        let _ = self.frames.send(frame.to_owned());
    }

    /// Leaves the namespace and closes the connection, as a frontend's `disconnect()` does.
    pub(crate) async fn disconnect(self) {
        self.send_text(&format!("41{}", self.namespace));
        let Self { frames, task, .. } = self;
        drop(frames);
        timeout(DEADLINE, task).await.expect("the connection closes in time").expect("the client's task ends well");
    }
}

fn packet(event: &str, args: &[Value]) -> Value {
    std::iter::once(json!(event)).chain(args.iter().cloned()).collect()
}

/// Where what comes goes.
struct Inbound {
    namespace: String,
    events: mpsc::UnboundedSender<Event>,
    acks: Acks,
}

/// Sends what is queued and sorts what comes, until either side ends.
async fn exchange(mut socket: Socket, mut outgoing: mpsc::UnboundedReceiver<String>, inbound: Inbound) {
    loop {
        tokio::select! {
            frame = outgoing.recv() => match frame {
                Some(frame) => if socket.send(Message::text(frame)).await.is_err() { break },
                None => { let _ = socket.close(None).await; break }
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => if socket.send(Message::text("3")).await.is_err() { break },
                Some(Ok(Message::Text(text))) if text.as_str() == "41" => break,
                Some(Ok(Message::Text(text))) => sort(&text.replacen(&inbound.namespace, "", 1), &inbound.events, &inbound.acks),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
        }
    }
    // In this order nothing that is asked from now on waits for an answer.
    drop(outgoing);
    inbound.acks.lock().expect("the acks").clear();
}

/// The event of a packet that is one.
pub(crate) fn event_of(text: &str) -> Option<Event> {
    let mut args: Vec<Value> = serde_json::from_str(text.strip_prefix("42")?).ok()?;
    let name = if args.is_empty() { return None } else { args.remove(0) };
    Some(Event { name: name.as_str().unwrap_or_default().to_owned(), args })
}

/// Puts an event into the queue, an acknowledgement where it is awaited, and notes the refusal that [`Client::arrived`] awaits; other packets say nothing to a test.
fn sort(text: &str, incoming: &mpsc::UnboundedSender<Event>, acks: &Acks) {
    if let Some(event) = event_of(text) {
        let _ = incoming.send(event);
        return;
    }
    if text.starts_with("44/nowhere,") {
        let _ = incoming.send(Event { name: REFUSAL.to_owned(), args: Vec::new() });
        return;
    }
    let (Some(kind), Some(rest)) = (text.get(..2), text.get(2..)) else { return };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let Ok(Value::Array(args)) = serde_json::from_str(&rest[digits..]) else { return };
    if kind == "43" {
        let waiting = rest[..digits].parse().ok().and_then(|id: u64| acks.lock().expect("the acks").remove(&id));
        if let Some(waiting) = waiting {
            let _ = waiting.send(args);
        }
    }
}
