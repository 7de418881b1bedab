//! Attachments: what is stored of a file that a message carries, where its content goes, and which kinds of content are taken.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::StoreError;
use super::ids::{AttachmentId, EntryId, SessionId};
use super::time::Timestamp;

/// How many bytes of a content say of which kind it is.
pub const HEAD: usize = 4_096;

/// The longest name, in characters.
const NAME_LIMIT: usize = 200;

/// The kinds of content that are taken, as `infer` recognises them.
const KINDS: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "application/zip",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "audio/mpeg",
    "audio/ogg",
    "audio/x-wav",
    "video/mp4",
    "video/webm",
];

/// What is stored of a file besides its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its id, with which its session's people fetch it.
    pub id: AttachmentId,
    /// The session whose people may see it.
    pub session: SessionId,
    /// The message that carries it, or is to.
    pub message: EntryId,
    /// Its name, as [`file_name`] leaves it.
    pub name: Arc<str>,
    /// Its type, by its content.
    pub mime_type: Arc<str>,
    /// Its size in bytes; 0 until all of it is stored.
    pub size: u64,
    /// When its upload began.
    pub created_at: Timestamp,
    /// Whether its message is known to be stored. One that is not is looked after some time later.
    pub is_kept: bool,
}

/// Where a content is written to, piece by piece. What is dropped before it is finished is gone, at the latest when its attachment is removed.
#[async_trait]
pub trait Sink: Send {
    /// Adds a piece.
    async fn write(&mut self, piece: &[u8]) -> Result<(), StoreError>;

    /// Makes the whole content durable.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// Durable storage of attachments, a part of the [`Store`](super::store::Store) whose comments hold here too.
#[async_trait]
pub trait Attachments: Send + Sync + 'static {
    /// Stores an attachment of which nothing else is stored.
    async fn insert_attachment(&self, attachment: &Attachment) -> Result<(), StoreError>;

    /// Opens the content of an attachment that is stored, to be written once.
    async fn open_sink(&self, id: &AttachmentId) -> Result<Box<dyn Sink>, StoreError>;

    /// Notes of which type the content is, and its size, which is not 0. Harmless where there is no such attachment.
    async fn complete_attachment(&self, id: &AttachmentId, mime_type: &str, size: u64) -> Result<(), StoreError>;

    /// Notes that the attachment's message is stored. Harmless where there is no such attachment.
    async fn keep_attachment(&self, id: &AttachmentId) -> Result<(), StoreError>;

    /// The attachment, or `None`.
    async fn find_attachment(&self, id: &AttachmentId) -> Result<Option<Attachment>, StoreError>;

    /// Bytes of a finished content from this one on: at least one where there is one, and at most so many.
    async fn read_content(&self, id: &AttachmentId, from: u64, most: u32) -> Result<Vec<u8>, StoreError>;

    /// The attachments of a message.
    async fn list_attachments_of(&self, message: &EntryId) -> Result<Vec<Attachment>, StoreError>;

    /// Attachments that began before this moment and are not kept, oldest first; at most `limit`.
    async fn list_unkept_attachments(&self, before: Timestamp, limit: u32) -> Result<Vec<Attachment>, StoreError>;

    /// Removes the attachment and its content, finished or not; harmless where there is none.
    async fn remove_attachment(&self, id: &AttachmentId) -> Result<(), StoreError>;
}

/// The type of a content by its first bytes ([`HEAD`], or all there are); `None` where that kind is not taken, whatever its name says.
/// Text is taken unless it is meant for a browser or a shell.
pub fn type_of(head: &[u8]) -> Option<&'static str> {
    match infer::get(head) {
        Some(kind) => KINDS.iter().find(|known| **known == kind.mime_type()).copied(),
        None => is_plain_text(head).then_some("text/plain"),
    }
}

/// Whether it is UTF-8, perhaps cut off in a character, without control characters, and no markup or script.
fn is_plain_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(cut) if cut.error_len().is_none() && head.len() >= HEAD => {
            std::str::from_utf8(head.get(..cut.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_printable = text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    !begin.is_empty() && is_printable && !begin.starts_with('<') && !begin.starts_with("#!")
}

/// A name as clients give it, without folders and what could disturb a header; `None` where nothing is left.
pub fn file_name(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last
        .chars()
        .filter(|c| {
            !c.is_control() && !matches!(c, '"' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        })
        .take(NAME_LIMIT)
        .collect();
    let name = name.trim().trim_matches('.').trim().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_says_what_a_file_is() {
        assert_eq!(type_of(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Some("image/png"));
        assert_eq!(type_of(b"%PDF-1.7\n"), Some("application/pdf"));
        assert_eq!(type_of("plain \u{1F44B}\n".as_bytes()), Some("text/plain"));
        let long = "\u{e9}".repeat(HEAD);
        assert_eq!(type_of(&long.as_bytes()[..HEAD]), Some("text/plain"));
        assert_eq!(type_of(&long.as_bytes()[1..=HEAD]), None, "it begins within a character");
        for refused in [
            &b""[..],
            b"  \n",
            b"<!DOCTYPE html><p>",
            b" \n<html>",
            b"\xef\xbb\xbf<svg xmlns='http://www.w3.org/2000/svg'>",
            b"<?xml version='1.0'?><svg/>",
            b"#!/bin/sh\nrm",
            b"MZ\x90\0",
            b"\x7fELF\x02\x01",
            b"a\0b",
            b"\xff\xfe<\0h\0",
        ] {
            assert_eq!(type_of(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn names_lose_folders_and_what_disturbs() {
        for (given, kept) in [
            ("a.png", Some("a.png")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\x\\b.txt", Some("b.txt")),
            ("a\r\nb\".txt", Some("ab.txt")),
            ("\u{202e}\u{2067}gpj.exe\u{200f}", Some("gpj.exe")),
            ("报告.pdf", Some("报告.pdf")),
            ("..", None),
            ("a/", None),
            ("", None),
        ] {
            assert_eq!(file_name(given).as_deref(), kept, "{given:?}");
        }
        assert_eq!(file_name(&"x".repeat(999)).map(|n| n.len()), Some(NAME_LIMIT));
    }
}
