//! The cheapest room relay on our own Socket.IO library: no credentials, no store, no checks. A reference for `scripts/bench.sh`, never to be served to
//! anybody. It prints where it listens; `PORT` names the port, else a free one is taken.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for people at a terminal")]

use anyhow::Context as _;
use axum::Router;
use axum::serve::ListenerExt as _;
use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use socketioxide::handler::ConnectHandler as _;
use tokio::net::TcpListener;

/// Registers what clients may call. As a middleware it stands before the client is told that it may call.
async fn register(socket: SocketRef) -> Result<(), std::convert::Infallible> {
    socket.on("join_session", async |socket: SocketRef, Data(call): Data<Value>, ack: AckSender| {
        let is_joined = session_of(&call).map(|session| socket.join(session)).is_some();
        let _ = ack.send(&json!({"ok": is_joined}));
    });
    socket.on("send_message", async |socket: SocketRef, Data(call): Data<Value>, ack: AckSender| {
        let Some(session) = session_of(&call) else { return };
        let sent = socket.within(session).emit("new_message", &call).await;
        let _ = ack.send(&json!({"ok": sent.is_ok()}));
    });
    Ok(())
}

fn session_of(call: &Value) -> Option<String> {
    call.get("sessionId")?.as_str().map(str::to_owned)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (layer, io) = SocketIo::new_layer();
    let connected = async || {};
    io.ns("/", connected.with(register));
    let port = std::env::var("PORT").ok().map_or(Ok(0), |port| port.parse::<u16>()).context("PORT is no port")?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().layer(layer)).await.context("the listener failed")
}
