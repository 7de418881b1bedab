//! The values of variables, each parsed from text or refused. Pure; knows no variable by name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use crate::domain::time::Timestamp;

/// `true` or `false`, also as `1`/`0`, `yes`/`no`, `on`/`off`.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// An address to listen on; `localhost` is 127.0.0.1.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("localhost") { Some(Ipv4Addr::LOCALHOST.into()) } else { text.parse().ok() }
}

/// An address with a port to listen on; 0 takes a free one, and `localhost` is 127.0.0.1.
pub(super) fn address_and_port(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    if host.eq_ignore_ascii_case("localhost") { Some((Ipv4Addr::LOCALHOST, port_number(port)?).into()) } else { text.parse().ok() }
}

/// A network in CIDR form, or one address. Host bits are cleared; `::ffff:` addresses become IPv4.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let single = || text.parse::<IpAddr>().ok().map(|ip| IpNet::from(ip.to_canonical()));
    text.parse::<IpNet>().ok().or_else(single).map(|net| net.trunc())
}

/// The origin of an http or https URL as browsers send it: lower case, without a default port, path or trailing slash.
pub(super) fn origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port_number(port)?),
        _ => (authority, default_port),
    };
    let host = host_name(host)?;
    Some(if port == default_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") })
}

/// A host name in lower case, or an address (IPv6 in brackets), without a port.
pub(super) fn host_name(text: &str) -> Option<String> {
    if let Some(inside) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return inside.parse::<std::net::Ipv6Addr>().ok().map(|ip| format!("[{ip}]"));
    }
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let whole = !text.is_empty() && text.len() <= 253 && text.chars().all(known) && !text.starts_with('.');
    whole.then(|| text.to_ascii_lowercase())
}

/// A date (its first moment in UTC) or an ISO-8601 time with its zone.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let time = text.parse::<jiff::Timestamp>().ok();
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp());
    // `2026-12-31T10:00` would parse as a date and lose its time.
    let bare = text.len() == "2026-12-31".len();
    time.or_else(|| if bare { day() } else { None }).map(|t| Timestamp(t.as_millisecond()))
}

/// Directives for the log filter. A bare word has to be a level: as a module's name it would log everything of a module that does not exist.
pub(super) fn log_level(text: &str) -> Option<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let known = |part: &str| part.contains(['=', '[']) || LEVELS.iter().any(|l| part.eq_ignore_ascii_case(l));
    let whole = text.split(',').map(str::trim).all(known) && EnvFilter::try_new(text).is_ok();
    whole.then(|| text.to_owned())
}

/// An http or https URL of a host, as it is. Names and passwords belong into its path or query.
pub(super) fn web_address(text: &str) -> Option<String> {
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    (plain && origin(text).is_some()).then(|| text.to_owned())
}

/// The part after the scheme of a URL with one of these schemes, if there is any.
pub(super) fn after_scheme<'t>(text: &'t str, schemes: &[&str]) -> Option<&'t str> {
    let (scheme, rest) = text.split_once("://")?;
    (schemes.contains(&scheme) && !rest.is_empty() && !text.contains(char::is_whitespace)).then_some(rest)
}

fn port_number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Bytes that may stand in any part of a URL as they are; all others as `%XX` (RFC 3986, 2.3).
pub(super) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out + char::from(byte).to_string().as_str()
        } else {
            out + &format!("%{byte:02X}")
        }
    })
}

/// Whether a secret of production was copied from an example, or is one or few characters repeated.
pub(super) fn is_placeholder(secret: &str) -> bool {
    const WORDS: [&str; 19] = [
        "yoursecret",
        "yourjwt",
        "yoursuper",
        "yourapi",
        "yourkey",
        "yourvery",
        "yourown",
        "changeme",
        "changethis",
        "changeit",
        "replaceme",
        "replacewith",
        "replacethis",
        "placeholder",
        "supersecret",
        "secretkey",
        "mysecret",
        "admin123",
        "password1",
    ];
    let letters: String = secret.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let distinct: std::collections::BTreeSet<char> = secret.chars().collect();
    distinct.len() < 8 || WORDS.iter().any(|w| letters.contains(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_what_browsers_send() {
        for (text, expected) in [
            ("https://Www.Example.com/", Some("https://www.example.com")),
            ("https://example.com:443/path?q", Some("https://example.com")),
            ("http://localhost:5173", Some("http://localhost:5173")),
            ("http://[::1]:80", Some("http://[::1]")),
            ("http://[::1]:8080/x", Some("http://[::1]:8080")),
            ("example.com", None),
            ("ftp://example.com", None),
            ("https://", None),
            ("https://user:pw@example.com", None),
            ("https://example.com:99999", None),
            ("https://*.example.com", None),
            ("https://exa mple.com", None),
            ("https://[::g]", None),
        ] {
            assert_eq!(origin(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn networks_are_normal() {
        let show = |text| network(text).map(|n| n.to_string());
        assert_eq!(show("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(show("192.168.1.7").as_deref(), Some("192.168.1.7/32"));
        assert_eq!(show("::ffff:10.0.0.1").as_deref(), Some("10.0.0.1/32"));
        assert_eq!(show("::1").as_deref(), Some("::1/128"));
        for bad in ["10.0.0.0/33", "10.0.0", "localhost", "10.0.0.0/", ""] {
            assert_eq!(show(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_are_dates_or_times_with_a_zone() {
        assert_eq!(moment("2026-12-31").map(Timestamp::iso).as_deref(), Some("2026-12-31T00:00:00.000Z"));
        assert_eq!(moment("2026-12-31T10:00:00+02:00").map(Timestamp::iso).as_deref(), Some("2026-12-31T08:00:00.000Z"));
        for bad in ["2026-12-31T10:00", "31.12.2026", "2026-13-01", "tomorrow"] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }

    #[test]
    fn log_levels_are_levels_or_name_a_module() {
        for good in ["info", "DEBUG", "off", "warn,helpline::socket=debug", "helpline[session]=trace"] {
            assert!(log_level(good).is_some(), "{good}");
        }
        for bad in ["verbose", "http", "info,silly", "helpline=loud", ","] {
            assert!(log_level(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn addresses_of_machines_are_kept_as_they_are() {
        for good in ["https://Hooks.example.com/T0/B0?token=x%20y#z", "http://127.0.0.1:9", "http://[::1]:80/x"] {
            assert_eq!(web_address(good).as_deref(), Some(good));
        }
        for bad in
            ["hooks.example.com", "ftp://h/x", "https://", "https://u:p@h/x", "https://h/a b", "https://h/a\u{7f}", "https://h:99999/"]
        {
            assert_eq!(web_address(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn placeholders_are_known_by_their_words_or_their_poverty() {
        for bad in [
            "your-super-secret-jwt-key-change-in-production",
            "change_me_change_me_change_me_change_me",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(is_placeholder(bad), "{bad}");
        }
        assert!(!is_placeholder("3f2a9c41d05e8b7766a1f0c9d2e4b5a8973c1e60"));
    }

    #[test]
    fn passwords_fit_into_urls() {
        assert_eq!(percent_encoded("p@ss:w/rd é~"), "p%40ss%3Aw%2Frd%20%C3%A9~");
    }
}
