//! Accounts and logins: what is stored of people who prove with a password who they are. How passwords are hashed is not known here.

use std::fmt;
use std::sync::Arc;

use super::agent::Availability;
use super::ids::{AccountId, LoginId};
use super::principal::{Person, Realm, Role};
use super::time::Timestamp;

/// The longest e-mail address, in bytes: what a mail server takes (RFC 5321).
pub const EMAIL_LIMIT: usize = 254;

/// The longest password, in bytes; hashing costs more with every byte.
pub const PASSWORD_LIMIT: usize = 1_024;

/// The fewest characters of a password that an operator sets. The sign-up of a contract may have a rule of its own.
pub const LEAST_PASSWORD: usize = 8;

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

/// Whether a text looks like an e-mail address: a name, and a domain with a dot, without blanks, and no longer than [`EMAIL_LIMIT`]. This holds
/// for accounts however they are made, so that what one way makes another can use.
pub fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.rsplit_once('@') else { return false };
    let plain =
        |part: &str| !part.is_empty() && part.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"<>()[],;:\\\"@".contains(c));
    let labels: Vec<&str> = domain.split('.').collect();
    let named = plain(name) && name.len() <= 64 && !name.starts_with('.') && !name.ends_with('.') && !name.contains("..");
    let located = labels.len() >= 2 && labels.iter().all(|l| plain(l) && !l.starts_with('-') && !l.ends_with('-'));
    named && located && text.len() <= EMAIL_LIMIT
}

/// Whether an operator may set this password: of at least [`LEAST_PASSWORD`] characters, and at most [`PASSWORD_LIMIT`] bytes.
pub fn is_password(text: &str) -> bool {
    text.chars().count() >= LEAST_PASSWORD && text.len() <= PASSWORD_LIMIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_name_and_a_domain() {
        for good in ["a@example.com", "A.b+c@sub.example.co", "ü@example.com"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@example.com",
            "a@b",
            "a b@example.com",
            "a@exa mple.com",
            "a@@example.com",
            "a@example..com",
            ".a@example.com",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
