//! Who acts: realms, roles, people, and the authenticated caller. How a credential is checked is not known here.

use std::net::IpAddr;
use std::sync::Arc;

use super::ids::LoginId;
use super::time::Timestamp;

/// Who vouches for an id: `u1` of one realm is not `u1` of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Realm {
    /// The contract of document 001.
    Support,
    /// The contract of documents 000 and 003.
    Operators,
    /// The contract of document 004.
    Widget,
    /// The contract of document 002.
    Rooms,
}

impl Realm {
    /// All realms.
    pub const ALL: [Realm; 4] = [Realm::Support, Realm::Operators, Realm::Widget, Realm::Rooms];

    /// The stable name that stores, tokens and `MOUNTS` carry.
    pub fn name(self) -> &'static str {
        match self {
            Realm::Support => "support",
            Realm::Operators => "operators",
            Realm::Widget => "widget",
            Realm::Rooms => "rooms",
        }
    }

    /// The realm of a stored name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// The part a person plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Who asks.
    Visitor,
    /// Who answers.
    Agent,
    /// Who answers, and says who else does.
    Admin,
    /// A machine of the company.
    System,
}

impl Role {
    /// The stable name that stores carry.
    pub fn name(self) -> &'static str {
        match self {
            Role::Visitor => "visitor",
            Role::Agent => "agent",
            Role::Admin => "admin",
            Role::System => "system",
        }
    }

    /// Whether who plays it answers visitors.
    pub fn answers(self) -> bool {
        matches!(self, Role::Agent | Role::Admin)
    }

    /// The role of a stored name.
    pub fn named(name: &str) -> Option<Self> {
        [Role::Visitor, Role::Agent, Role::Admin, Role::System].into_iter().find(|r| r.name() == name)
    }
}

/// A person as a session remembers them: a snapshot, from which every dialect draws its user objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// Who vouches for the id.
    pub realm: Realm,
    /// The id in its realm: any non-empty string.
    pub id: Arc<str>,
    /// The part played.
    pub role: Role,
    /// The display name, where one is known.
    pub name: Option<Arc<str>>,
    /// The e-mail address, where one is known. Never shown to visitors, never logged.
    pub email: Option<Arc<str>>,
}

impl Person {
    /// A person of whom only the id and the role are known.
    pub fn new(realm: Realm, id: impl Into<Arc<str>>, role: Role) -> Self {
        Self { realm, id: id.into(), role, name: None, email: None }
    }

    /// Whether both are the same person, whatever the names say.
    pub fn is(&self, other: &Person) -> bool {
        self.realm == other.realm && self.id == other.id && self.role == other.role
    }

    /// `realm:id`, whatever the role; the key of what exists once per id.
    pub fn key(&self) -> String {
        format!("{}:{}", self.realm.name(), self.id)
    }
}

/// What the peer's address is worth, decided from `TRUSTED_NETWORKS`, `TRUSTED_PROXIES`, `Origin` and `Host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Inside `TRUSTED_NETWORKS`, and not a foreign web page.
    Trusted,
    /// Anybody.
    Unknown,
}

/// The authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A credential names this person; nothing the call says changes who it is.
    Person {
        /// Who it is.
        person: Person,
        /// When the credential ends; live sockets are closed then.
        expires: Option<Timestamp>,
        /// The login that proves it, which can be taken back.
        login: Option<LoginId>,
        /// Where the call comes from; a credential alone is [`Peer::Unknown`].
        peer: Peer,
    },
    /// The API key, or a trusted peer without a credential: may act as the person that a call names, and see every session of its realm.
    Delegate {
        /// The realm it may act in.
        realm: Realm,
        /// Whether it showed the API key; else it is trusted for where it calls from.
        has_key: bool,
    },
    /// Anybody without a credential, where the realm lets such callers in: a session's id opens that session to it, as its visitor.
    Guest {
        /// The realm it may act in.
        realm: Realm,
        /// Where it calls from, by which it is counted.
        address: IpAddr,
    },
}

impl Principal {
    /// The person whom the credential names, if it names one.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Principal::Person { person, .. } => Some(person),
            Principal::Delegate { .. } | Principal::Guest { .. } => None,
        }
    }

    /// When the credential ends.
    pub fn expires(&self) -> Option<Timestamp> {
        match self {
            Principal::Person { expires, .. } => *expires,
            Principal::Delegate { .. } | Principal::Guest { .. } => None,
        }
    }

    /// The login that proves the caller, if one does.
    pub fn login(&self) -> Option<&LoginId> {
        match self {
            Principal::Person { login, .. } => login.as_ref(),
            Principal::Delegate { .. } | Principal::Guest { .. } => None,
        }
    }

    /// The realm the caller belongs to.
    pub fn realm(&self) -> Realm {
        match self {
            Principal::Person { person, .. } => person.realm,
            Principal::Delegate { realm, .. } | Principal::Guest { realm, .. } => *realm,
        }
    }

    /// The same caller, calling from there.
    pub fn seen_from(self, peer: Peer) -> Self {
        match self {
            Principal::Person { person, expires, login, .. } => Principal::Person { person, expires, login, peer },
            other => other,
        }
    }

    /// Whether a credential vouches for whom the caller acts as.
    pub fn is_vouched_for(&self) -> bool {
        match self {
            Principal::Person { .. } => true,
            Principal::Delegate { has_key, .. } => *has_key,
            Principal::Guest { .. } => false,
        }
    }

    /// Whether the caller's posts are counted: visitors', except from trusted networks.
    pub fn is_metered(&self) -> bool {
        match self {
            Principal::Person { person, peer, .. } => *peer == Peer::Unknown && person.role == Role::Visitor,
            Principal::Guest { .. } => true,
            Principal::Delegate { .. } => false,
        }
    }

    /// Whether the caller may do what only the company's own machines may: the API key, a trusted peer, or a `system` token.
    pub fn is_privileged(&self) -> bool {
        match self {
            Principal::Person { person, .. } => person.role == Role::System,
            Principal::Delegate { .. } => true,
            Principal::Guest { .. } => false,
        }
    }

    /// Whether the caller is one of those who say what the others do.
    pub fn is_admin(&self) -> bool {
        self.person().is_some_and(|p| p.role == Role::Admin)
    }

    /// Whether the caller may do what those who answer may: a privileged one, an agent or an admin.
    pub fn is_staff(&self) -> bool {
        self.is_privileged() || self.person().is_some_and(|p| p.role.answers())
    }
}
