//! Files that messages carry: taking them in piece by piece, handing them out, and clearing away what no message carries.

use std::sync::Arc;

use super::{Desk, Post, Posted};
use crate::domain::attachment::{Attachment, HEAD, Sink, file_name, type_of};
use crate::domain::entry::{Body, FileNote, Form};
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::{AttachmentId, ClientKey, EntryId, SessionId};
use crate::domain::principal::{Person, Principal};
use crate::domain::session::Session;

/// How long nobody asks after an attachment without a message, in milliseconds. No upload lasts so long.
const UNKEPT_MS: i64 = 2 * 3_600 * 1_000;

/// How many of them are looked at in one pass.
const SWEPT: u32 = 100;

/// The name of a file that has none.
const NAMELESS: &str = "attachment";

/// An attachment that is being taken in.
pub struct Upload {
    session: Session,
    author: Person,
    attachment: Attachment,
    sink: Box<dyn Sink>,
    /// The first bytes, until they say what it is.
    head: Vec<u8>,
    mime_type: Option<&'static str>,
    size: u64,
    most: u64,
}

/// What is said with an attachment.
#[derive(Clone, Debug, Default)]
pub struct Caption {
    /// The text; the file's name where there is none.
    pub body: Option<Body>,
    /// The message of the same session that it answers.
    pub reply_to: Option<EntryId>,
    /// The client's own name for the message.
    pub client_key: Option<ClientKey>,
}

impl Upload {
    /// Adds a piece of the content.
    ///
    /// # Errors
    /// [`Error::AttachmentTooLarge`]; [`Error::AttachmentRefused`] where its beginning is of a kind that is not taken.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.size += piece.len() as u64;
        if self.size > self.most {
            return Err(Error::AttachmentTooLarge);
        }
        if self.mime_type.is_some() {
            return Ok(self.sink.write(piece).await?);
        }
        self.head.extend_from_slice(piece);
        if self.head.len() >= HEAD { self.judge().await } else { Ok(()) }
    }

    /// Looks at the beginning, which is all there is or long enough.
    async fn judge(&mut self) -> Result<(), Error> {
        let head = std::mem::take(&mut self.head);
        self.mime_type = Some(type_of(head.get(..HEAD).unwrap_or(&head)).ok_or(Error::AttachmentRefused)?);
        Ok(self.sink.write(&head).await?)
    }
}

impl Desk {
    /// Begins to take in a file of at most so many bytes for the session, with a name as the client gives it. What this answers is to be finished
    /// or given up.
    ///
    /// # Errors
    /// As [`Desk::post_message`].
    pub async fn begin_upload(&self, who: &Principal, id: &SessionId, name: &str, most: u64) -> Result<Upload, Error> {
        let session = self.session(who, id).await?;
        let author = who.person().cloned().ok_or(Error::Unauthenticated)?;
        if !session.is_open() || self.settle(id).await? {
            return Err(Error::SessionEnded(id.clone()));
        }
        self.meter(who, &author, id, &Post::text(Body::stored(NAMELESS), None)).await?;
        let attachment = Attachment {
            id: AttachmentId::random(),
            session: id.clone(),
            message: EntryId::random(),
            name: file_name(name).unwrap_or_else(|| NAMELESS.to_owned()).into(),
            mime_type: "application/octet-stream".into(),
            size: 0,
            created_at: self.now(),
            is_kept: false,
        };
        // First, so that whatever a crash leaves of the content is found by it.
        self.store.insert_attachment(&attachment).await?;
        let sink = self.store.open_sink(&attachment.id).await?;
        Ok(Upload { session, author, attachment, sink, head: Vec::new(), mime_type: None, size: 0, most })
    }

    /// Stores the message that carries the file, of which all is written, and announces it. `url` says where it is to be found. Where this is
    /// refused the file is gone.
    ///
    /// # Errors
    /// [`Error::AttachmentRefused`] for what is empty or of a kind that is not taken; as [`Desk::post_message`].
    pub async fn finish_upload(
        &self,
        who: &Principal,
        upload: Upload,
        caption: Caption,
        url: impl Fn(&AttachmentId) -> String + Send,
    ) -> Result<Posted, Error> {
        let id = upload.attachment.id.clone();
        match self.finish_now(who, upload, caption, url(&id)).await {
            Ok(posted) => {
                let carried = posted.entry.message().and_then(|m| m.file.as_ref()).is_some_and(|f| f.url.as_deref() == Some(&url(&id)));
                if carried {
                    self.store.keep_attachment(&id).await?
                } else {
                    self.store.remove_attachment(&id).await?
                }
                Ok(posted)
            }
            // The message may be stored, and is looked for later.
            Err(error @ (Error::Unavailable(_) | Error::Internal(_))) => Err(error),
            Err(refused) => {
                self.store.remove_attachment(&id).await?;
                Err(refused)
            }
        }
    }

    async fn finish_now(&self, who: &Principal, mut upload: Upload, caption: Caption, url: String) -> Result<Posted, Error> {
        if upload.mime_type.is_none() {
            upload.judge().await?;
        }
        let Upload { session, author, attachment, sink, mime_type, size, .. } = upload;
        let mime_type = mime_type.ok_or(Error::AttachmentRefused)?;
        sink.finish().await?;
        self.store.complete_attachment(&attachment.id, mime_type, size).await?;
        // Whoever was sent away meanwhile says nothing more.
        let session = self.session(who, &session.id).await?;
        let file = FileNote {
            name: Some(Arc::clone(&attachment.name)),
            size: Some(size),
            mime_type: Some(mime_type.into()),
            url: Some(url.into()),
        };
        let form = if mime_type.starts_with("image/") { Form::Image } else { Form::File };
        let Caption { body, reply_to, client_key } = caption;
        let body = body.unwrap_or_else(|| Body::stored(Arc::clone(&attachment.name)));
        let post = Post { form, reply_to, file: Some(Arc::new(file)), ..Post::text(body, client_key) };
        self.check_reply(&session, &post).await?;
        self.store_message(session, author, post, attachment.message).await
    }

    /// Forgets a file that is not wanted any more. Failures are for the log alone: what is left is cleared away later.
    pub async fn give_up_upload(&self, upload: Upload) {
        let Upload { attachment, sink, .. } = upload;
        drop(sink);
        if let Err(error) = self.store.remove_attachment(&attachment.id).await {
            tracing::warn!(attachment.id = %attachment.id, %error, "a file that was given up is cleared away later");
        }
    }

    /// The attachment, for a caller who may see its session.
    ///
    /// # Errors
    /// [`Error::AttachmentNotFound`], whether it does not exist, is not for the caller, or is not whole.
    pub async fn attachment(&self, who: &Principal, id: &AttachmentId) -> Result<Attachment, Error> {
        let found = self.store.find_attachment(id).await?.filter(|a| a.size > 0).ok_or(Error::AttachmentNotFound)?;
        match self.session(who, &found.session).await {
            Ok(_) => Ok(found),
            Err(Error::SessionNotFound | Error::Forbidden) => Err(Error::AttachmentNotFound),
            Err(error) => Err(error),
        }
    }

    /// Bytes of an attachment that the caller was shown: from this one on, at least one where there is one, and at most so many.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Internal`] where the content is not there.
    pub async fn read_attachment(&self, id: &AttachmentId, from: u64, most: u32) -> Result<Vec<u8>, Error> {
        let piece = self.store.read_content(id, from, most).await?;
        if piece.is_empty() {
            return Err(StoreError::Corrupt(format!("the content of attachment {id} ends at byte {from}")).into());
        }
        Ok(piece)
    }

    /// Removes what a message carries that is taken back.
    pub(super) async fn remove_attachments_of(&self, message: &EntryId) -> Result<(), Error> {
        for attachment in self.store.list_attachments_of(message).await? {
            self.store.remove_attachment(&attachment.id).await?;
        }
        Ok(())
    }

    /// Clears away files that no message carries, some hours after their upload; keeps those whose message turns out to be stored.
    pub(super) async fn sweep_attachments(&self) -> Result<(), Error> {
        for attachment in self.store.list_unkept_attachments(self.now().plus_ms(-UNKEPT_MS), SWEPT).await? {
            let message = self.store.find_message(&attachment.message).await?;
            match message.filter(|m| !m.fate.is_deleted) {
                Some(_) => self.store.keep_attachment(&attachment.id).await?,
                None => self.store.remove_attachment(&attachment.id).await?,
            }
        }
        Ok(())
    }
}
