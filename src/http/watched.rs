//! One connection as the server reads and writes it. It fails when a write makes no progress for too long, because the Socket.IO library
//! would wait for ever and its disconnect handler would never run; and it has a valve by which its reading can be paused.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

/// Pauses the reading of one connection, so that its client feels the back-pressure of TCP.
#[derive(Debug, Default)]
pub struct Valve {
    shut: AtomicBool,
    cut: AtomicBool,
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

    /// Reads nothing more for ever, as if the client had hung up: whoever reads then closes the connection.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Whether reading may go on; if not, the reader is woken when it may.
    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.reader.register(cx.waker());
        if self.shut.load(Ordering::Acquire) && !self.cut.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// A connection that fails with `TimedOut` once a write has made no progress for the limit. Its reads fail too: the library only notes
/// a write that failed, keeps without bound what it could not write, and ends a connection when it can no longer read.
pub(super) struct Watched {
    io: TcpStream,
    stall_limit: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether a write has waited for too long.
    is_cut: bool,
    valve: Arc<Valve>,
    /// Given back after the connection is closed, be it HTTP or a WebSocket by then.
    _slot: OwnedSemaphorePermit,
}

impl Watched {
    /// Watches a connection that holds a slot.
    pub(super) fn new(io: TcpStream, stall_limit: Duration, slot: OwnedSemaphorePermit) -> Self {
        Self { io, stall_limit, stalled: None, is_cut: false, valve: Arc::default(), _slot: slot }
    }

    /// The valve of its reading.
    pub(super) fn valve(&self) -> &Arc<Valve> {
        &self.valve
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stalled = None;
            return progress;
        }
        let deadline = Instant::now() + self.stall_limit;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        self.is_cut = true;
        self.valve.reader.wake();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_cut {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(self.valve.poll_open(cx));
        if self.valve.cut.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
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
