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

/// Cores of the machine, those included that this process may not use: the target has them.
pub(super) fn cores() -> usize {
    let text = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    count(text.trim()).unwrap_or(1)
}

/// Of a list like `0-3,6`.
fn count(list: &str) -> Option<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    list.split(',').map(range).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_of_cores_are_counted() {
        for (list, cores) in
            [("0", Some(1)), ("0-1", Some(2)), ("0-3,6,8-9", Some(7)), ("", None), ("3-1", None)]
        {
            assert_eq!(super::count(list), cores, "{list}");
        }
        assert!(super::cores() >= 1);
    }
}
