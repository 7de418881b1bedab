//! Helpline: one support-chat server that speaks several Socket.IO wire contracts over one session log.

pub mod cli;
pub mod app;
pub mod config;
pub mod telemetry;
pub mod shutdown;
pub mod limit;
pub mod secret;
pub mod webhook;
pub mod import;

pub mod socket;
pub mod dialect;
pub mod http;
pub mod store;
pub mod auth;
pub mod cluster;
pub mod domain;
