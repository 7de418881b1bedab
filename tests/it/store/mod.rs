//! The stores, each against a real database.

mod mongo_server;
mod mongo_only;
mod mongo_faults;
mod mongo_lost_replies;
