//! The connections of this node by the person whose they are, so that a person can be summoned to a session. Knows no session's state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::inbox::{Item, Sender};
use crate::domain::ids::{ConnId, SessionId};

/// All connections whose credential names a person.
#[derive(Default)]
pub(super) struct Roster {
    of: Mutex<HashMap<Arc<str>, HashMap<ConnId, Sender>>>,
}

/// A connection's place in the roster, which is given up when this is dropped.
pub(super) struct Listed {
    roster: Arc<Roster>,
    person: Arc<str>,
    conn: ConnId,
}

impl Roster {
    /// Lists a connection under the key of its person.
    pub(super) fn list(self: &Arc<Self>, person: String, conn: ConnId, inbox: Sender) -> Listed {
        let person: Arc<str> = person.into();
        self.of().entry(Arc::clone(&person)).or_default().insert(conn.clone(), inbox);
        Listed { roster: Arc::clone(self), person, conn }
    }

    /// Has the person's connections look at the session, each in its turn; `again` those alone that were not there since they came.
    pub(super) fn summon(&self, person: &str, session: &SessionId, after: u64, again: bool) {
        for inbox in self.of().get(person).into_iter().flat_map(HashMap::values) {
            inbox.push(Item::Summons { session: session.clone(), after, again });
        }
    }

    fn of(&self) -> MutexGuard<'_, HashMap<Arc<str>, HashMap<ConnId, Sender>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut of = self.roster.of();
        if let Some(connections) = of.get_mut(&self.person) {
            connections.remove(&self.conn);
            if connections.is_empty() {
                of.remove(&self.person);
            }
        }
    }
}
