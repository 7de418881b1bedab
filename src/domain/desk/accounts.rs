//! Accounts: who may make one, what others see of them, and who is there. Passwords are hashed elsewhere; logging in is in `logins`.

use std::net::IpAddr;
use std::sync::Arc;

use super::Desk;
use super::callers::allow_staff;
use crate::domain::account::{Account, AccountChange};
use crate::domain::agent::Availability;
use crate::domain::error::Error;
use crate::domain::habits::Contracts;
use crate::domain::ids::{AccountId, AgentId, ConnId};
use crate::domain::ports::{Audience, SignUp, Signal};
use crate::domain::principal::{Peer, Person, Principal, Realm, Role};
use crate::domain::session::Session;

/// How many of a person's sessions hear whether he is there.
const SHARED_LIMIT: u32 = 500;

/// How many accounts are listed at most.
const LIST_LIMIT: u32 = 1_000;

/// Why it changed whether a person is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// The first connection came.
    Came,
    /// The last one went.
    Went,
}

/// An account that is wanted.
#[derive(Clone, Debug)]
pub struct NewAccount<'a> {
    /// The contract it belongs to.
    pub realm: Realm,
    /// The part its person plays.
    pub role: Role,
    /// The e-mail address.
    pub email: &'a str,
    /// The name by which others know it, where the contract has such names.
    pub username: Option<&'a str>,
    /// The display name.
    pub name: Option<&'a str>,
    /// The password.
    pub password: &'a str,
    /// Where in the company it works.
    pub department: Option<&'a str>,
    /// What it is good at.
    pub specialization: Option<&'a str>,
}

impl<'a> NewAccount<'a> {
    /// Of somebody who answers, and is an admin where the realm has them, of whom only this is known. Where people have usernames it is the
    /// name, else what stands before the `@`.
    pub fn of_staff(realm: Realm, email: &'a str, password: &'a str, name: Option<&'a str>) -> Self {
        let before_at = email.split('@').next().unwrap_or(email);
        let (role, username) = if realm.has_admins() { (Role::Admin, Some(name.unwrap_or(before_at))) } else { (Role::Agent, None) };
        Self { realm, role, email, username, name, password, department: None, specialization: None }
    }
}

impl Desk {
    /// Makes an account for whoever asks: of a visitor for everybody, of who answers for admins and privileged callers, and where the realm's
    /// people sign up for that themselves, as far as `ADMIN_SIGNUP` allows.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::AccountExists`], [`Error::RateLimited`].
    pub async fn sign_up(&self, who: Option<&Principal>, visit: (Peer, IpAddr), new: NewAccount<'_>) -> Result<Account, Error> {
        let realm = new.realm;
        let first_only = self.allow_sign_up(who, &new)? && {
            if self.store.count_accounts(realm).await? > 0 {
                return Err(Error::Forbidden);
            }
            true
        };
        self.tries.count_sign_up(visit, self.now())?;
        let account = self.create_account(new).await?;
        // Of two first ones at once neither may stay by chance: where there is another, this one goes.
        if first_only && self.store.count_accounts(realm).await? > 1 {
            self.store.remove_account(&account.id).await?;
            return Err(Error::Forbidden);
        }
        tracing::info!(account.id = %account.id, role = account.role.name(), "an account was made");
        Ok(account)
    }

    /// Whether the caller may make the account; `true` where only as the realm's first one.
    fn allow_sign_up(&self, who: Option<&Principal>, new: &NewAccount<'_>) -> Result<bool, Error> {
        let is_admin = |w: &Principal| w.person().is_some_and(|p| p.role == Role::Admin && p.realm == new.realm);
        if new.role == Role::Visitor || who.is_some_and(|w| w.is_privileged() || is_admin(w)) {
            return Ok(false);
        }
        match self.authority.sign_up() {
            SignUp::Open if new.realm.lets_agents_sign_up() => Ok(false),
            SignUp::First if new.realm.lets_agents_sign_up() => Ok(true),
            _ => Err(Error::Forbidden),
        }
    }

    /// Makes an account. The caller has the right to: the command line, or [`Desk::sign_up`].
    ///
    /// # Errors
    /// [`Error::AccountExists`].
    pub async fn create_account(&self, new: NewAccount<'_>) -> Result<Account, Error> {
        if self.store.find_account_by_email(new.realm, new.email).await?.is_some() {
            return Err(Error::AccountExists);
        }
        let (text, now) = (|t: Option<&str>| t.map(Arc::from), self.now());
        let account = Account {
            id: AccountId::random(),
            realm: new.realm,
            role: new.role,
            email: new.email.into(),
            username: text(new.username),
            name: text(new.name),
            password: self.passwords.hash(new.password).await?,
            department: text(new.department),
            specialization: text(new.specialization),
            status: Availability::Offline,
            created_at: now,
            updated_at: now,
            seen_at: now,
        };
        if self.store.insert_account(&account).await? { Ok(account) } else { Err(Error::AccountExists) }
    }

    /// The caller's own account.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for callers without one.
    pub async fn own_account(&self, who: &Principal) -> Result<Account, Error> {
        let person = who.person().ok_or(Error::Unauthenticated)?;
        self.store.find_account(&AccountId::stored(person.id.clone())).await?.ok_or(Error::Unauthenticated)
    }

    /// Lets those who answer visitors through, and privileged callers.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub fn demand_staff(&self, who: &Principal) -> Result<(), Error> {
        allow_staff(who)
    }

    /// Lets admins and privileged callers through.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub fn demand_admin(&self, who: &Principal) -> Result<(), Error> {
        allow_admin(who)
    }

    /// The realm's accounts with one of these roles, newest first, at most 1,000. Those who answer see everybody, others only who answers.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`].
    pub async fn accounts(&self, who: &Principal, roles: &[Role]) -> Result<Vec<Account>, Error> {
        if who.person().is_none() || roles.contains(&Role::Visitor) {
            allow_staff(who)?;
        }
        Ok(self.store.list_accounts(who.realm(), roles, LIST_LIMIT).await?)
    }

    /// Sets what the account's person declares: its own, or for admins anybody's. Tells those who answer.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::AccountNotFound`].
    pub async fn declare_status(&self, who: &Principal, id: &AccountId, status: Availability) -> Result<Account, Error> {
        let is_own = who.person().is_some_and(|p| *p.id == *id.as_str());
        if !is_own {
            allow_admin(who)?;
        }
        let known = self.store.find_account(id).await?.filter(|a| a.realm == who.realm()).ok_or(Error::AccountNotFound)?;
        let turn = self.comings.take(&known.person().key().into()).await;
        let account = self.change_status(&known, status, None).await?;
        drop(turn);
        self.serve_queue_of(&account, status).await?;
        Ok(account)
    }

    /// Stores how the account's person stands, and then tells it: in other contracts as the agent's record has it, which is offline without connections.
    async fn change_status(&self, account: &Account, status: Availability, passage: Option<Passage>) -> Result<Account, Error> {
        let now = self.now();
        let change = AccountChange { status: Some(status), seen_at: Some(now) };
        let account = self.store.change_account(&account.id, &change, now).await?.ok_or(Error::AccountNotFound)?;
        self.follow_status(&account, status).await?;
        let person = account.person();
        let mut to = vec![Audience::Agents(account.realm), Audience::Person(person.key().into())];
        if account.realm.has_participants() {
            let shared = self.store.list_of_person(&person.key(), SHARED_LIMIT).await?;
            if let Some(passage) = passage.filter(|_| self.contracts == Contracts::Together) {
                self.tell_elsewhere(&shared, &person, passage);
            }
            to.extend(shared.into_iter().filter(|s| s.realm == account.realm).map(|session| Audience::Session(session.id)));
        }
        self.announce.signal(&to, Signal::Presence { person, status, at: now }, None);
        Ok(account)
    }

    /// Tells the person's coming or going to those of other contracts in these sessions.
    fn tell_elsewhere(&self, shared: &[Session], person: &Person, passage: Passage) {
        for session in shared.iter().filter(|s| s.is_answered_elsewhere()) {
            let (id, person, at) = (session.id.clone(), person.clone(), self.now());
            let signal = match passage {
                Passage::Came => Signal::Came { session: id, person, at },
                Passage::Went => Signal::Went { session: id, person, at },
            };
            self.announce.signal(&[Audience::Session(session.id.clone())], signal, None);
        }
    }

    /// A login makes the account's person be online. Where he is connected and said otherwise that is told; else his first connection tells it.
    pub(super) async fn come_online(&self, account: &Account) -> Result<(), Error> {
        let (key, now) = (account.person().key(), self.now());
        let turn = self.comings.take(&key.as_str().into()).await;
        if account.status != Availability::Online && self.is_present(&key).await? {
            self.change_status(account, Availability::Online, None).await?;
            drop(turn);
            return self.serve_queue_of(account, Availability::Online).await;
        }
        let online = AccountChange { status: Some(Availability::Online), seen_at: Some(now) };
        Ok(self.store.change_account(&account.id, &online, now).await.map(drop)?)
    }

    /// Notes a connection of a person with an account, who is online with the first one, and is given sessions where he answers those of a queue.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn person_arrived(&self, person: &Person, conn: &ConnId) -> Result<(), Error> {
        let turn = self.comings.take(&person.key().into()).await;
        let passage = (!self.is_present(&person.key()).await?).then_some(Passage::Came);
        self.note_arrival(&person.key(), conn).await?;
        let account = self.person_is_there(person, passage).await?;
        drop(turn);
        match account {
            Some(account) => self.serve_queue_of(&account, Availability::Online).await,
            None => Ok(()),
        }
    }

    /// Notes that the person is there, and answers its account.
    pub(super) async fn person_is_there(&self, person: &Person, passage: Option<Passage>) -> Result<Option<Account>, Error> {
        let Some(account) = self.find_account(person).await? else { return Ok(None) };
        if takes_sessions(&account) {
            let agent = self.enlist(&account).await?;
            self.store.set_attended(&agent.id, true, self.now()).await?;
        }
        self.change_status(&account, Availability::Online, passage).await.map(Some)
    }

    /// Forgets a connection; with the last one the person is offline.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn person_left(&self, person: &Person, conn: &ConnId) -> Result<(), Error> {
        let _turn = self.comings.take(&person.key().into()).await;
        if self.note_departure(&person.key(), conn).await? { self.see_off(&person.key()).await } else { Ok(()) }
    }

    /// The person's last connection is gone. Its turn is taken.
    pub(super) async fn person_vanished(&self, person: &Person) -> Result<(), Error> {
        let Some(account) = self.find_account(person).await? else { return Ok(()) };
        if takes_sessions(&account) {
            let agent = AgentId::of(account.realm, account.id.as_str());
            let gone = self.store.set_availability(&agent, None, Availability::Offline, None).await?;
            self.store.set_attended(&agent, false, self.now()).await?;
            if let Some(gone) = gone {
                self.tell_availability(gone, true, None).await;
            }
        }
        self.change_status(&account, Availability::Offline, Some(Passage::Went)).await.map(drop)
    }

    /// An agent who is there takes new sessions as he declares.
    async fn follow_status(&self, account: &Account, status: Availability) -> Result<(), Error> {
        if !takes_sessions(account) {
            return Ok(());
        }
        let id = AgentId::of(account.realm, account.id.as_str());
        if self.is_present(id.as_str()).await?
            && let Some(agent) = self.store.set_availability(&id, None, status, Some(self.now())).await?
        {
            self.tell_availability(agent, false, None).await;
        }
        Ok(())
    }

    /// Serves the queue from which the account's person is given sessions, where that is so, and he takes some now.
    pub(super) async fn serve_queue_of(&self, account: &Account, status: Availability) -> Result<(), Error> {
        if takes_sessions(account) && status == Availability::Online { self.drain_queue(account.realm).await } else { Ok(()) }
    }

    /// The newest accounts whose people are not offline.
    pub(super) async fn accounts_not_offline(&self, realm: Realm) -> Result<Vec<Account>, Error> {
        let roles = [Role::Visitor, Role::Agent, Role::Admin];
        let newest = self.store.list_accounts(realm, &roles, LIST_LIMIT).await?;
        Ok(newest.into_iter().filter(|a| a.status != Availability::Offline).collect())
    }

    async fn find_account(&self, person: &Person) -> Result<Option<Account>, Error> {
        Ok(self.store.find_account(&AccountId::stored(Arc::clone(&person.id))).await?)
    }
}

/// Whether the account's person is given sessions by a queue.
fn takes_sessions(account: &Account) -> bool {
    account.role.answers() && account.realm.has_queue()
}

/// Lets only admins and privileged callers through.
pub(super) fn allow_admin(who: &Principal) -> Result<(), Error> {
    if who.is_admin() || who.is_privileged() { Ok(()) } else { allow_staff(who).and(Err(Error::Forbidden)) }
}
