//! Identifiers: opaque strings to everyone, minted here and nowhere else. They know nothing of stores or wires.
#![allow(clippy::disallowed_methods, reason = "the one file that mints ids")]

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::principal::{Person, Realm};

/// Defines an opaque identifier, cheap to clone.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes an id that this server stored or minted earlier, unchecked.
            pub fn stored(id: impl Into<Arc<str>>) -> Self {
                Self(id.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

opaque_id!(
    /// A support conversation. UUIDv4 when minted here: it is a capability in some dialects, so 122 random bits.
    SessionId
);
opaque_id!(
    /// One record of a session's log. UUIDv7, so that ids sort roughly by time; UUIDv5 where it must be found again, see [`EntryId::onwards`].
    EntryId
);
opaque_id!(
    /// An agent's record. It is unique over all realms: the id in its realm, with the realm before it unless that is `support`.
    AgentId
);
opaque_id!(
    /// A stored credential of a person, unique over all realms.
    AccountId
);
opaque_id!(
    /// A login, by the fingerprint of its secret.
    LoginId
);
opaque_id!(
    /// A file that a message carries. UUIDv4: 122 random bits.
    AttachmentId
);
opaque_id!(
    /// One live Socket.IO socket. Never the library's own id, with which anyone could post as that client.
    ConnId
);
opaque_id!(
    /// One running server process, from its start to its end.
    NodeId
);

impl SessionId {
    /// Mints a new id.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }

    /// Reads an id from the wire: a hyphenated UUID or 24 hex digits, in either case; `None` for all else.
    pub fn parse(text: &str) -> Option<Self> {
        is_well_formed(text).then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The id of a session of an original's that has one of another form: the same at every import.
    pub fn imported(key: &str) -> Self {
        Self(imported("session", key))
    }
}

/// The same at every import of what an original has under this key, and nothing that it has itself.
fn imported(what: &str, key: &str) -> Arc<str> {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("helpline import {what} {key}").as_bytes()).to_string().into()
}

/// A hyphenated UUID or 24 hex digits.
fn is_well_formed(text: &str) -> bool {
    let uuid = text.len() == 36 && Uuid::try_parse(text).is_ok();
    uuid || (text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl EntryId {
    /// Mints a new id.
    pub fn random() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// Reads an id from the wire, as [`SessionId::parse`].
    pub fn parse(text: &str) -> Option<Self> {
        is_well_formed(text).then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The id of an entry that an import makes of what an original has under this key, where that is `what` and no entry itself: the same at every
    /// import.
    pub fn imported(what: &str, key: &str) -> Self {
        Self(imported(what, key))
    }
}

impl EntryId {
    /// The id of the message that this sender was to store in an ended session under this key, wherever it went instead. Whoever was let into
    /// the session finds it so, and nobody else's.
    pub fn onwards(from: &SessionId, sender: &Person, key: &ClientKey) -> Self {
        // The lengths of ids are not fixed, and a sender's may hold any character.
        let (realm, id, key) = (sender.realm.name(), &sender.id, key.as_str());
        let name = format!("helpline onwards {from} {realm} {}:{id} {key}", id.len());
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string().into())
    }
}

impl AttachmentId {
    /// Mints a new id.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }

    /// Reads an id from the wire, as [`SessionId::parse`].
    pub fn parse(text: &str) -> Option<Self> {
        is_well_formed(text).then(|| Self(text.to_ascii_lowercase().into()))
    }
}

impl AccountId {
    /// Mints a new id.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }
}

impl AgentId {
    /// The record of the agent whom the realm knows by `id`.
    pub fn of(realm: Realm, id: &str) -> Self {
        // An id of `support` that looks as if it had another realm before it gets its own.
        let is_plain = id.split_once(':').is_none_or(|(before, _)| Realm::named(before).is_none());
        match realm {
            Realm::Support if is_plain => Self(id.into()),
            realm => Self(format!("{}:{id}", realm.name()).into()),
        }
    }

    /// The id by which its realm knows the agent.
    pub fn in_realm(&self) -> &str {
        self.parts().1
    }

    /// The realm that knows the agent.
    pub fn realm(&self) -> Realm {
        self.parts().0
    }

    fn parts(&self) -> (Realm, &str) {
        let named = self.0.split_once(':').and_then(|(realm, id)| Some((Realm::named(realm)?, id)));
        named.unwrap_or((Realm::Support, &self.0))
    }

    /// Mints the id of a new record of `support`.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }

    /// The id of the n-th default agent: the same on every node, so that two nodes seed the same records.
    pub fn seeded(n: u8) -> Self {
        let name = format!("helpline default agent {n}");
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string().into())
    }
}

impl ConnId {
    /// Mints a new id.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }
}

impl NodeId {
    /// Mints a new id.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }
}

/// More than 256 random bits, for secrets that this server generates itself: three UUIDv4, of 122 each, as 96 hex digits.
pub fn random_secret() -> String {
    [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()].map(|id| id.simple().to_string()).concat()
}

/// A client's own name for one message, unique per session and sender for ever: 1 to 128 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(Arc<str>);

impl ClientKey {
    /// Reads a key from the wire or the store; `None` where its length is out of bounds.
    pub fn parse(text: &str) -> Option<Self> {
        (1..=128).contains(&text.len()).then(|| Self(text.into()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_ids_are_uuids_or_object_ids() {
        for good in ["0f8fad5b-d9cb-469f-a165-70867728950e", "507F1F77bcf86cd799439011"] {
            assert_eq!(SessionId::parse(good).map(|i| i.to_string()), Some(good.to_lowercase()));
        }
        for bad in ["", "x", "0f8fad5bd9cb469fa16570867728950e", "507f1f77bcf86cd79943901g", "{0f8fad5b-d9cb-469f-a165-7086772895}"] {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn agents_of_two_realms_never_share_a_record() {
        let (support, operators) = (AgentId::of(Realm::Support, "a1"), AgentId::of(Realm::Operators, "a1"));
        assert_ne!(support, operators);
        assert_eq!((support.in_realm(), operators.in_realm()), ("a1", "a1"));
        for (realm, id) in
            [(Realm::Operators, "support:a1"), (Realm::Support, "operators:a1"), (Realm::Support, "support:a1"), (Realm::Support, "x:a1")]
        {
            assert_eq!(AgentId::of(realm, id).in_realm(), id);
            assert_ne!(AgentId::of(realm, id), operators, "{id}");
            assert_ne!(AgentId::of(realm, id), support, "{id}");
        }
    }

    #[test]
    fn what_goes_on_is_found_again_by_its_sender_and_key_alone() {
        let sender = |id: &str| Person::new(Realm::Operators, id, crate::domain::principal::Role::Visitor);
        let (session, key) = (SessionId::random(), |key: &str| ClientKey::parse(key).unwrap());
        let id = EntryId::onwards(&session, &sender("u1"), &key("k1"));
        assert_eq!(EntryId::onwards(&session, &sender("u1"), &key("k1")), id);
        assert!(EntryId::parse(id.as_str()).is_some());
        for other in [
            EntryId::onwards(&session, &sender("u2"), &key("k1")),
            EntryId::onwards(&session, &sender("u1"), &key("k2")),
            EntryId::onwards(&session, &sender("u1 k1"), &key("k1")),
            EntryId::onwards(&SessionId::random(), &sender("u1"), &key("k1")),
        ] {
            assert_ne!(other, id);
        }
    }

    #[test]
    fn client_keys_have_bounds() {
        assert!(ClientKey::parse("").is_none());
        assert!(ClientKey::parse(&"k".repeat(128)).is_some());
        assert!(ClientKey::parse(&"k".repeat(129)).is_none());
    }
}
