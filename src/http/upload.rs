//! Taking in a form with a file, piece by piece, from clients that keep sending.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use tokio::time::timeout;

/// How long a client may send nothing.
const STALL: Duration = Duration::from_secs(20);

/// How many bytes the fields beside the file may have together.
const TEXT_LIMIT: usize = 300_000;

/// How many parts a form may have.
const PARTS: usize = 20;

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The fields beside the file are too many, or too long.
    TooLarge,
    /// It is no form, or ends in the middle.
    Malformed,
    /// Nothing more came.
    Stalled,
}

/// A form that is being read.
pub struct Form {
    parts: Multipart,
    left: usize,
    text: usize,
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
pub struct Pieces<'a>(Field<'a>);

impl Form {
    /// The form of a request.
    pub fn new(parts: Multipart) -> Self {
        Self { parts, left: PARTS, text: TEXT_LIMIT }
    }

    /// The next part, in the order in which the client sends them.
    ///
    /// # Errors
    /// A form that is malformed, has too much in it, or does not come.
    pub async fn next(&mut self) -> Result<Option<Part<'_>>, Unreadable> {
        let Some(mut field) = timely(self.parts.next_field()).await? else { return Ok(None) };
        self.left = self.left.checked_sub(1).ok_or(Unreadable::TooLarge)?;
        if let Some(name) = field.file_name() {
            return Ok(Some(Part::File(name.to_owned(), Pieces(field))));
        }
        let (name, mut text) = (field.name().unwrap_or_default().to_owned(), Vec::new());
        while let Some(piece) = timely(field.chunk()).await? {
            self.text = self.text.checked_sub(piece.len()).ok_or(Unreadable::TooLarge)?;
            text.extend_from_slice(&piece);
        }
        Ok(Some(Part::Text(name, String::from_utf8_lossy(&text).into_owned())))
    }
}

impl Pieces<'_> {
    /// The next piece, or `None` after the last.
    ///
    /// # Errors
    /// As [`Form::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        timely(self.0.chunk()).await
    }
}

/// What a client sends before it stalls.
async fn timely<T>(sent: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Unreadable> {
    let sent = timeout(STALL, sent).await.map_err(|_| Unreadable::Stalled)?;
    sent.map_err(|_| Unreadable::Malformed)
}
