//! What goes wrong under load: bursts, crashes, readers that do not read, a bus that loses. The promises must hold all the same.

mod away;
mod colleagues;
mod crash;
mod crowded;
mod hanging_up;
mod healing;
mod joining;
mod order;
pub(crate) mod parts;
mod presence;
mod repair;
mod rooms;
mod slow_reader;
mod talker;
