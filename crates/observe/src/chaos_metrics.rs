//! The cells that a worker holds for chaos rules. This file counts and decides nothing.

use std::sync::Arc;

use crate::counter::Counter;
use crate::registry::WorkerMetrics;

/// Counts the attempts that a rule hit.
#[must_use]
pub fn chaos_hits(worker: &WorkerMetrics, rule: &str) -> Arc<Counter> {
    worker.counter("headgate_chaos_hits_total", "Attempts that a chaos rule hit.", &[("rule", rule)])
}

/// Counts the ends of connections that a `slow_close` did not hold back, because too many were held already.
#[must_use]
pub fn chaos_closes_cut(worker: &WorkerMetrics) -> Arc<Counter> {
    let help = "Connections that a slow_close closed at once, because too many were held already.";
    worker.counter("headgate_chaos_slow_closes_cut_total", help, &[])
}
