//! The listener. It serves no more connections at once than it has slots, gives a client a limited time for the head of a request, and survives
//! what the system refuses it. Its connections are watched (`watched`).

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;

use super::watched::{Valve, Watched};

/// What a connection gets when all slots are taken.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// How many refused connections may wait at once for their client to read the answer; the system discards an answer when the connection is
/// closed with unread bytes.
const LINGERING: usize = 32;

/// For how long each of them may wait.
const LINGER: Duration = Duration::from_secs(1);

/// How long nothing is accepted after the system has refused a connection, for example because too many files are open.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the log may say the same about connections.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// How many connections may wait to be accepted. What does not fit is told nothing, and its client tries again seconds later; the system may allow fewer
/// (`net.core.somaxconn`).
const BACKLOG: u32 = 16_384;

/// What every connection is held to.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// How long a write may make no progress.
    pub write_stall: Duration,
    /// How long a client may take for the head of a request: from when it is connected, or from the answer before. Kept-alive connections
    /// without a further request therefore end after this time too.
    pub head: Duration,
    /// One permit for each connection that may be open, shared by all listeners. WebSockets keep theirs.
    pub slots: Arc<Semaphore>,
}

/// Accepts connections that are held to their bounds.
pub struct WatchedListener {
    inner: TcpListener,
    bounds: Bounds,
    lingering: Arc<Semaphore>,
    full: Seldom,
    failing: Seldom,
}

/// Listens on an address, with room for all clients that come back at once after their network did.
///
/// # Errors
/// An address that cannot be had.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a server that was restarted has its port back; elsewhere the option means something else.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The connection that a request came by, in the extensions of each request.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The address at its other end.
    pub addr: SocketAddr,
    /// Its valve.
    pub valve: Arc<Valve>,
}

/// Serves until `stop` resolves and the running requests are answered.
///
/// # Errors
/// None for now: what the system refuses is survived.
pub async fn serve(mut listener: WatchedListener, router: Router, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    // Makes the routes once, and not for each request.
    let router = router.with_state(());
    let (stopping, told) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let (io, addr) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        start(io, addr, router.clone(), listener.bounds.head, told.clone());
    }
    drop((listener, told));
    stopping.send_replace(());
    stopping.closed().await;
    Ok(())
}

/// Serves one connection, which ends by itself, by its client, by a bound, or after its running request when it is told to stop. An upgraded one
/// goes on as a WebSocket elsewhere, and is not waited for.
#[allow(clippy::disallowed_methods, reason = "the task ends with its connection, and the stop waits for it")]
fn start(io: Watched, addr: SocketAddr, router: Router, head: Duration, mut told: watch::Receiver<()>) {
    let remote = Remote { addr, valve: Arc::clone(io.valve()) };
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(remote.clone()));
        let request: Request = request.map(Body::new);
        router.clone().oneshot(request)
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(head);
    let connection = server.serve_connection(TokioIo::new(io), service).with_upgrades();
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = told.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection failed");
        }
    });
}

impl WatchedListener {
    /// Holds the connections of a bound listener to these bounds.
    pub fn new(inner: TcpListener, bounds: Bounds) -> Self {
        let lingering = Arc::new(Semaphore::new(LINGERING));
        Self { inner, bounds, lingering, full: Seldom::default(), failing: Seldom::default() }
    }

    /// The next connection that gets a slot.
    #[allow(
        clippy::disallowed_methods,
        reason = "the pause is the accept loop's own; without it the loop would spin until a file is closed"
    )]
    async fn accept(&mut self) -> (Watched, SocketAddr) {
        loop {
            match self.inner.accept().await {
                Ok((io, addr)) => match Arc::clone(&self.bounds.slots).try_acquire_owned() {
                    Ok(slot) => {
                        if let Err(error) = io.set_nodelay(true) {
                            tracing::debug!(%error, "a connection keeps Nagle's delay");
                        }
                        return (Watched::new(io, self.bounds.write_stall, slot), addr);
                    }
                    Err(_) => self.refuse(io),
                },
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    if self.failing.is_due() {
                        tracing::warn!(%error, "the system gives no further connections now; it is asked again and again");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the task ends after LINGER, and there are no more than LINGERING")]
    fn refuse(&mut self, io: TcpStream) {
        if self.full.is_due() {
            tracing::warn!("all MAX_CONNECTIONS are open; further ones are answered 503 until some close");
        }
        match Arc::clone(&self.lingering).try_acquire_owned() {
            Ok(slot) => {
                tokio::spawn(async move {
                    let _ = timeout(LINGER, say_busy(io)).await;
                    drop(slot);
                });
            }
            // The answer may be lost, because the connection is closed without another look at it.
            Err(_) => drop(io.into_std().and_then(|mut io| io.write(BUSY))),
        }
    }
}

/// Answers 503, and closes once the client has seen it.
async fn say_busy(mut io: TcpStream) -> io::Result<()> {
    io.writable().await?;
    io.try_write(BUSY)?;
    std::future::poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await?;
    let mut ignored = [0; 1_024];
    loop {
        io.readable().await?;
        match io.try_read(&mut ignored) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

/// Whether only the one connection has failed, and not the accepting.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Lets one line through in each [`SAID_EVERY`].
#[derive(Default)]
struct Seldom {
    said: Option<Instant>,
}

impl Seldom {
    fn is_due(&mut self) -> bool {
        let due = self.said.is_none_or(|said| said.elapsed() >= SAID_EVERY);
        if due {
            self.said = Some(Instant::now());
        }
        due
    }
}
