//! A counter and a gauge with one writing thread each. Any thread may read; a second writer would lose
//! updates, because a write is a plain load and store, not a read-modify-write.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// A number that only grows. It wraps after 2^64.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn inc(&self) {
        self.add(1);
    }

    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down. One worker's share may be negative for a moment; the sum over workers
/// is what is shown.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub fn inc(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub fn dec(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(1), Relaxed);
    }

    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_a_counter_that_never_goes_back() {
        const LAST: u64 = 200_000;
        let counter = Counter::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..LAST).for_each(|_| counter.inc()));
            let mut seen = 0;
            while seen < LAST {
                let now = counter.get();
                assert!(now >= seen);
                seen = now;
            }
        });
        assert_eq!(counter.get(), LAST);
    }

    #[test]
    fn a_counter_wraps_and_a_gauge_goes_below_zero() {
        let counter = Counter::default();
        counter.add(u64::MAX);
        counter.add(3);
        assert_eq!(counter.get(), 2);

        let gauge = Gauge::default();
        gauge.dec();
        gauge.dec();
        gauge.inc();
        assert_eq!(gauge.get(), -1);
        gauge.set(7);
        assert_eq!(gauge.get(), 7);
    }
}
