//! Handing out what people sent: never to be shown inside a page, in parts where a client asks for one, and read piece by piece.

use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::domain::error::Error;

/// How many bytes are read at once.
const PIECE: u32 = 256 * 1_024;

/// What a browser may do with such a file, should it open one after all: nothing.
const POLICY: &str = "default-src 'none'; sandbox";

/// A file that is handed out.
#[derive(Clone, Debug)]
pub struct Whole {
    /// What it is known by; it never changes.
    pub id: Arc<str>,
    /// Its name, without what could disturb a header.
    pub name: Arc<str>,
    /// Its type.
    pub mime_type: Arc<str>,
    /// Its size in bytes.
    pub size: u64,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// From one byte up to, and not with, another.
    Part(u64, u64),
    /// Nothing that there is.
    Nothing,
}

/// The answer to a request for the file, which `read` answers bytes of: from this one on, at least one and at most so many. Where that fails in the
/// middle the connection is cut off, so that nobody takes a part for the whole.
pub fn respond<R, F>(headers: &HeaderMap, whole: &Whole, read: R) -> Response
where
    R: Fn(u64, u32) -> F + Send + 'static,
    F: Future<Output = Result<Vec<u8>, Error>> + Send + 'static,
{
    let tag = format!("\"{}\"", whole.id);
    let constant = [
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "private, max-age=0, must-revalidate".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin".to_owned()),
    ];
    let (status, from, to) = match wanted(headers, whole.size, &tag) {
        Wanted::All => (StatusCode::OK, 0, whole.size),
        Wanted::Part(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
        Wanted::Nothing => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{}", whole.size))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, constant, range).into_response();
        }
    };
    let range = (status == StatusCode::PARTIAL_CONTENT)
        .then(|| [(header::CONTENT_RANGE, format!("bytes {from}-{}/{}", to.saturating_sub(1), whole.size))]);
    let own = [
        (header::CONTENT_TYPE, whole.mime_type.to_string()),
        (header::CONTENT_LENGTH, (to - from).to_string()),
        (header::CONTENT_DISPOSITION, disposition(&whole.name)),
    ];
    let pieces = stream::try_unfold((from, read), move |(at, read)| async move {
        let left = u32::try_from(to - at).unwrap_or(u32::MAX).min(PIECE);
        if left == 0 {
            return Ok(None);
        }
        let piece = read(at, left).await?;
        let next = at + piece.len() as u64;
        Ok::<_, Error>(Some((piece, (next, read))))
    });
    (status, constant, own, range, Body::from_stream(pieces)).into_response()
}

/// The part that the request asks for. Several parts, and what cannot be understood, are answered with all of it.
fn wanted(headers: &HeaderMap, size: u64, tag: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|known| known != tag) {
        return Wanted::All;
    }
    let unit_and_range = text(header::RANGE).and_then(|r| r.trim().split_once('=')).filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = unit_and_range.and_then(|(_, range)| range.split_once('-')).filter(|(_, last)| !last.contains('+')) else {
        return Wanted::All;
    };
    if first.contains('+') {
        return Wanted::All;
    }
    let bounds = match (first.trim().parse::<u64>(), last.trim()) {
        (Ok(from), "") => Some((from, size)),
        (Ok(from), last) => last.parse::<u64>().ok().filter(|last| *last >= from).map(|last| (from, last.saturating_add(1).min(size))),
        (Err(_), last) if first.trim().is_empty() => {
            last.parse::<u64>().ok().map(|n| (if n == 0 { size } else { size.saturating_sub(n) }, size))
        }
        (Err(_), _) => None,
    };
    match bounds {
        None => Wanted::All,
        Some((from, to)) if from < to => Wanted::Part(from, to),
        Some(_) => Wanted::Nothing,
    }
}

/// Has browsers save the file under its name.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
        let _ = if is_plain { write!(encoded, "{}", char::from(byte)) } else { write!(encoded, "%{byte:02X}") };
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str) -> Wanted {
        let headers = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
        wanted(&headers, 100, "\"t\"")
    }

    #[test]
    fn one_range_is_a_part_and_others_are_all_or_nothing() {
        for (range, part) in [
            ("bytes=0-0", (0, 1)),
            ("bytes=10-", (10, 100)),
            ("bytes=-7", (93, 100)),
            ("bytes=90-999", (90, 100)),
            ("bytes=-999", (0, 100)),
            ("BYTES=1-3", (1, 4)),
        ] {
            assert_eq!(asked(range), Wanted::Part(part.0, part.1), "{range}");
        }
        for nothing in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=18446744073709551615-"] {
            assert_eq!(asked(nothing), Wanted::Nothing, "{nothing}");
        }
        for all in [
            "bytes=5-4",
            "bytes=0-1,3-4",
            "bytes=x-",
            "bytes=-",
            "lines=0-1",
            "bytes",
            "bytes=99999999999999999999-",
            "bytes=+1-+3",
            "bytes=1-+3",
        ] {
            assert_eq!(asked(all), Wanted::All, "{all}");
        }
    }

    #[test]
    fn a_part_of_another_version_is_all_of_this_one() {
        let headers =
            |tag: &str| HeaderMap::from_iter([(header::RANGE, "bytes=1-2".parse().unwrap()), (header::IF_RANGE, tag.parse().unwrap())]);
        assert_eq!(wanted(&headers("\"t\""), 100, "\"t\""), Wanted::Part(1, 3));
        assert_eq!(wanted(&headers("\"u\""), 100, "\"t\""), Wanted::All);
    }

    #[test]
    fn names_disturb_no_header() {
        assert_eq!(disposition("a b.png"), "attachment; filename=\"a b.png\"; filename*=UTF-8''a%20b.png");
        assert_eq!(disposition("\"é\r\n%"), "attachment; filename=\"_____\"; filename*=UTF-8''%22%C3%A9%0D%0A%25");
    }
}
