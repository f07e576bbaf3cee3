//! Counts while a run goes on: histograms, counts by outcome, and a row for each interval. Memory depends on the
//! number of services and intervals, never on the number of requests.

use super::call::End;
use super::journal::Journal;
use super::results::{Latency, OUTCOMES, Results, Row, ServiceRow, ServiceTotals};

/// Rows that a run may have.
pub(super) const ROWS_MAX: u64 = 100_000;

/// Counts while the simulation runs.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    pub(super) offered: u64,
    ends: [u64; OUTCOMES],
    /// Well and badly, measured or not.
    answered: [u64; 2],
    latency: Latency,
    failures: Latency,
    services: Vec<ServiceTotals>,
    rows: Vec<Row>,
    interval: Interval,
}

/// What the present row has so far.
#[derive(Clone, Debug)]
struct Interval {
    start_ns: u64,
    offered: u64,
    failed: u64,
    latency: Latency,
    services: Vec<Partial>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Partial {
    ok: u64,
    failed: u64,
    attempts: u64,
    latency_sum_ns: u64,
    /// Integrals at the start of the row.
    used_core_ns: f64,
    byte_ns: f64,
}

/// What the fleet has used up to the end of a row, for one service.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) used_core_ns: f64,
    /// The integral of what calls hold.
    pub(super) byte_ns: f64,
    /// What the processes that are there hold without any call.
    pub(super) idle_bytes: f64,
    pub(super) replicas_up: u32,
    /// Cores of the replicas that are up.
    pub(super) cores: f64,
}

impl Meter {
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        let total = |name| ServiceTotals {
            name,
            ends: [0; OUTCOMES],
            attempts: 0,
            retries: 0,
            cache_hits: 0,
            latency: Latency::new(3),
            used_core_ns: 0.0,
            core_ns: 0.0,
        };
        let services: Vec<ServiceTotals> = names.map(total).collect();
        let partials = vec![Partial::default(); services.len()];
        let interval =
            Interval { start_ns: 0, offered: 0, failed: 0, latency: Latency::new(2), services: partials };
        Self {
            offered: 0,
            ends: [0; OUTCOMES],
            answered: [0; 2],
            latency: Latency::new(3),
            failures: Latency::new(2),
            services,
            rows: Vec::new(),
            interval,
        }
    }

    /// A request from outside was planned.
    #[inline]
    pub(super) fn offer(&mut self, measured: bool) {
        self.offered += u64::from(measured);
        self.interval.offered += 1;
    }

    #[inline]
    pub(super) fn attempt(&mut self, service: usize, measured: bool, retry: bool) {
        self.interval.services[service].attempts += 1;
        if measured {
            self.services[service].attempts += 1;
            self.services[service].retries += u64::from(retry);
        }
    }

    pub(super) fn cache_hit(&mut self, service: usize, measured: bool) {
        self.services[service].cache_hits += u64::from(measured);
    }

    /// A call is over for its caller.
    #[inline]
    pub(super) fn call(&mut self, service: usize, end: End, latency_ns: u64, measured: bool) {
        let partial = &mut self.interval.services[service];
        if end == End::Ok {
            partial.ok += 1;
            partial.latency_sum_ns += latency_ns;
        } else {
            partial.failed += 1;
        }
        if measured {
            let totals = &mut self.services[service];
            totals.ends[end as usize] += 1;
            if end == End::Ok {
                totals.latency.record(latency_ns);
            }
        }
    }

    /// A request from outside is answered.
    #[inline]
    pub(super) fn answer(&mut self, end: End, latency_ns: u64, measured: bool) {
        self.answered[usize::from(end != End::Ok)] += 1;
        if end == End::Ok {
            self.interval.latency.record(latency_ns);
        } else {
            self.interval.failed += 1;
        }
        if measured {
            self.ends[end as usize] += 1;
            if end == End::Ok { self.latency.record(latency_ns) } else { self.failures.record(latency_ns) }
        }
    }

    /// Requests from outside that were answered well and badly, measured or not.
    pub(super) fn answered(&self) -> (u64, u64) {
        (self.answered[0], self.answered[1])
    }

    /// Ends a row. `node_cores` and `node_bytes` are those of all nodes.
    pub(super) fn close_row(
        &mut self,
        end_ns: u64,
        measured: bool,
        usage: &[Usage],
        node_cores: f64,
        node_bytes: f64,
    ) {
        let interval = &mut self.interval;
        let length_ns = (end_ns - interval.start_ns) as f64;
        if length_ns == 0.0 {
            return;
        }
        let (mut cores_used, mut bytes) = (0.0, 0.0);
        let mut services = Vec::with_capacity(usage.len());
        for ((usage, partial), totals) in usage.iter().zip(&mut interval.services).zip(&mut self.services) {
            let used_core_ns = usage.used_core_ns - partial.used_core_ns;
            let row = ServiceRow {
                calls: partial.ok + partial.failed,
                failed: partial.failed,
                attempts: partial.attempts,
                mean_ns: partial.latency_sum_ns as f64 / partial.ok.max(1) as f64,
                cores_used: used_core_ns / length_ns,
                memory_bytes: usage.idle_bytes + (usage.byte_ns - partial.byte_ns) / length_ns,
                replicas_up: usage.replicas_up,
            };
            if measured {
                totals.used_core_ns += used_core_ns;
                totals.core_ns += usage.cores * length_ns;
            }
            cores_used += row.cores_used;
            bytes += row.memory_bytes;
            services.push(row);
            let (used_core_ns, byte_ns) = (usage.used_core_ns, usage.byte_ns);
            *partial = Partial { used_core_ns, byte_ns, ..Partial::default() };
        }
        let latency = &interval.latency;
        self.rows.push(Row {
            start_ns: interval.start_ns,
            end_ns,
            measured,
            offered: interval.offered,
            ok: latency.count(),
            failed: interval.failed,
            mean_ns: latency.mean_ns(),
            p50_ns: latency.quantile_ns(0.5),
            p95_ns: latency.quantile_ns(0.95),
            p99_ns: latency.quantile_ns(0.99),
            cpu: cores_used / node_cores,
            memory: bytes / node_bytes,
            services,
        });
        (interval.start_ns, interval.offered, interval.failed) = (end_ns, 0, 0);
        interval.latency.clear();
    }

    pub(super) fn row_start_ns(&self) -> u64 {
        self.interval.start_ns
    }

    pub(super) fn results(&self, events: u64, end_ns: u64, calls_most: usize) -> Results {
        Results {
            offered: self.offered,
            ends: self.ends,
            latency: self.latency.clone(),
            failures: self.failures.clone(),
            services: self.services.clone(),
            rows: self.rows.clone(),
            journal: Journal::default(),
            events,
            end_ns,
            calls_most,
        }
    }
}
