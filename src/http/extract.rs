//! What every contract's REST layer takes out of a request in the same way: the caller's address and credential, the id in the path, the JSON
//! body. Each contract has its own words for what is wrong with them.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::json;
use super::serve::Remote;
use super::trust::{Trust, Visit};
use crate::domain::ports::Credential;
use crate::domain::principal::Peer;

/// Why a request is not served, whatever its path does. Each contract has words of its own for it.
#[derive(Debug)]
pub enum Unserved {
    /// The id in the path is no text.
    BadId,
    /// The body is over the limit.
    TooLarge,
    /// The body is no JSON, for this reason.
    Malformed(String),
    /// A defect of ours.
    Panicked,
}

/// The id in a path; bytes that are no text are no id, in the words of `P`.
pub struct PathId<P> {
    /// The id, decoded.
    pub id: String,
    words: PhantomData<fn() -> P>,
}

impl<S: Send + Sync, P: From<Unserved> + IntoResponse> FromRequestParts<S> for PathId<P> {
    type Rejection = P;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, P> {
        let Path(id) = Path::from_request_parts(parts, state).await.map_err(|_| Unserved::BadId)?;
        Ok(Self { id, words: PhantomData })
    }
}

/// The body as [`json_body`] reads it; what it does not read is refused in the words of `P`.
pub struct Input<P> {
    /// An object or an array.
    pub body: Value,
    words: PhantomData<fn() -> P>,
}

impl<S: Send + Sync, P: From<Unserved> + IntoResponse> FromRequest<S> for Input<P> {
    type Rejection = P;

    async fn from_request(request: Request, state: &S) -> Result<Self, P> {
        Ok(Self { body: json_body(request, state).await?, words: PhantomData })
    }
}

/// Who sent the request.
pub fn visit_of(extensions: &Extensions, headers: &HeaderMap, trust: &Trust) -> Visit {
    match extensions.get::<ConnectInfo<Remote>>() {
        Some(ConnectInfo(remote)) => trust.judge(headers, remote.addr),
        None => Visit { client: IpAddr::V4(Ipv4Addr::UNSPECIFIED), peer: Peer::Unknown },
    }
}

/// `X-API-Key`, else the bearer token; a wrong one is never ignored.
pub fn credential_of(headers: &HeaderMap) -> Option<Credential> {
    if let Some(key) = api_key_of(headers) {
        return Some(key);
    }
    let authorization = value(headers, &header::AUTHORIZATION)?;
    let bearer = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    // Another scheme is a wrong credential.
    Some(Credential::Token(bearer.map_or(String::new(), |(_, token)| token.trim().to_owned())))
}

/// `X-API-Key`, whatever else is shown.
pub fn api_key_of(headers: &HeaderMap) -> Option<Credential> {
    value(headers, &HeaderName::from_static("x-api-key")).map(Credential::ApiKey)
}

/// A header that is not blank.
fn value(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    let text = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The JSON body, as Express reads it: `{}` where there is none or it is declared as something else.
///
/// # Errors
/// A body over the limit, or one that is no JSON object or array.
pub async fn json_body<S: Send + Sync>(request: Request, state: &S) -> Result<Value, Unserved> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let is_json = kind.to_ascii_lowercase().contains("json");
    let bytes = Bytes::from_request(request, state).await.map_err(|e| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Unserved::TooLarge,
        _ => Unserved::Malformed("the body could not be read".to_owned()),
    })?;
    if !is_json || bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(json!({}));
    }
    match json::body(&bytes) {
        Ok(body @ (Value::Object(_) | Value::Array(_))) => Ok(body),
        Ok(_) => Err(Unserved::Malformed("expected an object or an array".to_owned())),
        Err(error) => Err(Unserved::Malformed(error.to_string())),
    }
}

/// Reads the body, and then runs the request to its end in a task of its own, also when its client hangs up: a handler that is dropped between
/// a write and what must follow it would leave a stored message that nobody is told of.
///
/// # Errors
/// Where there was nothing to run, or the run panicked, which is logged.
pub async fn finish<P: From<Unserved>, const BODY_LIMIT: usize>(request: Request, next: Next) -> Result<Response, P> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| Unserved::TooLarge)?;
    let request = Request::from_parts(parts, Body::from(body));
    Ok(to_the_end(next.run(request)).await?)
}

/// Runs this to its end in a task of its own, also when whoever waits for it gives up.
///
/// # Errors
/// A panic, which is logged.
#[allow(clippy::disallowed_methods, reason = "the task has all it needs, and ends with it")]
pub async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Unserved> {
    tokio::spawn(work).await.map_err(|_| {
        tracing::error!("a panic in a request");
        Unserved::Panicked
    })
}
