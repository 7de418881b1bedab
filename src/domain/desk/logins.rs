//! Logging in and out. What a password or a secret is compared with is not known here.

use std::net::IpAddr;
use std::sync::PoisonError;

use tokio::sync::broadcast::error::RecvError;

use super::Desk;
use crate::domain::account::{Account, EMAIL_LIMIT, Login};
use crate::domain::error::Error;
use crate::domain::ids::{LoginId, random_secret};
use crate::domain::ports::Verdict;
use crate::domain::principal::{Peer, Principal, Realm};
use crate::domain::time::Timestamp;

/// How long a login lasts from its beginning, used or not: 24 hours (document 002).
const LOGIN_MS: i64 = 24 * 3_600 * 1_000;

/// How many logins are looked for at once.
const LOOKED_AFTER: usize = 500;

/// That a socket rests on a login, until this is dropped.
struct Rest<'a> {
    desk: &'a Desk,
    login: LoginId,
}

impl<'a> Rest<'a> {
    fn on(desk: &'a Desk, login: &LoginId) -> Self {
        *desk.rested_on.lock().unwrap_or_else(PoisonError::into_inner).entry(login.clone()).or_default() += 1;
        Self { desk, login: login.clone() }
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        let mut rested_on = self.desk.rested_on.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sockets) = rested_on.get_mut(&self.login) {
            *sockets -= 1;
            if *sockets == 0 {
                rested_on.remove(&self.login);
            }
        }
    }
}

/// Somebody who has just proved who he is.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The account, as it was before.
    pub account: Account,
    /// A token that names it, or the secret of the login.
    pub token: String,
    /// The login, where the realm keeps logins.
    pub login: Option<Login>,
}

impl Desk {
    /// Lets in who knows the password. A hash of an older kind is replaced by the way. An unknown address takes as long as a wrong password.
    ///
    /// # Errors
    /// [`Error::WrongPassword`]; [`Error::RateLimited`] after too many tries.
    pub async fn log_in(&self, realm: Realm, visit: (Peer, IpAddr), email: &str, password: &str) -> Result<LoggedIn, Error> {
        // What cannot be an address is not counted either: the counters would hold it.
        if email.len() > EMAIL_LIMIT {
            return Err(Error::WrongPassword);
        }
        let of_account = format!("{}:{email}", realm.name());
        self.tries.count(visit, &of_account, self.now())?;
        let account = self.store.find_account_by_email(realm, email).await?;
        let verdict = self.passwords.check(password, account.as_ref().map(|a| &a.password)).await?;
        let Some(account) = account.filter(|_| verdict != Verdict::Wrong) else {
            self.tries.count_failure(visit.0, of_account, self.now());
            tracing::info!(contract = realm.name(), "a login failed");
            return Err(Error::WrongPassword);
        };
        if verdict == Verdict::RightButOld {
            self.renew(&account, password).await;
        }
        tracing::info!(account.id = %account.id, "a login");
        self.let_in(account).await
    }

    /// What proves from now on who the account's person is: a token, or a login.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn let_in(&self, account: Account) -> Result<LoggedIn, Error> {
        let now = self.now();
        if !account.realm.keeps_logins() {
            let token = self.authority.issue(&account.person(), now)?.token;
            return Ok(LoggedIn { account, token, login: None });
        }
        let secret = random_secret();
        let id = self.passwords.fingerprint(&secret);
        let login = Login { id, account: account.id.clone(), created_at: now, expires_at: now.plus_ms(LOGIN_MS) };
        self.store.insert_login(&login).await?;
        self.come_online(&account).await?;
        Ok(LoggedIn { account, token: secret, login: Some(login) })
    }

    /// The account and the login behind a secret.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] where there is none, or it has ended.
    pub async fn login_of(&self, realm: Realm, secret: &str) -> Result<(Account, Login), Error> {
        let found = self.store.find_login(&self.passwords.fingerprint(secret)).await?;
        let login = found.filter(|l| l.expires_at > self.now()).ok_or(Error::InvalidToken)?;
        let account = self.store.find_account(&login.account).await?.filter(|a| a.realm == realm).ok_or(Error::InvalidToken)?;
        Ok((account, login))
    }

    /// The caller behind the secret of a login.
    pub(super) async fn authenticate_login(&self, realm: Realm, secret: &str) -> Result<Principal, Error> {
        let (account, login) = self.login_of(realm, secret).await?;
        Ok(Principal::Person { person: account.person(), expires: Some(login.expires_at), login: Some(login.id), peer: Peer::Unknown })
    }

    /// Ends the login with this secret, and closes the sockets that rest on it; harmless where there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn log_out(&self, secret: &str) -> Result<(), Error> {
        let id = self.passwords.fingerprint(secret);
        if self.store.remove_login(&id).await? {
            tracing::info!("a logout");
            // Nobody may be listening.
            let _ = self.revoked.send(id);
        }
        Ok(())
    }

    /// When the caller's login began; now, where none proves it.
    pub fn login_began(&self, who: &Principal) -> Timestamp {
        who.expires().filter(|_| who.login().is_some()).map_or_else(|| self.now(), |end| end.plus_ms(-LOGIN_MS))
    }

    /// Waits until the caller's login is taken back; for ever where none proves it.
    pub async fn login_ended(&self, login: Option<&LoginId>) {
        let Some(login) = login else { return std::future::pending().await };
        let _rest = Rest::on(self, login);
        let mut ends = self.revoked.subscribe();
        // It may have been taken back between the caller's admission and the first look.
        let mut look = true;
        loop {
            if look && matches!(self.store.find_login(login).await, Ok(None)) {
                return;
            }
            look = match ends.recv().await {
                Ok(ended) if ended == *login => return,
                Ok(_) => false,
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => return,
            };
        }
    }

    /// Finds out which of the logins that sockets of this node rest on were taken back elsewhere: by another process, or another node. To be called
    /// every few seconds.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; nobody is taken for gone then.
    pub async fn look_after_logins(&self) -> Result<(), Error> {
        let ids: Vec<LoginId> = self.rested_on.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        for some in ids.chunks(LOOKED_AFTER) {
            let there = self.store.find_logins(some).await?;
            for gone in some.iter().filter(|id| !there.contains(id)) {
                let _ = self.revoked.send(gone.clone());
            }
        }
        Ok(())
    }

    /// Gives the account with this address another password, and ends all its logins. For the command line.
    ///
    /// # Errors
    /// [`Error::AccountNotFound`].
    pub async fn change_password(&self, realm: Realm, email: &str, password: &str) -> Result<Account, Error> {
        let hash = self.passwords.hash(password).await?;
        loop {
            let account = self.store.find_account_by_email(realm, email).await?.ok_or(Error::AccountNotFound)?;
            if self.store.replace_password(&account.id, &account.password, &hash).await? {
                self.store.remove_logins(&account.id).await?;
                return Ok(account);
            }
        }
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
}
