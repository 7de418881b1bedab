//! A client as the documents advise: it says what it has to say under client keys, repeats what was not acknowledged, comes back to either node when
//! its connection ends, and joins with the last number that it saw. It judges nothing; it notes what it saw.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, sleep_until, timeout_at};

use crate::harness::client::{Event, event_of};
use crate::harness::raw::Raw;
use crate::harness::shop::KEY;

/// How long it waits between two nodes that do not answer.
const AGAIN: Duration = Duration::from_millis(50);

/// How many messages it says before it waits for their acknowledgements.
const WINDOW: usize = 4;

/// The acknowledgement of a join; messages have the numbers after it.
const JOIN: u64 = 0;

/// What everybody is told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stage {
    /// Whoever is not at home goes there when this changes.
    pub(super) homeward: u32,
    /// Everybody's connection is cut when this changes.
    pub(super) cut: u32,
    /// Nothing new is said, and nobody is cut any more; what is open is finished.
    pub(super) is_last: bool,
}

/// What everybody counts together.
#[derive(Clone)]
pub(super) struct Tally {
    pub(super) acknowledged: watch::Sender<u64>,
    pub(super) joined: watch::Sender<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { acknowledged: watch::Sender::new(0), joined: watch::Sender::new(0) }
    }
}

/// How a connection is cut from time to time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cuts {
    pub(super) first: Duration,
    pub(super) every: Duration,
    pub(super) away: Duration,
}

/// A message as it was received, or acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) seq: u64,
    pub(super) text: String,
    pub(super) at: Instant,
}

/// A message that is not acknowledged.
struct Open {
    text: String,
    /// What the present connection was asked by, and when.
    asked: Option<(u64, Instant)>,
}

pub(super) struct Person {
    pub(super) session: String,
    pub(super) id: String,
    /// Which of the two nodes it goes to first.
    pub(super) home: usize,
    /// How much it said.
    pub(super) said: usize,
    /// What it was told is stored, and when.
    pub(super) acknowledged: Vec<Heard>,
    /// The messages that it received, in the order in which they came.
    pub(super) view: Vec<Heard>,
    /// How often it was let in.
    pub(super) visits: usize,
    pub(super) refusals: usize,
    /// The longest time from a call to its answer.
    pub(super) longest_wait: Duration,
    kind: &'static str,
    nodes: [SocketAddr; 2],
    at: usize,
    tally: Tally,
    window: usize,
    pace: Option<Interval>,
    cuts: Option<(Instant, Cuts)>,
    obeyed: Stage,
    last_seq: u64,
    raw: Option<Raw>,
    is_joined: bool,
    asked: u64,
    join_asked: Instant,
    open: VecDeque<Open>,
    /// When to call again what was refused.
    again: Option<Instant>,
    not_before: Instant,
    /// A connection that ended for this client and not for the server.
    ghost: Option<Raw>,
}

impl Person {
    /// Somebody who listens to the session on this node.
    pub(super) fn new(nodes: [SocketAddr; 2], home: usize, session: &str, (id, kind): (&str, &'static str), tally: Tally) -> Self {
        Self {
            session: session.to_owned(),
            id: id.to_owned(),
            home,
            said: 0,
            acknowledged: Vec::new(),
            view: Vec::new(),
            visits: 0,
            refusals: 0,
            longest_wait: Duration::ZERO,
            kind,
            nodes,
            at: home,
            tally,
            window: WINDOW,
            pace: None,
            cuts: None,
            obeyed: Stage::default(),
            last_seq: 0,
            raw: None,
            is_joined: false,
            asked: JOIN,
            join_asked: Instant::now(),
            open: VecDeque::new(),
            again: None,
            not_before: Instant::now(),
            ghost: None,
        }
    }

    /// Says something so often, and makes up for what it could not say meanwhile.
    pub(super) fn talking(mut self, every: Duration) -> Self {
        self.pace = Some(tokio::time::interval(every));
        self
    }

    /// Waits for each answer before it says the next.
    pub(super) fn one_by_one(mut self) -> Self {
        self.window = 1;
        self
    }

    /// Loses its connection from time to time.
    pub(super) fn with_cuts(mut self, cuts: Cuts) -> Self {
        self.cuts = Some((Instant::now() + cuts.first, cuts));
        self
    }

    /// Lives until the last stage, and ends with everything acknowledged and a live connection.
    pub(super) async fn run(mut self, mut stages: watch::Receiver<Stage>) -> Self {
        loop {
            let stage = *stages.borrow_and_update();
            self.obey(stage);
            if stage.is_last && self.is_joined && self.open.is_empty() {
                return self;
            }
            let Some(raw) = &mut self.raw else {
                self.visit().await;
                continue;
            };
            let may_say = self.is_joined && !stage.is_last && self.open.len() < self.window;
            let (pace, again, cut) = (&mut self.pace, self.again, self.cuts.map(|c| c.0).filter(|_| !stage.is_last));
            tokio::select! {
                frame = raw.frame() => self.take(frame).await,
                () = due(pace), if may_say => self.say_next().await,
                () = moment(again), if again.is_some() => self.call_again().await,
                () = moment(cut), if cut.is_some() => self.lose(),
                changed = stages.changed() => changed.expect("a further stage"),
            }
        }
    }

    /// Reads on until it has seen this number; answers whether it did in time.
    pub(super) async fn read_up_to(&mut self, seq: u64, deadline: Instant) -> bool {
        let read = async {
            while self.last_seq < seq {
                match &mut self.raw {
                    Some(raw) => {
                        let frame = raw.frame().await;
                        self.take(frame).await;
                    }
                    None => self.visit().await,
                }
            }
        };
        timeout_at(deadline, read).await.is_ok()
    }

    fn obey(&mut self, stage: Stage) {
        if stage.homeward != self.obeyed.homeward && self.at != self.home {
            self.at = self.home;
            self.forget_connection();
        }
        if stage.cut != self.obeyed.cut {
            self.forget_connection();
        }
        self.obeyed = stage;
    }

    /// Connects to the node of its choice and asks to be let in, or turns to the other node.
    async fn visit(&mut self) {
        sleep_until(self.not_before).await;
        self.raw = Raw::try_connect(self.nodes[self.at], &json!({"apiKey": KEY})).await;
        if self.raw.is_some() {
            self.ask_to_join().await;
        } else {
            self.at = 1 - self.at;
            self.not_before = Instant::now() + AGAIN;
        }
    }

    async fn ask_to_join(&mut self) {
        let join = json!({"sessionId": self.session, "userId": self.id, "userType": self.kind, "lastSeq": self.last_seq});
        self.join_asked = Instant::now();
        if let Some(raw) = &mut self.raw {
            raw.text(&packet(JOIN, "join_session", &join)).await;
        }
    }

    async fn say_next(&mut self) {
        self.said += 1;
        self.open.push_back(Open { text: format!("{} {}", self.id, self.said), asked: None });
        self.send_open().await;
    }

    /// Sends what this connection was not asked yet.
    async fn send_open(&mut self) {
        let Some(raw) = &mut self.raw else { return };
        for open in self.open.iter_mut().filter(|o| o.asked.is_none()) {
            self.asked += 1;
            open.asked = Some((self.asked, Instant::now()));
            let message = json!({"sessionId": self.session, "message": open.text, "clientKey": open.text});
            raw.text(&packet(self.asked, "send_message", &message)).await;
        }
    }

    async fn call_again(&mut self) {
        self.again = None;
        if self.is_joined { self.send_open().await } else { self.ask_to_join().await }
    }

    async fn take(&mut self, frame: Option<String>) {
        let Some(frame) = frame else { return self.forget_connection() };
        if let Some(event) = event_of(&frame) {
            return self.hear(event);
        }
        let Some((id, answer)) = answer_of(&frame) else { return };
        let open = self.open.iter().position(|o| o.asked.is_some_and(|(asked, _)| asked == id));
        let asked_at = open.and_then(|at| self.open[at].asked).map_or(self.join_asked, |(_, at)| at);
        self.longest_wait = self.longest_wait.max(asked_at.elapsed());
        match (answer["ok"] == true, open) {
            (false, open) => self.postpone(open, &answer),
            (true, Some(at)) => {
                let open = self.open.remove(at).expect("just found");
                let seq = answer["seq"].as_u64().expect("a number");
                self.acknowledged.push(Heard { seq, text: open.text, at: Instant::now() });
                self.tally.acknowledged.send_modify(|count| *count += 1);
            }
            (true, None) => {
                self.is_joined = true;
                self.visits += 1;
                self.tally.joined.send_modify(|count| *count += 1);
                self.send_open().await;
            }
        }
    }

    /// What was refused is called again when the answer says so.
    fn postpone(&mut self, open: Option<usize>, answer: &Value) {
        assert_eq!(answer["retryable"], true, "{}: {answer}", self.id);
        self.refusals += 1;
        if let Some(at) = open {
            self.open[at].asked = None;
        }
        let wait = answer["retryAfterMs"].as_u64().expect("a time to wait");
        self.again = Some(Instant::now() + Duration::from_millis(wait));
    }

    fn hear(&mut self, event: Event) {
        let Some(payload) = event.args.into_iter().next() else { return };
        let messages = match event.name.as_str() {
            "session_joined" => payload["messages"].as_array().expect("messages").clone(),
            "new_message" => vec![payload],
            _ => return,
        };
        for message in messages {
            let (seq, text) = (message["seq"].as_u64().expect("a number"), message["message"].as_str().expect("a text").to_owned());
            self.last_seq = self.last_seq.max(seq);
            self.view.push(Heard { seq, text, at: Instant::now() });
        }
    }

    /// The network takes the connection away, and the next one goes to the other node every second time. Of two in three the server hears at once;
    /// of the others it finds out by itself.
    fn lose(&mut self) {
        let Some((_, cuts)) = self.cuts else { return };
        let now = Instant::now();
        self.cuts = Some((now + cuts.away + cuts.every, cuts));
        self.not_before = now + cuts.away;
        if self.visits.is_multiple_of(2) {
            self.at = 1 - self.at;
        }
        if self.visits.is_multiple_of(3) {
            self.ghost = self.raw.take();
        }
        self.forget_connection();
    }

    fn forget_connection(&mut self) {
        self.raw = None;
        self.is_joined = false;
        self.again = None;
        self.open.iter_mut().for_each(|o| o.asked = None);
    }
}

/// The next tick; never, where there is no clock.
async fn due(pace: &mut Option<Interval>) {
    match pace {
        Some(pace) => drop(pace.tick().await),
        None => std::future::pending().await,
    }
}

async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn packet(ack: u64, event: &str, payload: &Value) -> String {
    format!("42{ack}{}", json!([event, payload]))
}

/// The number and the first argument of an acknowledgement.
fn answer_of(frame: &str) -> Option<(u64, Value)> {
    let rest = frame.strip_prefix("43")?;
    let (id, args) = rest.split_at(rest.find('[')?);
    let args: Vec<Value> = serde_json::from_str(args).ok()?;
    Some((id.parse().ok()?, args.into_iter().next()?))
}
