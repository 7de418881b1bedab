//! The session bus over Redis: a channel for each session, subscribed to while this node has sockets in it. It carries messages, and the numbers of
//! other entries, which are read from the store, as what is lost is healed from there. Commands for sockets of other nodes have a channel of their own.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::time::interval;

use super::bus::{Command, Listener, LocalBus, News, SessionBus};
use super::driver::Signals;
use super::link::{AGAIN, Heard, Link, Traffic};
use super::said;
use crate::domain::entry::Entry;
use crate::domain::ids::{NodeId, SessionId};

/// The version of what is said. Others are passed over, so that nodes of two versions heal from the store what they do not understand.
const VERSION: &str = "2";

/// How many words may wait to be said. What does not fit is healed.
const WAITING: usize = 10_000;

/// How many words are said at once, with one write to Redis and one wait for its answers.
const TURN: usize = 256;

/// What the task that speaks is to say.
enum Word {
    /// This is stored.
    Stored(Arc<Entry>),
    /// Something for the other nodes to do.
    Asked(Command),
}

/// What channels are called.
#[derive(Clone)]
struct Names {
    sessions: Arc<str>,
    commands: Arc<str>,
}

/// The bus of nodes that share a Redis. Dropping it ends its tasks.
pub struct RedisBus {
    link: Arc<Link>,
    local: Arc<LocalBus>,
    names: Names,
    words: mpsc::Sender<Word>,
}

impl RedisBus {
    /// A bus over the Redis of this URL, for all nodes of the installation with this name; and the way of signals over the same link. Waits a
    /// little for Redis, and starts without it if need be.
    ///
    /// # Errors
    /// A URL that cannot be used.
    pub async fn open(url: &str, installation: &str) -> Result<(Self, Signals), fred::error::Error> {
        let (local, node): (_, Arc<str>) = (Arc::new(LocalBus::default()), NodeId::random().as_str().into());
        let names = Names {
            sessions: format!("helpline:{installation}:session:").into(),
            commands: format!("helpline:{installation}:commands").into(),
        };
        let (signals, hear_signals) = Signals::pair();
        let listeners = vec![listener(&local, &names, &node), hear_signals];
        let link = Arc::new(Link::open(url, listeners).await?);
        link.subscribe(&names.commands);
        let (words, to_say) = mpsc::channel(WAITING);
        start(&link, &names, node, to_say);
        signals.over(&link);
        Ok((Self { link, local, names, words }, signals))
    }

    /// What went over the link.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.link.traffic
    }

    fn say(&self, word: Word) {
        if self.words.try_send(word).is_err() {
            self.link.traffic.unsaid.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl SessionBus for RedisBus {
    fn publish(&self, entry: Arc<Entry>) {
        self.local.tell(&News::Entry(Arc::clone(&entry)));
        self.say(Word::Stored(entry));
    }

    fn ask(&self, command: Command) {
        self.say(Word::Asked(command));
    }

    fn listen(&self, listener: Listener) {
        self.local.listen(listener);
    }

    fn follow(&self, session: &SessionId) {
        self.link.subscribe(&format!("{}{session}", self.names.sessions));
    }

    fn unfollow(&self, session: &SessionId) {
        self.link.unsubscribe(&format!("{}{session}", self.names.sessions));
    }

    fn is_cut(&self) -> bool {
        !self.link.is_up()
    }
}

#[allow(clippy::disallowed_methods, reason = "the task ends with the bus, whose channel it empties")]
fn start(link: &Arc<Link>, names: &Names, node: Arc<str>, to_say: mpsc::Receiver<Word>) {
    let speaker = Speaker { link: Arc::clone(link), names: names.clone(), node, unsaid: HashMap::new(), unheard: VecDeque::new() };
    tokio::spawn(speaker.work(to_say));
}

/// Who says things to the other nodes, and what could not be said yet.
struct Speaker {
    link: Arc<Link>,
    names: Names,
    node: Arc<str>,
    /// Sessions of whose entries the others have not heard, with the last number.
    unsaid: HashMap<SessionId, u64>,
    /// Commands that are of use later, too.
    unheard: VecDeque<Command>,
}

impl Speaker {
    /// Says what is stored, in each turn all that waits. What that fails for is said soon: a node that was back earlier believes to hear everything.
    async fn work(mut self, mut words: mpsc::Receiver<Word>) {
        let (mut turn, mut again) = (Vec::new(), interval(AGAIN));
        loop {
            tokio::select! {
                taken = words.recv_many(&mut turn, TURN) => if taken == 0 { return },
                _ = again.tick() => {}
            }
            self.say(turn.drain(..)).await;
            if !self.unheard.is_empty() || !self.unsaid.is_empty() {
                self.catch_up().await;
            }
        }
    }

    async fn say(&mut self, words: impl Iterator<Item = Word>) {
        let (mut tried, mut messages) = (Vec::new(), Vec::new());
        for word in words {
            match &word {
                Word::Stored(entry) if self.unsaid.is_empty() => {
                    messages.push(self.of_session(&entry.session, &said::written(entry).unwrap_or_else(|| entry.seq().to_string())));
                }
                Word::Asked(command) if self.unheard.is_empty() => messages.push(self.of_command(command)),
                Word::Stored(_) | Word::Asked(_) => {
                    self.keep(word);
                    continue;
                }
            }
            tried.push(word);
        }
        for (word, is_said) in tried.into_iter().zip(self.link.publish_all(messages).await) {
            if !is_said {
                self.keep(word);
            }
        }
    }

    /// Keeps what could not be said, as far as that is of use later.
    fn keep(&mut self, word: Word) {
        match word {
            Word::Stored(entry) if self.unsaid.len() < WAITING => {
                let last = self.unsaid.entry(entry.session.clone()).or_default();
                *last = entry.seq().max(*last);
            }
            // Whoever is summoned is so later; the rest is of no use then.
            Word::Asked(command @ Command::Summon { .. }) if self.unheard.len() < WAITING => self.unheard.push_back(command),
            Word::Stored(_) | Word::Asked(_) => drop(self.link.traffic.unsaid.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Says what could not be said, until Redis fails.
    async fn catch_up(&mut self) {
        while !self.unheard.is_empty() {
            let messages = self.unheard.iter().take(TURN).map(|command| self.of_command(command)).collect();
            let are_said = self.link.publish_all(messages).await;
            let mut next = are_said.iter();
            self.unheard.retain(|_| next.next() != Some(&true));
            if are_said.contains(&false) {
                return;
            }
        }
        while !self.unsaid.is_empty() {
            let some: Vec<SessionId> = self.unsaid.keys().take(TURN).cloned().collect();
            let number = |session| self.unsaid.get(session).map(u64::to_string).unwrap_or_default();
            let messages = some.iter().map(|session| self.of_session(session, &number(session))).collect();
            let are_said = self.link.publish_all(messages).await;
            for (session, _) in some.iter().zip(&are_said).filter(|(_, is_said)| **is_said) {
                self.unsaid.remove(session);
            }
            if are_said.contains(&false) {
                return;
            }
        }
    }

    fn of_session(&self, session: &SessionId, words: &str) -> (String, String) {
        (format!("{}{session}", self.names.sessions), format!("{VERSION} {} {words}", self.node))
    }

    fn of_command(&self, command: &Command) -> (String, String) {
        (self.names.commands.to_string(), format!("{VERSION} {} {}", self.node, written(command)))
    }
}

/// Passes on what other nodes say.
fn listener(local: &Arc<LocalBus>, names: &Names, node: &Arc<str>) -> super::link::Listener {
    let (local, names, node) = (Arc::clone(local), names.clone(), Arc::clone(node));
    Box::new(move |heard| {
        let session = |channel: &str| channel.strip_prefix(&*names.sessions).map(SessionId::stored);
        let news = match heard {
            Heard::Lost => Some(News::Lost),
            // Tails count on word only from now on.
            Heard::Subscribed(channel) => session(&channel).map(News::Followed),
            Heard::Message(channel, said) => std::str::from_utf8(&said).ok().and_then(|said| {
                let said = foreign(said, &node)?;
                if channel == names.commands {
                    read(said).map(News::Asked)
                } else {
                    let session = session(&channel)?;
                    match said.parse() {
                        Ok(seq) => Some(News::Ahead(session, seq)),
                        Err(_) => Some(News::Entry(Arc::new(said::read(session, said)?))),
                    }
                }
            }),
        };
        if let Some(news) = news {
            local.tell(&news);
        }
    })
}

/// What another node of this version says; `None` for this node's own words, and for what is not understood.
fn foreign<'s>(said: &'s str, node: &str) -> Option<&'s str> {
    let (from, rest) = said.strip_prefix(VERSION)?.strip_prefix(' ')?.split_once(' ')?;
    (from != node).then_some(rest)
}

/// A command as it is said: what, the session, a number, and what else it takes, which may hold anything.
fn written(command: &Command) -> String {
    match command {
        Command::Summon { session, after, person } => format!("summon {session} {after} {person}"),
        Command::Remember { session, cursor, page } => format!("remember {session} {cursor} {page}"),
        Command::Follow { session, after, packet } => format!("follow {session} {after} {packet}"),
    }
}

/// The command that was said so; `None` where it is not known.
fn read(said: &str) -> Option<Command> {
    let mut parts = said.splitn(4, ' ');
    let (what, session, number, rest) =
        (parts.next()?, SessionId::stored(parts.next()?), parts.next()?.parse().ok()?, parts.next()?.into());
    match what {
        "summon" => Some(Command::Summon { session, after: number, person: rest }),
        "remember" => Some(Command::Remember { session, cursor: number, page: rest }),
        "follow" => Some(Command::Follow { session, after: number, packet: rest }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_read_and_whatever_else_is_said_is_passed_over() {
        assert_eq!(foreign("2 other 7", "own"), Some("7"));
        for odd in ["2 own 7", "1 other 7", "2 other", "2", "", "27 other 7", "2  7x"] {
            assert!(foreign(odd, "own").is_none_or(|rest| rest.parse::<u64>().is_err()), "{odd}");
        }
        let (session, person) = (SessionId::stored("s"), Arc::from("rooms:a b  c"));
        for command in [
            Command::Summon { session: session.clone(), after: 7, person },
            Command::Remember { session: session.clone(), cursor: 0, page: "".into() },
            Command::Follow { session, after: u64::MAX, packet: r#"{"a": 1}"#.into() },
        ] {
            assert_eq!(read(&written(&command)), Some(command));
        }
        for odd in ["summon s x rooms:a", "summon s 7", "summon", "", "leave s 7 rooms:a"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
