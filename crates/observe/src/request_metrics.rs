//! The cells that a worker holds for routes, endpoints, listeners and faults. All metrics of the request
//! path are named here and explained in `docs/metrics.md`; this file counts and decides nothing.

use std::sync::Arc;

use headgate_model::fault::{Blame, FaultKind};

use crate::counter::{Counter, Gauge};
use crate::histogram::Histogram;
use crate::registry::WorkerMetrics;

pub(crate) const REQUESTS: &str = "headgate_requests_total";
pub(crate) const REQUEST_DURATION: &str = "headgate_request_duration_seconds";
pub(crate) const UPSTREAM_REQUESTS: &str = "headgate_upstream_requests_total";
pub(crate) const UPSTREAM_DURATION: &str = "headgate_upstream_request_duration_seconds";
pub(crate) const UPSTREAM_IN_FLIGHT: &str = "headgate_upstream_requests_in_flight";
pub(crate) const UPSTREAM_RETRIES: &str = "headgate_upstream_retries_total";
pub(crate) const CONNECTIONS_ACCEPTED: &str = "headgate_connections_accepted_total";
pub(crate) const CONNECTIONS_ACTIVE: &str = "headgate_connections_active";
pub(crate) const CONNECTIONS_REFUSED: &str = "headgate_connections_refused_total";
pub(crate) const BYTES: &str = "headgate_bytes_total";
pub(crate) const FAULTS: &str = "headgate_faults_total";

pub(crate) const STATUS_CLASSES: &[&str; 5] = &["1xx", "2xx", "3xx", "4xx", "5xx"];
pub(crate) const OUTCOMES: &[&str; 4] = &["ok", "failed", "connect_failed", "abandoned"];

/// What a worker counts for one route.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    by_class: Arc<[Counter]>,
    duration: Arc<Histogram>,
}

impl RouteMetrics {
    /// `service` is empty for a route that answers by itself.
    #[must_use]
    pub fn new(worker: &WorkerMetrics, route: &str, service: &str) -> Self {
        let labels = &[("route", route), ("service", service)];
        let requests = "Requests answered, by class of the status that the client got.";
        let duration = "Time from the request's first byte to the response's last.";
        Self {
            by_class: worker.counters(REQUESTS, requests, labels, ("code", STATUS_CLASSES)),
            duration: worker.histogram(REQUEST_DURATION, duration, labels),
        }
    }

    /// Counts one finished request. A status below 100 counts as 1xx, one above 599 as 5xx.
    pub fn record(&self, status: u16, duration_us: u64) {
        let class = usize::from(status / 100).clamp(1, STATUS_CLASSES.len()) - 1;
        self.by_class[class].inc();
        self.duration.record_us(duration_us);
    }
}

/// How one attempt at an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// A whole response arrived, whatever its status.
    Ok,
    /// The attempt failed on an open connection.
    Failed,
    /// No connection could be made.
    ConnectFailed,
    /// The client went away or broke the request off.
    Abandoned,
}

/// What a worker counts for one endpoint of one service.
#[derive(Clone, Debug)]
pub struct EndpointMetrics {
    by_outcome: Arc<[Counter]>,
    /// Attempts here that followed a failed attempt of the same request.
    pub retries: Arc<Counter>,
    pub connections_opened: Arc<Counter>,
    pub in_flight: Arc<Gauge>,
    duration: Arc<Histogram>,
}

impl EndpointMetrics {
    #[must_use]
    pub fn new(worker: &WorkerMetrics, service: &str, endpoint: &str) -> Self {
        let labels = &[("service", service), ("endpoint", endpoint)];
        let requests = "Attempts at an endpoint, by how they ended.";
        let opened = "headgate_upstream_connections_opened_total";
        let duration = "Time from an attempt's start to the response's last byte.";
        Self {
            by_outcome: worker.counters(UPSTREAM_REQUESTS, requests, labels, ("outcome", OUTCOMES)),
            retries: worker.counter(UPSTREAM_RETRIES, "Attempts that followed a failed attempt.", labels),
            connections_opened: worker.counter(opened, "Connections opened to an endpoint.", labels),
            in_flight: worker.gauge(UPSTREAM_IN_FLIGHT, "Attempts begun and not yet ended.", labels),
            duration: worker.histogram(UPSTREAM_DURATION, duration, labels),
        }
    }

    /// Counts one finished attempt. The duration of one that could not connect, or that the client ended, is
    /// not of the endpoint's making and stays out of the histogram.
    pub fn record(&self, outcome: Outcome, duration_us: u64) {
        self.by_outcome[outcome as usize].inc();
        if matches!(outcome, Outcome::Ok | Outcome::Failed) {
            self.duration.record_us(duration_us);
        }
    }
}

/// What a worker counts for one listener.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    pub connections_accepted: Arc<Counter>,
    pub connections_active: Arc<Gauge>,
    /// Connections closed at once because a limit was reached.
    pub connections_refused: Arc<Counter>,
    pub tls_handshakes: Arc<Counter>,
    pub tls_failures: Arc<Counter>,
    pub bytes_in: Arc<Counter>,
    pub bytes_out: Arc<Counter>,
    /// By [`FaultKind`]; kinds that are not the client's doing have none.
    bad_requests: Box<[Option<Arc<Counter>>]>,
}

impl ListenerMetrics {
    #[must_use]
    pub fn new(worker: &WorkerMetrics, listener: &str) -> Self {
        let labels = &[("listener", listener)];
        let tls = "TLS handshakes, by how they ended.";
        let tls_with = |outcome| {
            worker.counter(
                "headgate_tls_handshakes_total",
                tls,
                &[("listener", listener), ("outcome", outcome)],
            )
        };
        let bytes = "Bytes of message content exchanged with clients.";
        let bytes_with =
            |direction| worker.counter(BYTES, bytes, &[("listener", listener), ("direction", direction)]);
        let bad = "Requests refused for what the client sent or did, by kind of fault.";
        let bad_with = |kind: &FaultKind| {
            let labels = &[("listener", listener), ("reason", kind.label())];
            (kind.blame() == Blame::Client)
                .then(|| worker.counter("headgate_bad_requests_total", bad, labels))
        };
        let refused = "Connections closed at once because a limit was reached.";
        Self {
            connections_accepted: worker.counter(CONNECTIONS_ACCEPTED, "Connections accepted.", labels),
            connections_active: worker.gauge(CONNECTIONS_ACTIVE, "Open connections from clients.", labels),
            connections_refused: worker.counter(CONNECTIONS_REFUSED, refused, labels),
            tls_handshakes: tls_with("ok"),
            tls_failures: tls_with("failed"),
            bytes_in: bytes_with("in"),
            bytes_out: bytes_with("out"),
            bad_requests: FaultKind::ALL.iter().map(bad_with).collect(),
        }
    }

    /// Counts a request refused for `kind`; nothing when the client is not to blame for it.
    pub fn bad_request(&self, kind: FaultKind) {
        if let Some(Some(counter)) = self.bad_requests.get(kind as usize) {
            counter.inc();
        }
    }
}

/// One counter per kind of fault.
#[derive(Clone, Debug)]
pub struct FaultMetrics {
    by_kind: Box<[Arc<Counter>]>,
}

impl FaultMetrics {
    #[must_use]
    pub fn new(worker: &WorkerMetrics) -> Self {
        let help = "Requests that ended with a fault, by kind and by who caused it.";
        let counter = |kind: &FaultKind| {
            worker.counter(FAULTS, help, &[("kind", kind.label()), ("blame", blame_label(kind.blame()))])
        };
        Self { by_kind: FaultKind::ALL.iter().map(counter).collect() }
    }

    pub fn record(&self, kind: FaultKind) {
        self.by_kind[kind as usize].inc();
    }
}

fn blame_label(blame: Blame) -> &'static str {
    match blame {
        Blame::Client => "client",
        Blame::Gateway => "gateway",
        Blame::Upstream => "upstream",
    }
}
