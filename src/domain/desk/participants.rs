//! Sessions of several people: opening them, showing who takes part, and telling those whom a change concerns.

use std::sync::Arc;

use super::Desk;
use super::callers::allow_staff;
use crate::domain::account::Account;
use crate::domain::agent::Agent;
use crate::domain::entry::{Content, Draft, Entry};
use crate::domain::error::Error;
use crate::domain::habits::Contracts;
use crate::domain::ids::{AccountId, AgentId, ConnId, EntryId, SessionId};
use crate::domain::ports::{Audience, Signal};
use crate::domain::principal::{Person, Principal, Realm, Role};
use crate::domain::session::{Assignee, Session, Status};
use crate::domain::store::{Appended, SessionQuery};
use crate::domain::time::Timestamp;
use crate::domain::topic::{SessionKind, Topic};

/// How many sessions of a person are listed at most.
const LIST_LIMIT: u32 = 500;

/// How many open sessions of his own a visitor may have: everybody he asks into one hears it on all his sockets, which have so many places.
const MOST_OF_VISITOR: usize = 50;

/// A session that is wanted.
#[derive(Clone, Debug, Default)]
pub struct NewRoom {
    /// What kind of conversation.
    pub kind: SessionKind,
    /// What it is about.
    pub topic: Topic,
    /// Who takes part besides whoever opens it.
    pub invited: Vec<AccountId>,
    /// Who is to answer it, whether he is there or not.
    pub agent: Option<AccountId>,
}

/// Somebody with an account, and a connection where he is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The account.
    pub account: Account,
    /// A connection to any node.
    pub conn: Option<ConnId>,
}

impl Known {
    /// Whether he is there.
    pub fn is_here(&self) -> bool {
        self.conn.is_some()
    }
}

/// A session with what lists show of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The session.
    pub session: Session,
    /// Who takes part, answers it, or opened it, as far as there still is an account.
    pub people: Vec<Known>,
    /// The record of who answers it, where his contract keeps no logins: how he stands.
    pub agent: Option<Arc<Agent>>,
    /// Its last message.
    pub last: Option<Entry>,
}

impl Overview {
    /// When something was last done or said.
    pub fn active_at(&self) -> Timestamp {
        self.last.as_ref().map_or(self.session.updated_at, |last| last.at.max(self.session.updated_at))
    }

    /// The account of a person, where there is one. An id alone is none: that of another realm's person may be the same.
    pub fn known(&self, person: &Person) -> Option<&Known> {
        self.people.iter().find(|p| p.account.realm == person.realm && p.account.id.as_str() == &*person.id)
    }

    /// How a person without an account stands who answers it.
    pub fn standing(&self, person: &Person) -> Option<&Agent> {
        self.agent.as_deref().filter(|agent| person.role.answers() && agent.id == AgentId::of(person.realm, &person.id))
    }
}

impl Desk {
    /// Opens a session for the caller and whomever he invites. It begins with its subject, where it has one, as a message of the caller; one of
    /// support waits for an agent, who is looked for at once.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for callers without an account; [`Error::AccountNotFound`] where somebody invited has none;
    /// [`Error::AgentNotFound`] where the agent does not answer anybody; [`Error::TooManySessions`] for visitors who have very many open;
    /// [`Error::RateLimited`].
    pub async fn open_room(&self, who: &Principal, new: NewRoom) -> Result<Overview, Error> {
        let creator = self.own_account(who).await?.person();
        let NewRoom { kind, topic, invited, agent } = new;
        self.openings.take(creator.key(), self.now()).map_err(|retry_after_ms| Error::RateLimited { retry_after_ms })?;
        if creator.role == Role::Visitor {
            let own = self.own_sessions(who).await?.into_iter().filter(|s| s.visitor.is(&creator)).count();
            if own >= MOST_OF_VISITOR {
                return Err(Error::TooManySessions);
            }
        }
        let invited = self.invited(creator.realm, &invited).await?;
        let agent = match agent {
            Some(agent) => Some(self.staff(creator.realm, &agent).await?),
            None => None,
        };
        let status = match (kind, &agent) {
            (SessionKind::Support, None) => Status::Waiting,
            // In no queue, from which somebody else could be given it first.
            (SessionKind::Support, Some(_)) => Status::Pending,
            (SessionKind::Direct | SessionKind::Group, _) => Status::Active,
        };
        let mut session = Session { kind, status, ..Session::open(creator.clone(), self.now()) };
        for person in invited {
            if !session.has(&person) {
                session.participants.push(person);
            }
        }
        let line = topic.first_line();
        session.topic = (topic != Topic::default()).then(|| Arc::new(topic));
        self.store.insert_session(&session, None).await?;
        self.tell_opened(&session);
        if let Some(body) = line {
            let (content, id) = (Content::Message(body.into()), EntryId::random());
            let draft = Draft { session: session.id.clone(), id, at: self.now(), author: creator, client_key: None, content };
            if let Appended::Stored(entry) = self.append(draft).await? {
                let entry = Arc::new(entry);
                self.announce.appended(Arc::clone(&entry));
                self.note_activity(&session, &entry).await;
            }
        }
        let seq = self.store.head(&session.id).await?.seq;
        for person in &session.participants {
            self.announce.summon(&person.key(), &session.id, seq);
        }
        match agent {
            Some(agent) => self.give(&session.id, &agent).await?,
            None => self.drain_queue(session.realm).await?,
        }
        let session = self.store.find_session(&session.id).await?.unwrap_or(session);
        self.overview(session).await
    }

    async fn invited(&self, realm: Realm, ids: &[AccountId]) -> Result<Vec<Person>, Error> {
        let found = self.store.find_accounts(ids).await?;
        let person = |id: &AccountId| found.iter().find(|a| a.id == *id && a.realm == realm).map(Account::person);
        ids.iter().map(|id| person(id).ok_or(Error::AccountNotFound)).collect()
    }

    /// The account of somebody who answers.
    ///
    /// # Errors
    /// [`Error::AgentNotFound`].
    pub(super) async fn staff(&self, realm: Realm, id: &AccountId) -> Result<Account, Error> {
        let found = self.store.find_account(id).await?;
        found.filter(|a| a.realm == realm && a.role.answers()).ok_or(Error::AgentNotFound)
    }

    /// The caller's open sessions, last changed first, at most 500.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for callers whom no credential names.
    pub async fn own_sessions(&self, who: &Principal) -> Result<Vec<Session>, Error> {
        let person = who.person().ok_or(Error::Unauthenticated)?;
        let found = self.store.list_of_person(&person.key(), LIST_LIMIT).await?;
        Ok(found.into_iter().filter(|s| self.concerns(s, who)).collect())
    }

    /// The accounts of those who take part in the caller's open sessions.
    ///
    /// # Errors
    /// As [`Desk::own_sessions`].
    pub async fn companions(&self, who: &Principal) -> Result<Vec<Account>, Error> {
        let mut ids: Vec<AccountId> = self.own_sessions(who).await?.iter().flat_map(involved).collect();
        ids.sort();
        ids.dedup();
        Ok(self.store.find_accounts(&ids).await?)
    }

    /// The sessions that the caller answers, or answered last, with this status if one is given.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Forbidden`] for callers who answer nobody.
    pub async fn answered_sessions(&self, who: &Principal, status: Option<Status>) -> Result<Vec<Session>, Error> {
        allow_staff(who)?;
        let person = who.person().ok_or(Error::Unauthenticated)?;
        let found = self.store.list_of_agent(&AgentId::of(person.realm, &person.id), status, LIST_LIMIT).await?;
        Ok(found.into_iter().filter(|s| self.concerns(s, who)).collect())
    }

    /// A session as lists show it. The caller has been let into it, or may see them all.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn overview(&self, session: Session) -> Result<Overview, Error> {
        let one = self.overviews(vec![session]).await?.pop();
        one.ok_or(Error::SessionNotFound)
    }

    /// Sessions as lists show them, in their order.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn overviews(&self, sessions: Vec<Session>) -> Result<Vec<Overview>, Error> {
        let ids: Vec<SessionId> = sessions.iter().map(|s| s.id.clone()).collect();
        let mut wanted: Vec<AccountId> = sessions.iter().flat_map(involved).collect();
        wanted.sort();
        wanted.dedup();
        let accounts = self.store.find_accounts(&wanted).await?;
        let known = self.known(accounts).await?;
        let agents = self.agents_without_accounts(&sessions).await?;
        let lasts = self.store.last_messages(&ids, true).await?;
        let overview = |(session, last): (Session, Option<Entry>)| {
            let concerned: Vec<AccountId> = involved(&session).collect();
            let people = known.iter().filter(|k| concerned.contains(&k.account.id)).cloned().collect();
            let agent = session.agent.as_ref().and_then(|a| agents.iter().find(|known| known.id == a.id)).cloned();
            Overview { session, people, agent, last }
        };
        Ok(sessions.into_iter().zip(lasts).map(overview).collect())
    }

    /// The records of those who answer these sessions and have no account whose status would be shown.
    async fn agents_without_accounts(&self, sessions: &[Session]) -> Result<Vec<Arc<Agent>>, Error> {
        if self.contracts == Contracts::Apart {
            return Ok(Vec::new());
        }
        let answering = sessions.iter().filter_map(|s| s.agent.as_ref().map(|a| a.id.clone()));
        let mut wanted: Vec<AgentId> = answering.filter(|id| !id.realm().keeps_logins()).collect();
        wanted.sort();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.store.find_agents(&wanted).await?.into_iter().map(Arc::new).collect())
    }

    /// Who takes part in the sessions of several people that changed last, since this moment: his key, the session, and the entry since which he
    /// does. For a node that may have missed a summons.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn recent_participants(&self, since: Timestamp) -> Result<Vec<(String, SessionId, u64)>, Error> {
        let mut recent = Vec::new();
        let realms = Realm::ALL.into_iter().filter(|r| r.has_participants()).map(Some);
        // In sessions of support of other realms an agent of these may take part.
        for realm in realms.chain([None]) {
            let changed = SessionQuery { realm, since: Some(since), open_only: true, ..SessionQuery::of(Realm::Support, LIST_LIMIT) };
            let found = self.store.list_sessions(&changed).await?.sessions;
            for session in found.into_iter().filter(|s| realm.is_some() || !s.realm.has_participants()) {
                let assigned = if session.assignment > 0 { self.assigned_at(&session.id).await? } else { 0 };
                let began = u64::from(session.topic.as_ref().is_some_and(|t| t.first_line().is_some()));
                let after = |p: &Person| if session.is_of_agent(p) { assigned } else { began };
                recent.extend(session.participants.iter().map(|p| (p.key(), session.id.clone(), after(p))));
            }
        }
        Ok(recent)
    }

    /// Tells those whom it concerns that somebody else answers the session, or nobody any more, and how he stands. It is stored, so failures are for the
    /// log alone.
    pub(super) async fn tell_change_of_hands(&self, session: &Session, entry: &Arc<Entry>, origin: Option<&ConnId>) {
        self.tell_reassigned(session, entry).await;
        self.tell_who_answers(entry, origin).await;
    }

    /// The same for contracts that know sessions by their people: connections join and leave it.
    async fn tell_reassigned(&self, session: &Session, entry: &Entry) {
        let Content::Assigned(made) = &entry.content else { return };
        let is_shown_elsewhere = self.contracts == Contracts::Together && made.former.is_some();
        if session.participants.is_empty() && !is_shown_elsewhere {
            return;
        }
        let overview = match self.overview(session.clone()).await {
            Ok(overview) => Arc::new(overview),
            Err(error) => return tracing::warn!(session.id = %session.id, %error, "a change of who answers could not be told"),
        };
        let reason = made.reason.clone().unwrap_or_default();
        let agent_key = |agent: &AgentId| format!("{}:{}", agent.realm().name(), agent.in_realm());
        let person = |key: String| Audience::Person(key.into());
        let together = self.contracts == Contracts::Together;
        let admins = Realm::ALL.into_iter().filter(|r| r.has_admins() && (*r == session.realm || together && session.concerns(*r)));
        let mut staff: Vec<Audience> = admins.map(Audience::Admins).collect();
        staff.extend(made.former.iter().map(|former| person(agent_key(former))));
        let people = session.people();
        let (agents, others): (Vec<&Person>, Vec<&Person>) = people.iter().partition(|p| p.role.answers());
        staff.extend(agents.into_iter().map(|p| person(p.key())));
        let others: Vec<Audience> = others.into_iter().map(|p| person(p.key())).collect();
        if let (Some(former), None) = (&made.former, &made.agent) {
            let at = entry.at;
            let taken = Signal::Taken { session: session.id.clone(), former: former.clone(), reason: Arc::clone(&reason), at };
            // The former agent's sockets may have left already.
            self.announce.signal(&[Audience::Session(session.id.clone()), person(agent_key(former))], taken, None);
            let dismissed = Signal::Dismissed { session: session.id.clone(), reason: Arc::clone(&reason) };
            self.announce.signal(&[person(agent_key(former))], dismissed, None);
        }
        for (to, to_staff) in [(staff, true), (others, false)] {
            let changed = Signal::Reassigned { overview: Arc::clone(&overview), reason: Arc::clone(&reason), to_staff };
            self.announce.signal(&to, changed, None);
        }
        if let Some(agent) = &made.agent {
            self.announce.signal(&[person(agent_key(&agent.id))], Signal::Given { overview, reason }, None);
        }
        for agent in made.former.iter().chain(made.agent.as_ref().map(|a| &a.id)) {
            self.announce.summon(&agent_key(agent), &session.id, entry.seq());
        }
    }
}

/// The accounts of those whom a session shows, as far as their realm shows people by their accounts.
fn involved(session: &Session) -> impl Iterator<Item = AccountId> {
    let people = session.people().into_iter().chain([session.visitor.clone()]).chain(session.agent.as_ref().map(Assignee::person));
    people.filter(|p| p.realm.keeps_logins()).map(|p| AccountId::stored(p.id))
}
