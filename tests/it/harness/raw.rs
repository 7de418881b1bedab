//! A WebSocket on which a test says what it likes, frame by frame, and reads when it likes. It answers pings and knows nothing else.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::DEADLINE;
use super::client::{Event, event_of};

/// An open WebSocket.
pub(crate) struct Raw {
    socket: WebSocketStream<TcpStream>,
}

impl Raw {
    /// Opens a transport and nothing more. With a size, the system holds about that many bytes for a reader that does not read.
    pub(crate) async fn open(address: SocketAddr, receive_buffer: Option<u32>) -> Self {
        Self::open_at(address, "", receive_buffer).await
    }

    /// The same with more in the query string, for example `&token=x`.
    pub(crate) async fn open_at(address: SocketAddr, query: &str, receive_buffer: Option<u32>) -> Self {
        let tcp = TcpSocket::new_v4().expect("a TCP socket");
        if let Some(bytes) = receive_buffer {
            tcp.set_recv_buffer_size(bytes).expect("a receive buffer");
        }
        let stream = timeout(DEADLINE, tcp.connect(address)).await.expect("a connection in time").expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket{query}");
        let opened = timeout(DEADLINE, client_async(url, stream)).await.expect("a WebSocket in time");
        let mut raw = Self { socket: opened.expect("a WebSocket").0 };
        let open = raw.next().await.expect("the OPEN packet");
        assert!(open.starts_with("0{"), "{open}");
        raw
    }

    /// Opens a transport and connects the namespace.
    pub(crate) async fn connect(address: SocketAddr, auth: &Value, receive_buffer: Option<u32>) -> Self {
        let mut raw = Self::open(address, receive_buffer).await;
        raw.text(&format!("40{auth}")).await;
        let answer = raw.next().await.expect("an answer to CONNECT");
        assert!(answer.starts_with("40"), "{answer}");
        raw
    }

    /// Opens a transport and connects the namespace; `None` where that does not come about, as happens while servers come and go.
    pub(crate) async fn try_connect(address: SocketAddr, auth: &Value) -> Option<Self> {
        let attempt = async {
            let stream = TcpStream::connect(address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
            let mut raw = Self { socket: client_async(url, stream).await.ok()?.0 };
            raw.frame().await.filter(|open| open.starts_with("0{"))?;
            raw.text(&format!("40{auth}")).await;
            raw.frame().await.filter(|answer| answer.starts_with("40"))?;
            Some(raw)
        };
        timeout(DEADLINE, attempt).await.ok().flatten()
    }

    /// Sends one frame. That the connection is closed shows when something is read from it.
    pub(crate) async fn send(&mut self, message: Message) {
        let _ = timeout(DEADLINE, self.socket.send(message)).await.expect("the server takes a frame in time");
    }

    /// Sends a text.
    pub(crate) async fn text(&mut self, frame: &str) {
        self.send(Message::text(frame)).await;
    }

    /// A frame that says it is a text, whatever its bytes are.
    pub(crate) fn as_text(bytes: &[u8]) -> Message {
        Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(Data::Text), true))
    }

    /// Sends many texts in one go, however long the server makes it wait within a few deadlines.
    pub(crate) async fn burst(&mut self, frames: impl IntoIterator<Item = String>) {
        let all = async {
            for frame in frames {
                if self.socket.feed(Message::text(frame)).await.is_err() {
                    return;
                }
            }
            let _ = self.socket.flush().await;
        };
        timeout(4 * DEADLINE, all).await.expect("the server takes the frames in time");
    }

    /// The next text but a ping, which is answered, within the deadline; `None` when the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let read = async {
            while let Some(Ok(message)) = self.socket.next().await {
                match message {
                    Message::Text(text) if text.as_str() == "2" => {
                        let _ = self.socket.send(Message::text("3")).await;
                    }
                    Message::Text(text) => return Some(text.as_str().to_owned()),
                    _ => {}
                }
            }
            None
        };
        timeout(DEADLINE, read).await.expect("something is received in time")
    }

    /// The next event, within the deadline for each packet before it; `None` when the connection is closed.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            let text = self.next().await?;
            if let Some(event) = event_of(&text) {
                return Some(event);
            }
        }
    }

    /// The next text but a ping, however long it takes; `None` when the connection is closed.
    pub(crate) async fn frame(&mut self) -> Option<String> {
        while let Some(Ok(message)) = self.socket.next().await {
            match message {
                Message::Text(text) if text.as_str() == "2" => {
                    let _ = self.socket.send(Message::text("3")).await;
                }
                // The close packet of the engine says nothing.
                Message::Text(text) if text.as_str() != "1" => return Some(text.as_str().to_owned()),
                _ => {}
            }
        }
        None
    }

    /// Reads until the connection is closed.
    pub(crate) async fn end(&mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}
