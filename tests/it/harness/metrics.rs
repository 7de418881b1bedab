//! What a server shows of itself at `METRICS_ADDR`, as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::http::{Answer, request};
use super::script::Body;
use super::server::Server;

/// The variable that makes a server show them, on a port that is free.
pub(crate) const SHOWN: (&str, &str) = ("METRICS_ADDR", "127.0.0.1:0");

/// Where this server shows them.
pub(crate) fn address(server: &Server) -> SocketAddr {
    let log = server.log();
    let (_, rest) = log.rsplit_once("metrics on http://").expect("it says where");
    rest.split_once("/metrics").expect("a path").0.parse().expect("an address")
}

/// One look: every series with its labels as they stand there, and its number.
pub(crate) struct Look {
    pub(crate) text: String,
    series: BTreeMap<String, f64>,
}

/// Looks at this server.
pub(crate) async fn look(server: &Server) -> Look {
    let Answer { status, body, .. } = request(address(server), "GET", "/metrics", &[], Body::None).await.expect("an answer");
    assert_eq!(status, 200);
    let text = body.as_str().expect("a text").to_owned();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let mut series = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, number) = line.rsplit_once(' ').expect("a name and a number");
        assert!(series.insert(name.to_owned(), number.parse().expect("a number")).is_none(), "{name} stands there twice");
    }
    Look { text, series }
}

impl Look {
    /// The number of a series, `name{label="value"}`.
    pub(crate) fn number(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// The names of all metrics, a histogram by its own.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let plain = |series: &String| {
            let name = series.split('{').next().unwrap_or_default();
            let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
            histogram.filter(|of| self.text.contains(&format!("# TYPE {of} histogram"))).unwrap_or(name).to_owned()
        };
        self.series.keys().map(plain).collect()
    }

    /// Every label with its value, as `label="value"`.
    pub(crate) fn labels(&self) -> BTreeSet<&str> {
        let inside = self.series.keys().filter_map(|series| series.split_once('{')?.1.strip_suffix('}'));
        inside.flat_map(|labels| labels.split(',')).collect()
    }
}
