//! Two counters over a sliding time window, in fixed memory: a ring of buckets, each a part of the
//! window. It forgets a bucket at a time, so it covers between `(BUCKETS - 1) / BUCKETS` and the whole.

use headgate_model::units::Tick;
use std::time::Duration;

/// Requests in the window, and those of them that are marked (failed, or retries).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) all: u64,
    pub(crate) marked: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Window<const BUCKETS: usize> {
    bucket_ns: u64,
    /// Number of the newest bucket since tick zero; its place in the ring is this modulo `BUCKETS`.
    newest: u64,
    ring: [Counts; BUCKETS],
    sum: Counts,
}

impl<const BUCKETS: usize> Window<BUCKETS> {
    pub(crate) fn new(length: Duration) -> Self {
        let bucket_ns = (length.as_nanos() / BUCKETS as u128).clamp(1, u128::from(u64::MAX)) as u64;
        Self { bucket_ns, newest: 0, ring: [Counts::default(); BUCKETS], sum: Counts::default() }
    }

    /// Adds to the bucket of `now`. A `now` slightly before the newest bucket counts into the newest.
    pub(crate) fn add(&mut self, now: Tick, all: u64, marked: u64) {
        self.forget(now);
        let bucket = &mut self.ring[(self.newest % BUCKETS as u64) as usize];
        for counts in [bucket, &mut self.sum] {
            counts.all += all;
            counts.marked += marked;
        }
    }

    pub(crate) fn counts(&mut self, now: Tick) -> Counts {
        self.forget(now);
        self.sum
    }

    pub(crate) fn clear(&mut self) {
        self.ring = [Counts::default(); BUCKETS];
        self.sum = Counts::default();
    }

    fn forget(&mut self, now: Tick) {
        let current = now.0 / self.bucket_ns;
        let passed = current.saturating_sub(self.newest).min(BUCKETS as u64);
        for step in 1..=passed {
            let old = std::mem::take(&mut self.ring[((self.newest + step) % BUCKETS as u64) as usize]);
            self.sum.all -= old.all;
            self.sum.marked -= old.marked;
        }
        self.newest = self.newest.max(current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    /// Compares with a plain list of every event, over random gaps from none to several windows.
    #[test]
    fn counts_what_a_list_would() {
        let mut dice = Dice::new(3);
        let mut window = Window::<10>::new(Duration::from_nanos(1_000));
        let mut events: Vec<(u64, u64)> = Vec::new();
        let mut now = 0;
        for _ in 0..5_000 {
            now += if dice.below(50) == 0 { dice.below(3_000) } else { dice.below(60) };
            let marked = dice.below(2);
            window.add(Tick(now), 1, marked);
            events.push((now / 100, marked));
            events.retain(|&(bucket, _)| bucket + 10 > now / 100);
            let expected =
                Counts { all: events.len() as u64, marked: events.iter().map(|&(_, marked)| marked).sum() };
            assert_eq!(window.counts(Tick(now)), expected, "at {now}");
        }
    }

    #[test]
    fn time_that_steps_back_loses_nothing() {
        let mut window = Window::<10>::new(Duration::from_secs(10));
        window.add(Tick(50_000_000_000), 1, 0);
        window.add(Tick(49_000_000_000), 1, 1);
        assert_eq!(window.counts(Tick(50_000_000_000)), Counts { all: 2, marked: 1 });
    }
}
