//! All integration tests in one binary: one link, one run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod architecture;
mod assignment;
mod attachments;
mod backup;
mod cli;
mod cluster;
mod config;
mod documents;
mod export;
mod faults;
mod harness;
mod import;
mod matrix;
mod metrics;
mod mounts;
mod recency;
mod rights;
mod security;
mod slow_http;
mod start;
mod store;
mod transcripts;
mod webhook;
