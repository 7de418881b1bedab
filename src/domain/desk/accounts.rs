//! Accounts: signing up, logging in, and making them on the command line. Passwords are hashed elsewhere.

use std::net::IpAddr;
use std::sync::Arc;

use super::Desk;
use crate::domain::account::Account;
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
        self.slow_down(visit, None)?;
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
    /// [`Error::WrongPassword`]; [`Error::RateLimited`] after too many tries for the account, or from an address that is not trusted.
    pub async fn log_in(&self, realm: Realm, visit: (Peer, IpAddr), email: &str, password: &str) -> Result<LoggedIn, Error> {
        self.slow_down(visit, Some(format!("{}:{email}", realm.name())))?;
        let account = self.store.find_account_by_email(realm, email).await?;
        let verdict = self.passwords.check(password, account.as_ref().map(|a| &a.password)).await?;
        let Some(account) = account.filter(|_| verdict != Verdict::Wrong) else { return Err(Error::WrongPassword) };
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

    /// Counts a try from an address, and for an account where one is named.
    fn slow_down(&self, (peer, address): (Peer, IpAddr), account: Option<String>) -> Result<(), Error> {
        let from = (peer == Peer::Unknown).then(|| address.to_string());
        for key in from.into_iter().chain(account) {
            self.logins.take(key, self.now()).map_err(|retry_after_ms| Error::RateLimited { retry_after_ms })?;
        }
        Ok(())
    }

    fn logged_in(&self, account: Account) -> Result<LoggedIn, Error> {
        let token = self.authority.issue(&account.person(), self.now())?.token;
        Ok(LoggedIn { account, token })
    }
}
