//! The session log: what an entry is, and the one rule by which the next entry follows from the head.

use std::sync::Arc;

use super::ids::{AgentId, ClientKey, EntryId, SessionId};
use super::principal::{Person, Realm, Role};
use super::session::Assignee;
use super::time::Timestamp;

/// Text that a person said: not blank, at most [`Body::MAX_BYTES`], and within the limit of the contract it came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(Arc<str>);

/// Why a text is no [`Body`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Nothing but white space.
    Blank,
    /// Longer than allowed.
    TooLong,
}

impl Body {
    /// What every contract is bounded by, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// Checks a text against the contract's limit, counted in UTF-16 code units as JavaScript's `length` counts. The text is kept as it is.
    pub fn parse(text: &str, max_utf16: usize) -> Result<Self, BodyError> {
        if trim(text).is_empty() {
            return Err(BodyError::Blank);
        }
        if text.len() > Self::MAX_BYTES || text.encode_utf16().count() > max_utf16 {
            return Err(BodyError::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// Takes a text that was checked before it was stored.
    pub fn stored(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text without white space at its ends, as JavaScript's `trim` counts white space.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}'))
}

/// What kind of text a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// To be read.
    #[default]
    Text,
    /// A picture: a data URL, or what [`Message::file`] tells of it.
    Image,
    /// What [`Message::file`] tells of.
    File,
    /// A line that the server or the company adds for the record.
    Notice,
}

impl Form {
    /// The stable name that stores carry.
    pub fn name(self) -> &'static str {
        match self {
            Form::Text => "text",
            Form::Image => "image",
            Form::File => "file",
            Form::Notice => "notice",
        }
    }

    /// The form of a stored name.
    pub fn named(name: &str) -> Option<Self> {
        [Form::Text, Form::Image, Form::File, Form::Notice].into_iter().find(|f| f.name() == name)
    }
}

/// What a message tells of a file, as its author said. What is stored of a file itself is not known here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileNote {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its size, in bytes.
    pub size: Option<u64>,
    /// Its type, such as `image/png`.
    pub mime_type: Option<Arc<str>>,
    /// Where it is to be found.
    pub url: Option<Arc<str>>,
}

/// What a person said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The text.
    pub body: Body,
    /// What kind of text it is.
    pub form: Form,
    /// Whether the author is shown by id in contracts where the client chooses that.
    pub signed: bool,
    /// The message that it answers.
    pub reply_to: Option<EntryId>,
    /// What it tells of a file.
    pub file: Option<Arc<FileNote>>,
}

impl From<Body> for Message {
    /// A signed text.
    fn from(body: Body) -> Self {
        Self { body, form: Form::Text, signed: true, reply_to: None, file: None }
    }
}

/// A change of who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Who answers from now on; nobody where it was taken away.
    pub agent: Option<Assignee>,
    /// Who answered, and is to hear nothing more of the session where agents do not share it.
    pub former: Option<AgentId>,
    /// Why, in the words of who made it.
    pub reason: Option<Arc<str>>,
}

impl From<Assignee> for Assignment {
    /// The first one.
    fn from(agent: Assignee) -> Self {
        Self { agent: Some(agent), former: None, reason: None }
    }
}

/// A change of what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The message that is changed.
    pub message: EntryId,
    /// What it says from now on.
    pub body: Body,
    /// Whether what it said is taken back, and `body` merely says so. Nothing is changed after that.
    pub is_deletion: bool,
}

/// That a message reached one reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Who vouches for the reader's id.
    pub realm: Realm,
    /// The reader's id.
    pub reader: Arc<str>,
    /// When it reached the reader's client; at the latest when it was read.
    pub delivered_at: Timestamp,
    /// When it was read.
    pub read_at: Option<Timestamp>,
}

/// What has become of a message since it was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// When somebody first read it by itself, where the realm does not keep who; a session's `read_ordinal` may say more.
    pub read_at: Option<Timestamp>,
    /// Whom it reached, where the realm keeps that.
    pub receipts: Vec<Receipt>,
    /// When it was last changed.
    pub edited_at: Option<Timestamp>,
    /// The number of the last change in the log that it reflects, or that a deletion made idle; 0 before the first.
    pub edit_seq: u64,
    /// Whether it was taken back.
    pub is_deleted: bool,
}

/// What an entry records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A person said something.
    Message(Message),
    /// Somebody else answers, or nobody any more.
    Assigned(Assignment),
    /// The session is over, for this reason.
    Ended(Arc<str>),
    /// The session is open, again or still, under this word of its contract.
    Opened(Arc<str>),
    /// What a message says has changed.
    Edited(Edit),
}

impl Content {
    /// The stable name of the kind that stores carry.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Message(_) => "message",
            Content::Assigned(_) => "assigned",
            Content::Ended(_) => "ended",
            Content::Opened(_) => "opened",
            Content::Edited(Edit { is_deletion: false, .. }) => "edited",
            Content::Edited(Edit { is_deletion: true, .. }) => "deleted",
        }
    }
}

/// What the log says of the session after its last entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry; 0 when there is none.
    pub seq: u64,
    /// How many messages there are up to and with it.
    pub ordinal: u64,
    /// How many of these messages are not by a person: lines of the system.
    pub notices: u64,
    /// How often somebody else came to answer, or nobody, up to and with it.
    pub assignment: u64,
    /// Whether the session has ended.
    pub ended: bool,
}

/// An entry that asks to be appended; the log gives it its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The session it belongs to.
    pub session: SessionId,
    /// Its id, minted before the first try so that a retry can recognise its own.
    pub id: EntryId,
    /// When it was said or done.
    pub at: Timestamp,
    /// Who said or did it.
    pub author: Person,
    /// The client's own name for it.
    pub client_key: Option<ClientKey>,
    /// What it records.
    pub content: Content,
}

/// One record in a session's log, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The session it belongs to.
    pub session: SessionId,
    /// Its id.
    pub id: EntryId,
    /// When it was said or done.
    pub at: Timestamp,
    /// Who said or did it.
    pub author: Person,
    /// The client's own name for it.
    pub client_key: Option<ClientKey>,
    /// What it records.
    pub content: Content,
    /// What has become of it, where it is a message.
    pub fate: Fate,
    /// What the log says after it; `head.seq` is the entry's own number.
    pub head: Head,
}

impl Entry {
    /// The entry's number in its session: 1, 2, 3 … without a gap.
    pub fn seq(&self) -> u64 {
        self.head.seq
    }

    /// The text, where the entry is a message.
    pub fn body(&self) -> Option<&Body> {
        match &self.content {
            Content::Message(message) => Some(&message.body),
            Content::Assigned(_) | Content::Ended(_) | Content::Opened(_) | Content::Edited(_) => None,
        }
    }

    /// Whether it is a line of the system for the record: histories show it, and nobody is told of it when it is written.
    pub fn is_notice(&self) -> bool {
        self.message().is_some_and(|m| m.form == Form::Notice)
    }

    /// What was said, where the entry is a message.
    pub fn message(&self) -> Option<&Message> {
        match &self.content {
            Content::Message(message) => Some(message),
            Content::Assigned(_) | Content::Ended(_) | Content::Opened(_) | Content::Edited(_) => None,
        }
    }
}

impl Head {
    /// The entry that follows this head, or `None` where the session has ended and takes nothing but a re-opening, and changes of what was said.
    ///
    /// The one rule of numbering and of the end; both stores append what this answers and nothing else.
    pub fn follow(self, draft: &Draft) -> Option<Entry> {
        if self.ended && !matches!(draft.content, Content::Opened(_) | Content::Edited(_)) {
            return None;
        }
        let mut head = Head { seq: self.seq + 1, ..self };
        match draft.content {
            Content::Message(_) => {
                head.ordinal += 1;
                head.notices += u64::from(draft.author.role == Role::System);
            }
            Content::Assigned(_) => head.assignment += 1,
            Content::Ended(_) => head.ended = true,
            Content::Opened(_) => head.ended = false,
            Content::Edited(_) => {}
        }
        let Draft { session, id, at, author, client_key, content } = draft.clone();
        Some(Entry { session, id, at, author, client_key, content, fate: Fate::default(), head })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::principal::{Realm, Role};

    fn draft(content: Content) -> Draft {
        let author = Person::new(Realm::Support, "u1", Role::Visitor);
        Draft { session: SessionId::random(), id: EntryId::random(), at: Timestamp(1), author, client_key: None, content }
    }

    #[test]
    fn numbers_follow_without_gap_and_end_with_the_end() {
        let message = draft(Content::Message(Body::stored("hi").into()));
        let end = draft(Content::Ended("done".into()));
        let first = Head::default().follow(&message).unwrap();
        let last = first.head.follow(&end).unwrap();
        assert_eq!(first.head, Head { seq: 1, ordinal: 1, ..Head::default() });
        assert_eq!(last.head, Head { seq: 2, ordinal: 1, ended: true, ..Head::default() });
        assert!(last.head.follow(&message).is_none() && last.head.follow(&end).is_none());
    }

    #[test]
    fn only_a_reopening_follows_an_end() {
        let ended = Head { seq: 4, ordinal: 2, notices: 1, assignment: 1, ended: true };
        let open = ended.follow(&draft(Content::Opened("active".into()))).unwrap();
        assert_eq!(open.head, Head { seq: 5, ended: false, ..ended });
        assert!(open.head.follow(&draft(Content::Message(Body::stored("hi").into()))).is_some());
    }

    #[test]
    fn lines_of_the_system_are_counted_beside_the_messages() {
        let author = Person::new(Realm::Support, "system", Role::System);
        let notice = Draft { author, ..draft(Content::Message(Body::stored("joined").into())) };
        let head = Head::default().follow(&notice).unwrap().head;
        assert_eq!((head.ordinal, head.notices), (1, 1));
    }

    #[test]
    fn bodies_are_counted_as_javascript_counts() {
        assert_eq!(Body::parse(" \n", 10), Err(BodyError::Blank));
        assert!(Body::parse("😀😀", 4).is_ok());
        assert_eq!(Body::parse("😀😀", 3), Err(BodyError::TooLong));
        assert_eq!(Body::parse(" a ", 10).unwrap().as_str(), " a ");
        assert_eq!((trim("\u{feff}\u{a0} a\u{3000}"), trim("\u{85}")), ("a", "\u{85}"));
    }
}
