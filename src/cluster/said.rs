//! A message as nodes tell each other of it: all that its entry holds, so that no node has to read it from the store. Only plain messages of ordinary
//! size are told so; of anything else nodes say its number.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::entry::{Body, Content, Entry, Fate, Form, Head, Message};
use crate::domain::ids::{ClientKey, EntryId, SessionId};
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::time::Timestamp;

/// Texts beyond so many bytes are read from the store.
const TEXT_LIMIT: usize = 8 * 1024;

#[derive(Serialize, Deserialize)]
struct Said {
    id: Arc<str>,
    at: i64,
    realm: Arc<str>,
    person: Arc<str>,
    role: Arc<str>,
    name: Option<Arc<str>>,
    email: Option<Arc<str>>,
    key: Option<Arc<str>>,
    text: Arc<str>,
    form: Arc<str>,
    signed: bool,
    seq: u64,
    ordinal: u64,
    notices: u64,
    assignment: u64,
}

/// The message in words; `None` where its number is said instead.
pub(super) fn written(entry: &Entry) -> Option<String> {
    let Entry { session: _, id, at, author, client_key, content, fate: _, head } = entry;
    let Content::Message(Message { body, form, signed, reply_to: None, file: None }) = content else { return None };
    let Head { seq, ordinal, notices, assignment, ended: false } = *head else { return None };
    if body.as_str().len() > TEXT_LIMIT {
        return None;
    }
    let said = Said {
        id: id.as_str().into(),
        at: at.0,
        realm: author.realm.name().into(),
        person: Arc::clone(&author.id),
        role: author.role.name().into(),
        name: author.name.clone(),
        email: author.email.clone(),
        key: client_key.as_ref().map(|k| k.as_str().into()),
        text: body.as_str().into(),
        form: form.name().into(),
        signed: *signed,
        seq,
        ordinal,
        notices,
        assignment,
    };
    serde_json::to_string(&said).ok()
}

/// The entry of such words; `None` where they are not understood.
pub(super) fn read(session: SessionId, words: &str) -> Option<Entry> {
    let said: Said = serde_json::from_str(words).ok()?;
    let form = Form::named(&said.form)?;
    let author =
        Person { realm: Realm::named(&said.realm)?, id: said.person, role: Role::named(&said.role)?, name: said.name, email: said.email };
    let client_key = match said.key {
        Some(key) => Some(ClientKey::parse(&key)?),
        None => None,
    };
    Some(Entry {
        session,
        id: EntryId::stored(said.id),
        at: Timestamp(said.at),
        author,
        client_key,
        content: Content::Message(Message { body: Body::stored(said.text), form, signed: said.signed, reply_to: None, file: None }),
        fate: Fate::default(),
        head: Head { seq: said.seq, ordinal: said.ordinal, notices: said.notices, assignment: said.assignment, ended: false },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(content: Content) -> Entry {
        let author = Person {
            name: Some("Ünal \"U\"".into()),
            email: Some("u@example.org".into()),
            ..Person::new(Realm::Widget, "u 1", Role::Visitor)
        };
        let head = Head { seq: 7, ordinal: 5, notices: 1, assignment: 2, ended: false };
        let (session, id) = (SessionId::stored("s1"), EntryId::random());
        Entry {
            session,
            id,
            at: Timestamp(1_700_000_000_123),
            author,
            client_key: ClientKey::parse("k-1"),
            content,
            fate: Fate::default(),
            head,
        }
    }

    fn message(text: &str) -> Message {
        Message { form: Form::Notice, signed: false, ..Body::stored(text).into() }
    }

    #[test]
    fn what_is_said_is_understood_as_it_was() {
        let said = entry(Content::Message(message("two\nlines, and a \u{0} too: 你好")));
        assert_eq!(read(said.session.clone(), &written(&said).unwrap()), Some(said.clone()));
        let bare = Entry { client_key: None, author: Person::new(Realm::Support, "a", Role::Agent), ..said };
        assert_eq!(read(bare.session.clone(), &written(&bare).unwrap()), Some(bare));
    }

    #[test]
    fn of_what_is_no_plain_message_the_number_is_said() {
        let answer = Message { reply_to: Some(EntryId::random()), ..message("yes") };
        let long = message(&"x".repeat(TEXT_LIMIT + 1));
        for content in [Content::Message(answer), Content::Message(long), Content::Ended("over".into())] {
            assert_eq!(written(&entry(content)), None);
        }
        assert_eq!(read(SessionId::stored("s1"), r#"{"id":"x"}"#), None);
    }
}
