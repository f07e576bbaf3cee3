//! What `headgate top` shows: rates and percentiles between two looks at the registry, as plain values.
//! It draws nothing and serves nothing.

use std::collections::BTreeMap;

use headgate_model::units::Tick;
use serde::{Deserialize, Serialize};

use crate::histogram::Snapshot;
use crate::registry::{FamilySnapshot, Labels, Registry, Value};
use crate::request_metrics as names;

/// What the control loops say of an endpoint.
const WEIGHT: &str = "headgate_endpoint_weight";
const UNHEALTHY: &str = "headgate_endpoint_unhealthy";
const EJECTED: &str = "headgate_endpoint_ejected";

/// Rows of one table; the busiest come first and the rest is left out.
pub const ROWS_MAX: usize = 100;

/// One look. Rates are per second over `interval_s`; in the first look there is nothing to compare with,
/// so that the interval, rates and percentiles are zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopSnapshot {
    pub interval_s: f64,
    pub requests: RequestRates,
    pub connections: ConnectionRates,
    pub routes: Vec<RouteRow>,
    pub endpoints: Vec<EndpointRow>,
    pub faults: Vec<FaultRow>,
}

/// Requests of all routes, or of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestRates {
    pub per_s: f64,
    /// Answered with a status of 500 or above.
    pub errors_per_s: f64,
    pub latency: Percentiles,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
}

/// Client connections of all listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRates {
    pub active: i64,
    pub accepted_per_s: f64,
    pub refused_per_s: f64,
    pub bytes_in_per_s: f64,
    pub bytes_out_per_s: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteRow {
    pub route: String,
    pub service: String,
    pub requests: RequestRates,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointRow {
    pub service: String,
    pub endpoint: String,
    pub health: EndpointHealth,
    pub requests_per_s: f64,
    pub failed_per_s: f64,
    pub connect_failed_per_s: f64,
    pub retries_per_s: f64,
    pub in_flight: i64,
    pub latency: Percentiles,
}

/// Whether an endpoint gets new requests, and if not, why. Of several reasons the first in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointHealth {
    /// It was drained or is gone, and finishes what it has.
    Draining,
    /// Active checks say so.
    Unhealthy,
    /// Traffic said so.
    Ejected,
    Healthy,
    /// Neither checked nor judged; used like a healthy one.
    #[default]
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRow {
    pub kind: String,
    pub blame: String,
    pub per_s: f64,
}

impl TopSnapshot {
    /// JSON on one line.
    ///
    /// # Errors
    /// None in practice: every value here has a JSON form.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// # Errors
    /// When `text` is not what [`Self::to_json`] of this version writes.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Looks at a registry again and again, and remembers the last look.
#[derive(Debug, Default)]
pub struct TopSampler {
    last: Option<(Tick, Totals)>,
}

impl TopSampler {
    pub fn sample(&mut self, registry: &Registry, now: Tick) -> TopSnapshot {
        let totals = Totals::of(registry.gather());
        let mut top = match &self.last {
            Some((then, before)) => {
                Delta { now: &totals, before, seconds: now.since(*then).as_secs_f64() }.top()
            }
            None => TopSnapshot::default(),
        };
        top.connections.active = totals.level_of_all(names::CONNECTIONS_ACTIVE);
        self.last = Some((now, totals));
        top
    }
}

/// Every series by family and labels.
#[derive(Debug)]
struct Totals(BTreeMap<&'static str, BTreeMap<Labels, Value>>);

impl Totals {
    fn of(families: Vec<FamilySnapshot>) -> Self {
        Self(families.into_iter().map(|family| (family.name, family.series.into_iter().collect())).collect())
    }

    fn family(&self, name: &str) -> impl Iterator<Item = (&Labels, &Value)> {
        self.0.get(name).into_iter().flatten()
    }

    fn value(&self, name: &str, labels: &Labels) -> Option<&Value> {
        self.0.get(name)?.get(labels)
    }

    fn level(&self, name: &str, labels: &Labels) -> i64 {
        match self.value(name, labels) {
            Some(Value::Gauge(level)) => *level,
            _ => 0,
        }
    }

    fn level_of_all(&self, name: &str) -> i64 {
        self.family(name).map(|(labels, _)| self.level(name, labels)).sum()
    }
}

struct Delta<'a> {
    now: &'a Totals,
    before: &'a Totals,
    seconds: f64,
}

impl Delta<'_> {
    fn top(&self) -> TopSnapshot {
        let mut all = Snapshot::default();
        let mut routes: Vec<_> = (self.now.family(names::REQUEST_DURATION))
            .map(|(labels, _)| {
                let latency = self.histogram(names::REQUEST_DURATION, labels);
                all.merge(&latency);
                self.route(labels, &latency)
            })
            .collect();
        let mut endpoints: Vec<_> = (self.now.family(names::UPSTREAM_DURATION))
            .map(|(labels, _)| self.endpoint(labels))
            // One that is gone and has nothing left to finish is history.
            .filter(|row| {
                row.health != EndpointHealth::Draining || row.in_flight > 0 || row.requests_per_s > 0.0
            })
            .collect();
        let requests = RequestRates {
            per_s: routes.iter().map(|row| row.requests.per_s).sum(),
            errors_per_s: routes.iter().map(|row| row.requests.errors_per_s).sum(),
            latency: percentiles(&all),
        };
        keep_busiest(&mut routes, |row| row.requests.per_s);
        keep_busiest(&mut endpoints, |row| row.requests_per_s);
        TopSnapshot {
            interval_s: self.seconds,
            requests,
            connections: self.connections(),
            routes,
            endpoints,
            faults: self.faults(),
        }
    }

    fn route(&self, labels: &Labels, latency: &Snapshot) -> RouteRow {
        let per_class =
            names::STATUS_CLASSES.map(|class| self.rate(names::REQUESTS, &labels.with("code", class)));
        RouteRow {
            route: labels.value("route").to_owned(),
            service: labels.value("service").to_owned(),
            requests: RequestRates {
                per_s: per_class.iter().sum(),
                errors_per_s: per_class[4],
                latency: percentiles(latency),
            },
        }
    }

    fn endpoint(&self, labels: &Labels) -> EndpointRow {
        let [ok, failed, connect_failed, abandoned] = names::OUTCOMES
            .map(|outcome| self.rate(names::UPSTREAM_REQUESTS, &labels.with("outcome", outcome)));
        EndpointRow {
            service: labels.value("service").to_owned(),
            endpoint: labels.value("endpoint").to_owned(),
            health: self.health(labels),
            requests_per_s: ok + failed + connect_failed + abandoned,
            failed_per_s: failed,
            connect_failed_per_s: connect_failed,
            retries_per_s: self.rate(names::UPSTREAM_RETRIES, labels),
            in_flight: self.now.level(names::UPSTREAM_IN_FLIGHT, labels),
            latency: percentiles(&self.histogram(names::UPSTREAM_DURATION, labels)),
        }
    }

    fn health(&self, labels: &Labels) -> EndpointHealth {
        let gauge = |name| match self.now.value(name, labels) {
            Some(Value::Gauge(value)) => Some(*value),
            _ => None,
        };
        match (gauge(WEIGHT), gauge(UNHEALTHY), gauge(EJECTED)) {
            (Some(0), ..) => EndpointHealth::Draining,
            (_, Some(1), _) => EndpointHealth::Unhealthy,
            (_, _, Some(1)) => EndpointHealth::Ejected,
            (_, None, None) => EndpointHealth::Unknown,
            _ => EndpointHealth::Healthy,
        }
    }

    fn connections(&self) -> ConnectionRates {
        let bytes =
            |direction| self.rate_of_all(names::BYTES, |labels| labels.value("direction") == direction);
        ConnectionRates {
            active: self.now.level_of_all(names::CONNECTIONS_ACTIVE),
            accepted_per_s: self.rate_of_all(names::CONNECTIONS_ACCEPTED, |_| true),
            refused_per_s: self.rate_of_all(names::CONNECTIONS_REFUSED, |_| true),
            bytes_in_per_s: bytes("in"),
            bytes_out_per_s: bytes("out"),
        }
    }

    fn faults(&self) -> Vec<FaultRow> {
        let mut faults: Vec<_> = (self.now.family(names::FAULTS))
            .map(|(labels, _)| FaultRow {
                kind: labels.value("kind").to_owned(),
                blame: labels.value("blame").to_owned(),
                per_s: self.rate(names::FAULTS, labels),
            })
            .filter(|row| row.per_s > 0.0)
            .collect();
        keep_busiest(&mut faults, |row| row.per_s);
        faults
    }

    fn rate(&self, name: &str, labels: &Labels) -> f64 {
        let count = |totals: &Totals| match totals.value(name, labels) {
            Some(Value::Counter(count)) => *count,
            _ => 0,
        };
        let counted = count(self.now).saturating_sub(count(self.before));
        if self.seconds > 0.0 { counted as f64 / self.seconds } else { 0.0 }
    }

    fn rate_of_all(&self, name: &str, wanted: impl Fn(&Labels) -> bool) -> f64 {
        self.now
            .family(name)
            .filter(|(labels, _)| wanted(labels))
            .map(|(labels, _)| self.rate(name, labels))
            .sum()
    }

    fn histogram(&self, name: &str, labels: &Labels) -> Snapshot {
        match (self.now.value(name, labels), self.before.value(name, labels)) {
            (Some(Value::Histogram(now)), Some(Value::Histogram(before))) => now.since(before),
            (Some(Value::Histogram(now)), _) => now.clone(),
            _ => Snapshot::default(),
        }
    }
}

fn percentiles(latency: &Snapshot) -> Percentiles {
    let [p50_us, p90_us, p99_us, p999_us] = [0.5, 0.9, 0.99, 0.999].map(|q| latency.quantile(q).unwrap_or(0));
    Percentiles { p50_us, p90_us, p99_us, p999_us }
}

/// Busiest first; equally busy rows keep the order of their labels.
fn keep_busiest<R>(rows: &mut Vec<R>, per_s: impl Fn(&R) -> f64) {
    rows.sort_by(|a, b| per_s(b).total_cmp(&per_s(a)));
    rows.truncate(ROWS_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_metrics::{EndpointMetrics, FaultMetrics, ListenerMetrics, Outcome, RouteMetrics};
    use headgate_model::fault::FaultKind;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn rates_are_of_the_interval_and_summed_over_workers() {
        let registry = Registry::default();
        let mut sampler = TopSampler::default();
        let workers: Vec<_> = (0..2).map(|id| registry.worker(id)).collect();
        let routes: Vec<_> = workers.iter().map(|w| RouteMetrics::new(w, "shop", "catalog")).collect();
        let quiet = RouteMetrics::new(&workers[0], "about", "");
        let endpoint = EndpointMetrics::new(&workers[0], "catalog", "10.0.0.1:80");
        let listener = ListenerMetrics::new(&workers[1], "web");
        let faults = FaultMetrics::new(&workers[1]);

        routes[0].record(200, 1_000_000);
        listener.connections_active.inc();
        let first = sampler.sample(&registry, Tick(5 * SECOND));
        assert_eq!((first.interval_s, first.requests.per_s, first.connections.active), (0.0, 0.0, 1));

        for _ in 0..10 {
            routes[0].record(200, 1_000);
            routes[1].record(503, 1_000);
        }
        quiet.record(200, 7);
        endpoint.record(Outcome::Ok, 900);
        endpoint.record(Outcome::ConnectFailed, 5_000_000);
        endpoint.in_flight.inc();
        listener.bytes_out.add(4_000);
        faults.record(FaultKind::ConnectFailed);
        let top = sampler.sample(&registry, Tick(7 * SECOND));

        assert_eq!((top.interval_s, top.requests.per_s, top.requests.errors_per_s), (2.0, 10.5, 5.0));
        let rows: Vec<_> = top.routes.iter().map(|row| (row.route.as_str(), row.requests.per_s)).collect();
        assert_eq!(rows, [("shop", 10.0), ("about", 0.5)]);
        assert!(top.routes[0].requests.latency.p999_us < 1_100, "the first look's second is not in it");
        let row = &top.endpoints[0];
        assert_eq!((row.requests_per_s, row.connect_failed_per_s, row.in_flight), (1.0, 0.5, 1));
        assert!(row.latency.p999_us < 1_000, "a failed connect is no latency");
        assert_eq!(top.connections.bytes_out_per_s, 2_000.0);
        assert_eq!(
            top.faults,
            [FaultRow { kind: "connect_failed".into(), blame: "upstream".into(), per_s: 0.5 }]
        );

        assert_eq!(TopSnapshot::from_json(&top.to_json().unwrap()).unwrap(), top);
    }

    #[test]
    fn an_endpoint_shows_why_it_gets_no_requests() {
        let registry = Registry::default();
        let worker = registry.worker(0);
        let mut sampler = TopSampler::default();
        let endpoint = EndpointMetrics::new(&worker, "shop", "10.0.0.1:80");
        let gauge = |name| worker.gauge(name, "", &[("service", "shop"), ("endpoint", "10.0.0.1:80")]);
        let mut health = || {
            sampler.sample(&registry, Tick(1));
            let top = sampler.sample(&registry, Tick(2));
            top.endpoints.first().map(|row| row.health)
        };
        assert_eq!(health(), Some(EndpointHealth::Unknown), "nobody looks at it");
        let (weight, unhealthy) = (gauge(WEIGHT), gauge(UNHEALTHY));
        weight.set(1);
        assert_eq!(health(), Some(EndpointHealth::Healthy));
        gauge(EJECTED).set(1);
        assert_eq!(health(), Some(EndpointHealth::Ejected));
        unhealthy.set(1);
        assert_eq!(health(), Some(EndpointHealth::Unhealthy));
        weight.set(0);
        endpoint.in_flight.inc();
        assert_eq!(health(), Some(EndpointHealth::Draining));
        endpoint.in_flight.dec();
        assert_eq!(health(), None, "gone, and nothing left to finish");
    }

    #[test]
    fn two_looks_at_the_same_time_show_no_rates() {
        let registry = Registry::default();
        let route = RouteMetrics::new(&registry.worker(0), "shop", "catalog");
        let mut sampler = TopSampler::default();
        sampler.sample(&registry, Tick(1));
        route.record(200, 1);
        assert_eq!(sampler.sample(&registry, Tick(1)).requests.per_s, 0.0);
    }

    #[test]
    fn only_the_busiest_rows_are_kept() {
        let registry = Registry::default();
        let mut sampler = TopSampler::default();
        sampler.sample(&registry, Tick(0));
        for i in 0..=ROWS_MAX as u64 {
            let route = RouteMetrics::new(&registry.worker(0), &format!("r{i}"), "s");
            (0..=i).for_each(|_| route.record(200, 1));
        }
        let top = sampler.sample(&registry, Tick(SECOND));
        assert_eq!(top.routes.len(), ROWS_MAX);
        assert_eq!((top.routes[0].route.as_str(), top.routes[99].route.as_str()), ("r100", "r1"));
    }
}
