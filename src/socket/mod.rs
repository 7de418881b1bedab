//! Socket.IO: the only place that knows the library. Sockets are admitted in the connect middleware, their calls queue in an inbox
//! that one task per connection empties in order, and entries reach them through one tail per session. Knows no contract's words.

mod mount;
mod abandon;
mod admit;
mod inbox;
mod gate;
mod head;
mod conn;
mod departed;
mod drain;
mod command;
mod tails;
mod member;
mod roster;
mod tail;
mod outlet;
mod gateway;

use socketioxide::adapter::Emitter;
use socketioxide_redis::CustomRedisAdapter;

use crate::cluster::driver::Signals;

pub use gateway::Gateway;
pub use mount::{Limits, Sockets, Way};
pub use outlet::Tally;

/// What is under each namespace: the rooms of this node, and the way of signals to the others.
type Adapter = CustomRedisAdapter<Emitter, Signals>;

type SocketIo = socketioxide::SocketIo<Adapter>;
type SocketRef = socketioxide::extract::SocketRef<Adapter>;
type AckSender = socketioxide::extract::AckSender<Adapter>;
