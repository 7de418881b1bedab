//! Helpline: one support-chat server that speaks several Socket.IO wire contracts over one session log.

pub mod socket;
pub mod dialect;
pub mod http;
pub mod cluster;
pub mod domain;
pub mod store;
