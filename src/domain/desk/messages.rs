//! Saying something, and reading what was said.

use std::sync::Arc;

use super::Desk;
use crate::domain::entry::{Body, Content, Draft, Entry};
use crate::domain::error::Error;
use crate::domain::ids::{ClientKey, EntryId, SessionId};
use crate::domain::principal::{Person, Principal};
use crate::domain::session::Session;
use crate::domain::store::Appended;

/// How many entries one [`Desk::resume`] answers at most.
const RESUME_LIMIT: u32 = 200;

/// What a caller wants to say.
#[derive(Clone, Debug)]
pub struct Post {
    /// The text.
    pub body: Body,
    /// The client's own name for this message, by which a repeated call is recognised for ever.
    pub client_key: Option<ClientKey>,
}

/// A message that is stored.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The message.
    pub entry: Arc<Entry>,
    /// Whether an earlier call stored it.
    pub duplicate: bool,
    /// Its session.
    pub session: Session,
}

/// A page of messages, ascending.
#[derive(Clone, Debug)]
pub struct History {
    /// The messages.
    pub messages: Vec<Entry>,
    /// How many the session has in all.
    pub total: u64,
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
    /// Stores what `author` says and announces it. When this answers, the message is durable.
    /// `author` is whom the credential names, or whom a privileged caller acts for.
    ///
    /// A key that the same sender used in this session before answers the stored message again, on any node, also after the end.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`], [`Error::SessionEnded`], [`Error::RateLimited`]; [`Error::ClientKeyReused`] where the key was used for another text.
    pub async fn post_message(&self, who: &Principal, author: Person, id: &SessionId, post: Post) -> Result<Posted, Error> {
        let session = self.session(who, id).await?;
        let author = session.introduce(author);
        self.meter(who, &author, id, &post).await?;
        let content = Content::Message(post.body.clone());
        let draft = Draft { session: id.clone(), id: EntryId::random(), at: self.now(), author, client_key: post.client_key, content };
        let (entry, duplicate) = match self.store.append(draft).await? {
            Appended::Stored(entry) => (entry, false),
            Appended::Duplicate(entry) if entry.body() == Some(&post.body) => (entry, true),
            Appended::Duplicate(_) => return Err(Error::ClientKeyReused),
            Appended::Ended => return Err(Error::SessionEnded(id.clone())),
        };
        let entry = Arc::new(entry);
        self.announce.appended(Arc::clone(&entry));
        Ok(Posted { entry, duplicate, session })
    }

    /// Refuses a post that comes too fast, unless it repeats one that is stored: a retry always gets its answer.
    async fn meter(&self, who: &Principal, author: &Person, id: &SessionId, post: &Post) -> Result<(), Error> {
        if !who.is_metered() {
            return Ok(());
        }
        let Err(retry_after_ms) = self.posts.take(author.key(), self.now()) else { return Ok(()) };
        let is_retry = match &post.client_key {
            Some(key) => self.store.find_by_key(id, author, key).await?.is_some(),
            None => false,
        };
        if is_retry { Ok(()) } else { Err(Error::RateLimited { retry_after_ms }) }
    }

    /// The messages after the first `offset`, at most `limit`.
    ///
    /// # Errors
    /// As [`Desk::session`].
    pub async fn history(&self, who: &Principal, id: &SessionId, offset: u64, limit: u32) -> Result<History, Error> {
        let (_, head) = self.head(who, id).await?;
        let messages = self.store.list_messages(id, offset, limit).await?;
        Ok(History { messages, total: head.ordinal })
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
}
