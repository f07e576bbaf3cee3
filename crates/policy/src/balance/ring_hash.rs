//! Consistent hashing on a ring of virtual nodes, with optional bounded loads: a key belongs to the
//! next point clockwise, and where that endpoint is out or full, to the next one after it.
//!
//! Sources: Karger et al., "Consistent Hashing and Random Trees", 1997; Mirrokni, Thorup and
//! Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018.

use super::hash::{hash, mix};
use super::rendezvous::Rendezvous;
use super::{Endpoints, WALK, effective_weight};
use std::sync::Arc;

/// Points of an endpoint of mean weight, as libketama has them. The shares of equal endpoints then
/// spread by about 1 / sqrt(160) = 8 %.
const POINTS: u64 = 160;

/// The ring; clones share it.
#[derive(Clone, Debug)]
pub struct RingHash {
    points: Arc<[Point]>,
    /// Answers when the walk on the ring did not.
    ranking: Rendezvous,
    bounded_load: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    at: u32,
    endpoint: u32,
}

impl RingHash {
    /// `bounded_load`: an endpoint takes at most this times its fair load; values up to zero mean
    /// unbounded, values below one count as one. Memory: 8 bytes for each of at most 320 points per endpoint.
    #[must_use]
    pub fn new(names: &[&str], weights: &[u32], bounded_load: f64) -> Self {
        let unit = unit_weight(weights);
        let mut points: Vec<Point> = Vec::new();
        for (endpoint, (name, &weight)) in (0u32..).zip(names.iter().zip(weights)) {
            let seed = hash(name.as_bytes());
            let count = (POINTS * u64::from(weight)).div_ceil(unit);
            points.extend((0..count).map(|point| Point { at: position(mix(seed, point)), endpoint }));
        }
        points.sort_unstable();
        Self {
            points: points.into(),
            ranking: Rendezvous::new(names),
            bounded_load: (bounded_load > 0.0).then_some(bounded_load.max(1.0)),
        }
    }

    /// The endpoint for the key with this hash; `None` when nothing is usable.
    pub fn choose<E: Endpoints>(&self, key: u64, endpoints: &E) -> Option<usize> {
        let bound = self.bounded_load.map(|factor| Bound::measure(factor, endpoints));
        let fits = |index: usize| bound.as_ref().is_none_or(|bound| bound.allows(endpoints, index));
        let start = self.points.partition_point(|point| point.at < position(key));
        let (before, after) = self.points.split_at(start);
        after
            .iter()
            .chain(before)
            .take(WALK)
            .map(|point| point.endpoint as usize)
            .find(|&index| {
                endpoints.usable(index) && self.ranking.is_warm_for(key, endpoints, index) && fits(index)
            })
            .or_else(|| self.ranking.choose_where(key, endpoints, fits))
            // The loads moved while they were measured: better one too many than no answer.
            .or_else(|| self.ranking.choose(key, endpoints))
    }
}

fn position(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The weight that gets [`POINTS`] points: the power of two at or below the mean. Not the mean itself,
/// which every change of the set would move, and with it the points, and with them keys.
fn unit_weight(weights: &[u32]) -> u64 {
    let positive = weights.iter().filter(|&&weight| weight > 0);
    let (sum, count) =
        positive.fold((0u64, 0u64), |(sum, count), &weight| (sum + u64::from(weight), count + 1));
    let mean = sum.checked_div(count).unwrap_or(1).max(1);
    1 << mean.ilog2()
}

/// How many requests an endpoint may have in flight, this one included, for each unit of weight. The
/// bounds of the usable endpoints add up to more than their load, so one of them always has room.
struct Bound {
    per_weight: f64,
}

impl Bound {
    fn measure<E: Endpoints>(factor: f64, endpoints: &E) -> Self {
        let (mut load, mut weights) = (1u64, 0u64);
        for index in 0..endpoints.len() {
            let weight = effective_weight(endpoints, index);
            if weight > 0 {
                weights += u64::from(weight);
                load += u64::from(endpoints.in_flight(index));
            }
        }
        Self { per_weight: factor * load as f64 / weights as f64 }
    }

    fn allows<E: Endpoints>(&self, endpoints: &E, index: usize) -> bool {
        let bound = (self.per_weight * f64::from(effective_weight(endpoints, index))).ceil();
        f64::from(endpoints.in_flight(index)) < bound
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Plain, keys, names};
    use super::*;
    use headgate_model::dice::Dice;
    use std::cell::Cell;

    fn ring(weights: &[u32], bounded_load: f64) -> RingHash {
        let names = names(weights.len());
        RingHash::new(&names.iter().map(String::as_str).collect::<Vec<_>>(), weights, bounded_load)
    }

    /// Requests come and go at random; keys are skewed, so that without the bound one endpoint floods.
    #[test]
    fn no_endpoint_takes_more_than_its_bound() {
        for (seed, factor) in [(1, 1.0), (2, 1.25), (3, 2.0)] {
            let weights = [1, 1, 2, 4];
            let mut endpoints = Plain::weighted(&weights);
            let policy = ring(&weights, factor);
            let mut dice = Dice::new(seed);
            let hot: Vec<u64> = keys(3).collect();
            for _ in 0..5_000 {
                if dice.below(100) < 48 {
                    let index = dice.below(4) as usize;
                    endpoints.in_flight[index] = endpoints.in_flight[index].saturating_sub(1);
                    continue;
                }
                let total: u32 = endpoints.in_flight.iter().sum();
                let key = hot[dice.below(3) as usize];
                let chosen = policy.choose(key, &endpoints).expect("all usable");
                endpoints.in_flight[chosen] += 1;
                let bound = (factor * f64::from(total + 1) * f64::from(weights[chosen]) / 8.0).ceil();
                assert!(f64::from(endpoints.in_flight[chosen]) <= bound, "{:?}", endpoints.in_flight);
            }
            assert!(endpoints.in_flight.iter().sum::<u32>() > 30, "the test never built up load");
        }
    }

    #[test]
    fn without_pressure_the_bound_changes_nothing() {
        let (plain, bounded) = (ring(&[1; 8], 0.0), ring(&[1; 8], 1.25));
        for in_flight in [0, 10] {
            let mut endpoints = Plain::even(8);
            endpoints.in_flight = vec![in_flight; 8];
            assert!(keys(2_000).all(|key| plain.choose(key, &endpoints) == bounded.choose(key, &endpoints)));
        }
    }

    /// The walk alone would rarely meet it among two hundred.
    #[test]
    fn the_only_endpoint_with_room_is_found() {
        let mut endpoints = Plain::even(200);
        endpoints.in_flight = vec![10; 200];
        endpoints.in_flight[123] = 0;
        let policy = ring(&[1; 200], 1.0);
        assert!(keys(200).all(|key| policy.choose(key, &endpoints) == Some(123)));
    }

    /// Each look at an endpoint finds it more loaded than the last, as other workers may make it.
    #[test]
    fn loads_that_move_while_measured_still_give_an_answer() {
        struct Rising(Cell<u32>);
        impl Endpoints for Rising {
            fn len(&self) -> usize {
                4
            }
            fn usable(&self, _: usize) -> bool {
                true
            }
            fn weight(&self, _: usize) -> u32 {
                1
            }
            fn in_flight(&self, _: usize) -> u32 {
                self.0.replace(self.0.get() + 1_000)
            }
        }
        assert!(ring(&[1; 4], 1.25).choose(7, &Rising(Cell::new(0))).is_some());
    }

    #[test]
    fn the_ring_is_closed() {
        let policy = ring(&[1; 50], 0.0);
        let (first, last) = (policy.points[0], policy.points[policy.points.len() - 1]);
        assert!(last.at < u32::MAX, "a key lies behind the last point");
        assert_eq!(policy.choose(u64::MAX, &Plain::even(50)), Some(first.endpoint as usize));
    }

    #[test]
    fn the_points_of_the_others_stay_when_one_leaves() {
        for leaving in [4, 15] {
            let mut weights = [4; 9];
            weights[8] = leaving;
            let (all, fewer) = (ring(&weights, 0.0), ring(&weights[..8], 0.0));
            let kept: Vec<Point> = all.points.iter().copied().filter(|point| point.endpoint != 8).collect();
            assert_eq!(kept, fewer.points.to_vec());
        }
    }

    #[test]
    fn memory_is_bounded_whatever_the_weights() {
        for weights in [vec![1000; 50], vec![1; 50], (1..=50).map(|i| i * 20).collect(), vec![1, 1000]] {
            let points = ring(&weights, 0.0).points.len();
            assert!(points <= 321 * weights.len(), "{points} points for {weights:?}");
        }
    }
}
