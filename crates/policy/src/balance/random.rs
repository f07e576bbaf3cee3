//! A random endpoint, by weight. No state, no coordination, and the drawing that [`super::p2c`] and
//! [`super::peak_ewma`] build on. It does not look at load.

use super::{Endpoints, effective_weight};
use headgate_model::dice::Dice;
use std::sync::Arc;

/// Draws that may miss (unusable, in slow start, the one already drawn) before all are scanned. With
/// half of the endpoints out, one choice in 256 scans.
const TRIES: usize = 8;

/// Draws by weight; clones share the table.
#[derive(Clone, Debug)]
pub struct Random {
    count: usize,
    /// Running sums of the weights; empty when all weights are equal.
    cumulative: Arc<[u64]>,
}

impl Random {
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        let even = weights.iter().all(|&weight| weight > 0 && weight == weights[0]);
        let sums = weights.iter().scan(0u64, |sum, &weight| {
            *sum += u64::from(weight);
            Some(*sum)
        });
        Self { count: weights.len(), cumulative: if even { Arc::from([]) } else { sums.collect() } }
    }

    /// The endpoint for one request; `None` when nothing is usable.
    pub fn choose<E: Endpoints>(&self, endpoints: &E, dice: &mut Dice) -> Option<usize> {
        self.draw(endpoints, dice, None)
    }

    /// Two different endpoints in the order of drawing; the second is absent when one alone is usable.
    pub fn choose_two<E: Endpoints>(&self, endpoints: &E, dice: &mut Dice) -> Option<(usize, Option<usize>)> {
        let first = self.draw(endpoints, dice, None)?;
        Some((first, self.draw(endpoints, dice, Some(first))))
    }

    /// Rejected draws and the scan have the same distribution, so their mixture has it too.
    fn draw<E: Endpoints>(&self, endpoints: &E, dice: &mut Dice, except: Option<usize>) -> Option<usize> {
        if self.count <= usize::from(except.is_some()) {
            return None;
        }
        for _ in 0..TRIES {
            let index = self.propose(dice, except);
            if Some(index) == except || endpoints.weight(index) == 0 || !endpoints.usable(index) {
                continue;
            }
            let share = endpoints.share(index);
            if share >= 1.0 || dice.unit() < f64::from(share) {
                return Some(index);
            }
        }
        scan(endpoints, dice, except)
    }

    fn propose(&self, dice: &mut Dice, except: Option<usize>) -> usize {
        if let Some(&total) = self.cumulative.last() {
            let point = dice.below(total);
            return self.cumulative.partition_point(|&sum| sum <= point).min(self.count - 1);
        }
        let Some(except) = except else { return dice.below(self.count as u64) as usize };
        let index = dice.below(self.count as u64 - 1) as usize;
        index + usize::from(index >= except)
    }
}

/// Weighted reservoir sampling (Chao, 1982): one pass, so an endpoint that turns unusable meanwhile
/// cannot leave the draw without a winner.
fn scan<E: Endpoints>(endpoints: &E, dice: &mut Dice, except: Option<usize>) -> Option<usize> {
    let mut total = 0;
    let mut chosen = None;
    for index in (0..endpoints.len()).filter(|&index| Some(index) != except) {
        let weight = u64::from(effective_weight(endpoints, index));
        total += weight;
        if dice.below(total) < weight {
            chosen = Some(index);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Plain, assert_spread};
    use super::*;

    #[test]
    fn drawing_and_scanning_have_the_same_distribution() {
        let mut endpoints = Plain::weighted(&[1, 2, 3, 4, 0]);
        endpoints.usable[3] = false;
        endpoints.shares[1] = 0.5;
        let expected = [1.0, 1.0, 3.0, 0.0, 0.0];
        let (policy, mut dice) = (Random::new(&endpoints.weights), Dice::new(9));
        assert_spread(&expected, 40_000, || policy.choose(&endpoints, &mut dice));
        assert_spread(&expected, 40_000, || scan(&endpoints, &mut dice, None));
    }

    #[test]
    fn two_are_different_and_the_second_is_fair_among_the_rest() {
        for endpoints in [Plain::even(4), Plain::weighted(&[5, 1, 1, 1])] {
            let (policy, mut dice) = (Random::new(&endpoints.weights), Dice::new(4));
            let mut with_first_zero = || {
                loop {
                    let (first, second) = policy.choose_two(&endpoints, &mut dice).expect("all usable");
                    assert_ne!(Some(first), second);
                    if first == 0 {
                        return second;
                    }
                }
            };
            assert_spread(&[0.0, 1.0, 1.0, 1.0], 20_000, &mut with_first_zero);
        }
    }

    #[test]
    fn one_usable_endpoint_has_no_second() {
        let mut endpoints = Plain::even(50);
        endpoints.usable = (0..50).map(|index| index == 17).collect();
        let (policy, mut dice) = (Random::new(&endpoints.weights), Dice::new(4));
        assert_eq!(policy.choose_two(&endpoints, &mut dice), Some((17, None)));
    }
}
