//! Who is there. Connections to this node are noted in the store, where every node reads them; those of nodes that died are forgotten.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Desk;
use super::accounts::Passage;
use super::participants::Known;
use crate::domain::account::Account;
use crate::domain::agent::Availability;
use crate::domain::error::Error;
use crate::domain::ids::{AgentId, ConnId, NodeId};
use crate::domain::ports::Audience;
use crate::domain::presence::Presence;
use crate::domain::principal::{Person, Realm, Role};

/// The connections to this node, each with the key of a person whose it is.
#[derive(Debug, Default)]
pub(super) struct Here(Mutex<HashSet<(Arc<str>, ConnId)>>);

impl Here {
    fn all(&self) -> MutexGuard<'_, HashSet<(Arc<str>, ConnId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a node has seen of the others' signs of life.
#[derive(Debug)]
pub struct Watch {
    is_alone: bool,
    patience: u32,
    /// The last sign of each, and how many looks ago it was new.
    seen: HashMap<NodeId, (u64, u32)>,
}

impl Watch {
    /// A watch that takes a node for dead which shows no new sign in so many looks, or at once where this process has the store for itself.
    pub fn new(is_alone: bool, patience: u32) -> Self {
        Self { is_alone, patience, seen: HashMap::new() }
    }

    /// Whether there are other nodes, and for how many looks one of them has shown nothing new.
    pub fn others(&self) -> (bool, u32) {
        (!self.seen.is_empty(), self.seen.values().map(|(_, looks)| *looks).max().unwrap_or(0))
    }

    /// The nodes that are dead, as far as it is known by now.
    fn dead(&mut self, own: &NodeId, nodes: Vec<(NodeId, u64)>) -> Vec<NodeId> {
        let mut before = std::mem::take(&mut self.seen);
        for (node, sign) in nodes.into_iter().filter(|(node, _)| node != own) {
            let looks = before.remove(&node).filter(|(last, _)| *last == sign).map_or(0, |(_, looks)| looks + 1);
            self.seen.insert(node, (sign, looks));
        }
        let is_dead = |(_, (_, looks)): &(&NodeId, &(u64, u32))| self.is_alone || *looks >= self.patience;
        self.seen.iter().filter(is_dead).map(|(node, _)| node.clone()).collect()
    }
}

impl Desk {
    /// Notes a connection of the person with this key, whose turn is taken; answers whether it was not noted.
    pub(super) async fn note_arrival(&self, who: &str, conn: &ConnId) -> Result<bool, Error> {
        let person: Arc<str> = who.into();
        self.here.all().insert((Arc::clone(&person), conn.clone()));
        Ok(self.store.insert_presence(&Presence { conn: conn.clone(), person, node: self.node.clone() }).await?)
    }

    /// An arrival came to nothing: nobody will say that this connection goes. What the store has of it is removed by [`Desk::miss_the_absent`].
    pub(super) fn withdraw(&self, who: &str, conn: &ConnId) {
        self.here.all().remove(&(who.into(), conn.clone()));
    }

    /// Forgets a connection of the person with this key, whose turn is taken; answers whether it has none any more, on no node.
    pub(super) async fn note_departure(&self, who: &str, conn: &ConnId) -> Result<bool, Error> {
        if !self.here.all().remove(&(who.into(), conn.clone())) {
            return Ok(false);
        }
        self.store.remove_presence(who, conn).await?;
        Ok(!self.is_present(who).await?)
    }

    /// Whether this node has the connection of the person with this key.
    pub(super) fn is_here(&self, who: &str, conn: &ConnId) -> bool {
        self.here.all().contains(&(who.into(), conn.clone()))
    }

    /// Whether the person with this key has a connection to any node.
    pub(super) async fn is_present(&self, who: &str) -> Result<bool, Error> {
        Ok(!self.store.find_present(&[who.into()]).await?.is_empty())
    }

    /// These accounts, each with a connection of its person.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn known(&self, accounts: Vec<Account>) -> Result<Vec<Known>, Error> {
        let key = |account: &Account| -> Arc<str> { account.person().key().into() };
        let keys: Vec<Arc<str>> = accounts.iter().map(key).collect();
        let present: HashMap<Arc<str>, ConnId> = self.store.find_present(&keys).await?.into_iter().collect();
        Ok(accounts.into_iter().zip(keys).map(|(account, key)| Known { conn: present.get(&key).cloned(), account }).collect())
    }

    /// The same of one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn known_one(&self, account: Account) -> Result<Known, Error> {
        let present = self.store.find_present(&[account.person().key().into()]).await?.pop();
        Ok(Known { account, conn: present.map(|(_, conn)| conn) })
    }

    /// How many of the realm's people have a connection.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn count_present(&self, realm: Realm) -> Result<u64, Error> {
        Ok(self.store.count_present(&format!("{}:", realm.name())).await?)
    }

    /// Shows the other nodes that this one lives. To be called every few seconds, whatever else takes its time.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn show_life(&self) -> Result<(), Error> {
        // The first sign, or others took this node for dead. Where the answer is lost nobody knows.
        let is_sure = self.store.beat(&self.node).await.inspect_err(|_| self.is_forgotten.store(true, Ordering::Relaxed))? > 1;
        if !is_sure {
            self.is_forgotten.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Forgets who was there by nodes that do not live. To be called as often as [`Desk::show_life`]. Clocks are not compared: a node is dead that
    /// shows nothing new while this one looks; a store that does not answer makes nobody dead.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the watch begins anew then.
    pub async fn keep_watch(&self, watch: &mut Watch) -> Result<(), Error> {
        let looked = self.look_around(watch).await;
        if looked.is_err() {
            watch.seen.clear();
        }
        looked
    }

    async fn look_around(&self, watch: &mut Watch) -> Result<(), Error> {
        if self.is_forgotten.swap(false, Ordering::Relaxed) {
            self.renew_presences().await.inspect_err(|_| self.is_forgotten.store(true, Ordering::Relaxed))?;
        }
        for node in watch.dead(&self.node, self.store.list_nodes().await?) {
            tracing::warn!(node.id = %node, "a node shows no sign of life; who was there by it is there no longer");
            self.forget_node(&node).await?;
            watch.seen.remove(&node);
        }
        Ok(())
    }

    /// Notes again whoever is connected to this node.
    async fn renew_presences(&self) -> Result<(), Error> {
        let here: Vec<(Arc<str>, ConnId)> = self.here.all().iter().cloned().collect();
        for (who, conn) in here {
            let _turn = self.comings.take(&who).await;
            if self.is_here(&who, &conn) && self.note_arrival(&who, &conn).await? {
                self.welcome_back(&who).await?;
            }
        }
        Ok(())
    }

    /// Forgets a node with its connections, at its end too.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; another node does the rest.
    async fn forget_node(&self, node: &NodeId) -> Result<(), Error> {
        for gone in self.store.list_presences(node).await? {
            let _turn = self.comings.take(&gone.person).await;
            self.forget_presence(&gone).await?;
        }
        Ok(self.store.remove_node(node).await?)
    }

    /// This node ends, and nobody is there by it any more.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; another node does the rest after a while.
    pub async fn give_up_watch(&self) -> Result<(), Error> {
        self.forget_node(&self.node).await
    }

    async fn forget_presence(&self, gone: &Presence) -> Result<(), Error> {
        self.store.remove_presence(&gone.person, &gone.conn).await?;
        if self.is_present(&gone.person).await? { Ok(()) } else { self.see_off(&gone.person).await }
    }

    /// Brings what is noted of people in line with the connections that there are: a crash, or an outage of the store, may have kept somebody from
    /// doing so. Safe on any number of nodes.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the next call does the rest.
    pub async fn miss_the_absent(&self) -> Result<(), Error> {
        let noted = self.store.list_presences(&self.node).await?;
        for gone in &noted {
            let _turn = self.comings.take(&gone.person).await;
            if !self.is_here(&gone.person, &gone.conn) {
                self.forget_presence(gone).await?;
            }
        }
        let noted: HashSet<(Arc<str>, ConnId)> = noted.into_iter().map(|p| (p.person, p.conn)).collect();
        if self.here.all().iter().any(|here| !noted.contains(here)) {
            self.renew_presences().await?;
        }
        for realm in Realm::ALL {
            let seemingly = self.seemingly_there(realm).await?;
            let present: HashSet<Arc<str>> = self.store.find_present(&seemingly).await?.into_iter().map(|(who, _)| who).collect();
            for who in seemingly.iter().filter(|who| !present.contains(*who)) {
                let _turn = self.comings.take(who).await;
                if !self.is_present(who).await? {
                    self.see_off(who).await?;
                }
            }
        }
        Ok(())
    }

    /// The keys of those who are shown as being there by their connections.
    async fn seemingly_there(&self, realm: Realm) -> Result<Vec<Arc<str>>, Error> {
        let attended = self.store.list_agents(realm).await?.into_iter().filter(|a| a.attended);
        let mut keys: Vec<Arc<str>> = attended.map(|a| a.id.as_str().into()).collect();
        if realm.keeps_logins() {
            keys.extend(self.accounts_not_offline(realm).await?.iter().map(|a| Arc::from(a.person().key())));
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// The last connection of the person with this key is gone. Its turn is taken; it may come to another node meanwhile.
    pub(super) async fn see_off(&self, who: &str) -> Result<(), Error> {
        let Some(person) = person_of(who) else { return self.agent_vanished(&AgentId::stored(who)).await };
        self.person_vanished(&person).await?;
        if self.is_present(who).await? { self.welcome_back(who).await } else { Ok(()) }
    }

    /// The person with this key was taken for gone, and is there.
    pub(super) async fn welcome_back(&self, who: &str) -> Result<(), Error> {
        match person_of(who) {
            Some(person) => match self.person_is_there(&person, Some(Passage::Came)).await? {
                Some(account) => self.serve_queue_of(&account, Availability::Online).await,
                None => Ok(()),
            },
            None => match self.agent_is_there(&AgentId::stored(who)).await? {
                Some(back) => self.tell_back(back, Some(&Audience::Person(who.into()))).await,
                None => Ok(()),
            },
        }
    }
}

/// The person with this key, where it has an account and a login; the others are agents' records.
fn person_of(who: &str) -> Option<Person> {
    let (realm, id) = who.split_once(':')?;
    let realm = Realm::named(realm).filter(|r| r.keeps_logins())?;
    Some(Person::new(realm, id, Role::Visitor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_dead_that_shows_nothing_new_for_long_enough() {
        let (own, other) = (NodeId::random(), NodeId::random());
        let mut watch = Watch::new(false, 2);
        let mut look = |own_sign, sign| watch.dead(&own, vec![(own.clone(), own_sign), (other.clone(), sign)]);
        for (sign, is_dead) in [(5, false), (5, false), (6, false), (6, false), (6, true), (6, true), (7, false)] {
            assert_eq!(look(1, sign), if is_dead { vec![other.clone()] } else { vec![] }, "{sign}");
        }
        assert_eq!(Watch::new(true, 2).dead(&own, vec![(own.clone(), 1), (other.clone(), 1)]), [other]);
    }
}
