//! What is kept of one request: a handful of numbers, counted once at its end.

use crate::view::View;
use crate::worker::Worker;
use headgate_model::fault::FaultKind;
use headgate_model::units::Tick;

/// One request's outcome.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Index of the matched route.
    pub route: Option<usize>,
    /// What the client was answered.
    pub status: u16,
    pub fault: Option<FaultKind>,
    /// When the last attempt ended; zero when there was none.
    pub ended: Tick,
    /// Attempts beyond the first.
    pub retries: u8,
}

impl Record {
    /// Counts the request.
    #[inline]
    pub fn finish(&self, worker: &Worker, view: &View, started: Tick) {
        let ended = if self.ended == Tick(0) { worker.now() } else { self.ended };
        let duration_us = ended.since(started).as_micros() as u64;
        let route = self.route.map_or(&view.unrouted, |route| &view.routes[route]);
        route.record(self.status, duration_us);
    }
}
