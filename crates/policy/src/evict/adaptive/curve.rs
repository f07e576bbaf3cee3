//! The miss-ratio curve: what other sizes of the cache would save, from shadows at multiples of the capacity on one
//! small sample of the ids; and the size that is worth its memory. S3-FIFO stands for the policy that runs.

use super::bank::spread;
use super::setting::Goal;
use crate::evict::s3fifo::S3Fifo;
use crate::evict::{Evict, Facts};

/// Multiples of the capacity, in quarters.
const QUARTERS: [u64; 5] = [1, 2, 4, 8, 16];
/// Requests in the sample after which those so far count half: the traffic of last week says little of today's.
const HALF_LIFE: u64 = 1 << 17;
/// Objects that the largest shadow holds, about.
const MOST_OBJECTS: u64 = 4_096;

/// A size of the cache with what it would save.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    pub capacity_bytes: u64,
    /// Of the requests, bytes or costs, by the goal; 0 to 1.
    pub saved: f64,
}

/// The curve, smallest size first.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve(pub Vec<CurvePoint>);

impl Curve {
    /// What `capacity_bytes` would save, between the points in proportion, beyond them as the nearest.
    #[must_use]
    pub fn at(&self, capacity_bytes: u64) -> f64 {
        let above = self.0.partition_point(|point| point.capacity_bytes < capacity_bytes);
        let (Some(low), Some(high)) =
            (self.0.get(above.saturating_sub(1)), self.0.get(above).or(self.0.last()))
        else {
            return 0.0;
        };
        let width = high.capacity_bytes.saturating_sub(low.capacity_bytes) as f64;
        let part = capacity_bytes.saturating_sub(low.capacity_bytes) as f64 / width.max(1.0);
        low.saved + (high.saved - low.saved) * part.min(1.0)
    }

    /// The largest size within the bounds whose memory pays: on the way to it from each smaller point, every GiB saves
    /// at least `per_gib` (of everything, 0 to 1). A cliff further on counts, as the way there is taken as a whole.
    #[must_use]
    pub fn worthwhile(&self, least_bytes: u64, most_bytes: u64, per_gib: f64) -> u64 {
        const GIB: f64 = (1u64 << 30) as f64;
        let inner = self.0.iter().map(|point| point.capacity_bytes);
        let inner = inner.filter(|size| (least_bytes..most_bytes).contains(size));
        let mut best = least_bytes;
        for size in inner.chain([most_bytes.max(least_bytes)]) {
            let gain = self.at(size) - self.at(best);
            if size > best && gain >= per_gib * (size - best) as f64 / GIB {
                best = size;
            }
        }
        best
    }
}

pub(super) struct Sizes {
    capacity: u64,
    goal: Goal,
    shadows: Vec<S3Fifo>,
    /// One id in two to the power of this; none before the sizes of objects are known.
    shift: Option<u32>,
    saved: [f64; QUARTERS.len()],
    worth: f64,
    /// Requests in the sample, and all since it began.
    sampled: u64,
    requests: u64,
    gone: Vec<u64>,
}

impl Sizes {
    pub(super) fn new(capacity: u64, goal: Goal) -> Self {
        Self {
            capacity,
            goal,
            shadows: Vec::new(),
            shift: None,
            saved: [0.0; 5],
            worth: 0.0,
            sampled: 0,
            requests: 0,
            gone: Vec::new(),
        }
    }

    /// Begins, where objects have `size` bytes in the mean.
    pub(super) fn begin(&mut self, size: u64) {
        let objects = u128::from(self.capacity) * 4 / u128::from(size.max(1));
        let shift = (0..63).find(|shift| objects >> shift <= u128::from(MOST_OBJECTS)).unwrap_or(63);
        let capacity = |quarters| (u128::from(self.capacity) * u128::from(quarters) / 4) as u64 >> shift;
        self.shadows = QUARTERS.iter().map(|quarters| S3Fifo::new(capacity(*quarters).max(1))).collect();
        self.shift = Some(shift);
    }

    pub(super) fn samples(&self, id: u64) -> bool {
        self.shift.is_some_and(|shift| shift == 0 || spread(id) >> (u64::BITS - shift) == 0)
    }

    /// Counts a request, whether it is in the sample or not.
    pub(super) fn count(&mut self) {
        self.requests += u64::from(self.shift.is_some());
    }

    pub(super) fn observe(&mut self, id: u64, facts: Facts) {
        let worth = self.goal.worth(facts);
        self.worth += worth;
        self.sampled += 1;
        for (shadow, saved) in self.shadows.iter_mut().zip(&mut self.saved) {
            if shadow.hit(id) {
                *saved += worth;
            } else {
                shadow.admit(id, facts.size, facts.cost, &mut self.gone);
                self.gone.clear();
            }
        }
        if self.sampled >= HALF_LIFE {
            self.sampled /= 2;
            self.requests /= 2;
            self.worth /= 2.0;
            self.saved.iter_mut().for_each(|saved| *saved /= 2.0);
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.shadows.iter_mut().for_each(|shadow| {
            shadow.remove(id);
        });
    }

    /// None before there was a request in the sample.
    pub(super) fn curve(&self) -> Option<Curve> {
        // Popular ids make a sample too large or too small; as they are hits at any size, the difference is taken as
        // hits (the adjustment of SHARDS).
        let expected = self.requests as f64 / f64::from(self.shift?).exp2();
        let excess = self.worth * (1.0 - expected / self.sampled.max(1) as f64);
        let point = |(quarters, saved): (&u64, &f64)| CurvePoint {
            capacity_bytes: u64::try_from(u128::from(self.capacity) * u128::from(*quarters) / 4)
                .unwrap_or(u64::MAX),
            saved: ((saved - excess) / (self.worth - excess)).clamp(0.0, 1.0),
        };
        (self.worth > 0.0).then(|| Curve(QUARTERS.iter().zip(&self.saved).map(point).collect()))
    }
}

impl Clone for Sizes {
    fn clone(&self) -> Self {
        Self { shadows: self.shadows.clone(), gone: Vec::new(), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    const GIB: u64 = 1 << 30;

    fn curve(points: &[(u64, f64)]) -> Curve {
        Curve(
            points
                .iter()
                .map(|(gib, saved)| CurvePoint { capacity_bytes: gib * GIB, saved: *saved })
                .collect(),
        )
    }

    #[test]
    fn memory_is_taken_as_long_as_it_pays() {
        let bends = curve(&[(1, 0.3), (2, 0.5), (4, 0.6), (8, 0.61), (16, 0.61)]);
        assert!((bends.at(3 * GIB) - 0.55).abs() < 1e-9);
        assert!((bends.at(99 * GIB) - 0.61).abs() < 1e-9);
        assert_eq!(bends.worthwhile(GIB, 16 * GIB, 0.04), 4 * GIB);
        assert_eq!(bends.worthwhile(GIB, 3 * GIB, 0.04), 3 * GIB, "the bounds hold");
        assert_eq!(bends.worthwhile(2 * GIB, 16 * GIB, 0.5), 2 * GIB);
        let cliff = curve(&[(1, 0.1), (2, 0.1), (4, 0.1), (8, 0.9)]);
        assert_eq!(cliff.worthwhile(GIB, 8 * GIB, 0.1), 8 * GIB, "a loop fits at last");
    }

    #[test]
    fn the_sample_says_what_other_sizes_would_save() {
        let mut dice = Dice::new(5);
        let ids: Vec<u64> = (0..120_000).map(|_| dice.below(1 + dice.clone().below(60_000))).collect();
        let facts = Facts { size: 1, cost: 1.0 };
        let mut sizes = Sizes::new(8_000, Goal::Objects);
        sizes.begin(1);
        assert_eq!(sizes.shift, Some(3));
        for id in &ids {
            sizes.count();
            if sizes.samples(*id) {
                sizes.observe(*id, facts);
            }
        }
        let curve = sizes.curve().unwrap();
        for capacity in [4_000, 8_000, 16_000] {
            let (mut whole, mut gone, mut hits) = (S3Fifo::new(capacity), Vec::new(), 0);
            for id in &ids {
                if whole.hit(*id) {
                    hits += 1;
                } else {
                    whole.admit(*id, 1, 1.0, &mut gone);
                    gone.clear();
                }
            }
            let saved = f64::from(hits) / ids.len() as f64;
            assert!(
                (curve.at(capacity) - saved).abs() < 0.02,
                "{capacity}: {} for {saved}",
                curve.at(capacity)
            );
        }
    }
}
