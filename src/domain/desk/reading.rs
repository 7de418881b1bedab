//! Reading what was said, noting that it was read, and lists of sessions.

use super::Desk;
use super::callers::{allow_overview, allow_staff};
use crate::domain::entry::{Entry, Form};
use crate::domain::error::Error;
use crate::domain::ids::{EntryId, SessionId};
use crate::domain::principal::Principal;
use crate::domain::session::Session;
use crate::domain::store::{Listed, SessionQuery};

/// How many entries one [`Desk::resume`] answers at most.
const RESUME_LIMIT: u32 = 200;

/// How many messages of a session are looked through for those of one form.
const SEARCHED: u64 = 10_000;

/// How many of them are read at once.
const SEARCH_PAGE: u32 = 500;

/// A page of messages.
#[derive(Clone, Debug)]
pub struct History {
    /// The messages.
    pub messages: Vec<Entry>,
    /// How many the session has in all, of those that were asked for.
    pub total: u64,
    /// The session.
    pub session: Session,
}

/// Which messages of a session are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// How many of them are passed over.
    pub offset: u64,
    /// How many are answered at most.
    pub limit: u32,
    /// Whether the newest comes first.
    pub newest_first: bool,
    /// Only messages of this form.
    pub form: Option<Form>,
    /// Only messages that nobody has read.
    pub unread_only: bool,
}

/// What a client missed.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The entries after the one it saw last, ascending without gap.
    pub entries: Vec<Entry>,
    /// The number of the session's last entry.
    pub head_seq: u64,
    /// Whether `entries` reaches up to `head_seq`; if not, ask again from the last one.
    pub complete: bool,
}

impl Desk {
    /// The messages after the first `offset`, ascending, at most `limit`.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn history(&self, who: &Principal, id: &SessionId, offset: u64, limit: u32) -> Result<History, Error> {
        self.read(who, id, Reading { offset, limit, newest_first: false, form: None, unread_only: false }).await
    }

    /// A page of messages as wanted. Of one form, or unread: among the first 10,000 messages.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn read(&self, who: &Principal, id: &SessionId, wanted: Reading) -> Result<History, Error> {
        let (session, head) = self.head(who, id).await?;
        let Reading { offset, limit, newest_first, form, unread_only } = wanted;
        if form.is_some() || unread_only {
            return self.search(session, wanted).await;
        }
        let total = head.ordinal;
        let (after, count) = if newest_first {
            let end = total.saturating_sub(offset);
            let begin = end.saturating_sub(limit.into());
            (begin, u32::try_from(end - begin).unwrap_or(limit))
        } else {
            (offset, limit)
        };
        let mut messages = self.store.list_messages(id, after, count).await?;
        if newest_first {
            messages.reverse();
        }
        Ok(History { messages, total, session })
    }

    async fn search(&self, session: Session, wanted: Reading) -> Result<History, Error> {
        let Reading { offset, limit, newest_first, form, unread_only } = wanted;
        let fits = |entry: &Entry| {
            let is_unread = !session.has_read(entry);
            form.is_none_or(|f| entry.message().is_some_and(|m| m.form == f)) && (!unread_only || is_unread)
        };
        let mut found: Vec<Entry> = Vec::new();
        let mut after = 0;
        while after < SEARCHED {
            let page = self.store.list_messages(&session.id, after, SEARCH_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.head.ordinal;
            found.extend(page.into_iter().filter(&fits));
        }
        if newest_first {
            found.reverse();
        }
        let total = found.len() as u64;
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        let messages = found.into_iter().skip(skipped).take(limit as usize).collect();
        Ok(History { messages, total, session })
    }

    /// The entries after `last_seq`, at most 200.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn resume(&self, who: &Principal, id: &SessionId, last_seq: u64) -> Result<Resumed, Error> {
        let (_, head) = self.head(who, id).await?;
        let entries = self.store.list_entries(id, last_seq, RESUME_LIMIT).await?;
        let reached = entries.last().map_or(last_seq, Entry::seq);
        let head_seq = head.seq.max(entries.last().map_or(0, Entry::seq));
        Ok(Resumed { complete: reached >= head_seq, entries, head_seq })
    }

    /// Notes that all messages so far were read. Answers the session, and how many had not been.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn mark_session_read(&self, who: &Principal, id: &SessionId) -> Result<(Session, u64), Error> {
        let (session, head) = self.head(who, id).await?;
        let before = self.store.mark_session_read(id, head.ordinal).await?.unwrap_or(head.ordinal);
        Ok((session, head.ordinal.saturating_sub(before)))
    }

    /// The session, and how many of its messages nobody has read.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn unread(&self, who: &Principal, id: &SessionId) -> Result<(Session, u64), Error> {
        let (session, head) = self.head(who, id).await?;
        let unread = head.ordinal.saturating_sub(session.read_ordinal);
        Ok((session, unread))
    }

    /// Notes that a message was read, by somebody who answers. The first time stays.
    ///
    /// # Errors
    /// [`Error::MessageNotFound`], whether it does not exist or is not for the caller; [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn mark_message_read(&self, who: &Principal, id: &EntryId) -> Result<Entry, Error> {
        allow_staff(who)?;
        let message = self.store.find_message(id).await?.ok_or(Error::MessageNotFound)?;
        self.session(who, &message.session).await.map_err(|e| match e {
            Error::SessionNotFound => Error::MessageNotFound,
            other => other,
        })?;
        self.store.mark_message_read(id, self.now()).await?.ok_or(Error::MessageNotFound)
    }

    /// The sessions of the caller's realm that the query asks for; for those who may see them all.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn list_sessions(&self, who: &Principal, query: SessionQuery) -> Result<Listed, Error> {
        allow_overview(who)?;
        Ok(self.store.list_sessions(&SessionQuery { realm: who.realm(), ..query }).await?)
    }

    /// The last message of each of these sessions, in their order; `None` where there is none, or the session is not the caller's. `notices` says
    /// whether lines of the system count.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn last_messages(&self, who: &Principal, sessions: &[Session], notices: bool) -> Result<Vec<Option<Entry>>, Error> {
        allow_staff(who)?;
        let ids: Vec<SessionId> = sessions.iter().filter(|s| s.admits(who)).map(|s| s.id.clone()).collect();
        let mut found = self.store.last_messages(&ids, notices).await?.into_iter();
        Ok(sessions.iter().map(|s| s.admits(who).then(|| found.next().flatten()).flatten()).collect())
    }
}
