//! Accounts and logins: what is stored of people who prove with a password who they are. How passwords are hashed is not known here.

use std::fmt;
use std::sync::Arc;

use super::agent::Availability;
use super::ids::{AccountId, LoginId};
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

/// Somebody who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id; tokens and logins name it.
    pub id: AccountId,
    /// The contract it belongs to.
    pub realm: Realm,
    /// The part its person plays.
    pub role: Role,
    /// The e-mail address, unique in its realm and compared letter by letter.
    pub email: Arc<str>,
    /// The name by which others know it, unique in its realm where the contract has such names.
    pub username: Option<Arc<str>>,
    /// The display name, where one was given.
    pub name: Option<Arc<str>>,
    /// The password.
    pub password: PasswordHash,
    /// Where in the company it works, in the contract's words.
    pub department: Option<Arc<str>>,
    /// What it is good at, in its own words.
    pub specialization: Option<Arc<str>>,
    /// What it declares.
    pub status: Availability,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was last there.
    pub seen_at: Timestamp,
}

impl Account {
    /// Who logs in with it.
    pub fn person(&self) -> Person {
        let name = self.name.clone().or_else(|| self.username.clone());
        Person { name, email: Some(Arc::clone(&self.email)), ..Person::new(self.realm, self.id.as_str(), self.role) }
    }
}

/// What is changed of an account; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// What it declares.
    pub status: Option<Availability>,
    /// When it was last there.
    pub seen_at: Option<Timestamp>,
}

/// The period for which somebody has proved who he is. The secret that opens it is not stored, only its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The fingerprint of its secret.
    pub id: LoginId,
    /// Whose it is.
    pub account: AccountId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends, used or not.
    pub expires_at: Timestamp,
}
