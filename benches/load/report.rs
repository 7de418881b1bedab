//! What all sessions came to, as one JSON object. Times are in milliseconds, CPU in microseconds for a message.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::talk::{Pace, Plan, micros};

/// What a session measured.
#[derive(Default)]
pub(crate) struct Record {
    /// How many messages were acknowledged and delivered inside of the window.
    pub(crate) done: u64,
    /// Times in microseconds, of messages whose time began inside of the window.
    acks: Vec<u32>,
    deliveries: Vec<u32>,
    /// How long after its due time a message was sent: the generator's own share of the times.
    pub(crate) late: Vec<u32>,
}

impl Record {
    pub(crate) fn keep_ack(&mut self, plan: &Plan, since: Instant, now: Instant) {
        if plan.is_inside(since) {
            self.acks.push(micros(now - since));
        }
    }

    pub(crate) fn keep_delivery(&mut self, plan: &Plan, since: Instant, now: Instant) {
        if plan.is_inside(since) {
            self.deliveries.push(micros(now - since));
        }
    }
}

/// What came of a session.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) record: Record,
    pub(crate) lost: u64,
    /// What had not arrived long after the window, and nothing after it: lost, or the server is that far behind.
    pub(crate) unheard: u64,
    pub(crate) doubled: u64,
    pub(crate) disordered: u64,
    /// How many messages the server would not take now.
    pub(crate) refused: u64,
    /// How often the server's number was not the next one.
    pub(crate) misnumbered: u64,
    pub(crate) problem: Option<String>,
}

/// What the processes used inside of the window.
pub(crate) struct Used {
    pub(crate) server: Duration,
    pub(crate) store: Duration,
    pub(crate) own: Duration,
    pub(crate) elapsed: Duration,
    /// Bytes, at the end of the window.
    pub(crate) resident: u64,
}

/// All sessions together.
#[derive(Default)]
pub(crate) struct Report {
    all: Outcome,
    problems: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        let all = &mut self.all;
        all.record.done += outcome.record.done;
        all.record.acks.extend(outcome.record.acks);
        all.record.deliveries.extend(outcome.record.deliveries);
        all.record.late.extend(outcome.record.late);
        all.lost += outcome.lost;
        all.unheard += outcome.unheard;
        all.refused += outcome.refused;
        all.doubled += outcome.doubled;
        all.disordered += outcome.disordered;
        all.misnumbered += outcome.misnumbered;
        self.problems.extend(outcome.problem);
    }

    pub(crate) fn into_json(mut self, plan: &Plan, used: &Used) -> Value {
        let record = &mut self.all.record;
        let seconds = used.elapsed.as_secs_f64();
        let each = |cpu: Duration| rounded(cpu.as_secs_f64() * 1e6 / record.done.max(1) as f64);
        let (what, rate) = match plan.pace {
            Pace::Closed => ("closed", None),
            Pace::Open { rate } => ("open", Some(rate)),
        };
        let (server, store, own) = (each(used.server), each(used.store), each(used.own));
        let Outcome { lost, unheard, doubled, disordered, misnumbered, refused, .. } = self.all;
        let wrongs = json!({
            "lost": lost, "unheard": unheard, "doubled": doubled, "disordered": disordered, "misnumbered": misnumbered, "refused": refused,
        });
        let counts = wrongs.as_object().into_iter().flatten().filter(|(_, count)| **count != 0);
        let mut wrong: Vec<String> = counts.map(|(what, count)| format!("{count} {what}")).collect();
        wrong.extend((record.done == 0).then(|| "nothing was measured".to_owned()));
        wrong.extend(self.problems.into_iter().take(5));
        json!({
            "what": what, "rate": rate, "sessions": plan.sessions, "seconds": rounded(seconds),
            "messages": record.done, "per_second": rounded(record.done as f64 / seconds),
            "server_cpu_us": server, "store_cpu_us": store, "own_cpu_us": own,
            "ack_ms": spread(&mut record.acks), "delivery_ms": spread(&mut record.deliveries), "late_ms": spread(&mut record.late),
            "lost": lost, "unheard": unheard, "doubled": doubled, "disordered": disordered, "misnumbered": misnumbered, "refused": refused,
            "rss_kib": used.resident / 1_024, "wrong": wrong,
        })
    }
}

/// Percentiles in milliseconds of times in microseconds.
fn spread(times: &mut [u32]) -> Value {
    times.sort_unstable();
    let at = |share: f64| {
        let index = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1)) - 1;
        times.get(index).map(|time| f64::from(*time) / 1_000.0)
    };
    json!({"p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": at(1.0)})
}

/// Two digits after the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
