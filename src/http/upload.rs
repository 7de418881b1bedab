//! Taking in a form with a file, piece by piece, from clients that keep sending. What is buffered of it is bounded, whatever the form looks like,
//! and a client that is refused gets to see why.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Multipart, Request};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long a client may send nothing.
const STALL: Duration = Duration::from_secs(20);

/// How many bytes the fields beside the file may have together.
const TEXT_LIMIT: usize = 300_000;

/// How many parts a form may have.
const PARTS: usize = 20;

/// How many bytes may come without any of them being a field's or the file's: what the parser has to hold and to search.
const BETWEEN: usize = 1_000_000;

/// How many bytes of a body are read after it was refused, and for how long: a connection that is closed with unread bytes loses its answer.
const DRAINED: usize = 2_000_000;
const DRAIN: Duration = Duration::from_secs(2);

/// Bytes of a body that came, and of which the parser has made nothing yet.
#[derive(Clone, Debug, Default)]
struct Unparsed(Arc<AtomicUsize>);

impl Unparsed {
    fn is_too_much(&self) -> bool {
        self.0.load(Ordering::Relaxed) > BETWEEN
    }
}

/// Passes the body on as far as the parser keeps up with it, and reads a little of what is left where the request is refused.
pub async fn bounded(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (rest, unparsed) = (Arc::new(Mutex::new(body.into_data_stream())), Unparsed::default());
    let passed = stream::unfold((Arc::clone(&rest), unparsed.clone()), |(rest, unparsed)| async move {
        let mut piece = rest.lock().await.next().await?;
        if let Ok(bytes) = &piece {
            unparsed.0.fetch_add(bytes.len(), Ordering::Relaxed);
            if unparsed.is_too_much() {
                piece = Err(axum::Error::new("a form without end"));
            }
        }
        Some((piece, (rest, unparsed)))
    });
    let mut request = Request::from_parts(parts, Body::from_stream(passed));
    request.extensions_mut().insert(unparsed);
    let response = next.run(request).await;
    if response.status().is_client_error() {
        let _ = timeout(DRAIN, async {
            let (mut rest, mut read) = (rest.lock().await, 0);
            while let Some(Ok(bytes)) = rest.next().await {
                read += bytes.len();
                if read > DRAINED {
                    break;
                }
            }
        })
        .await;
    }
    response
}

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no form.
    Missing,
    /// What it has beside the file is too many, or too long.
    TooLarge,
    /// It breaks off in the middle.
    Malformed,
    /// Nothing more came.
    Stalled,
}

/// A form that is being read, behind [`bounded`].
pub struct Form {
    parts: Result<Multipart, MultipartRejection>,
    left: usize,
    text: usize,
    unparsed: Unparsed,
}

/// A part of a form.
#[allow(clippy::large_enum_variant, reason = "one at a time, and moved once")]
pub enum Part<'a> {
    /// A field with its text.
    Text(String, String),
    /// A file, by its name.
    File(String, Pieces<'a>),
}

/// The content of a file.
pub struct Pieces<'a> {
    field: Field<'a>,
    unparsed: &'a Unparsed,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let unparsed = request.extensions().get::<Unparsed>().cloned().unwrap_or_default();
        let parts = Multipart::from_request(request, state).await;
        Ok(Self { parts, left: PARTS, text: TEXT_LIMIT, unparsed })
    }
}

impl Form {
    /// The next part, in the order in which the client sends them.
    ///
    /// # Errors
    /// What is no form, is malformed, has too much in it, or does not come.
    pub async fn next(&mut self) -> Result<Option<Part<'_>>, Unreadable> {
        let Self { parts, left, text, unparsed } = self;
        let parts = parts.as_mut().map_err(|_| Unreadable::Missing)?;
        let Some(mut field) = timely(unparsed, parts.next_field()).await? else { return Ok(None) };
        *left = left.checked_sub(1).ok_or(Unreadable::TooLarge)?;
        if let Some(name) = field.file_name() {
            return Ok(Some(Part::File(name.to_owned(), Pieces { field, unparsed })));
        }
        let (name, mut said) = (field.name().unwrap_or_default().to_owned(), Vec::new());
        while let Some(piece) = timely(unparsed, field.chunk()).await? {
            *text = text.checked_sub(piece.len()).ok_or(Unreadable::TooLarge)?;
            said.extend_from_slice(&piece);
        }
        Ok(Some(Part::Text(name, String::from_utf8_lossy(&said).into_owned())))
    }
}

impl Pieces<'_> {
    /// The next piece, or `None` after the last.
    ///
    /// # Errors
    /// As [`Form::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        timely(self.unparsed, self.field.chunk()).await
    }
}

/// What a client sends before it stalls, or sends too much of which nothing comes.
async fn timely<T>(unparsed: &Unparsed, sent: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Unreadable> {
    let sent = timeout(STALL, sent).await.map_err(|_| Unreadable::Stalled)?;
    let sent = sent.map_err(|_| if unparsed.is_too_much() { Unreadable::TooLarge } else { Unreadable::Malformed });
    unparsed.0.store(0, Ordering::Relaxed);
    sent
}
