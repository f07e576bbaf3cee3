//! The cells that a worker holds for a service's circuit breakers, its bulkhead and its fallback; made only
//! for services that have them. This file counts and decides nothing.

use std::sync::Arc;

use crate::counter::{Counter, Gauge};
use crate::registry::WorkerMetrics;

const STATES: &[&str; 3] = &["open", "half_open", "closed"];
const REFUSALS: &[&str; 2] = &["full", "timeout"];

/// A state that a circuit breaker changes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BreakerState {
    Open,
    HalfOpen,
    Closed,
}

/// What a worker counts for one circuit breaker.
#[derive(Clone, Debug)]
pub struct BreakerMetrics {
    open: Arc<Gauge>,
    changes: Arc<[Counter]>,
}

impl BreakerMetrics {
    /// `endpoint` is empty for the breaker of the service as a whole.
    #[must_use]
    pub fn new(worker: &WorkerMetrics, service: &str, endpoint: &str) -> Self {
        let labels = &[("service", service), ("endpoint", endpoint)];
        let open = "Workers whose circuit breaker is open or half open.";
        let changes = "Changes of circuit breakers, by the state that they changed to.";
        Self {
            open: worker.gauge("headgate_breaker_open", open, labels),
            changes: worker.counters("headgate_breaker_changes_total", changes, labels, ("to", STATES)),
        }
    }

    /// Counts a change.
    pub fn count(&self, to: BreakerState) {
        self.changes[to as usize].inc();
    }

    /// Shows the state that the breaker is in; one that is gone is shown as closed.
    pub fn show(&self, state: BreakerState) {
        self.open.set(i64::from(state != BreakerState::Closed));
    }
}

/// Why a bulkhead refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The queue was full.
    Full,
    /// No place became free in time.
    Timeout,
}

/// What a worker counts for one service's bulkhead.
#[derive(Clone, Debug)]
pub struct BulkheadMetrics {
    pub queued: Arc<Gauge>,
    refused: Arc<[Counter]>,
}

impl BulkheadMetrics {
    #[must_use]
    pub fn new(worker: &WorkerMetrics, service: &str) -> Self {
        let labels = &[("service", service)];
        let queued = "Requests that wait for a place in a service's bulkhead.";
        let refused = "Requests refused by a service's bulkhead, by why.";
        Self {
            queued: worker.gauge("headgate_bulkhead_queued", queued, labels),
            refused: worker.counters("headgate_bulkhead_refused_total", refused, labels, ("why", REFUSALS)),
        }
    }

    pub fn refused(&self, why: Refusal) {
        self.refused[why as usize].inc();
    }
}

/// One while no connection to the endpoint could be made and requests go elsewhere.
#[must_use]
pub fn aside(cells: &WorkerMetrics, service: &str, endpoint: &str) -> Arc<Gauge> {
    let help = "One while the endpoint is put aside because it could not be connected to.";
    cells.gauge("headgate_endpoint_aside", help, &[("service", service), ("endpoint", endpoint)])
}

/// Counts the requests that a service's fallback gets.
#[must_use]
pub fn fallbacks(worker: &WorkerMetrics, service: &str) -> Arc<Counter> {
    let help = "Requests answered by a service's fallback, or passed on to it.";
    worker.counter("headgate_fallbacks_total", help, &[("service", service)])
}
