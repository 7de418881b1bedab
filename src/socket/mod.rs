//! Socket.IO: the only place that knows the library. Sockets are admitted in the connect middleware, their calls queue in an inbox
//! that one task per connection empties in order, and entries reach them through one tail per session. Knows no contract's words.

mod mount;
mod abandon;
mod admit;
mod inbox;
mod gate;
mod conn;
mod departed;
mod tails;
mod member;
mod roster;
mod tail;
mod outlet;
mod gateway;

pub use gateway::Gateway;
pub use mount::{Limits, Sockets};
pub use outlet::EmitErrors;
