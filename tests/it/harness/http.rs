//! One HTTP request and its answer. It knows nothing of any contract.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Map, Value};

use super::DEADLINE;
use super::script::Body;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters; of a header that stands there twice, the last.
    pub(crate) headers: Value,
    /// A text where it is not JSON.
    pub(crate) body: Value,
}

/// Sends a request over a connection of its own and reads the answer, within the deadline.
pub(crate) async fn request(to: SocketAddr, method: &str, path: &str, headers: &[(String, String)], body: Body) -> Result<Answer, String> {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(DEADLINE).build().map_err(|e| e.to_string())?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|e| e.to_string())?;
    let mut request = client.request(method, format!("http://{to}{path}"));
    request = match body {
        Body::None => request,
        Body::Json(value) => request.json(&value),
        Body::Raw(text) => request.body(text.as_str().unwrap_or_default().to_owned()),
    };
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.map_err(|e| format!("{e:?}"))?;
    let status = answer.status().as_u16();
    let read = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes())))
    };
    let headers = Value::Object(answer.headers().iter().map(read).collect::<Map<_, _>>());
    let text = answer.text().await.map_err(|e| format!("{e:?}"))?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, headers, body })
}
