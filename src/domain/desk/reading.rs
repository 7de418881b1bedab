//! Reading what was said, noting that it was read, and lists of sessions.

use std::collections::VecDeque;

use super::Desk;
use super::callers::{allow_overview, allow_staff};
use super::messages::metered_as;
use crate::domain::entry::{Entry, Form};
use crate::domain::error::Error;
use crate::domain::habits::Contracts;
use crate::domain::ids::{EntryId, SessionId};
use crate::domain::principal::{Person, Principal};
use crate::domain::session::Session;
use crate::domain::store::{Listed, SessionQuery};
use crate::domain::time::Timestamp;

/// How many entries one [`Desk::resume`] answers at most.
const RESUME_LIMIT: usize = 200;

/// How many of them are read at once.
const RESUME_PAGE: u32 = 40;

/// How many messages of a session are looked through for those of one form.
const SEARCHED: u64 = 10_000;

/// How many of them are kept to show those that are far from the newest.
const SEARCHED_KEPT: usize = 1_000;

/// How many messages are read at once.
const HISTORY_PAGE: u32 = 50;

/// At how many bytes of texts a history stops, whatever was asked for.
const HISTORY_BYTES: usize = 2_000_000;

/// At how many bytes of texts an answer to [`Desk::resume`] stops.
const RESUME_BYTES: usize = 200_000;

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

/// Which messages are looked for; all, where nothing is said.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only messages of this form.
    pub form: Option<Form>,
    /// Only messages that nobody has read.
    pub unread_only: bool,
    /// Only messages that hold this text, whatever the case of its letters.
    pub text: Option<String>,
    /// Only messages said later than this.
    pub after: Option<Timestamp>,
    /// Only messages said earlier than this.
    pub before: Option<Timestamp>,
}

impl Filter {
    /// Whether all messages are wanted.
    fn is_empty(&self) -> bool {
        self.form.is_none() && !self.unread_only && self.text.is_none() && self.after.is_none() && self.before.is_none()
    }

    /// Whether this message is. `text` is in small letters already.
    fn admits(&self, message: &Entry, session: &Session) -> bool {
        let holds = |text: &String| message.body().is_some_and(|body| body.as_str().to_lowercase().contains(text.as_str()));
        self.form.is_none_or(|f| message.message().is_some_and(|m| m.form == f))
            && (!self.unread_only || !session.has_read(message))
            && self.after.is_none_or(|t| message.at > t)
            && self.before.is_none_or(|t| message.at < t)
            && (self.text.is_none() || !message.fate.is_deleted)
            && self.text.as_ref().is_none_or(holds)
    }
}

/// Which messages of a session are wanted.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// How many of them are passed over.
    pub offset: u64,
    /// How many are answered at most.
    pub limit: u32,
    /// Whether the newest comes first.
    pub newest_first: bool,
    /// Only these.
    pub only: Filter,
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
        self.read(who, id, Reading { offset, limit, ..Reading::default() }).await
    }

    /// The last messages, ascending, at most `limit`.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn last_page(&self, who: &Principal, id: &SessionId, limit: u32) -> Result<History, Error> {
        let mut page = self.read(who, id, Reading { limit, newest_first: true, ..Reading::default() }).await?;
        page.messages.reverse();
        Ok(page)
    }

    /// A page of messages as wanted; those of a kind among the first 10,000 messages, or the last ones where the newest
    /// comes first.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn read(&self, who: &Principal, id: &SessionId, wanted: Reading) -> Result<History, Error> {
        let (session, head) = self.head(who, id).await?;
        self.meter_guest(who, &session.visitor, id)?;
        let Reading { offset, limit, newest_first, only } = wanted;
        if !only.is_empty() {
            return self.search(session, Reading { offset, limit, newest_first, only }).await;
        }
        let total = head.ordinal;
        let (after, count) = if newest_first {
            let end = total.saturating_sub(offset);
            let begin = end.saturating_sub(limit.into());
            (begin, u32::try_from(end - begin).unwrap_or(limit))
        } else {
            (offset, limit)
        };
        let messages = self.store_pages(id, (after, count), newest_first).await?;
        Ok(History { messages, total, session })
    }

    /// A range of messages, read a page at a time from the end that comes first; it stops early where their texts are many bytes.
    async fn store_pages(&self, id: &SessionId, (after, count): (u64, u32), newest_first: bool) -> Result<Vec<Entry>, Error> {
        let (mut messages, mut bytes, mut left) = (Vec::new(), 0, count);
        while left > 0 && bytes < HISTORY_BYTES {
            let take = left.min(HISTORY_PAGE);
            let begin = after + u64::from(if newest_first { left - take } else { count - left });
            let mut page = self.store.list_messages(id, begin, take).await?;
            if page.is_empty() {
                break;
            }
            if newest_first {
                page.reverse();
            }
            left -= take;
            bytes += page.iter().map(size).sum::<usize>();
            messages.append(&mut page);
        }
        Ok(messages)
    }

    /// Counts a guest's reading. Whoever shows a credential reads as often as he likes, a page at a time.
    pub(super) fn meter_guest(&self, who: &Principal, visitor: &Person, id: &SessionId) -> Result<(), Error> {
        if matches!(who, Principal::Guest { .. }) { self.meter_join(who, visitor, id) } else { Ok(()) }
    }

    /// Counts what costs a page of history, for callers who are counted.
    pub(super) fn meter_join(&self, who: &Principal, person: &Person, id: &SessionId) -> Result<(), Error> {
        if !who.is_metered() {
            return Ok(());
        }
        self.joins.take(metered_as(who, person, id), self.now()).map_err(|retry_after_ms| Error::RateLimited { retry_after_ms })
    }

    async fn search(&self, session: Session, wanted: Reading) -> Result<History, Error> {
        let Reading { offset, limit, newest_first, mut only } = wanted;
        only.text = only.text.map(|t| t.to_lowercase());
        let fits = |entry: &Entry| only.admits(entry, &session);
        // Only the wanted page is kept: its first messages, or its last ones.
        let begin = if newest_first { self.store.head(&session.id).await?.ordinal.saturating_sub(SEARCHED) } else { 0 };
        let (mut found, mut total, mut after, mut bytes) = (VecDeque::new(), 0_u64, begin, 0);
        let (skipped, limit) = (usize::try_from(offset).unwrap_or(usize::MAX), limit as usize);
        while after < begin.saturating_add(SEARCHED) {
            let page = self.store.list_messages(&session.id, after, HISTORY_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.head.ordinal;
            for message in page.into_iter().filter(&fits) {
                total += 1;
                if newest_first {
                    bytes += size(&message);
                    found.push_back(message);
                    while found.len() > skipped.saturating_add(limit).min(SEARCHED_KEPT) || (bytes > HISTORY_BYTES && found.len() > 1) {
                        bytes -= found.pop_front().as_ref().map_or(0, size);
                    }
                } else if total > offset && found.len() < limit && bytes < HISTORY_BYTES {
                    bytes += size(&message);
                    found.push_back(message);
                }
            }
        }
        let messages = if newest_first { found.into_iter().rev().skip(skipped).take(limit).collect() } else { found.into_iter().collect() };
        Ok(History { messages, total, session })
    }

    /// The entries after `last_seq`, at most 200.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn resume(&self, who: &Principal, id: &SessionId, last_seq: u64) -> Result<Resumed, Error> {
        let (session, head) = self.head(who, id).await?;
        self.meter_guest(who, &session.visitor, id)?;
        let (mut entries, mut bytes, mut after) = (Vec::new(), 0, last_seq);
        while entries.len() < RESUME_LIMIT && bytes < RESUME_BYTES {
            let page = self.store.list_entries(id, after, RESUME_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq();
            for entry in page {
                // The first entry that does not fit is the first of the next answer.
                if bytes < RESUME_BYTES {
                    bytes += size(&entry);
                    entries.push(entry);
                }
            }
        }
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
        self.meter_guest(who, &session.visitor, id)?;
        let before = self.store.mark_session_read(id, head.ordinal).await?.unwrap_or(head.ordinal);
        Ok((session, head.ordinal.saturating_sub(before)))
    }

    /// The session, and how many of its messages nobody has read.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn unread(&self, who: &Principal, id: &SessionId) -> Result<(Session, u64), Error> {
        let (session, head) = self.head(who, id).await?;
        self.meter_guest(who, &session.visitor, id)?;
        let unread = head.ordinal.saturating_sub(session.read_ordinal);
        Ok((session, unread))
    }

    /// Notes that a message was read, by somebody who answers; answers it with its session. The first time stays.
    ///
    /// # Errors
    /// [`Error::MessageNotFound`], whether it does not exist or is not for the caller; [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn mark_message_read(&self, who: &Principal, id: &EntryId) -> Result<(Session, Entry), Error> {
        allow_staff(who)?;
        let message = self.store.find_message(id).await?.ok_or(Error::MessageNotFound)?;
        let session = self.session(who, &message.session).await.map_err(|e| match e {
            Error::SessionNotFound => Error::MessageNotFound,
            other => other,
        })?;
        let message = self.store.mark_message_read(id, self.now()).await?.ok_or(Error::MessageNotFound)?;
        Ok((session, message))
    }

    /// The sessions that the query asks for, of support in every realm where contracts are together, else of the caller's; for those who may see them all. A visitor's
    /// are those of the caller's realm, which alone knows him by that id.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn list_sessions(&self, who: &Principal, query: SessionQuery) -> Result<Listed, Error> {
        allow_overview(who)?;
        let is_wide = self.contracts == Contracts::Together && query.visitor.is_none();
        Ok(self.store.list_sessions(&SessionQuery { realm: (!is_wide).then(|| who.realm()), ..query }).await?)
    }

    /// Those of these messages that are in the session, which the caller has been shown.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn messages(&self, session: &Session, ids: &[EntryId]) -> Result<Vec<Entry>, Error> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.store.find_message(id).await?.filter(|m| m.session == session.id));
        }
        Ok(found)
    }

    /// The last message of each of these sessions, in their order; `None` where there is none, or the session is not the caller's. `notices` says
    /// whether lines of the system count.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn last_messages(&self, who: &Principal, sessions: &[Session], notices: bool) -> Result<Vec<Option<Entry>>, Error> {
        allow_staff(who)?;
        let ids: Vec<SessionId> = sessions.iter().filter(|s| self.admits(s, who)).map(|s| s.id.clone()).collect();
        let mut found = self.store.last_messages(&ids, notices).await?.into_iter();
        Ok(sessions.iter().map(|s| self.admits(s, who).then(|| found.next().flatten()).flatten()).collect())
    }
}

/// How many bytes the text of an entry has.
fn size(entry: &Entry) -> usize {
    entry.body().map_or(0, |body| body.as_str().len())
}
