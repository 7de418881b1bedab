//! Whole sessions for the command line: the session as it stands, and its log page by page. How they are written down is not known here.

use super::Desk;
use crate::domain::attachment::Attachment;
use crate::domain::entry::{Entry, Form, Head, Message};
use crate::domain::error::{Error, StoreError};
use crate::domain::ids::SessionId;
use crate::domain::session::Session;

/// How many entries are read at once; each may hold [`Body::MAX_BYTES`](crate::domain::entry::Body::MAX_BYTES) of text.
const PAGE: u32 = 50;

/// An entry of a log with the files that it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The entry as it is now: a message that was changed says what it says since.
    pub entry: Entry,
    /// What is stored of its files besides their contents.
    pub attachments: Vec<Attachment>,
}

impl Desk {
    /// The session and the end of its log, up to which it is exported whatever is said meanwhile. For the command line, which may see every session.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`].
    pub async fn session_to_export(&self, id: &SessionId) -> Result<(Session, Head), Error> {
        let session = self.store.find_session(id).await?.ok_or(Error::SessionNotFound)?;
        Ok((session, self.store.head(id).await?))
    }

    /// The next entries after this number and up to the head, at most 50; none where all were read.
    ///
    /// # Errors
    /// [`Error::Internal`] where the log lacks an entry before the head; nothing is passed over in silence.
    pub async fn export_page(&self, id: &SessionId, after: u64, head: Head) -> Result<Vec<Exported>, Error> {
        let wanted = u32::try_from(head.seq.saturating_sub(after)).unwrap_or(PAGE).min(PAGE);
        let mut page = Vec::new();
        for (seq, entry) in (after + 1..).zip(self.store.list_entries(id, after, wanted).await?) {
            if entry.seq() != seq {
                break;
            }
            let attachments = match entry.message() {
                Some(message) if may_carry(message) => self.store.list_attachments_of(&entry.id).await?,
                _ => Vec::new(),
            };
            page.push(Exported { entry, attachments });
        }
        if page.len() < wanted as usize {
            let missing = after + 1 + page.len() as u64;
            return Err(StoreError::Corrupt(format!("the log of session {id} lacks entry {missing} of {}", head.seq)).into());
        }
        Ok(page)
    }
}

/// Messages without a word of a file have none.
fn may_carry(message: &Message) -> bool {
    message.file.is_some() || matches!(message.form, Form::Image | Form::File)
}
