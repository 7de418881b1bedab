//! How many sockets one address may hold. Knows addresses, not who is behind them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts what is held by each address.
#[derive(Clone, Debug)]
pub struct PerAddress {
    held: Arc<Mutex<HashMap<IpAddr, u32>>>,
    most: Option<u32>,
}

/// One of the places of an address; given back when dropped.
#[derive(Debug)]
pub struct Place {
    held: Arc<Mutex<HashMap<IpAddr, u32>>>,
    address: IpAddr,
}

impl PerAddress {
    /// At most this many places for each address; `None` is no limit.
    pub fn new(most: Option<u32>) -> Self {
        Self { held: Arc::default(), most }
    }

    /// A place for the address, or `None` when all are taken.
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if self.most.is_some_and(|most| *count >= most) {
            return None;
        }
        *count += 1;
        Some(Place { held: Arc::clone(&self.held), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_address_and_given_back() {
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let limit = PerAddress::new(Some(2));
        let first = limit.take(here);
        let second = limit.take(here);
        assert!(first.is_some() && second.is_some() && limit.take(here).is_none());
        assert!(limit.take(there).is_some());
        drop(first);
        assert!(limit.take(here).is_some());
        drop(second);
        assert!(limit.held.lock().unwrap().is_empty());
    }
}
