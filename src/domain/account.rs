//! Accounts: what is stored of people who log in with a password. How passwords are hashed is not known here.

use std::fmt;
use std::sync::Arc;

use super::ids::AccountId;
use super::principal::{Person, Realm, Role};
use super::time::Timestamp;

/// The longest e-mail address, in bytes: what a mail server takes (RFC 5321).
pub const EMAIL_LIMIT: usize = 254;

/// A password as it is stored. Printing it shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Arc<str>);

impl PasswordHash {
    /// Takes a hash that was made or stored before.
    pub fn stored(hash: impl Into<Arc<str>>) -> Self {
        Self(hash.into())
    }

    /// The hash in its own notation, for stores and for whoever checks it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Somebody who answers and logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id; tokens name it.
    pub id: AccountId,
    /// The contract it belongs to.
    pub realm: Realm,
    /// The e-mail address, unique in its realm and compared letter by letter.
    pub email: Arc<str>,
    /// The display name, where one was given.
    pub name: Option<Arc<str>>,
    /// The password.
    pub password: PasswordHash,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Account {
    /// Who logs in with it.
    pub fn person(&self) -> Person {
        let (name, email) = (self.name.clone(), Some(Arc::clone(&self.email)));
        Person { name, email, ..Person::new(self.realm, self.id.as_str(), Role::Agent) }
    }
}
