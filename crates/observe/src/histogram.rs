//! A latency histogram of fixed size: log-linear buckets over microseconds, eight per power of two, one
//! writing thread. It keeps no single value; a quantile is within 6 % of the exact one.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds in microseconds of the buckets that are exposed, with their text in seconds. Each is an
/// exact bucket edge, so that the exposed counts are exact and not interpolated.
pub(crate) const BOUNDS: [(u64, &str); 15] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
];

/// Values from here on (2^30 us, about 18 minutes) share the overflow bucket.
const OVERFLOW_US: u64 = 1 << OVERFLOW_EXPONENT;
const OVERFLOW_EXPONENT: usize = 30;
const SUB_BUCKET_BITS: usize = 3;
const SUB_BUCKETS: usize = 1 << SUB_BUCKET_BITS;
/// Values below eight have a bucket each; every power of two above has eight; one overflow bucket.
const GRID: usize = (OVERFLOW_EXPONENT - SUB_BUCKET_BITS + 1) * SUB_BUCKETS + 1;
/// Each bound splits the grid bucket that it lies in.
const BUCKETS: usize = GRID + BOUNDS.len();

/// For each grid bucket, its first bucket and the largest value that still belongs to it.
/// A value above that belongs to the next one.
const LAYOUT: [(u64, usize); GRID] = layout();
/// The smallest value of each bucket.
const LOWER_US: [u64; BUCKETS] = lower_edges();

/// Buckets that come into being together: about four powers of two.
const SHARE: usize = 32;
type Share = [AtomicU64; SHARE];

/// Counts of durations. The durations of one route lie close together, so that of the 2 KiB of buckets it
/// needs only one or two shares; each is allocated when the first duration falls into it.
#[derive(Debug, Default)]
pub struct Histogram {
    shares: [OnceLock<Box<Share>>; BUCKETS.div_ceil(SHARE)],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one duration. Only one thread may call it.
    pub fn record_us(&self, us: u64) {
        let bucket = bucket_of(us);
        let share =
            self.shares[bucket / SHARE].get_or_init(|| Box::new([const { AtomicU64::new(0) }; SHARE]));
        let count = &share[bucket % SHARE];
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
        self.sum_us.store(self.sum_us.load(Relaxed).wrapping_add(us), Relaxed);
    }

    /// Adds what is counted here to `snapshot`. A duration that is recorded meanwhile may be in the count
    /// and not yet in the sum.
    pub fn add_to(&self, snapshot: &mut Snapshot) {
        for (sums, share) in snapshot.buckets.chunks_mut(SHARE).zip(&self.shares) {
            let counts = share.get().into_iter().flat_map(|share| share.iter());
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.wrapping_add(count.load(Relaxed));
            }
        }
        snapshot.sum_us = snapshot.sum_us.wrapping_add(self.sum_us.load(Relaxed));
    }

    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.add_to(&mut snapshot);
        snapshot
    }
}

/// What histograms had counted at one moment, summed over any number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    buckets: Box<[u64; BUCKETS]>,
    sum_us: u64,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), sum_us: 0 }
    }
}

impl Snapshot {
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *sum = sum.wrapping_add(*count);
        }
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
    }

    /// What was counted after `earlier`, a snapshot of the same histograms.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut delta = self.clone();
        for (count, before) in delta.buckets.iter_mut().zip(earlier.buckets.iter()) {
            *count = count.saturating_sub(*before);
        }
        delta.sum_us = delta.sum_us.saturating_sub(earlier.sum_us);
        delta
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all durations, in microseconds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum_us
    }

    /// The duration in microseconds that a share `q` (0 to 1) of all durations does not exceed, by the
    /// nearest-rank rule, within 6 %. `None` when nothing was counted. What lies in the overflow bucket
    /// is given as its lower edge.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let count = self.count();
        // A float that is too large or not a number becomes the nearest integer or zero.
        let rank = ((q * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (bucket, in_bucket) in self.buckets.iter().enumerate() {
            seen += in_bucket;
            if seen >= rank {
                return Some(typical_us(bucket));
            }
        }
        None
    }

    /// How many durations are at most each of [`BOUNDS`], in their order.
    pub(crate) fn cumulative(&self) -> [u64; BOUNDS.len()] {
        let mut bucket = 0;
        let mut seen = 0;
        BOUNDS.map(|(bound_us, _)| {
            while LOWER_US[bucket] <= bound_us {
                seen += self.buckets[bucket];
                bucket += 1;
            }
            seen
        })
    }
}

#[inline]
fn bucket_of(us: u64) -> usize {
    let grid = grid_of(us);
    let (last_us, first) = LAYOUT[grid];
    first + usize::from(us > last_us)
}

/// A value's grid place is its power of two and the three bits after its leading one; below eight it is
/// its own place. `| SUB_BUCKETS` makes both cases one formula.
#[inline]
const fn grid_of(us: u64) -> usize {
    let us = if us < OVERFLOW_US { us } else { OVERFLOW_US };
    let shift = (us | SUB_BUCKETS as u64).ilog2() as usize - SUB_BUCKET_BITS;
    shift * SUB_BUCKETS + (us >> shift) as usize
}

/// The value with the same relative distance to both ends of the bucket: the harmonic mean of its ends.
fn typical_us(bucket: usize) -> u64 {
    let low = LOWER_US[bucket];
    let Some(&next) = LOWER_US.get(bucket + 1) else { return low };
    let high = next - 1;
    // Both are below 2^30, so that the product fits.
    (2 * low * high).checked_div(low + high).unwrap_or(0)
}

const fn layout() -> [(u64, usize); GRID] {
    let mut layout = [(u64::MAX, 0); GRID];
    let (mut grid, mut bound) = (0, 0);
    while grid < GRID {
        layout[grid].1 = grid + bound;
        if bound < BOUNDS.len() && grid_of(BOUNDS[bound].0) == grid {
            layout[grid].0 = BOUNDS[bound].0;
            bound += 1;
        }
        grid += 1;
    }
    layout
}

const fn lower_edges() -> [u64; BUCKETS] {
    let mut edges = [0; BUCKETS];
    let mut grid = 0;
    while grid < GRID {
        let (last_us, first) = LAYOUT[grid];
        edges[first] = grid_lower_us(grid);
        if last_us != u64::MAX {
            edges[first + 1] = last_us + 1;
        }
        grid += 1;
    }
    edges
}

const fn grid_lower_us(grid: usize) -> u64 {
    if grid < SUB_BUCKETS {
        return grid as u64;
    }
    let shift = grid / SUB_BUCKETS - 1;
    ((SUB_BUCKETS + grid % SUB_BUCKETS) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;
    use proptest::prelude::*;

    /// Durations spread evenly over the orders of magnitude, as latencies are.
    fn duration_us(dice: &mut Dice) -> u64 {
        let bits = dice.below(30);
        (1 << bits) + dice.below(1 << bits)
    }

    fn exact_quantile(sorted: &[u64], q: f64) -> u64 {
        let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
        sorted[rank - 1]
    }

    #[test]
    fn every_value_lies_in_its_bucket() {
        assert!(LOWER_US.is_sorted_by(|a, b| a < b), "edges rise");
        let mut dice = Dice::new(1);
        let random = (0..20_000).map(|_| duration_us(&mut dice));
        for us in (0..5_000).chain(random).chain([OVERFLOW_US - 1, OVERFLOW_US, u64::MAX]) {
            let bucket = bucket_of(us);
            assert!(LOWER_US[bucket] <= us, "{us}");
            assert!(LOWER_US.get(bucket + 1).is_none_or(|&next| us < next), "{us}");
        }
    }

    #[test]
    fn quantiles_are_within_six_percent() {
        for seed in 0..40 {
            let mut dice = Dice::new(seed);
            let histogram = Histogram::default();
            let mut values: Vec<u64> = (0..1 + dice.below(3_000)).map(|_| duration_us(&mut dice)).collect();
            values.iter().for_each(|&us| histogram.record_us(us));
            values.sort_unstable();
            for q in [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0] {
                let exact = exact_quantile(&values, q);
                let shown = histogram.snapshot().quantile(q).unwrap();
                let error = (shown as f64 - exact as f64).abs() / exact as f64;
                assert!(error <= 0.06, "seed {seed} q {q}: {shown} for {exact}");
            }
        }
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        let empty = Snapshot::default();
        assert_eq!((empty.count(), empty.sum(), empty.quantile(0.5)), (0, 0, None));
    }

    #[test]
    fn durations_beyond_the_range_are_counted_at_its_end() {
        let histogram = Histogram::default();
        histogram.record_us(u64::MAX / 2);
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.quantile(0.5), Some(OVERFLOW_US));
        assert_eq!(snapshot.cumulative(), [0; BOUNDS.len()]);
        assert_eq!(snapshot.sum(), u64::MAX / 2);
    }

    #[test]
    fn a_quantile_outside_zero_to_one_is_the_nearest_end() {
        let histogram = Histogram::default();
        histogram.record_us(3);
        histogram.record_us(5);
        let snapshot = histogram.snapshot();
        assert_eq!([-1.0, f64::NAN, 7.0].map(|q| snapshot.quantile(q)), [Some(3), Some(3), Some(5)]);
    }

    proptest! {
        #[test]
        fn exposed_counts_are_exact(values in proptest::collection::vec(0u64..60_000_000, 0..200), edge in 0..BOUNDS.len()) {
            let bound = BOUNDS[edge].0;
            let histogram = Histogram::default();
            let values: Vec<u64> = values.into_iter().chain([bound - 1, bound, bound + 1]).collect();
            values.iter().for_each(|&us| histogram.record_us(us));
            let expected = BOUNDS.map(|(bound, _)| values.iter().filter(|&&us| us <= bound).count() as u64);
            prop_assert_eq!(histogram.snapshot().cumulative(), expected);
        }

        #[test]
        fn merge_and_since_undo_each_other(
            first in proptest::collection::vec(0u64..u64::from(u32::MAX), 0..50),
            second in proptest::collection::vec(0u64..u64::from(u32::MAX), 0..50),
        ) {
            let (one, two) = (Histogram::default(), Histogram::default());
            first.iter().for_each(|&us| one.record_us(us));
            second.iter().for_each(|&us| two.record_us(us));
            let mut both = one.snapshot();
            both.merge(&two.snapshot());
            prop_assert_eq!(both.count() as usize, first.len() + second.len());
            prop_assert_eq!(both.sum(), first.iter().chain(&second).sum::<u64>());
            prop_assert_eq!(both.since(&one.snapshot()), two.snapshot());
        }
    }
}
