//! The contract `operators`; not built yet.

pub mod rest;

use async_trait::async_trait;

use super::wire::Frame;
use super::{Conversation, Dialect, Farewell, Handshake};
use crate::domain::desk::Desk;
use crate::domain::entry::Entry;
use crate::domain::ports::Signal;
use crate::domain::principal::{Principal, Realm};

/// The contract.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operators;

#[async_trait]
impl Dialect for Operators {
    fn realm(&self) -> Realm {
        Realm::Operators
    }

    fn admits_any_origin(&self) -> bool {
        true
    }

    async fn admit(&self, _: &Desk, _: &Handshake) -> Result<Principal, &'static str> {
        Err("not built yet")
    }

    fn converse(&self, _: Principal, _: Handshake) -> Box<dyn Conversation> {
        loop {}
    }

    fn entry_frame(&self, _: &Entry) -> Option<Frame> {
        None
    }

    fn signal_frame(&self, _: &Signal) -> Option<Frame> {
        None
    }

    fn farewell(&self, _: Farewell) -> Frame {
        Frame::new("error", &())
    }
}
