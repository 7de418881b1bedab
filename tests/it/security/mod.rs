//! The attacks that this server must bear, named after the numbers of the list of security tests.

mod flood;
mod frames;
mod handshake;
mod identity;
mod injection;
mod logins;
mod logs;
