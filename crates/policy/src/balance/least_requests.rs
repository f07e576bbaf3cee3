//! The endpoint with the fewest requests in flight for its weight, over all of them: O(n). Ties fall
//! at random by weight, so an idle set is loaded like [`super::random`].

use super::{Endpoints, effective_weight};
use headgate_model::dice::Dice;
use std::cmp::Ordering;

/// Keeps nothing: all it needs is in the endpoints.
#[derive(Clone, Copy, Debug)]
pub struct LeastRequests;

impl LeastRequests {
    /// The endpoint for one request; `None` when nothing is usable.
    pub fn choose<E: Endpoints>(&self, endpoints: &E, dice: &mut Dice) -> Option<usize> {
        let mut best: Option<Load> = None;
        let mut chosen = None;
        let mut tied_weight = 0;
        for index in 0..endpoints.len() {
            let weight = effective_weight(endpoints, index);
            if weight == 0 {
                continue;
            }
            let load = Load { in_flight: endpoints.in_flight(index), weight };
            match best.map_or(Ordering::Less, |best| load.compare(best)) {
                Ordering::Greater => continue,
                Ordering::Equal => tied_weight += u64::from(weight),
                Ordering::Less => {
                    best = Some(load);
                    tied_weight = u64::from(weight);
                }
            }
            // Weighted reservoir sampling among the ties; the first of them always wins its throw.
            if tied_weight == u64::from(weight) || dice.below(tied_weight) < u64::from(weight) {
                chosen = Some(index);
            }
        }
        chosen
    }
}

/// Requests in flight for a weight in 1/1024.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) in_flight: u32,
    pub(super) weight: u32,
}

impl Load {
    pub(super) fn of<E: Endpoints>(endpoints: &E, index: usize) -> Self {
        // The weight is zero when the endpoint has just turned unusable: then any other is better.
        Self { in_flight: endpoints.in_flight(index), weight: effective_weight(endpoints, index) }
    }

    /// Compares `in_flight / weight` without dividing.
    pub(super) fn compare(self, other: Self) -> Ordering {
        if self.weight == 0 || other.weight == 0 {
            return other.weight.cmp(&self.weight);
        }
        let own = u64::from(self.in_flight) * u64::from(other.weight);
        own.cmp(&(u64::from(other.in_flight) * u64::from(self.weight)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Plain, assert_spread};
    use super::*;

    #[test]
    fn takes_the_least_loaded_for_its_weight() {
        let mut endpoints = Plain::weighted(&[1, 4, 1]);
        endpoints.in_flight = vec![2, 7, 3];
        assert_eq!(LeastRequests.choose(&endpoints, &mut Dice::new(1)), Some(1));
        endpoints.in_flight[1] = 9;
        assert_eq!(LeastRequests.choose(&endpoints, &mut Dice::new(1)), Some(0));
    }

    #[test]
    fn slow_start_makes_a_load_count_for_more() {
        let mut endpoints = Plain::even(2);
        endpoints.in_flight = vec![5, 1];
        endpoints.shares[1] = 0.1;
        assert_eq!(LeastRequests.choose(&endpoints, &mut Dice::new(1)), Some(0));
    }

    #[test]
    fn what_has_just_turned_unusable_is_worse_than_any_load() {
        let gone = Load { in_flight: 0, weight: 0 };
        let busy = Load { in_flight: 900, weight: 1 };
        assert_eq!((gone.compare(busy), busy.compare(gone)), (Ordering::Greater, Ordering::Less));
    }

    #[test]
    fn ties_fall_by_weight() {
        let mut dice = Dice::new(2);
        let endpoints = Plain::weighted(&[1, 0, 2, 3]);
        assert_spread(&[1.0, 0.0, 2.0, 3.0], 40_000, || LeastRequests.choose(&endpoints, &mut dice));
    }

    /// Whatever has been placed, loads per weight differ by at most one request.
    #[test]
    fn placing_without_leaving_stays_level() {
        let mut endpoints = Plain::weighted(&[1, 2, 3, 4]);
        let mut dice = Dice::new(5);
        for _ in 0..1_000 {
            let chosen = LeastRequests.choose(&endpoints, &mut dice).expect("all usable");
            endpoints.in_flight[chosen] += 1;
        }
        for (index, expected) in [100u32, 200, 300, 400].into_iter().enumerate() {
            assert!(endpoints.in_flight[index].abs_diff(expected) <= 1, "{:?}", endpoints.in_flight);
        }
    }
}
