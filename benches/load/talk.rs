//! One session: two parties who say something in turn, and everything that they hear, checked. It knows `send_message`, its acknowledgement and
//! `new_message`, and looks into no other event.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future as _, poll_fn};
use std::io::Write as _;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::time::{Sleep, sleep_until};

use crate::ledger::{Heard, Sequence};
use crate::protocol::{Room, Seat};
use crate::report::{Outcome, Record};
use crate::wire::{Wire, find, number};

/// How long after the window what was said may still arrive.
const DRAIN: Duration = Duration::from_secs(10);

/// For how long a session listens for doubles when it has heard everything.
const LINGER: Duration = Duration::from_millis(200);

/// What stands around the session, the party and the number in a text.
const MARK: u8 = b'~';

/// The rest of every text: about as long as people write.
const TEXT: &str = "Good morning, where is my parcel?";

/// What parties are called in a text, by their place.
const LETTERS: [u8; 2] = [b'v', b'a'];

/// When something is said.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// When the message before has arrived.
    Closed,
    /// At a rate in messages per second over all sessions, whatever happens.
    Open { rate: f64 },
}

/// What all sessions have in common.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) pace: Pace,
    pub(crate) sessions: usize,
    pub(crate) start: Instant,
    /// What happens from here to `end` is measured; nothing new is said after that.
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

/// A session that is about to talk.
pub(crate) struct Talk {
    nth: usize,
    plan: Plan,
    parties: [Party; 2],
    record: Record,
    /// What is sent, so that it is allocated once.
    frame: Vec<u8>,
}

struct Party {
    place: usize,
    wire: Wire,
    /// A call up to the number in its text.
    call: Vec<u8>,
    said: u64,
    /// Which messages wait for their acknowledgements, oldest first, and since when.
    unacknowledged: VecDeque<(u64, Instant)>,
    /// Which messages the other party does not have, and since when.
    undelivered: VecDeque<(u64, Instant)>,
    /// Which messages the server would not take, for a reason that passes.
    refused: BTreeSet<u64>,
    /// What it heard of each party.
    heard: [Heard; 2],
    sequence: Sequence,
}

/// A text frame, as far as it is of interest.
enum Word {
    Ping,
    Acknowledgement {
        number: u64,
        is_taken: bool,
    },
    Message {
        speaker: usize,
        number: u64,
        seq: Option<u64>,
    },
    /// Another event that has one of the session's numbers.
    Entry {
        seq: u64,
    },
    Other,
}

impl Talk {
    pub(crate) fn new(nth: usize, room: Room, plan: Plan) -> Self {
        let party = |seat: Seat, place: usize| Party {
            place,
            wire: seat.wire,
            call: format!("[\"send_message\",{{\"sessionId\":\"{}\",\"message\":\"~{nth}{}", room.id, char::from(LETTERS[place]))
                .into_bytes(),
            said: 0,
            refused: BTreeSet::new(),
            unacknowledged: VecDeque::new(),
            undelivered: VecDeque::new(),
            heard: Default::default(),
            sequence: Sequence::after(seat.reach),
        };
        let [visitor, agent] = room.seats;
        Self { nth, plan, parties: [party(visitor, 0), party(agent, 1)], record: Record::default(), frame: Vec::new() }
    }

    /// Talks as planned, and answers what came of it.
    pub(crate) async fn run(mut self) -> Outcome {
        let problem = self.talk().await.err().map(|error| format!("session {}: {error:#}", self.nth));
        let record = std::mem::take(&mut self.record);
        let mut outcome = Outcome { record, problem, ..Outcome::default() };
        for (listener, speaker) in self.pairs() {
            let heard = &listener.heard[speaker.place];
            outcome.lost += heard.lost(&speaker.refused);
            outcome.unheard += heard.unheard(speaker.said, &speaker.refused);
            outcome.doubled += heard.doubled;
            outcome.disordered += heard.disordered;
        }
        for party in &self.parties {
            outcome.misnumbered += party.sequence.broken;
            outcome.refused += party.refused.len() as u64;
        }
        outcome
    }

    async fn talk(&mut self) -> anyhow::Result<()> {
        let Plan { start, end, .. } = self.plan;
        let limit = end + DRAIN;
        let (mut due, every) = self.timetable();
        let mut timer = pin!(sleep_until(start.into()));
        timer.as_mut().await;
        let mut speaker = 0;
        loop {
            let now = Instant::now();
            // Without a timetable the next message is due when the one before has arrived.
            let is_turn = match every {
                Some(_) => due <= now,
                None => {
                    due = now;
                    self.is_level()
                }
            };
            let is_over = due >= end;
            if is_turn && !is_over {
                self.say(speaker, due).await?;
                speaker = 1 - speaker;
                due += every.unwrap_or_default();
                continue;
            }
            if now >= limit || (is_over && self.is_complete()) {
                break;
            }
            let wake = if every.is_some() && !is_over { due } else { limit };
            if timer.deadline() != wake.into() {
                timer.as_mut().reset(wake.into());
            }
            self.hear(timer.as_mut()).await?;
        }
        timer.as_mut().reset((Instant::now() + LINGER).into());
        while !timer.is_elapsed() {
            self.hear(timer.as_mut()).await?;
        }
        Ok(())
    }

    /// When the first message is due, and after what time each next one.
    fn timetable(&self) -> (Instant, Option<Duration>) {
        match self.plan.pace {
            Pace::Closed => (self.plan.start, None),
            Pace::Open { rate } => {
                let offset = Duration::from_secs_f64(self.nth as f64 / rate);
                (self.plan.start + offset, Some(Duration::from_secs_f64(self.plan.sessions as f64 / rate)))
            }
        }
    }

    /// Says the next message of this party; its time counts from then.
    async fn say(&mut self, speaker: usize, since: Instant) -> anyhow::Result<()> {
        let party = &mut self.parties[speaker];
        party.said += 1;
        party.unacknowledged.push_back((party.said, since));
        party.undelivered.push_back((party.said, since));
        let number = party.said;
        self.frame.clear();
        write!(self.frame, "42{number}")?;
        self.frame.extend_from_slice(&party.call);
        write!(self.frame, "{number}~ {TEXT}\"}}]")?;
        party.wire.send(&self.frame).await?;
        if self.plan.is_inside(since) {
            self.record.late.push(micros(since.elapsed()));
        }
        Ok(())
    }

    /// Reads once, or waits for the timer.
    async fn hear(&mut self, mut timer: Pin<&mut Sleep>) -> anyhow::Result<()> {
        let parties = &mut self.parties;
        let listener = poll_fn(|cx| {
            for (side, party) in parties.iter_mut().enumerate() {
                if let Poll::Ready(read) = party.wire.poll_fill(cx) {
                    return Poll::Ready(read.map(|()| Some(side)));
                }
            }
            timer.as_mut().poll(cx).map(|()| Ok(None))
        });
        let Some(listener) = listener.await? else { return Ok(()) };
        let now = Instant::now();
        while let Some(frame) = self.parties[listener].wire.frame()? {
            let word = read(frame, self.nth)?;
            self.take(listener, word, now).await?;
        }
        Ok(())
    }

    async fn take(&mut self, listener: usize, word: Word, now: Instant) -> anyhow::Result<()> {
        let party = &mut self.parties[listener];
        match word {
            Word::Ping => party.wire.send(b"3").await?,
            Word::Acknowledgement { number, is_taken } => {
                let (next, since) = party.unacknowledged.pop_front().context("an acknowledgement of nothing")?;
                ensure!(number == next, "message {number} was acknowledged, and it was the turn of {next}");
                if is_taken {
                    self.record.keep_ack(&self.plan, since, now);
                    // Whichever comes last, this or the delivery, makes the message done.
                    self.record.done += u64::from(!holds(&party.undelivered, number) && self.plan.is_inside(now));
                } else {
                    party.refused.insert(number);
                    party.undelivered.retain(|(undelivered, _)| *undelivered != number);
                }
            }
            Word::Message { speaker, number, seq } => {
                party.sequence.note(seq);
                party.heard[speaker].note(number);
                let author = &mut self.parties[speaker];
                if speaker != listener
                    && let Some(at) = author.undelivered.iter().position(|(undelivered, _)| *undelivered == number)
                {
                    let since = author.undelivered.remove(at).context("just found")?.1;
                    self.record.keep_delivery(&self.plan, since, now);
                    self.record.done += u64::from(!holds(&author.unacknowledged, number) && self.plan.is_inside(now));
                }
            }
            Word::Entry { seq } => party.sequence.note(Some(seq)),
            Word::Other => {}
        }
        Ok(())
    }

    /// Whether everything that was said is acknowledged, and the other party has it.
    fn is_level(&self) -> bool {
        self.parties.iter().all(|party| party.unacknowledged.is_empty() && party.undelivered.is_empty())
    }

    /// Whether, besides, everybody has heard everything, himself included.
    fn is_complete(&self) -> bool {
        self.is_level()
            && self.pairs().all(|(listener, speaker)| listener.heard[speaker.place].unheard(speaker.said, &speaker.refused) == 0)
    }

    /// Everybody as a listener with everybody as a speaker.
    fn pairs(&self) -> impl Iterator<Item = (&Party, &Party)> {
        self.parties.iter().flat_map(|listener| self.parties.iter().map(move |speaker| (listener, speaker)))
    }
}

fn holds(waiting: &VecDeque<(u64, Instant)>, number: u64) -> bool {
    waiting.iter().any(|(waits, _)| *waits == number)
}

impl Plan {
    pub(crate) fn is_inside(&self, moment: Instant) -> bool {
        (self.begin..self.end).contains(&moment)
    }
}

pub(crate) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// Reads a text frame of this session.
fn read(frame: &[u8], nth: usize) -> anyhow::Result<Word> {
    match frame {
        b"2" => Ok(Word::Ping),
        [b'4', b'3', rest @ ..] => {
            let is_taken = find(rest, b"\"ok\":true").is_some();
            let may_pass = is_taken || find(rest, b"\"retryable\":true").is_some();
            ensure!(may_pass, "a message was refused: {}", String::from_utf8_lossy(frame));
            Ok(Word::Acknowledgement { number: number(rest).context("an acknowledgement without a number")?, is_taken })
        }
        [b'4', b'2', rest @ ..] if rest.starts_with(b"[\"new_message\"") => {
            let (session, letter, number) = text(rest).with_context(|| format!("not our text: {}", String::from_utf8_lossy(frame)))?;
            ensure!(session == nth as u64, "a message of session {session} came to session {nth}");
            let speaker = LETTERS.iter().position(|l| *l == letter).context("an unknown party")?;
            Ok(Word::Message { speaker, number, seq: seq(rest) })
        }
        [b'4', b'2', rest @ ..] if !rest.starts_with(b"[\"error\"") => Ok(seq(rest).map_or(Word::Other, |seq| Word::Entry { seq })),
        _ => bail!("{}", String::from_utf8_lossy(frame)),
    }
}

/// Session, party and number of the first text in a frame.
fn text(frame: &[u8]) -> Option<(u64, u8, u64)> {
    let at = frame.iter().position(|b| *b == MARK)? + 1;
    let rest = frame.get(at..)?;
    let digits = rest.iter().position(|b| !b.is_ascii_digit())?;
    Some((number(rest)?, rest[digits], number(&rest[digits + 1..])?))
}

/// The session's number of an entry, which is its event's last field.
fn seq(frame: &[u8]) -> Option<u64> {
    let rest = frame.strip_suffix(b"}]")?;
    let digits = rest.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (head, digits) = rest.split_at(rest.len() - digits);
    head.ends_with(b"\"seq\":").then(|| number(digits)).flatten()
}
