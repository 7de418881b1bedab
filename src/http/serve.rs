//! The listener. Its connections fail a write that makes no progress for too long, because the Socket.IO library would wait for ever
//! and its disconnect handler would never run; and each has a valve by which its reading can be paused.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};

/// Accepts connections whose writes are watched.
pub struct WatchedListener {
    inner: TcpListener,
    stall_limit: Duration,
}

impl WatchedListener {
    /// Watches the connections of a bound listener.
    pub fn new(inner: TcpListener, stall_limit: Duration) -> Self {
        Self { inner, stall_limit }
    }
}

/// Serves until `stop` resolves and the running requests are answered.
///
/// # Errors
/// Whatever ends the accept loop early.
pub async fn serve(listener: WatchedListener, router: Router, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<Remote>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

/// The connection that a request came by, in the extensions of each request.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The address at its other end.
    pub addr: SocketAddr,
    /// Its valve.
    pub valve: Arc<Valve>,
}

impl Connected<IncomingStream<'_, WatchedListener>> for Remote {
    fn connect_info(stream: IncomingStream<'_, WatchedListener>) -> Self {
        Self { addr: *stream.remote_addr(), valve: Arc::clone(&stream.io().valve) }
    }
}

/// Pauses the reading of one connection, so that its client feels the back-pressure of TCP.
#[derive(Debug, Default)]
pub struct Valve {
    shut: AtomicBool,
    reader: AtomicWaker,
}

impl Valve {
    /// Reads nothing more until it is opened.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::Release);
    }

    /// Reads on.
    pub fn open(&self) {
        self.shut.store(false, Ordering::Release);
        self.reader.wake();
    }

    /// Whether reading may go on; if not, the reader is woken when it may.
    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.reader.register(cx.waker());
        if self.shut.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Listener for WatchedListener {
    type Io = Watched;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, addr) = Listener::accept(&mut self.inner).await;
        if let Err(error) = io.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's delay");
        }
        (Watched { io, stall_limit: self.stall_limit, stalled: None, valve: Arc::default() }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection whose writes fail with `TimedOut` once none has made progress for the limit.
pub struct Watched {
    io: TcpStream,
    stall_limit: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    valve: Arc<Valve>,
}

impl Watched {
    fn watch<T>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stalled = None;
            return progress;
        }
        let deadline = Instant::now() + self.stall_limit;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.valve.poll_open(cx));
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watch(cx, progress)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.watch(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.io).poll_flush(cx);
        self.watch(cx, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
