//! What the integration tests drive the real server with: its process, a small Socket.IO client, an HTTP caller, and the transcripts' language.

pub(crate) mod client;
pub(crate) mod command;
pub(crate) mod http;
pub(crate) mod metrics;
pub(crate) mod pattern;
pub(crate) mod raw;
pub(crate) mod replay;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod shop;

use std::time::Duration;

/// How long anything may take that a test waits for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);
