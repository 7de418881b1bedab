//! `/metrics`, on a listener of its own: what the parts of the node have counted, read when somebody asks, in the text format of OpenMetrics, which
//! Prometheus reads. Nothing is counted here. Labels name contracts and kinds, and never a person, a session or an address.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::cluster::Traffic;
use crate::domain::desk::Desk;
use crate::domain::figures::PerRealm;
use crate::domain::principal::Realm;
use crate::domain::time::Timestamp;
use crate::http::serve::{Bounds, listen};
use crate::http::status;
use crate::socket::Gateway;

/// How many connections the listener serves at once. They are not among `MAX_CONNECTIONS`: a full server is still looked at.
const CONNECTIONS: usize = 16;

/// What the library writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is looked at.
pub(super) struct Observed {
    pub(super) desk: Arc<Desk>,
    pub(super) gateway: Arc<Gateway>,
    /// What went over Redis, where there is one.
    pub(super) traffic: Option<Arc<Traffic>>,
    /// The slots for connections to the contracts.
    pub(super) slots: Arc<Semaphore>,
    pub(super) started: Timestamp,
}

/// Listens on the address of `METRICS_ADDR`.
///
/// # Errors
/// An address that cannot be had.
pub(super) fn listen_on(address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen(address).with_context(|| format!("cannot listen on {address} (METRICS_ADDR)"))
}

/// The same bounds, with slots of its own.
pub(super) fn bounds(others: &Bounds) -> Bounds {
    Bounds { slots: Arc::new(Semaphore::new(CONNECTIONS)), ..others.clone() }
}

/// `GET /metrics`, and 404 for all else.
pub(super) fn router(observed: Observed) -> Router {
    let only = get(scrape).fallback(async || StatusCode::NOT_FOUND);
    Router::new().route("/metrics", only).with_state(Arc::new(observed))
}

async fn scrape(State(observed): State<Arc<Observed>>) -> Response {
    let (shown, mut text) = (observed.shown().await, String::new());
    match text::encode(&mut text, &shown) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Observed {
    /// Everything as it is now. What only the store knows is left out while it does not answer.
    async fn shown(&self) -> Registry {
        let mut shown = Registry::default();
        shown.register("helpline_build", "Which program this is", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let started = ConstGauge::new(Duration::from_millis(u64::try_from(self.started.0).unwrap_or(0)).as_secs_f64());
        shown.register("process_start_time_seconds", "When the process started, in seconds since 1970", started);
        let census = self.desk.census().await;
        shown.register("helpline_store_up", "Whether the store answers, as /readyz finds it", ConstGauge::new(u64::from(census.is_ok())));
        if let Ok(census) = census {
            shown.register("helpline_nodes", "Servers that are known to work on this store", ConstGauge::new(census.nodes));
            let waiting = census.waiting.into_iter().map(|(realm, count)| (realm.name(), count)).collect();
            shown.register("helpline_sessions_waiting", "Sessions that nobody answers yet", Family::gauge("contract", waiting));
        }
        self.show_work(&mut shown);
        self.show_sockets(&mut shown);
        if let Some(traffic) = &self.traffic {
            self.show_redis(traffic, &mut shown);
        }
        shown
    }

    fn show_work(&self, shown: &mut Registry) {
        let figures = self.desk.figures();
        let stored = Family::counter("contract", by_contract(&figures.messages));
        shown.register("helpline_messages_stored", "Messages stored, by the contract of who said them", stored);
        let appends = Histogram { classes: figures.appends.classes(), sum: figures.appends.sum() };
        shown.register("helpline_store_append_seconds", "How long the store took to append to a log", appends);
        let refused = status::refused().map(|(kind, count)| (kind.name(), count)).collect();
        shown.register("helpline_calls_refused", "Calls that were refused or failed", Family::counter("kind", refused));
    }

    fn show_sockets(&self, shown: &mut Registry) {
        let tally = self.gateway.tally();
        shown.register("helpline_sockets_open", "Sockets that are open", Family::gauge("contract", by_contract(&tally.open)));
        let failed = Family::counter("reason", vec![("full", read(&tally.full)), ("gone", read(&tally.gone))]);
        shown.register("helpline_emits_failed", "Frames that found a full buffer and were tried again, or found their socket gone", failed);
        let free = ConstGauge::new(self.slots.available_permits());
        shown.register("helpline_connections_free", "Connections that may still be opened, of MAX_CONNECTIONS", free);
    }

    fn show_redis(&self, traffic: &Traffic, shown: &mut Registry) {
        shown.register(
            "helpline_redis_up",
            "Whether Redis is there, as far as is known",
            ConstGauge::new(u64::from(!self.gateway.is_cut())),
        );
        for (name, help, count) in [
            ("helpline_redis_said", "Words to other nodes that went over Redis", &traffic.said),
            ("helpline_redis_unsaid", "Words to other nodes that did not, because Redis was away or too much waited", &traffic.unsaid),
            ("helpline_redis_heard", "Words of any node that were heard", &traffic.heard),
            ("helpline_redis_cuts", "How often Redis went", &traffic.cuts),
        ] {
            shown.register(name, help, ConstCounter::new(read(count)));
        }
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn by_contract(counts: &PerRealm) -> Vec<(&'static str, u64)> {
    Realm::ALL.into_iter().map(|realm| (realm.name(), read(counts.of(realm)))).collect()
}

/// Numbers that one label tells apart, as they are now.
#[derive(Debug)]
struct Family {
    is: MetricType,
    label: &'static str,
    numbers: Vec<(&'static str, u64)>,
}

impl Family {
    fn counter(label: &'static str, numbers: Vec<(&'static str, u64)>) -> Self {
        Self { is: MetricType::Counter, label, numbers }
    }

    fn gauge(label: &'static str, numbers: Vec<(&'static str, u64)>) -> Self {
        Self { is: MetricType::Gauge, label, numbers }
    }
}

impl EncodeMetric for Family {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, number) in &self.numbers {
            let labels = [(self.label, *value)];
            let mut one = encoder.encode_family(&labels)?;
            match self.is {
                MetricType::Counter => one.encode_counter::<NoLabelSet, _, u64>(number, None)?,
                _ => one.encode_gauge(number)?,
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        self.is
    }
}

/// Times by their class, as they are now. The library's own histogram takes a lock for each.
#[derive(Debug)]
struct Histogram {
    classes: Vec<(f64, u64)>,
    sum: f64,
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let count = self.classes.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum, count, &self.classes, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
