//! Helpline: one support-chat server that speaks several Socket.IO wire contracts over one session log.

pub mod domain;

pub mod secret;
pub mod auth;
pub mod config;
pub mod telemetry;
pub mod shutdown;
