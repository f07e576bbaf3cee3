//! The result of a run as data: what was planned, what came of it, how exact the generator was, and what a
//! reader must not overlook. Its JSON Schema is published as docs/load.schema.json.

use super::engine::{Effort, Finished};
use super::exchange::Failure;
use super::expect::Verdict;
use super::notes;
use super::plan::Plan;
use super::record::Record;
use super::run::{Opened, merged};
use super::timeline::{Point, Timeline};
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Of the format; raised when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// The result of `headgate load`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Summary {
    pub format: u32,
    pub run: RunDescription,
    /// All phases that count.
    pub total: Measured,
    /// Every phase, in order, warm-up included.
    pub phases: Vec<PhaseResult>,
    pub generator: Generator,
    /// What a reader must not overlook, in words; empty when all went as planned.
    pub notes: Vec<String>,
    /// Outcome of each expectation.
    pub expectations: Vec<Verdict>,
    /// The course of the run.
    pub timeline: Vec<Point>,
    /// Points of the cumulative distribution of latencies, over all phases that count.
    pub distribution: Vec<DistributionPoint>,
    /// Histogram behind it, for expectations about any percentile.
    #[serde(skip)]
    pub(super) record: Option<Box<Record>>,
}

/// What was run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunDescription {
    /// Scheme, host and port, with the path that all requests begin with.
    pub target: String,
    /// The address that was connected to.
    pub address: String,
    pub protocol: Protocol,
    pub tls: bool,
    pub model: Model,
    pub connections: usize,
    pub threads: usize,
    pub timeout_s: f64,
    pub seed: u64,
    /// Whether the run was ended before its plan was.
    pub interrupted: bool,
    /// Seconds from the start to the last answer.
    pub seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Protocol {
    #[serde(rename = "HTTP/1.1")]
    Http1,
    #[serde(rename = "HTTP/2")]
    Http2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// Arrivals that wait for no answer.
    Open,
    /// Users who wait for theirs.
    Closed,
}

/// One phase.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PhaseResult {
    pub name: String,
    /// False for warm-up.
    pub measured: bool,
    pub start_s: f64,
    /// Users or arrivals per second (or factors on a trace) at its start and end.
    pub level_from: f64,
    pub level_to: f64,
    #[serde(flatten)]
    pub result: Measured,
}

/// Counts and latencies. Requests belong to the phase for which they were planned.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Measured {
    pub seconds: f64,
    /// Requests that came due. Each is answered or has failed.
    pub planned: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that were answered, with whatever status.
    pub answered: u64,
    /// Requests sent more than a millisecond late because no connection was free.
    pub late: u64,
    pub failed: Failed,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Share of planned requests without an answer, or answered with a status from 400 on.
    pub error_share: f64,
    pub planned_per_s: f64,
    pub answered_per_s: f64,
    /// Bytes of answers; HTTP/1.1 with heads and framing, HTTP/2 bodies only.
    pub bytes_received: u64,
    /// From the planned time to the end of the answer: what a client would have seen. Requests that timed out
    /// or were dropped are included with the time at which they were given up.
    pub from_planned: Latency,
    /// The same of answers with a status below 400 alone.
    pub from_planned_good: Latency,
    /// From the actual sending to the end of the answer: what the target can be blamed for.
    pub from_sent: Latency,
}

/// Requests without an answer, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Failed {
    /// No connection could be opened.
    pub connect: u64,
    /// The connection ended before the answer was whole.
    pub closed: u64,
    /// What came was not an answer.
    pub malformed: u64,
    /// No whole answer within the timeout after sending.
    pub timeout: u64,
    /// Never sent: no connection was free within the timeout.
    pub dropped: u64,
    /// Under way or due when the run was stopped.
    pub stopped: u64,
}

impl Failed {
    /// Each reason in words, with its count.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("no connection", self.connect),
            ("connection closed", self.closed),
            ("malformed answer", self.malformed),
            ("timeout", self.timeout),
            ("dropped unsent", self.dropped),
            ("stopped", self.stopped),
        ]
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }
}

/// A distribution of times, in microseconds, exact to three digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Latency {
    pub count: u64,
    pub mean_us: f64,
    pub stdev_us: f64,
    pub min_us: f64,
    pub p50_us: f64,
    pub p75_us: f64,
    pub p90_us: f64,
    pub p95_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub p9999_us: f64,
    pub max_us: f64,
}

/// How exact the generator was, and whether it was the limit.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Generator {
    /// From the moment at which a request was due and a connection was free to when it was sent, in the phases
    /// that count.
    pub send_error: Latency,
    /// Of each thread: share of the time in which it had something to do.
    pub busy_shares: Vec<f64>,
    /// Of each thread: share of the time in which it had something to do and no core to do it on.
    pub preempted_shares: Vec<f64>,
    /// Connections opened after the start, in place of closed ones.
    pub reconnects: u64,
}

/// One point of the cumulative distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DistributionPoint {
    /// Share of requests at or below these latencies.
    pub quantile: f64,
    pub from_planned_us: f64,
    pub from_sent_us: f64,
}

impl Summary {
    pub(super) fn new(
        plan: &Plan,
        address: SocketAddr,
        opened: Opened,
        finished: &[Finished],
        timeline: &Timeline,
        stop: &AtomicBool,
    ) -> Self {
        let (phases, records) = (plan.workload.phases(), merged(finished));
        let elapsed_ns = finished.iter().map(|one| one.effort.elapsed_ns).max().unwrap_or(0);
        let (mut results, mut total_s, mut total) = (Vec::new(), 0.0, Record::new());
        for (index, (phase, record)) in phases.all().iter().zip(&records).enumerate() {
            let (start_ns, end_ns) = phases.span_ns(index);
            // An interrupted phase is as long as it lasted.
            let seconds = end_ns.min(elapsed_ns).saturating_sub(start_ns) as f64 / 1e9;
            if phase.measured {
                total_s += seconds;
                total.add(record);
            }
            results.push(PhaseResult {
                name: phase.name.clone(),
                measured: phase.measured,
                start_s: start_ns as f64 / 1e9,
                level_from: phase.from.unwrap_or(phase.level),
                level_to: phase.level,
                result: Measured::new(record, seconds),
            });
        }
        let mut summary = Self {
            format: FORMAT,
            run: RunDescription {
                target: format!("{}{}", plan.target.origin(), plan.target.path),
                address: address.to_string(),
                protocol: if plan.http2 { Protocol::Http2 } else { Protocol::Http1 },
                tls: plan.target.tls,
                model: if plan.is_open() { Model::Open } else { Model::Closed },
                connections: plan.connections(),
                threads: plan.threads,
                timeout_s: plan.timeout.as_secs_f64(),
                seed: plan.seed,
                interrupted: stop.load(Relaxed) && elapsed_ns < phases.end_ns(),
                seconds: elapsed_ns as f64 / 1e9,
            },
            total: Measured::new(&total, total_s),
            phases: results,
            generator: Generator {
                send_error: Latency::new(&total.send_error),
                busy_shares: finished.iter().map(|one| one.effort.busy_share()).collect(),
                preempted_shares: finished.iter().map(|one| one.effort.preempted_share()).collect(),
                reconnects: finished.iter().map(|one| one.reconnects).sum(),
            },
            notes: Vec::new(),
            expectations: Vec::new(),
            timeline: timeline.points().to_vec(),
            distribution: distribution(&total),
            record: Some(Box::new(total)),
        };
        summary.notes = notes::of(&summary, &opened, finished);
        summary
    }

    /// The JSON Schema of this type.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self);
        schema.insert("title".to_owned(), "Result of headgate load".into());
        schema.to_value()
    }

    /// As pretty JSON.
    ///
    /// # Errors
    /// Never for a summary that a run has made: it consists of numbers, text and lists.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl Measured {
    fn new(record: &Record, seconds: f64) -> Self {
        let counts = &record.counts;
        let per_s = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let statuses: BTreeMap<u16, u64> = counts.statuses().collect();
        let refused: u64 = statuses.range(400..).map(|(_, count)| count).sum();
        let failed = |failure| counts.failed(failure);
        Self {
            seconds,
            planned: counts.planned,
            sent: counts.sent,
            answered: counts.answered,
            late: counts.late,
            failed: Failed {
                connect: failed(Failure::Connect),
                closed: failed(Failure::Closed),
                malformed: failed(Failure::Malformed),
                timeout: failed(Failure::Timeout),
                dropped: failed(Failure::Dropped),
                stopped: failed(Failure::Stopped),
            },
            error_share: (counts.unanswered() - failed(Failure::Stopped) + refused) as f64
                / counts.planned.max(1) as f64,
            statuses,
            planned_per_s: per_s(counts.planned),
            answered_per_s: per_s(counts.answered),
            bytes_received: counts.bytes_received,
            from_planned: Latency::new(&record.from_planned),
            from_planned_good: Latency::new(&record.good),
            from_sent: Latency::new(&record.from_sent),
        }
    }
}

impl Latency {
    pub(super) fn new(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            mean_us: histogram.mean() / 1e3,
            stdev_us: histogram.stdev() / 1e3,
            min_us: histogram.min() as f64 / 1e3,
            p50_us: at(0.5),
            p75_us: at(0.75),
            p90_us: at(0.9),
            p95_us: at(0.95),
            p99_us: at(0.99),
            p999_us: at(0.999),
            p9999_us: at(0.9999),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}

impl Effort {
    pub(super) fn busy_share(&self) -> f64 {
        1.0 - self.idle_ns as f64 / self.elapsed_ns.max(1) as f64
    }

    pub(super) fn preempted_share(&self) -> f64 {
        self.preempted_ns as f64 / self.elapsed_ns.max(1) as f64
    }
}

/// Quantiles that come closer to one as the steps get smaller, as far as the requests are enough for them.
fn distribution(record: &Record) -> Vec<DistributionPoint> {
    if record.from_planned.is_empty() {
        return Vec::new();
    }
    let mut quantiles: Vec<f64> = (0..90).map(|percent| f64::from(percent) / 100.0).collect();
    let mut rest = 0.1;
    while rest * record.from_planned.len() as f64 >= 1.0 {
        quantiles.extend((0..9).map(|step| 1.0 - rest * (1.0 - f64::from(step) / 10.0)));
        rest /= 10.0;
    }
    quantiles.push(1.0);
    let us = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    let point = |quantile| DistributionPoint {
        quantile,
        from_planned_us: us(&record.from_planned, quantile),
        from_sent_us: us(&record.from_sent, quantile),
    };
    quantiles.into_iter().map(point).collect()
}
