//! One import, from the first question to the report: people, then sessions with their messages, in batches. Knows no original's words.

use std::path::Path;

use bson::Document;

use super::fields::Fields;
use super::source::{self, Source};
use super::write::Batch;
use super::{Original, People, Plan, Report, operators, rooms, support, widget};
use crate::domain::agent::Agent;
use crate::domain::error::StoreError;
use crate::domain::ids::SessionId;
use crate::domain::principal::{Person, Realm, Role};
use crate::domain::store::{SessionQuery, Store};
use crate::domain::time::Timestamp;

/// Where the original's data is.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// On MongoDB.
    Database {
        /// The server's URL, which may hold a password.
        uri: &'a str,
        /// The database's name there; else the URL's, else `test`.
        name: Option<&'a str>,
    },
    /// On MongoDB, in the very database that the store has.
    InPlace {
        /// The server's URL, which may hold a password.
        uri: &'a str,
        /// The database's name there.
        name: &'a str,
    },
    /// In a file of JSON lines, as docs/OPERATIONS.md describes it.
    File {
        /// Its path.
        path: &'a Path,
        /// Whose rows they are: `operators`' or `widget`'s.
        dialect: Realm,
    },
}

/// What is to be imported.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Where the original's data is.
    pub from: Origin<'a>,
    /// Where it goes; nowhere in a dry run, which reads everything and writes nothing.
    pub target: Option<&'a dyn Store>,
    /// The present.
    pub now: Timestamp,
}

/// Does what is to be done before a store can be opened where the original's data goes: in place its collections get other names. May be repeated.
///
/// # Errors
/// A database of nobody known, or in which a new name is taken; whatever keeps it from being changed.
pub async fn set_aside(from: Origin<'_>) -> Result<(), StoreError> {
    match from {
        Origin::InPlace { uri, name } => source::set_aside(uri, name).await,
        Origin::Database { .. } | Origin::File { .. } => Ok(()),
    }
}

/// Imports everything, and tells after each batch how many messages were read, of how many. May be repeated, also after it was cut short anywhere: what is
/// there already is not touched, and what has come since is added.
///
/// # Errors
/// Whatever keeps the original's database from being read, or the store from being written; then part of it is imported, and the next try goes on.
pub async fn run(wish: Wish<'_>, tell: &mut (dyn FnMut(u64, u64) + Send)) -> Result<Report, StoreError> {
    let source = Source::open(wish.from).await?;
    let mut report = Report::default();
    report.count(format!("{} to read", source.original.people()), source.count(source.original.people()).await?);
    report.count(format!("{} to read", source.original.sessions()), source.count(source.original.sessions()).await?);
    let messages = source.count("messages").await?;
    report.count("messages to read", messages);
    census("before", source.original, wish.target, &mut report).await?;
    let mut run = Run { source, wish, people: People::new(), report, batch: Batch::default(), read: 0, messages, tell };
    run.take_people().await?;
    run.survey().await?;
    run.take_messages().await?;
    run.take_the_silent().await?;
    let Run { source, mut report, .. } = run;
    census("after", source.original, wish.target, &mut report).await?;
    Ok(report)
}

/// Counts what is in the store.
async fn census(when: &str, original: Original, target: Option<&dyn Store>, report: &mut Report) -> Result<(), StoreError> {
    let Some(store) = target else { return Ok(()) };
    let realm = original.realm();
    let people = match original {
        Original::Support | Original::Operators => store.list_agents(realm).await?.len() as u64,
        Original::Rooms | Original::Widget => store.count_accounts(realm).await?,
    };
    let sessions = store.list_sessions(&SessionQuery::of(realm, 0)).await?.total;
    report.count(format!("{} here {when}", original.people()), people);
    report.count(format!("sessions here {when}"), sessions);
    match store.totals(realm).await {
        Ok(totals) => {
            report.count(format!("open sessions here {when}"), sessions.saturating_sub(totals.ended));
            report.count(format!("messages here {when}"), totals.messages);
            Ok(())
        }
        // Very many take longer than a question may; that is no reason to fail.
        Err(StoreError::Timeout(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Stores an agent who is not there, and answers who it is.
async fn insert_agent(target: Option<&dyn Store>, agent: Agent) -> Result<Person, StoreError> {
    if let Some(store) = target {
        store.insert_agent(&agent).await?;
    }
    Ok(agent.person())
}

/// An import under way.
struct Run<'a> {
    source: Source,
    wish: Wish<'a>,
    people: People,
    report: Report,
    batch: Batch,
    /// How many messages were read, of how many.
    read: u64,
    messages: u64,
    tell: &'a mut (dyn FnMut(u64, u64) + Send),
}

/// The session whose messages are being read.
struct Group {
    /// As its messages name it.
    key: Option<String>,
    /// `None` where there is no such session.
    plan: Option<Plan>,
    /// Whether the store has it already.
    is_there: bool,
    last_at: Option<Timestamp>,
}

impl Run<'_> {
    /// Imports agents or accounts, and remembers who they are: people are few beside what they say.
    async fn take_people(&mut self) -> Result<(), StoreError> {
        let mut rows = self.source.all(self.source.original.people()).await?;
        while let Some(row) = rows.next().await? {
            let row = Fields(&row);
            let (target, now, report) = (self.wish.target, self.wish.now, &mut self.report);
            let person = match self.source.original {
                Original::Support => Some(insert_agent(target, support::agent(row, now, report)).await?),
                Original::Operators => Some(insert_agent(target, operators::agent(row, now, report)).await?),
                Original::Rooms => rooms::take_account(row, target, now, report).await?,
                Original::Widget => widget::take_account(row, target, now, report).await?,
            };
            self.people.extend(person.map(|person| (row.id(), person)));
        }
        Ok(())
    }

    /// Looks at every session once for what is odd about it, so that a session is named once however often it is read.
    async fn survey(&mut self) -> Result<(), StoreError> {
        let mut rows = self.source.all(self.source.original.sessions()).await?;
        while let Some(row) = rows.next().await? {
            self.source.original.plan(Fields(&row), &self.people, &mut self.report);
        }
        Ok(())
    }

    async fn take_messages(&mut self) -> Result<(), StoreError> {
        let (session, _) = self.source.original.message_fields();
        let mut rows = self.source.messages().await?;
        let mut group: Option<Group> = None;
        while let Some(row) = rows.next().await? {
            let key = Fields(&row).key(session);
            let mut present = match group.take() {
                Some(group) if group.key == key => group,
                other => {
                    self.close(other).await?;
                    self.open(key).await?
                }
            };
            self.take_message(&mut present, &row).await?;
            group = Some(present);
        }
        self.close(group).await?;
        self.flush().await
    }

    /// Imports the sessions in which nothing was said.
    async fn take_the_silent(&mut self) -> Result<(), StoreError> {
        let Some(store) = self.wish.target else { return Ok(()) };
        let mut rows = self.source.all(self.source.original.sessions()).await?;
        while let Some(row) = rows.next().await? {
            let plan = self.source.original.plan(Fields(&row), &self.people, &mut Report::default());
            if store.find_session(&plan.session.id).await?.is_none() {
                self.close(Some(Group { key: None, plan: Some(plan), is_there: false, last_at: None })).await?;
            }
        }
        self.flush().await
    }

    async fn open(&mut self, key: Option<String>) -> Result<Group, StoreError> {
        let row: Option<Document> = match &key {
            Some(key) => self.source.session(key).await?,
            None => None,
        };
        let plan = row.map(|row| self.source.original.plan(Fields(&row), &self.people, &mut Report::default()));
        let is_there = match &plan {
            Some(plan) => self.is_there(&plan.session.id).await?,
            None => false,
        };
        Ok(Group { key, plan, is_there, last_at: None })
    }

    /// Whether the store has the session, or gets it with the present batch: where messages name one session in two ways, they come in two groups.
    async fn is_there(&self, id: &SessionId) -> Result<bool, StoreError> {
        let Some(store) = self.wish.target else { return Ok(false) };
        Ok(self.batch.holds(id) || store.find_session(id).await?.is_some())
    }

    async fn take_message(&mut self, group: &mut Group, row: &Document) -> Result<(), StoreError> {
        let row = Fields(row);
        self.read += 1;
        let Some(plan) = &mut group.plan else {
            self.report.note("messages of a session that is not there: left out", &row.id());
            return Ok(());
        };
        let Some(said) = self.source.original.said(row, &plan.session, &self.people, &mut self.report) else { return Ok(()) };
        if group.last_at == Some(said.draft.at) {
            self.report.note("messages of the same moment as the one before: in the order of their ids, or of the file", &row.id());
        }
        group.last_at = Some(said.draft.at);
        // Who came to answer a session that is there stands in its log already.
        while !group.is_there && plan.assignments.front().is_some_and(|made| made.at <= said.draft.at) {
            self.batch.drafts.extend(plan.assignments.pop_front());
        }
        plan.session.spoken |= plan.session.realm.lists_by_activity() && said.draft.author.role != Role::System;
        self.batch.take(said);
        if self.batch.is_full() { self.flush().await } else { Ok(()) }
    }

    /// The last message of the group was read.
    async fn close(&mut self, group: Option<Group>) -> Result<(), StoreError> {
        let Some(Group { plan: Some(mut plan), is_there, .. }) = group else { return Ok(()) };
        if !is_there {
            self.batch.drafts.extend(std::mem::take(&mut plan.assignments));
        }
        self.batch.drafts.extend(plan.end.take());
        if !is_there {
            self.batch.sessions.push((plan.session, plan.key));
        }
        if self.batch.is_full() { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut self.batch);
        if let Some(store) = self.wish.target {
            batch.write(store, self.wish.now, &mut self.report).await?;
        }
        (self.tell)(self.read, self.messages);
        Ok(())
    }
}
