//! Accounts: signing up, logging in, and making them on the command line. Passwords are hashed elsewhere.

use std::net::IpAddr;
use std::sync::Arc;

use super::Desk;
use super::rate::Rate;
use crate::domain::account::{Account, EMAIL_LIMIT};
use crate::domain::error::Error;
use crate::domain::ids::AccountId;
use crate::domain::ports::{SignUp, Verdict};
use crate::domain::principal::{Peer, Principal, Realm};

/// Somebody who has just proved who he is.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The account.
    pub account: Account,
    /// A token that names it.
    pub token: String,
}

/// How often a minute a password may be tried for one account from one address.
const TRIES_OF_ACCOUNT_AND_ADDRESS: u32 = 20;

/// How often a minute wrong passwords may be tried for one account, from wherever. Many addresses together can lock its owner out no sooner.
const FAILURES_OF_ACCOUNT: u32 = 200;

/// How often a minute passwords may be tried from one address, for whatever accounts.
const TRIES_OF_ADDRESS: u32 = 60;

/// How often a minute one address may sign up.
const SIGN_UPS_OF_ADDRESS: u32 = 20;

/// Meters whoever tries passwords, or signs up.
#[derive(Debug)]
pub(super) struct Tries {
    of_both: Rate,
    of_account: Rate,
    of_address: Rate,
    sign_ups: Rate,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            of_both: Rate::new(Some(TRIES_OF_ACCOUNT_AND_ADDRESS)),
            of_account: Rate::new(Some(FAILURES_OF_ACCOUNT)),
            of_address: Rate::new(Some(TRIES_OF_ADDRESS)),
            sign_ups: Rate::new(Some(SIGN_UPS_OF_ADDRESS)),
        }
    }
}

impl Desk {
    /// Makes an account for whoever asks, as far as `ADMIN_SIGNUP` allows; who shows a credential of a privileged caller always may.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where sign-up is closed, [`Error::AccountExists`], [`Error::RateLimited`].
    pub async fn sign_up(
        &self,
        who: Option<&Principal>,
        (realm, visit): (Realm, (Peer, IpAddr)),
        (email, password): (&str, &str),
        name: Option<&str>,
    ) -> Result<LoggedIn, Error> {
        let policy = self.authority.sign_up();
        let invited = who.is_some_and(Principal::is_privileged);
        if !invited && policy == SignUp::Closed {
            return Err(Error::Forbidden);
        }
        let (peer, address) = visit;
        if peer == Peer::Unknown {
            self.tries.sign_ups.take(address.to_string(), self.now()).map_err(too_many)?;
        }
        let first_only = !invited && policy == SignUp::First;
        if first_only && self.store.count_accounts(realm).await? > 0 {
            return Err(Error::Forbidden);
        }
        let account = self.create_account(realm, email, password, name).await?;
        // Of two first ones at once neither may stay by chance: where there is another, this one goes.
        if first_only && self.store.count_accounts(realm).await? > 1 {
            self.store.remove_account(&account.id).await?;
            return Err(Error::Forbidden);
        }
        self.logged_in(account)
    }

    /// Makes an account. The caller has the right to: the command line, or [`Desk::sign_up`].
    ///
    /// # Errors
    /// [`Error::AccountExists`].
    pub async fn create_account(&self, realm: Realm, email: &str, password: &str, name: Option<&str>) -> Result<Account, Error> {
        if self.store.find_account_by_email(realm, email).await?.is_some() {
            return Err(Error::AccountExists);
        }
        let account = Account {
            id: AccountId::random(),
            realm,
            email: email.into(),
            name: name.map(Arc::from),
            password: self.passwords.hash(password).await?,
            created_at: self.now(),
        };
        if self.store.insert_account(&account).await? { Ok(account) } else { Err(Error::AccountExists) }
    }

    /// Lets in who knows the password. A hash of an older kind is replaced by the way. An unknown address takes as long as a wrong password.
    ///
    /// # Errors
    /// [`Error::WrongPassword`]; [`Error::RateLimited`] after too many tries for the account from this address, and where the address is not
    /// trusted after too many from it, or too many wrong ones for the account from everywhere.
    pub async fn log_in(&self, realm: Realm, visit: (Peer, IpAddr), email: &str, password: &str) -> Result<LoggedIn, Error> {
        // What cannot be an address is not counted either: the counters would hold it.
        if email.len() > EMAIL_LIMIT {
            return Err(Error::WrongPassword);
        }
        let of_account = format!("{}:{email}", realm.name());
        self.slow_down(visit, &of_account)?;
        let account = self.store.find_account_by_email(realm, email).await?;
        let verdict = self.passwords.check(password, account.as_ref().map(|a| &a.password)).await?;
        let Some(account) = account.filter(|_| verdict != Verdict::Wrong) else {
            if visit.0 == Peer::Unknown {
                // Enough are left, or this try would have been refused.
                let _ = self.tries.of_account.take(of_account, self.now());
            }
            return Err(Error::WrongPassword);
        };
        if verdict == Verdict::RightButOld {
            self.renew(&account, password).await;
        }
        self.logged_in(account)
    }

    /// Replaces a hash of an older kind. Where that fails the next login tries again.
    async fn renew(&self, account: &Account, password: &str) {
        let renewed = match self.passwords.hash(password).await {
            Ok(hash) => self.store.replace_password(&account.id, &account.password, &hash).await.map_err(Into::into),
            Err(error) => Err(error),
        };
        match renewed {
            Ok(_) => tracing::info!(account.id = %account.id, "a password hash of an older kind was replaced"),
            Err(error) => tracing::warn!(account.id = %account.id, %error, "a password hash of an older kind could not be replaced now"),
        }
    }

    /// Counts a try of an account from an address.
    fn slow_down(&self, (peer, address): (Peer, IpAddr), account: &str) -> Result<(), Error> {
        let (tries, now) = (&self.tries, self.now());
        if peer == Peer::Unknown {
            tries.of_account.look(account, now).map_err(too_many)?;
            tries.of_address.take(address.to_string(), now).map_err(too_many)?;
        }
        tries.of_both.take(format!("{account}\n{address}"), now).map_err(too_many)
    }

    fn logged_in(&self, account: Account) -> Result<LoggedIn, Error> {
        let token = self.authority.issue(&account.person(), self.now())?.token;
        Ok(LoggedIn { account, token })
    }
}

fn too_many(retry_after_ms: u64) -> Error {
    Error::RateLimited { retry_after_ms }
}
