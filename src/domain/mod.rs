//! Rules, words and ports of Helpline: sessions, their logs, agents, and the [`desk::Desk`] that is the only door to them.
//! No IO, no serde, no framework; of tokio only `sync`.

pub mod desk;

pub mod account;
pub mod agent;
pub mod attachment;
pub mod entry;
pub mod error;
pub mod figures;
pub mod habits;
pub mod ids;
pub mod presence;
pub mod principal;
pub mod session;
pub mod time;
pub mod topic;

pub mod ports;
pub mod store;
