//! Engine.IO 4 over a WebSocket, by hand: one read for many frames, one buffer, no allocation for a frame. It knows no event.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// What a client says to be upgraded. The key is fixed: what it protects from are caches, and there are none.
const UPGRADE: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aGVscGxpbmUtYmVuY2htaw==\r\n\r\n";

/// The first byte of a whole text frame, and of a closing one.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// How much is read at first in one go; a longer frame makes the buffer grow.
const BUFFER: usize = 2_048;

/// A client's end of an open connection.
pub(crate) struct Wire {
    stream: TcpStream,
    /// What was read and not looked at stands from `begin` to `end`.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    out: Vec<u8>,
}

impl Wire {
    /// Opens a transport, connects the namespace `/` with this `auth` object, and has CONNECT answered.
    pub(crate) async fn connect(address: SocketAddr, auth: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        stream.write_all(format!("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address}\r\n{UPGRADE}").as_bytes()).await?;
        let mut wire = Self { stream, buffer: vec![0; BUFFER], begin: 0, end: 0, out: Vec::new() };
        wire.be_upgraded().await?;
        let open = wire.next().await?;
        ensure!(open.starts_with("0{"), "no OPEN packet but {open}");
        wire.send(format!("40{auth}").as_bytes()).await?;
        let answer = wire.next().await?;
        ensure!(answer.starts_with("40"), "CONNECT was answered by {answer}");
        Ok(wire)
    }

    async fn be_upgraded(&mut self) -> anyhow::Result<()> {
        loop {
            let read = self.stream.read(&mut self.buffer[self.end..]).await?;
            ensure!(read > 0, "closed before it was a WebSocket");
            self.end += read;
            let head = &self.buffer[..self.end];
            if let Some(at) = find(head, b"\r\n\r\n") {
                ensure!(head.starts_with(b"HTTP/1.1 101"), "no WebSocket: {}", String::from_utf8_lossy(head));
                self.begin = at + 4;
                return Ok(());
            }
        }
    }

    /// Sends one text.
    pub(crate) async fn send(&mut self, text: &[u8]) -> anyhow::Result<()> {
        self.out.clear();
        self.out.push(TEXT);
        // All frames of clients are masked; a mask of zeros leaves them as they are, and costs the server what any other does.
        match text.len() {
            short @ ..126 => self.out.push(0x80 | short as u8),
            long => {
                self.out.push(0x80 | 126);
                self.out.extend(u16::try_from(long).context("a text is too long")?.to_be_bytes());
            }
        }
        self.out.extend([0; 4]);
        self.out.extend_from_slice(text);
        // It nearly always fits at once; only what does not is waited for.
        let written = match self.stream.try_write(&self.out) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
        if written < self.out.len() {
            self.stream.write_all(&self.out[written..]).await?;
        }
        Ok(())
    }

    /// The next text but a ping, which is answered. For setting up, where nothing is measured.
    pub(crate) async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            while let Some(frame) = self.frame()? {
                match frame {
                    b"2" => self.send(b"3").await?,
                    text => return Ok(String::from_utf8_lossy(text).into_owned()),
                }
            }
            std::future::poll_fn(|cx| self.poll_fill(cx)).await?;
        }
    }

    /// Reads what there is. Whoever is told that there is more takes all frames before the next call.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Result<()>> {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.make_room();
        }
        let mut space = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space))?;
        let read = space.filled().len();
        self.end += read;
        Poll::Ready(if read > 0 { Ok(()) } else { Err(anyhow::anyhow!("the server closed the connection")) })
    }

    fn make_room(&mut self) {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        if self.end > self.buffer.len() / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// The next whole text that was read; `None` where there is none yet.
    pub(crate) fn frame(&mut self) -> anyhow::Result<Option<&[u8]>> {
        let unread = &self.buffer[self.begin..self.end];
        let [kind, short, rest @ ..] = unread else { return Ok(None) };
        let (length, head) = match (short, rest) {
            (length @ ..126, _) => (usize::from(*length), 2),
            (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => (usize::try_from(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))?, 10),
            (126 | 127, _) => return Ok(None),
            _ => bail!("the server masks its frames"),
        };
        match *kind {
            TEXT => {}
            CLOSE => bail!("the server closed the WebSocket"),
            other => bail!("an unexpected kind of frame: {other:#x}"),
        }
        if unread.len() < head + length {
            return Ok(None);
        }
        let begin = self.begin + head;
        self.begin = begin + length;
        Ok(Some(&self.buffer[begin..begin + length]))
    }
}

/// Where the needle stands first.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, mut from) = (*needle.first()?, 0);
    loop {
        let at = from + haystack.get(from..)?.iter().position(|b| *b == first)?;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The number that these bytes begin with.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit());
    let mut some = None;
    for digit in digits {
        some = Some(some.unwrap_or(0) * 10 + u64::from(digit - b'0'));
    }
    some
}
