//! People who talk in sessions over two nodes while something breaks, and the truth in the end: what everybody saw is what the log holds.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::nodes::Nodes;
use super::person::{Person, Stage, Tally};

/// How long anything may take that a test waits for while something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take in the end until everybody has seen everything.
const LEVEL: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(super) struct Crowd {
    pub(super) tally: Tally,
    stage: watch::Sender<Stage>,
    people: JoinSet<Person>,
}

/// What became of everything that was said.
pub(super) struct Outcome {
    pub(super) people: Vec<Person>,
    /// How many messages the logs hold.
    pub(super) messages: usize,
    /// How many messages somebody should have seen.
    pub(super) due: usize,
    /// How many of them he did not see.
    pub(super) lost: usize,
    /// How many he saw twice.
    pub(super) doubled: usize,
    /// What else is wrong, in words.
    pub(super) wrong: Vec<String>,
}

/// A message of somebody in the crowd, as one listener heard it.
pub(super) struct Late {
    pub(super) stored: Instant,
    pub(super) heard: Instant,
    /// Whether both are at home on the same node.
    pub(super) is_local: bool,
}

impl Late {
    /// How much later than its author knew that it is stored. He may hear it himself before that.
    pub(super) fn by(&self) -> Duration {
        self.heard.saturating_duration_since(self.stored)
    }
}

impl Crowd {
    /// Adds somebody, who comes at once.
    pub(super) fn add(&mut self, person: Person) {
        self.people.spawn(person.run(self.stage.subscribe()));
    }

    pub(super) fn tell(&self, change: impl FnOnce(&mut Stage)) {
        self.stage.send_modify(change);
    }

    /// Waits until so many more messages were acknowledged.
    pub(super) async fn acknowledge(&self, more: u64) {
        grow(&self.tally.acknowledged, more).await;
    }

    /// Waits until everybody who was added has joined.
    pub(super) async fn assemble(&self) {
        let all = self.people.len() as u64;
        let mut joined = self.tally.joined.subscribe();
        timeout(PATIENCE, joined.wait_for(|n| *n >= all)).await.expect("everybody joins in time").expect("people");
    }

    /// Waits until so many have joined, of which `before` had joined at first.
    pub(super) async fn rejoin(&self, before: u64, more: usize) {
        let (mut joined, all) = (self.tally.joined.subscribe(), before + more as u64);
        timeout(PATIENCE, joined.wait_for(|n| *n >= all)).await.expect("everybody is back in time").expect("people");
    }

    /// Lets everybody finish, and compares what they saw with the logs.
    pub(super) async fn finish(self, nodes: &Nodes) -> Outcome {
        self.tell(|stage| stage.is_last = true);
        let people = timeout(PATIENCE, self.people.join_all()).await;
        let people = people.unwrap_or_else(|_| panic!("not everything is acknowledged in the end\n{}", nodes.logs()));
        let mut outcome = Outcome { people: Vec::new(), messages: 0, due: 0, lost: 0, doubled: 0, wrong: Vec::new() };
        let mut ends: HashMap<String, u64> = HashMap::new();
        for (n, person) in people.iter().enumerate() {
            if !ends.contains_key(&person.session) {
                ends.insert(person.session.clone(), nodes.notice(n % 2, &person.session, "the end").await);
            }
        }
        let deadline = Instant::now() + LEVEL;
        let reading = people.into_iter().map(async |mut person| {
            person.read_up_to(ends[&person.session], deadline).await;
            person
        });
        let mut rooms: HashMap<String, Vec<Person>> = HashMap::new();
        for person in join_all(reading).await {
            rooms.entry(person.session.clone()).or_default().push(person);
        }
        for (session, people) in rooms {
            outcome.judge_room(nodes, &session, people).await;
        }
        outcome
    }
}

/// Waits until the count is so much higher.
async fn grow(count: &watch::Sender<u64>, more: u64) {
    let mut count = count.subscribe();
    let enough = *count.borrow() + more;
    timeout(PATIENCE, count.wait_for(|n| *n >= enough)).await.expect("messages are acknowledged").expect("people");
}

impl Outcome {
    async fn judge_room(&mut self, nodes: &Nodes, session: &str, people: Vec<Person>) {
        let history: Vec<(u64, String)> = nodes.shops[0].history(session).await.iter().map(told).collect();
        let here: Vec<(u64, String)> = nodes.shops[1].history(session).await.iter().map(told).collect();
        self.note(here == history, || format!("the nodes tell different histories of {session}"));
        self.note(history.windows(2).all(|two| two[0].0 < two[1].0), || format!("the history of {session} is in disorder"));
        let stored: HashSet<&str> = history.iter().map(|(_, text)| text.as_str()).collect();
        self.note(stored.len() == history.len(), || format!("a message of {session} is stored twice"));
        self.messages += history.len();
        // The end itself was said by nobody in the crowd.
        let mut acknowledged = 1;
        for person in people {
            acknowledged += person.acknowledged.len();
            self.judge(&history, &person);
            self.people.push(person);
        }
        self.note(acknowledged == history.len(), || format!("{acknowledged} of {} messages of {session} were acknowledged", history.len()));
    }

    fn judge(&mut self, history: &[(u64, String)], person: &Person) {
        let who = format!("{} in {}", person.id, person.session);
        let seen: Vec<(u64, &str)> = person.view.iter().map(|heard| (heard.seq, heard.text.as_str())).collect();
        let distinct: HashSet<(u64, &str)> = seen.iter().copied().collect();
        self.due += history.len();
        self.doubled += seen.len() - distinct.len();
        self.lost += history.iter().filter(|(seq, text)| !distinct.contains(&(*seq, text.as_str()))).count();
        let is_same = seen.iter().copied().eq(history.iter().map(|(seq, text)| (*seq, text.as_str())));
        self.note(is_same, || format!("{who} saw another conversation than the log holds: {}", difference(history, &seen)));
        self.note(person.acknowledged.len() == person.said, || format!("{who} said what was never acknowledged"));
        let log: HashSet<(u64, &str)> = history.iter().map(|(seq, text)| (*seq, text.as_str())).collect();
        for said in &person.acknowledged {
            self.note(log.contains(&(said.seq, &*said.text)), || format!("{said:?} of {who} was acknowledged and is not in the log"));
        }
    }

    /// What each listener heard, in order.
    pub(super) fn lateness(&self) -> Vec<Vec<Late>> {
        let mut stored: HashMap<(&str, u64), (usize, Instant)> = HashMap::new();
        for person in &self.people {
            stored.extend(person.acknowledged.iter().map(|said| ((&*person.session, said.seq), (person.home, said.at))));
        }
        let heard_by = |person: &Person| -> Vec<Late> {
            let heard = person.view.iter().filter_map(|heard| {
                let (node, at) = stored.get(&(&*person.session, heard.seq))?;
                Some(Late { stored: *at, heard: heard.at, is_local: *node == person.home })
            });
            heard.collect()
        };
        self.people.iter().map(heard_by).collect()
    }

    fn note(&mut self, is_right: bool, what: impl FnOnce() -> String) {
        if !is_right {
            self.wrong.push(what());
        }
    }

    /// Whether everybody saw what the logs hold, once and in order, and everything that was acknowledged is there.
    pub(super) fn is_true(&self) -> bool {
        (self.lost, self.doubled) == (0, 0) && self.wrong.is_empty()
    }

    /// Fails unless that is so.
    pub(super) fn assert_true(&self, nodes: &Nodes) {
        let Self { lost, doubled, due, wrong, .. } = self;
        assert!(self.is_true(), "of {due} messages {lost} were lost and {doubled} doubled: {wrong:#?}\n{}", nodes.logs());
    }
}

/// Where what was seen leaves the log, with a little of both.
fn difference(history: &[(u64, String)], seen: &[(u64, &str)]) -> String {
    let pairs = history.iter().zip(seen);
    let at = pairs.take_while(|((seq, text), (seen_seq, seen_text))| seq == seen_seq && text == seen_text).count();
    let from = at.saturating_sub(3);
    format!("{:?} instead of {:?}", &seen[from..seen.len().min(at + 3)], &history[from..history.len().min(at + 3)])
}

/// The number and text of a message.
fn told(message: &Value) -> (u64, String) {
    (message["seq"].as_u64().expect("a number"), message["message"].as_str().expect("a text").to_owned())
}
