//! Accounts: what is stored of people who log in with a password. How passwords are hashed is not known here.

use std::fmt;
use std::sync::Arc;

use super::ids::AccountId;
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
