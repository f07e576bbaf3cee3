//! The clock of a run: nanoseconds since its start, and the thread's share of a core.

use std::fs;
use std::time::{Duration, Instant};

/// Counts from the start of the run, which lies a moment ahead while threads get ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn starting_at(start: Instant) -> Self {
        Self { start }
    }

    /// Zero before the start.
    #[inline]
    pub(super) fn now_ns(&self) -> u64 {
        // Wraps after 584 years.
        self.start.elapsed().as_nanos() as u64
    }

    pub(super) fn until_start(&self) -> Duration {
        self.start.saturating_duration_since(Instant::now())
    }
}

/// Nanoseconds that this thread was ready to run and found no core, from the scheduler's account. Zero where
/// the system keeps none.
pub(super) fn waited_for_core_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}
