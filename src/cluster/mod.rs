//! How the nodes of an installation hear of each other's entries. Alone, a node hears itself.

pub mod bus;
pub mod driver;
mod link;
pub mod redis;
mod said;

pub use link::Traffic;
