//! How often passwords may be tried and accounts made. Knows accounts by a key, and whether an address is trusted.

use std::net::IpAddr;

use super::rate::Rate;
use crate::domain::error::Error;
use crate::domain::principal::Peer;
use crate::domain::time::Timestamp;

/// How often a minute a password may be tried for one account from one address.
const TRIES_OF_ACCOUNT_AND_ADDRESS: u32 = 20;

/// How often a minute wrong passwords may be tried for one account, from wherever. Many addresses together can lock its owner out no sooner.
const FAILURES_OF_ACCOUNT: u32 = 200;

/// How often a minute passwords may be tried from one address, for whatever accounts.
const TRIES_OF_ADDRESS: u32 = 60;

/// How often a minute one address may sign up.
const SIGN_UPS_OF_ADDRESS: u32 = 20;

/// Meters whoever tries passwords, or signs up.
#[derive(Debug)]
pub(super) struct Tries {
    of_both: Rate,
    of_account: Rate,
    of_address: Rate,
    sign_ups: Rate,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            of_both: Rate::new(Some(TRIES_OF_ACCOUNT_AND_ADDRESS)),
            of_account: Rate::new(Some(FAILURES_OF_ACCOUNT)),
            of_address: Rate::new(Some(TRIES_OF_ADDRESS)),
            sign_ups: Rate::new(Some(SIGN_UPS_OF_ADDRESS)),
        }
    }
}

impl Tries {
    /// Counts a sign-up.
    ///
    /// # Errors
    /// [`Error::RateLimited`] after too many from an address that is not trusted.
    pub(super) fn count_sign_up(&self, (peer, address): (Peer, IpAddr), now: Timestamp) -> Result<(), Error> {
        if peer == Peer::Trusted { Ok(()) } else { self.sign_ups.take(address.to_string(), now).map_err(too_many) }
    }

    /// Counts a try of an account from an address.
    ///
    /// # Errors
    /// [`Error::RateLimited`] after too many for the account from this address, and where the address is not trusted after too many from it, or
    /// too many wrong ones for the account from everywhere.
    pub(super) fn count(&self, (peer, address): (Peer, IpAddr), account: &str, now: Timestamp) -> Result<(), Error> {
        if peer == Peer::Unknown {
            self.of_account.look(account, now).map_err(too_many)?;
            self.of_address.take(address.to_string(), now).map_err(too_many)?;
        }
        self.of_both.take(format!("{account}\n{address}"), now).map_err(too_many)
    }

    /// Counts a wrong password; what comes from trusted addresses locks nobody out.
    pub(super) fn count_failure(&self, peer: Peer, account: String, now: Timestamp) {
        if peer == Peer::Unknown {
            // Enough are left, or the try would have been refused.
            let _ = self.of_account.take(account, now);
        }
    }
}

fn too_many(retry_after_ms: u64) -> Error {
    Error::RateLimited { retry_after_ms }
}
