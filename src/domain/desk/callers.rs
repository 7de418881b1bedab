//! Who calls: credentials become principals here, and tokens are issued. How a credential is checked is not known here.

use std::net::IpAddr;

use super::Desk;
use crate::domain::error::Error;
use crate::domain::habits::Contracts;
use crate::domain::ids::AccountId;
use crate::domain::ports::{Credential, IssuedToken};
use crate::domain::principal::{Peer, Person, Principal, Realm, Role};
use crate::domain::session::Session;
use crate::domain::topic::SessionKind;

impl Desk {
    /// The caller whom the credential proves, calling from `peer`. In realms with accounts an agent's account must still exist, and
    /// a login must be stored and not have ended.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without one, [`Error::WrongKey`], [`Error::InvalidToken`].
    pub async fn authenticate(&self, realm: Realm, credential: Option<&Credential>, peer: Peer) -> Result<Principal, Error> {
        let credential = credential.ok_or(Error::Unauthenticated)?;
        if let Credential::Login(secret) = credential {
            return Ok(self.authenticate_login(realm, secret).await?.seen_from(peer));
        }
        match self.authority.verify(realm, credential, self.now())?.seen_from(peer) {
            Principal::Person { person, expires, login, peer } if realm.has_accounts() && person.role == Role::Agent => {
                let person = self.stored_person(&person).await?;
                Ok(Principal::Person { person, expires, login, peer })
            }
            other => Ok(other),
        }
    }

    /// The person as its account knows it.
    async fn stored_person(&self, person: &Person) -> Result<Person, Error> {
        let account = self.store.find_account(&AccountId::stored(person.id.clone())).await?;
        let same = account.filter(|a| a.realm == person.realm && person.email.as_ref().is_none_or(|e| *e == a.email));
        same.map(|a| a.person()).ok_or(Error::InvalidToken)
    }

    /// The caller behind a new socket of a contract that demands credentials. Without one a trusted peer is admitted where `ALLOW_ANONYMOUS`
    /// says so; a wrong credential never is.
    ///
    /// # Errors
    /// As [`Desk::authenticate`].
    pub async fn admit(&self, realm: Realm, credential: Option<&Credential>, peer: Peer) -> Result<Principal, Error> {
        match credential {
            None if peer == Peer::Trusted && self.authority.anonymous_sockets_are_allowed() => {
                Ok(Principal::Delegate { realm, has_key: false })
            }
            _ => self.authenticate(realm, credential, peer).await,
        }
    }

    /// The caller of a contract that demands none: with a credential whom it proves, without one a delegate if trusted, else a guest.
    ///
    /// # Errors
    /// As [`Desk::authenticate`] for a wrong credential, or where the realm lets nobody in without one.
    pub async fn receive(
        &self,
        realm: Realm,
        credential: Option<&Credential>,
        (peer, address): (Peer, IpAddr),
    ) -> Result<Principal, Error> {
        match credential {
            None if !realm.admits_guests() => Err(Error::Unauthenticated),
            None if peer == Peer::Trusted => Ok(Principal::Delegate { realm, has_key: false }),
            None => Ok(Principal::Guest { realm, address }),
            Some(_) => self.authenticate(realm, credential, peer).await,
        }
    }

    /// A token that names `person`. Visitors' tokens are for everybody unless `VISITOR_TOKENS=key`; all others need the API key,
    /// a `system` token, or a trusted peer that shows no credential.
    ///
    /// # Errors
    /// As [`Desk::authenticate`] for a credential that is wrong or missing; [`Error::Forbidden`] where it does not suffice.
    pub async fn issue_token(&self, person: &Person, credential: Option<&Credential>, peer: Peer) -> Result<IssuedToken, Error> {
        let now = self.now();
        if person.role == Role::Visitor && self.authority.visitor_tokens_are_open() {
            return self.authority.issue(person, now);
        }
        if credential.is_some() || peer != Peer::Trusted {
            let caller = self.authenticate(person.realm, credential, peer).await?;
            if !caller.is_privileged() {
                return Err(Error::Forbidden);
            }
        }
        self.authority.issue(person, now)
    }
}

impl Desk {
    /// Whether the caller's contract may have to do with the session at all.
    pub(super) fn concerns(&self, session: &Session, who: &Principal) -> bool {
        match self.contracts {
            Contracts::Together => session.concerns(who.realm()),
            Contracts::Apart => session.realm == who.realm(),
        }
    }

    /// Whether the caller may see and use the session. The only place that decides it.
    pub(super) fn admits(&self, session: &Session, who: &Principal) -> bool {
        self.concerns(session, who) && session.admits(who)
    }

    /// The realms whose agents hear of every session like this one.
    pub(super) fn sharing(&self, session: &Session) -> impl Iterator<Item = Realm> {
        let (own, together) = (session.realm, self.contracts == Contracts::Together && session.kind == SessionKind::Support);
        Realm::ALL.into_iter().filter(move |r| r.shares_sessions() && (*r == own || together))
    }
}

/// Lets only those through who may see every session and agent of their realm, and sessions of others where contracts are together: privileged callers, and agents where the realm shares its sessions.
pub(super) fn allow_overview(who: &Principal) -> Result<(), Error> {
    allow_staff(who)?;
    if who.is_privileged() || who.realm().shares_sessions() { Ok(()) } else { Err(Error::Forbidden) }
}

/// Lets only those through who answer visitors. A guest is told to show a credential.
pub(super) fn allow_staff(who: &Principal) -> Result<(), Error> {
    match who {
        _ if who.is_staff() => Ok(()),
        Principal::Guest { .. } => Err(Error::Unauthenticated),
        _ => Err(Error::Forbidden),
    }
}
