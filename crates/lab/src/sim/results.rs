//! What a run shows: latencies, counts by outcome, a row for each interval, and one number over all of it.

use super::call::End;
use super::journal::Journal;
use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is told apart: an hour.
const LATENCY_MAX_NS: u64 = 3_600_000_000_000;
pub(super) const OUTCOMES: usize = End::ALL.len();

/// Latencies in nanoseconds, to three digits, with an exact sum.
#[derive(Clone, Debug)]
pub struct Latency {
    histogram: Histogram<u64>,
    sum_ns: u64,
    sum_of_squares: f64,
}

impl Latency {
    #[expect(clippy::expect_used, reason = "the bounds are constants")]
    pub(super) fn new(digits: u8) -> Self {
        let histogram = Histogram::new_with_bounds(1_000, LATENCY_MAX_NS, digits)
            .expect("1 <= low, 2 * low <= high and at most 5 digits");
        Self { histogram, sum_ns: 0, sum_of_squares: 0.0 }
    }

    #[inline]
    pub(super) fn record(&mut self, latency_ns: u64) {
        self.histogram.saturating_record(latency_ns);
        self.sum_ns = self.sum_ns.wrapping_add(latency_ns);
        let latency = latency_ns as f64;
        self.sum_of_squares += latency * latency;
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.histogram.reset();
        (self.sum_ns, self.sum_of_squares) = (0, 0.0);
    }

    /// Zero without any.
    #[must_use]
    pub fn mean_ns(&self) -> f64 {
        self.sum_ns as f64 / self.count().max(1) as f64
    }

    /// Standard deviation; zero without any.
    #[must_use]
    pub fn deviation_ns(&self) -> f64 {
        let mean = self.mean_ns();
        (self.sum_of_squares / self.count().max(1) as f64 - mean * mean).max(0.0).sqrt()
    }

    /// The latency that a share `q` of them does not exceed, to three digits; zero without any.
    #[must_use]
    pub fn quantile_ns(&self, q: f64) -> u64 {
        if self.count() == 0 { 0 } else { self.histogram.value_at_quantile(q) }
    }

    #[must_use]
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

/// Calls of one service by outcome.
#[derive(Clone, Debug)]
pub struct ServiceTotals {
    pub name: String,
    /// Calls by outcome, in the order of [`End::ALL`]; retries are within.
    pub ends: [u64; OUTCOMES],
    /// Attempts that were sent to a replica.
    pub attempts: u64,
    pub retries: u64,
    pub cache_hits: u64,
    /// Latency of the good calls as their callers saw it, retries included.
    pub latency: Latency,
    /// Nanoseconds of cores used, and what its replicas could have used while they were up.
    pub used_core_ns: f64,
    pub core_ns: f64,
}

/// One interval of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ServiceRow {
    pub calls: u64,
    pub failed: u64,
    pub attempts: u64,
    /// Mean latency of the good calls.
    pub mean_ns: f64,
    /// Cores used, on the mean.
    pub cores_used: f64,
    /// Bytes held by its replicas, on the mean.
    pub memory_bytes: f64,
    pub replicas_up: u32,
}

/// One interval of the whole system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub start_ns: u64,
    pub end_ns: u64,
    /// It lies within measured phases.
    pub measured: bool,
    /// Requests that were planned, answered well, and failed.
    pub offered: u64,
    pub ok: u64,
    pub failed: u64,
    pub mean_ns: f64,
    pub p50_ns: u64,
    pub p95_ns: u64,
    pub p99_ns: u64,
    /// Share of all nodes' cores in use, and of their memory.
    pub cpu: f64,
    pub memory: f64,
    pub services: Vec<ServiceRow>,
}

/// The results of a run, over what was planned in measured phases.
#[derive(Clone, Debug)]
pub struct Results {
    /// Requests from outside.
    pub offered: u64,
    /// Their outcomes, in the order of [`End::ALL`].
    pub ends: [u64; OUTCOMES],
    /// Latency of good answers, from the planned time.
    pub latency: Latency,
    /// Time until a failure was known.
    pub failures: Latency,
    pub services: Vec<ServiceTotals>,
    /// One row for each interval, measured or not.
    pub rows: Vec<Row>,
    /// Changes of state, from which times of detection and recovery are read.
    pub journal: Journal,
    /// Events that were handled.
    pub events: u64,
    /// Virtual time at the end.
    pub end_ns: u64,
    /// The most attempts that were under way at once.
    pub calls_most: usize,
}

impl Results {
    #[must_use]
    pub fn ok(&self) -> u64 {
        self.ends[End::Ok as usize]
    }

    #[must_use]
    pub fn failed(&self) -> u64 {
        self.ends.iter().sum::<u64>() - self.ok()
    }

    /// Good answers of all answers; 1 without any.
    #[must_use]
    pub fn success_share(&self) -> f64 {
        let all: u64 = self.ends.iter().sum();
        if all == 0 { 1.0 } else { self.ok() as f64 / all as f64 }
    }

    /// Share of the nodes' cores in use and of their memory, on the mean over measured rows.
    #[must_use]
    pub fn cpu_and_memory(&self) -> (f64, f64) {
        let rows = || self.rows.iter().filter(|row| row.measured);
        let weight = |row: &Row| (row.end_ns - row.start_ns) as f64;
        let length: f64 = rows().map(weight).sum::<f64>().max(1.0);
        let mean = |of: fn(&Row) -> f64| rows().map(|row| of(row) * weight(row)).sum::<f64>() / length;
        (mean(|row| row.cpu), mean(|row| row.memory))
    }

    /// One number over all that the run showed: equal runs have equal digests.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut digest = Digest(0);
        digest.add(self.offered);
        digest.add(self.events);
        digest.add(self.end_ns);
        self.ends.iter().for_each(|&count| digest.add(count));
        digest.latency(&self.latency);
        digest.latency(&self.failures);
        for service in &self.services {
            service.ends.iter().for_each(|&count| digest.add(count));
            [service.attempts, service.retries, service.cache_hits]
                .into_iter()
                .for_each(|count| digest.add(count));
            digest.add(service.used_core_ns.to_bits());
            digest.latency(&service.latency);
        }
        for row in &self.rows {
            [row.offered, row.ok, row.failed, row.p99_ns].into_iter().for_each(|count| digest.add(count));
            digest.add(row.cpu.to_bits());
            digest.add(row.memory.to_bits());
        }
        digest.add(self.journal.entries.len() as u64 + self.journal.dropped);
        self.journal.entries.iter().for_each(|entry| digest.add(entry.at_ns));
        digest.0
    }
}

struct Digest(u64);

impl Digest {
    fn add(&mut self, value: u64) {
        self.0 = headgate_policy::balance::hash::mix(self.0.rotate_left(1), value);
    }

    fn latency(&mut self, latency: &Latency) {
        self.add(latency.sum_ns);
        for value in latency.histogram.iter_recorded() {
            self.add(value.value_iterated_to());
            self.add(value.count_at_value());
        }
    }
}
