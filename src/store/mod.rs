//! The stores: each implements [`crate::domain::store::Store`] and passes the same contract suite. They know nothing of wires or of each other.

pub mod mongo;
pub mod sqlite;

mod search;
mod shape;
