//! `MOUNTS`: which contract is served where. Knows addresses and names, not what the contracts are.

use std::fmt;

use super::reader::Reader;
use super::vars;
use crate::domain::principal::Realm;

/// One contract at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The contract, by the realm that vouches for its people.
    pub realm: Realm,
    /// A port of its own; `None` is `PORT`.
    pub port: Option<u16>,
    /// The prefix of its REST paths and its Socket.IO namespace: `/`, or a path without a slash at its end.
    pub base: String,
}

impl fmt::Display for Mount {
    /// As `MOUNTS` says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|p| format!(":{p}")).unwrap_or_default();
        write!(f, "{}@{port}{}", self.realm.name(), self.base)
    }
}

/// Paths that belong to the server itself.
const RESERVED: [&str; 4] = ["/socket.io", "/healthz", "/readyz", "/docs"];

/// Reads the list. Two mounts may not share an address.
pub(super) fn mounts(reader: &mut Reader<'_>) -> Vec<Mount> {
    let text = reader.text(&vars::MOUNTS);
    let mounts = reader.list(&vars::MOUNTS, &text, mount);
    let clash = mounts.iter().enumerate().any(|(n, m)| mounts.iter().skip(n + 1).any(|o| o.port == m.port && o.base == m.base));
    if clash {
        reader.refuse_because(&vars::MOUNTS, "an address of its own for every contract");
    }
    mounts
}

/// `support@/chat`, `support@:3001/`.
fn mount(item: &str) -> Option<Mount> {
    let (name, place) = item.split_once('@')?;
    let slash = place.find('/')?;
    let (port, path) = place.split_at(slash);
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|p| *p > 0)?),
        None => port.is_empty().then_some(None)?,
    };
    let base = path.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    let reserved = RESERVED.iter().any(|r| base == *r || base.strip_prefix(r).is_some_and(|rest| rest.starts_with('/')));
    if reserved || base.contains("//") || !base.chars().all(plain) {
        return None;
    }
    Some(Mount { realm: Realm::named(name)?, port, base: if base.is_empty() { "/".to_owned() } else { base.to_owned() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_has_a_path_or_a_port_or_both() {
        let at = |port, base: &str| Some(Mount { realm: Realm::Support, port, base: base.to_owned() });
        assert_eq!(mount("support@/"), at(None, "/"));
        assert_eq!(mount("support@/help/desk/"), at(None, "/help/desk"));
        assert_eq!(mount("support@:3001/"), at(Some(3001), "/"));
        assert_eq!(mount("support@:3001/chat"), at(Some(3001), "/chat"));
        for bad in
            ["support", "support@", "support@chat", "nobody@/", "support@:0/", "support@:70000/", "support@:/", "support@localhost:1/"]
        {
            assert_eq!(mount(bad), None, "{bad}");
        }
        for bad in ["support@/socket.io", "support@/docs/x", "support@/a//b", "support@/ü", "support@/{id}"] {
            assert_eq!(mount(bad), None, "{bad}");
        }
    }
}
