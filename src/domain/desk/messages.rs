//! Saying something.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Desk, Opening};
use crate::domain::entry::{Body, Content, Draft, Entry, FileNote, Form, Message};
use crate::domain::error::Error;
use crate::domain::ids::{ClientKey, EntryId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::principal::{Person, Principal, Role};
use crate::domain::session::Session;
use crate::domain::store::Appended;
use crate::domain::time::Timestamp;

/// What a caller wants to say.
#[derive(Clone, Debug)]
pub struct Post {
    /// The text.
    pub body: Body,
    /// What kind of text it is. Only the system writes notices.
    pub form: Form,
    /// Whether the author is shown by id in contracts where the client chooses that.
    pub signed: bool,
    /// The message of the same session that it answers.
    pub reply_to: Option<EntryId>,
    /// What it tells of a file.
    pub file: Option<Arc<FileNote>>,
    /// The client's own name for this message, by which a repeated call is recognised for ever.
    pub client_key: Option<ClientKey>,
}

impl Post {
    /// A signed text.
    pub fn text(body: Body, client_key: Option<ClientKey>) -> Self {
        Self { body, form: Form::Text, signed: true, reply_to: None, file: None, client_key }
    }
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

impl Desk {
    /// Stores what `author` says and announces it. When this answers, the message is durable.
    /// `author` is whom the credential names, whom a privileged caller acts for, or the session's visitor.
    ///
    /// A key that the same sender used in this session before answers the stored message again, on any node, also after the end.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`], [`Error::SessionEnded`], [`Error::RateLimited`]; [`Error::ClientKeyReused`] where the key was used for another
    /// text; [`Error::Forbidden`] where the caller may not speak for the author, or write a notice; [`Error::MessageNotFound`] where it answers a
    /// message that is not in the session.
    pub async fn post_message(&self, who: &Principal, author: Person, id: &SessionId, post: Post) -> Result<Posted, Error> {
        let session = self.session(who, id).await?;
        allow_author(who, &author, &session)?;
        if post.form == Form::Notice && author.role != Role::System {
            return Err(Error::Forbidden);
        }
        let author = session.introduce(author);
        self.meter(who, &author, id, &post).await?;
        self.check_reply(&session, &post).await?;
        self.store_message(session, author, post, EntryId::random()).await
    }

    /// Makes sure that what the message answers is in the same session.
    pub(super) async fn check_reply(&self, session: &Session, post: &Post) -> Result<(), Error> {
        let Some(earlier) = &post.reply_to else { return Ok(()) };
        if self.messages(session, std::slice::from_ref(earlier)).await?.is_empty() { Err(Error::MessageNotFound) } else { Ok(()) }
    }

    /// Stores a message whose author may write, and announces it.
    pub(super) async fn store_message(&self, session: Session, author: Person, post: Post, id: EntryId) -> Result<Posted, Error> {
        let Post { body, form, signed, reply_to, file, client_key } = post;
        let content = Content::Message(Message { body: body.clone(), form, signed, reply_to, file });
        let draft = Draft { session: session.id.clone(), id, at: self.now(), author, client_key, content };
        let (entry, duplicate) = match self.append(draft).await? {
            Appended::Stored(entry) => (entry, false),
            Appended::Duplicate(entry) if entry.body() == Some(&body) => (entry, true),
            Appended::Duplicate(_) => return Err(Error::ClientKeyReused),
            Appended::Ended => return Err(Error::SessionEnded(session.id)),
        };
        let entry = Arc::new(entry);
        self.announce.appended(Arc::clone(&entry));
        if !duplicate {
            self.note_activity(&session, &entry).await;
        }
        Ok(Posted { entry, duplicate, session })
    }

    /// As [`Desk::post_message`]; but where the session has ended and the realm lets its visitor go on, in the visitor's next session, which is
    /// opened if need be. A key that the same sender used for this session before answers the stored message again, wherever it went.
    ///
    /// # Errors
    /// As [`Desk::post_message`] and [`Desk::start_session`].
    pub async fn post_onwards(
        &self,
        who: &Principal,
        author: Person,
        id: &SessionId,
        post: Post,
        address: Option<IpAddr>,
    ) -> Result<Posted, Error> {
        let refused = match self.post_message(who, author.clone(), id, post.clone()).await {
            Err(refused @ (Error::SessionEnded(_) | Error::RateLimited { .. })) => refused,
            other => return other,
        };
        let before = self.session(who, id).await?;
        if !before.realm.goes_on_after_end() || !before.visitor.is(&author) {
            return Err(refused);
        }
        let onwards = post.client_key.as_ref().map(|key| EntryId::onwards(id, &author, key));
        if let Some(posted) = self.find_posted(onwards.as_ref(), &post).await? {
            return Ok(posted);
        }
        let Error::SessionEnded(_) = refused else { return Err(refused) };
        let opening = Opening { visitor: before.visitor, group: before.group, address };
        let next = self.start_session(who, opening).await?.session;
        let author = next.introduce(author);
        // It was counted for the session that has ended.
        self.store_message(next, author, post, onwards.unwrap_or_else(EntryId::random)).await
    }

    /// What an earlier call stored under this id, which is announced again.
    async fn find_posted(&self, id: Option<&EntryId>, post: &Post) -> Result<Option<Posted>, Error> {
        let Some(id) = id else { return Ok(None) };
        let Some(entry) = self.store.find_message(id).await? else { return Ok(None) };
        if entry.body() != Some(&post.body) {
            return Err(Error::ClientKeyReused);
        }
        let session = self.store.find_session(&entry.session).await?.ok_or(Error::SessionNotFound)?;
        let entry = Arc::new(entry);
        self.announce.appended(Arc::clone(&entry));
        Ok(Some(Posted { entry, duplicate: true, session }))
    }

    /// Writes a line of the system about what was done to the session, for the record. What was done stands also where the line cannot be
    /// written.
    pub(super) async fn note(&self, session: &Session, line: Option<Body>) {
        let Some(body) = line else { return };
        let author = Person::new(session.realm, "system", Role::System);
        let content = Content::Message(Message { form: Form::Notice, ..body.into() });
        let draft = Draft { session: session.id.clone(), id: EntryId::random(), at: self.now(), author, client_key: None, content };
        match self.append(draft).await {
            Ok(Appended::Stored(entry)) => self.announce.appended(Arc::new(entry)),
            Ok(Appended::Duplicate(_) | Appended::Ended) => {}
            Err(error) => tracing::warn!(session.id = %session.id, %error, "a line of the system could not be written"),
        }
    }

    /// Refuses a post that comes too fast, unless it repeats one that is stored: a retry always gets its answer.
    pub(super) async fn meter(&self, who: &Principal, author: &Person, id: &SessionId, post: &Post) -> Result<(), Error> {
        if !who.is_metered() {
            return Ok(());
        }
        let key = metered_as(who, author, id);
        let crowd = match who {
            Principal::Guest { address, .. } => self.crowds.take(address.to_string(), self.now()),
            Principal::Person { .. } | Principal::Delegate { .. } => Ok(()),
        };
        let Err(retry_after_ms) = crowd.and_then(|()| self.posts.take(key, self.now())) else { return Ok(()) };
        let is_retry = match &post.client_key {
            Some(key) => self.store.find_by_key(id, author, key).await?.is_some(),
            None => false,
        };
        if is_retry { Ok(()) } else { Err(Error::RateLimited { retry_after_ms }) }
    }

    /// What follows from a new message beside its delivery. The message is stored, so failures here are for the log alone.
    pub(super) async fn note_activity(&self, session: &Session, entry: &Arc<Entry>) {
        let to: Vec<Audience> = self.sharing(session).map(Audience::Agents).collect();
        if !to.is_empty() && entry.author.role == Role::Visitor {
            let signal = Signal::Said { session: Arc::new(session.clone()), entry: Arc::clone(entry) };
            self.announce.signal(&to, signal, None);
        }
        let mended = if session.is_open() { Ok(()) } else { self.realign(session).await };
        if let Err(error) = mended.and(self.touch(session, entry).await) {
            tracing::warn!(session.id = %session.id, %error, "a message is stored, but its session's document could not follow");
        }
    }

    /// Notes in the session's document that somebody spoke: the first time, and where messages bring a session to the top of lists from time to
    /// time; [`Desk::catch_up_lists`] does the rest.
    async fn touch(&self, session: &Session, entry: &Entry) -> Result<(), Error> {
        if entry.author.role == Role::System {
            return Ok(());
        }
        if !session.realm.lists_by_activity() {
            let is_noted = session.spoken || self.sharing(session).next().is_none();
            return if is_noted { Ok(()) } else { Ok(self.store.touch_session(&session.id, None).await?) };
        }
        if !self.touches.is_due(&session.id, entry.at) {
            return Ok(());
        }
        self.write_touch(&session.id, entry.at).await
    }

    async fn write_touch(&self, session: &SessionId, at: Timestamp) -> Result<(), Error> {
        let written = self.store.touch_session(session, Some(at)).await;
        if written.is_err() {
            self.touches.owe(session, at);
        }
        Ok(written?)
    }

    /// Brings sessions to their place in lists whose last messages did not do so at once. To be called every few seconds, and at the end.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the next call does the rest.
    pub async fn catch_up_lists(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for (session, at) in self.touches.take_owed(self.now()) {
            match outcome {
                Ok(()) => outcome = self.write_touch(&session, at).await,
                Err(_) => self.touches.owe(&session, at),
            }
        }
        outcome
    }
}

/// Under which key a caller is counted: a person by its id; a guest, whose id anybody may choose, by the session that it proves to know.
pub(super) fn metered_as(who: &Principal, person: &Person, session: &SessionId) -> String {
    match who {
        Principal::Guest { .. } => session.as_str().to_owned(),
        Principal::Person { .. } | Principal::Delegate { .. } => person.key(),
    }
}

/// Whether the caller may speak as `author`: as itself, as anybody where it is privileged, as the session's visitor where it is a guest.
pub(super) fn allow_author(who: &Principal, author: &Person, session: &Session) -> Result<(), Error> {
    let may = match who {
        Principal::Guest { .. } => session.visitor.is(author),
        Principal::Person { person, .. } => who.is_privileged() || person.is(author),
        Principal::Delegate { .. } => true,
    };
    if may { Ok(()) } else { Err(Error::Forbidden) }
}
