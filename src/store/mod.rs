//! Durable storage behind the port `domain::store::Store`. Knows no dialect, no socket and no configuration.

pub mod mongo;
