//! Taking over what an original has, on MongoDB or in a file: its people, sessions and messages go into a store by the storage port, numbered as they were said.
//! The original's data is only read; where it is taken over in place its collections get other names first. Whatever cannot be taken as it is has one treatment, and is counted and named in the report.

mod fields;
mod file;
mod in_place;
mod operators;
mod report;
mod rooms;
mod run;
mod source;
mod support;
mod widget;
mod write;

use std::collections::{HashMap, VecDeque};

use crate::domain::entry::{Draft, Receipt};
use crate::domain::principal::{Person, Realm};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;

pub use report::Report;
pub use run::{Origin, Wish, run, set_aside};

use fields::Fields;

/// Whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Original {
    /// Document 001.
    Support,
    /// Document 002.
    Rooms,
    /// Documents 000 and 003.
    Operators,
    /// Document 004.
    Widget,
}

/// A session as it is to stand here, and what its log has besides messages.
struct Plan {
    session: Session,
    /// The key under which its visitor finds it again, while it is open.
    key: Option<String>,
    /// Who came to answer it, oldest first.
    assignments: VecDeque<Draft>,
    /// Its end, which stands after all messages: the originals took some after it.
    end: Option<Draft>,
}

/// A message as it is to stand here.
struct Said {
    draft: Draft,
    /// That it was changed, or taken back.
    edit: Option<Draft>,
    /// Whom it reached.
    receipts: Vec<Receipt>,
    /// When it was read, where the original does not keep by whom.
    read_at: Option<Timestamp>,
}

impl Said {
    /// Of which nothing more is known.
    fn of(draft: Draft) -> Self {
        Self { draft, edit: None, receipts: Vec::new(), read_at: None }
    }
}

/// Those whom an original knows, by id.
type People = HashMap<String, Person>;

impl Original {
    fn realm(self) -> Realm {
        match self {
            Original::Support => Realm::Support,
            Original::Rooms => Realm::Rooms,
            Original::Operators => Realm::Operators,
            Original::Widget => Realm::Widget,
        }
    }

    /// The collection or table of its people.
    fn people(self) -> &'static str {
        match self {
            Original::Support => "agents",
            Original::Rooms => "users",
            Original::Operators => "operators",
            Original::Widget => "admins",
        }
    }

    /// The collection or table of its sessions.
    fn sessions(self) -> &'static str {
        match self {
            Original::Support | Original::Operators | Original::Widget => "sessions",
            Original::Rooms => "chatrooms",
        }
    }

    /// The fields of a message that say its session and its time.
    fn message_fields(self) -> (&'static str, &'static str) {
        match self {
            Original::Support => ("sessionId", "timestamp"),
            Original::Rooms => ("chatRoomId", "createdAt"),
            Original::Operators | Original::Widget => ("sessionId", "createdAt"),
        }
    }

    fn plan(self, row: Fields<'_>, people: &People, report: &mut Report) -> Plan {
        match self {
            Original::Support => support::session(row, people, report),
            Original::Rooms => rooms::session(row, people, report),
            Original::Operators => operators::session(row, people, report),
            Original::Widget => widget::session(row, report),
        }
    }

    /// `None` for what is left out, which the report names.
    fn said(self, row: Fields<'_>, session: &Session, people: &People, report: &mut Report) -> Option<Said> {
        match self {
            Original::Support => support::message(row, session, people, report),
            Original::Rooms => rooms::message(row, session, people, report),
            Original::Operators => operators::message(row, session, people, report),
            Original::Widget => widget::message(row, session, report),
        }
    }
}
