//! The attacks that this server must bear, named after the numbers of the list of security tests.

mod frames;
mod handshake;
