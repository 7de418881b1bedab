//! Who a request comes from, and what that is worth: `TRUSTED_NETWORKS`, `TRUSTED_PROXIES`, `Origin` and `Host` in one judgement.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::domain::principal::Peer;

/// What is known of whoever sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The client's address, as far as it can be known, to count it by. Of IPv6 it is the network of 64 bits, which one client has to itself.
    pub client: IpAddr,
    /// Whether it may do what the originals left open to everybody.
    pub peer: Peer,
}

/// The rules, from configuration.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Networks whose peers are trusted.
    pub networks: Vec<IpNet>,
    /// Proxies whose forwarding headers count. Never trusted themselves.
    pub proxies: Vec<IpNet>,
    /// Host names that are ours, besides loopback.
    pub hosts: Vec<String>,
    /// Origins whose pages may call us, besides our own.
    pub origins: Vec<String>,
    /// Whether pages of every origin are admitted. They never borrow a network's trust.
    pub any_origin: bool,
    /// Whether pages from any loopback origin may call us (development).
    pub loopback_origins: bool,
}

/// Judges requests by the rules.
#[derive(Debug, Default)]
pub struct Trust {
    rules: Rules,
    warned: AtomicBool,
}

const FORWARDING: [HeaderName; 2] = [HeaderName::from_static("x-forwarded-for"), header::FORWARDED];

impl Trust {
    /// A judge by these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules, warned: AtomicBool::new(false) }
    }

    /// Judges a request by its headers and the address of its connection.
    pub fn judge(&self, headers: &HeaderMap, remote: SocketAddr) -> Visit {
        let near = remote.ip().to_canonical();
        let forwarded = FORWARDING.iter().any(|name| headers.contains_key(name));
        let client = match (within(&self.rules.proxies, near), forwarded) {
            (false, false) => Some(near),
            (false, true) => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!("a forwarding header came from an unlisted peer, which is not trusted for it: set TRUSTED_PROXIES");
                }
                None
            }
            (true, _) => self.forwarded_client(headers),
        };
        let trusted =
            client.is_some_and(|c| within(&self.rules.networks, c)) && self.is_own_host(headers) && !self.is_from_unknown_page(headers);
        Visit { client: counted(client.unwrap_or(near)), peer: if trusted { Peer::Trusted } else { Peer::Unknown } }
    }

    /// Whether the request comes from a page that is neither ours nor listed, also where pages of every origin are admitted.
    pub fn is_from_unknown_page(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return false };
        !origin.to_str().is_ok_and(|o| self.knows_origin(o, headers))
    }

    /// Whether the request's `Origin` is absent or admitted.
    pub fn admits_origin_of(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        origin.to_str().is_ok_and(|o| self.admits_origin(o, headers))
    }

    /// Whether pages of `origin` may call us, on the host that the request names.
    pub fn admits_origin(&self, origin: &str, headers: &HeaderMap) -> bool {
        self.rules.any_origin || self.knows_origin(origin, headers)
    }

    /// Whether pages of `origin` are ours or listed.
    fn knows_origin(&self, origin: &str, headers: &HeaderMap) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        if !matches!(scheme, "http" | "https") {
            return false;
        }
        let own = host(headers).is_some_and(|h| h.eq_ignore_ascii_case(authority));
        let loopback = self.rules.loopback_origins && is_loopback(name_of(authority));
        own || loopback || self.rules.origins.iter().any(|o| o.trim_end_matches('/').eq_ignore_ascii_case(origin))
    }

    /// The rightmost forwarded address that is not a proxy of ours; `None` where there is none or it cannot be read.
    fn forwarded_client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let [x_forwarded_for, _] = FORWARDING;
        let lists: Vec<&str> = headers.get_all(x_forwarded_for).iter().map(|v| v.to_str().unwrap_or("?")).collect();
        let mut hops = lists.iter().flat_map(|l| l.split(',')).map(|hop| parse_hop(hop.trim())).collect::<Vec<_>>();
        while let Some(hop) = hops.pop() {
            let address = hop?;
            if !within(&self.rules.proxies, address) {
                return Some(address);
            }
        }
        None
    }

    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let Some(name) = host(headers).map(name_of) else { return false };
        is_loopback(name) || self.rules.hosts.iter().any(|h| h.eq_ignore_ascii_case(name))
    }
}

/// The address by which a client is counted: whoever has one IPv6 address has the 2^64 of its network.
fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

fn within(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|n| n.contains(&address))
}

fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|s| s.ip()));
    bare.ok().map(|a| a.to_canonical())
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// The name in `name:port`, without the brackets of an IPv6 address.
fn name_of(authority: &str) -> &str {
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|a| a.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> Trust {
        let net = |n: &str| n.parse::<IpNet>().unwrap();
        Trust::new(Rules {
            networks: vec![net("127.0.0.0/8"), net("10.1.0.0/16")],
            proxies: vec![net("10.9.0.1/32"), net("10.9.0.2/32")],
            hosts: vec!["chat.example.com".into()],
            origins: vec!["https://shop.example.com".into()],
            ..Rules::default()
        })
    }

    fn judge(remote: &str, headers: &[(&str, &str)]) -> Visit {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        trust().judge(&map, format!("{remote}:4000").parse().unwrap())
    }

    #[test]
    fn a_peer_in_a_trusted_network_is_trusted_on_our_own_host_only() {
        assert_eq!(judge("127.0.0.1", &[("host", "localhost:5000")]).peer, Peer::Trusted);
        assert_eq!(judge("[::ffff:127.0.0.1]", &[("host", "chat.example.com")]).peer, Peer::Trusted);
        assert_eq!(judge("127.0.0.1", &[("host", "evil.example:5000")]).peer, Peer::Unknown);
        assert_eq!(judge("127.0.0.1", &[]).peer, Peer::Unknown);
        assert_eq!(judge("192.0.2.1", &[("host", "localhost")]).peer, Peer::Unknown);
    }

    #[test]
    fn a_foreign_page_does_not_borrow_the_networks_trust() {
        let from = |origin| judge("127.0.0.1", &[("host", "localhost:5000"), ("origin", origin)]).peer;
        assert_eq!(from("http://localhost:5000"), Peer::Trusted);
        assert_eq!(from("https://shop.example.com"), Peer::Trusted);
        assert_eq!(from("https://evil.example"), Peer::Unknown);
        assert_eq!(from("null"), Peer::Unknown);
    }

    #[test]
    fn forwarding_headers_count_from_listed_proxies_only() {
        let host = ("host", "chat.example.com");
        let client = |remote, hops| judge(remote, &[host, ("x-forwarded-for", hops)]);
        assert_eq!(client("10.9.0.1", "10.1.2.3").peer, Peer::Trusted);
        assert_eq!(client("10.9.0.1", "10.1.2.3, 192.0.2.7, 10.9.0.2").client.to_string(), "192.0.2.7");
        assert_eq!(client("10.9.0.1", "10.1.2.3, 192.0.2.7").peer, Peer::Unknown);
        assert_eq!(client("10.9.0.1", "10.1.2.3, rubbish").peer, Peer::Unknown);
        assert_eq!(client("127.0.0.1", "10.1.2.3").peer, Peer::Unknown);
        assert_eq!(judge("10.9.0.1", &[host]).peer, Peer::Unknown);
    }

    #[test]
    fn an_ipv6_client_is_counted_by_its_network_and_trusted_by_its_address() {
        let host = ("host", "chat.example.com");
        assert_eq!(judge("[2001:db8:1:2:3:4:5:6]", &[host]).client.to_string(), "2001:db8:1:2::");
        assert_eq!(judge("10.9.0.1", &[host, ("x-forwarded-for", "2001:db8:1:2:ffff::9")]).client.to_string(), "2001:db8:1:2::");
        assert_eq!(judge("[::ffff:192.0.2.7]", &[host]).client.to_string(), "192.0.2.7");
        let rules = Rules { networks: vec!["::1/128".parse().unwrap()], ..Rules::default() };
        let headers = HeaderMap::from_iter([(header::HOST, "localhost".parse().unwrap())]);
        let seen = |remote: &str| Trust::new(rules.clone()).judge(&headers, remote.parse().unwrap()).peer;
        assert_eq!((seen("[::1]:4000"), seen("[::2]:4000")), (Peer::Trusted, Peer::Unknown));
    }

    #[test]
    fn loopback_pages_are_welcome_in_development() {
        let development = Trust::new(Rules { loopback_origins: true, ..Rules::default() });
        assert!(development.admits_origin("http://localhost:5173", &HeaderMap::new()));
        assert!(!development.admits_origin("http://localhost.evil.example", &HeaderMap::new()));
        assert!(!Trust::default().admits_origin("http://localhost:5173", &HeaderMap::new()));
    }
}
