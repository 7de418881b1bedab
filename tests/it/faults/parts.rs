//! Parts of a node that tests in this process put together themselves.

use std::sync::{Arc, Mutex};

use helpline::auth::password::Hasher;
use helpline::auth::{Auth, Settings};
use helpline::domain::agent::Availability;
use helpline::domain::desk::{Desk, Policy, Ports};
use helpline::domain::entry::Entry;
use helpline::domain::ids::SessionId;
use helpline::domain::ports::{Announce, Audience, SignUp, Signal};
use helpline::domain::store::Store;
use helpline::domain::time::{SystemClock, Timestamp};
use helpline::secret::Secret;

use crate::harness::shop::{JWT_SECRET, KEY};

/// A judge of credentials that knows the tests' key.
pub(crate) fn authority() -> Arc<Auth> {
    Arc::new(Auth::new(Settings {
        jwt_secret: Secret::new(JWT_SECRET),
        api_key: Some(Secret::new(KEY)),
        visitor_tokens_open: true,
        allow_anonymous: false,
        sign_up: SignUp::Closed,
        legacy_tokens_until: Timestamp(0),
    }))
}

/// A desk over this store that tells nobody anything, and has a node's name of its own.
pub(crate) fn desk_over(store: Arc<dyn Store>) -> Arc<Desk> {
    desk_under(store, Policy::default())
}

/// The same under this policy.
pub(crate) fn desk_under(store: Arc<dyn Store>, policy: Policy) -> Arc<Desk> {
    desk_telling(store, Arc::new(Unheard), policy)
}

/// A desk that tells this one everything.
pub(crate) fn desk_telling(store: Arc<dyn Store>, listener: Arc<dyn Announce>, policy: Policy) -> Arc<Desk> {
    Arc::new(Desk::new(ports(store, listener), policy))
}

fn ports(store: Arc<dyn Store>, announce: Arc<dyn Announce>) -> Ports {
    Ports { store, announce, authority: authority(), passwords: Arc::new(Hasher::default()), clock: Arc::new(SystemClock) }
}

/// Hears how agents stand, in order, and in which sessions; and in which sessions somebody comes (`true`) or goes.
#[derive(Default)]
pub(crate) struct Ear(Mutex<Vec<(Availability, Vec<SessionId>)>>, Mutex<Vec<(SessionId, bool)>>);

impl Ear {
    pub(crate) fn heard(&self) -> Vec<Availability> {
        self.0.lock().expect("an ear").iter().map(|(availability, _)| *availability).collect()
    }

    pub(crate) fn passages(&self) -> Vec<(SessionId, bool)> {
        self.1.lock().expect("an ear").clone()
    }

    pub(crate) fn last_sessions(&self) -> Vec<SessionId> {
        self.0.lock().expect("an ear").last().map(|(_, sessions)| sessions.clone()).unwrap_or_default()
    }
}

impl Announce for Ear {
    fn appended(&self, _: Arc<Entry>) {}

    fn signal(&self, to: &[Audience], signal: Signal, _: Option<&Audience>) {
        let session = |audience: &Audience| if let Audience::Session(id) = audience { Some(id.clone()) } else { None };
        match signal {
            Signal::Availability { agent, .. } => {
                self.0.lock().expect("an ear").push((agent.availability, to.iter().filter_map(session).collect()));
            }
            Signal::Came { session, .. } => self.1.lock().expect("an ear").push((session, true)),
            Signal::Went { session, .. } => self.1.lock().expect("an ear").push((session, false)),
            _ => {}
        }
    }

    fn summon(&self, _: &str, _: &SessionId, _: u64) {}
}

/// A fan-out without listeners, for what only the store shows.
pub(crate) struct Unheard;

impl Announce for Unheard {
    fn appended(&self, _: Arc<Entry>) {}

    fn signal(&self, _: &[Audience], _: Signal, _: Option<&Audience>) {}

    fn summon(&self, _: &str, _: &SessionId, _: u64) {}
}
