//! Changing what was said, and taking it back: first in the log, then in the message.

use std::sync::Arc;

use super::Desk;
use crate::domain::entry::{Body, Content, Draft, Edit, Entry};
use crate::domain::error::Error;
use crate::domain::ids::EntryId;
use crate::domain::principal::Principal;
use crate::domain::session::Session;
use crate::domain::store::Appended;

impl Desk {
    /// Changes what one of the caller's own messages says, also after the end of its session. Everybody in it hears of that.
    ///
    /// # Errors
    /// [`Error::MessageNotFound`], whether it does not exist or is not for the caller; [`Error::Forbidden`] where it is somebody else's;
    /// [`Error::MessageDeleted`]; [`Error::RateLimited`].
    pub async fn edit_message(&self, who: &Principal, id: &EntryId, body: Body) -> Result<(Session, Entry), Error> {
        let _turn = self.editings.take(id).await;
        let (session, message) = self.message_for(who, id).await?;
        if !is_own(who, &message) {
            return Err(Error::Forbidden);
        }
        self.change(who, session, message, (body, false)).await
    }

    /// Takes a message back, also after the end of its session: from now on it says `instead`, and so do its changes in the log. For its author,
    /// and for admins, in whose sessions it need not be. Repeating it changes nothing.
    ///
    /// # Errors
    /// As [`Desk::edit_message`].
    pub async fn delete_message(&self, who: &Principal, id: &EntryId, instead: Body) -> Result<(Session, Entry), Error> {
        let _turn = self.editings.take(id).await;
        let (session, message) = self.message_for(who, id).await?;
        if !is_own(who, &message) && !who.is_admin() {
            return Err(Error::Forbidden);
        }
        match self.change(who, session.clone(), message.clone(), (instead, true)).await {
            Err(Error::MessageDeleted) => Ok((session, message)),
            other => other,
        }
    }

    /// The message with its session, for a caller who may see it; admins see those of all sessions.
    pub(super) async fn message_for(&self, who: &Principal, id: &EntryId) -> Result<(Session, Entry), Error> {
        let message = self.store.find_message(id).await?.ok_or(Error::MessageNotFound)?;
        let session = self.store.find_session(&message.session).await?;
        let may_see = |s: &Session| self.admits(s, who) || (who.is_admin() && self.concerns(s, who));
        Ok((session.filter(may_see).ok_or(Error::MessageNotFound)?, message))
    }

    /// Changes the message that an entry of the log names. What it carries goes with what it says, and first: the entry is done with the message.
    pub(super) async fn carry_out_edit(&self, entry: &Entry) -> Result<Option<Entry>, Error> {
        if let Content::Edited(Edit { message, is_deletion: true, .. }) = &entry.content {
            self.remove_attachments_of(message).await?;
        }
        Ok(self.store.apply_edit(entry).await?)
    }

    async fn change(&self, who: &Principal, session: Session, message: Entry, said: (Body, bool)) -> Result<(Session, Entry), Error> {
        if message.fate.is_deleted {
            return Err(Error::MessageDeleted);
        }
        let author = who.person().ok_or(Error::Forbidden)?.clone();
        if who.is_metered() {
            self.posts.take(author.key(), self.now()).map_err(|retry_after_ms| Error::RateLimited { retry_after_ms })?;
        }
        let (body, is_deletion) = said;
        let content = Content::Edited(Edit { message: message.id.clone(), body, is_deletion });
        let draft = Draft { session: session.id.clone(), id: EntryId::random(), at: self.now(), author, client_key: None, content };
        let (Appended::Stored(mut entry) | Appended::Duplicate(mut entry)) = self.append(draft).await? else {
            return Err(Error::SessionEnded(session.id));
        };
        let changed = self.watched(self.carry_out_edit(&entry).await)?.ok_or(Error::MessageNotFound)?;
        let mut is_late = false;
        if let (Content::Edited(edit), Some(body), true) = (&mut entry.content, changed.body(), changed.fate.is_deleted) {
            // Deleted meanwhile on another node: nobody is told what it was to say.
            (is_late, edit.body) = (!edit.is_deletion, body.clone());
        }
        self.announce.appended(Arc::new(entry));
        if is_late { Err(Error::MessageDeleted) } else { Ok((session, changed)) }
    }
}

fn is_own(who: &Principal, message: &Entry) -> bool {
    who.person().is_some_and(|p| p.realm == message.author.realm && p.id == message.author.id)
}
