//! How a run goes, for whoever watches it from another thread while it goes on: when it began and what was
//! answered so far. It is for finer looks than the once a second of [`super::Moment`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Counts of a run under way.
#[derive(Debug, Default)]
pub struct Tally {
    start: OnceLock<Instant>,
    good: AtomicU64,
    bad: AtomicU64,
}

impl Tally {
    /// Time zero of the run, once it is known.
    #[must_use]
    pub fn start(&self) -> Option<Instant> {
        self.start.get().copied()
    }

    /// Requests answered with a status below 400, and all others that are over.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.good.load(Relaxed), self.bad.load(Relaxed))
    }

    pub(super) fn begin(&self, start: Instant) {
        self.start.get_or_init(|| start);
    }

    pub(super) fn count(&self, good: bool) {
        if good { &self.good } else { &self.bad }.fetch_add(1, Relaxed);
    }
}
