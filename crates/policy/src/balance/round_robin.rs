//! Everyone in turn. Equal weights: a cursor, O(1) when all are usable. Unequal weights: smooth
//! weighted round robin, O(n). It does not look at load.
//!
//! Source: the smooth weighted algorithm as NGINX describes it in its change of 2012 to upstream round
//! robin; the cursor's slow start is deficit round robin (Shreedhar and Varghese, 1995).

use super::{Endpoints, effective_weight};
use headgate_model::dice::Dice;

/// The rotation of one worker.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    order: Order,
}

#[derive(Clone, Debug)]
enum Order {
    Even(Cursor),
    Weighted(Smooth),
}

impl RoundRobin {
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        let even = weights.iter().all(|&weight| weight > 0 && weight == weights[0]);
        let order = if even {
            Order::Even(Cursor { next: None, credit: vec![0.0; weights.len()] })
        } else {
            Order::Weighted(Smooth { current: vec![0; weights.len()] })
        };
        Self { order }
    }

    /// The endpoint for one request; `None` when nothing is usable.
    pub fn choose<E: Endpoints>(&mut self, endpoints: &E, dice: &mut Dice) -> Option<usize> {
        match &mut self.order {
            Order::Even(cursor) => cursor.choose(endpoints, dice),
            Order::Weighted(smooth) => smooth.choose(endpoints),
        }
    }
}

/// The next usable one after the last chosen. It moves past the chosen one, not by one step, so that
/// the neighbour of a dead endpoint does not inherit its turns.
#[derive(Clone, Debug)]
struct Cursor {
    /// Starts at random: else all workers, and every reload, begin with the same endpoint.
    next: Option<usize>,
    /// Parts of a turn that an endpoint in slow start has saved; it takes one when they make a whole.
    credit: Vec<f32>,
}

impl Cursor {
    fn choose<E: Endpoints>(&mut self, endpoints: &E, dice: &mut Dice) -> Option<usize> {
        let count = self.credit.len();
        let start = self.next.unwrap_or_else(|| dice.below(count as u64) as usize);
        let mut skipped = None;
        let mut usable = (start..count).chain(0..start).filter(|&index| endpoints.usable(index));
        let taken = usable.find(|&index| {
            let takes = self.has_turn(index, endpoints.share(index));
            if !takes {
                skipped.get_or_insert(index);
            }
            takes
        });
        let chosen = taken.or(skipped)?;
        self.next = Some(if chosen + 1 == count { 0 } else { chosen + 1 });
        Some(chosen)
    }

    fn has_turn(&mut self, index: usize, share: f32) -> bool {
        if share >= 1.0 {
            return true;
        }
        let credit = &mut self.credit[index];
        *credit += share;
        let whole = *credit >= 1.0;
        if whole {
            *credit -= 1.0;
        }
        whole
    }
}

/// Each choice, every endpoint gains its weight and the chosen one (the highest) pays the sum. So a
/// heavy endpoint's turns lie between the others' and not in a row.
#[derive(Clone, Debug)]
struct Smooth {
    current: Vec<i64>,
}

impl Smooth {
    fn choose<E: Endpoints>(&mut self, endpoints: &E) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for (index, current) in self.current.iter_mut().enumerate() {
            let weight = i64::from(effective_weight(endpoints, index));
            if weight == 0 {
                continue;
            }
            *current += weight;
            total += weight;
            if best.is_none_or(|(_, highest)| *current > highest) {
                best = Some((index, *current));
            }
        }
        let (chosen, _) = best?;
        self.current[chosen] -= total;
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Plain;
    use super::*;

    fn turns(endpoints: &Plain, count: usize) -> Vec<usize> {
        let (mut policy, mut dice) = (RoundRobin::new(&endpoints.weights), Dice::new(1));
        (0..count).map(|_| policy.choose(endpoints, &mut dice).expect("one is usable")).collect()
    }

    #[test]
    fn equal_weights_take_exact_turns() {
        let turns = turns(&Plain::even(4), 12);
        assert!(turns.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 4), "{turns:?}");
    }

    #[test]
    fn weighted_turns_are_exact_and_spread_out() {
        assert_eq!(turns(&Plain::weighted(&[5, 1, 1]), 7), [0, 0, 1, 0, 2, 0, 0]);
        let mut counts = [0; 3];
        for index in turns(&Plain::weighted(&[1, 0, 999]), 1_000) {
            counts[index] += 1;
        }
        assert_eq!(counts, [1, 0, 999]);
    }

    #[test]
    fn the_neighbour_of_a_dead_endpoint_gets_no_double_turn() {
        let mut endpoints = Plain::even(4);
        endpoints.usable[1] = false;
        let mut counts = [0; 4];
        turns(&endpoints, 300).into_iter().for_each(|turn| counts[turn] += 1);
        assert_eq!(counts, [100, 0, 100, 100]);
    }

    #[test]
    fn slow_start_gets_its_share_of_turns() {
        for weights in [[1, 1, 1], [2, 1, 1]] {
            let mut endpoints = Plain::weighted(&weights);
            endpoints.shares[2] = 0.4;
            let turns = turns(&endpoints, 4_500);
            let share = turns.iter().filter(|&&turn| turn == 2).count() as f64 / 4_500.0;
            let expected = 0.4 / (f64::from(weights[0]) + 1.4);
            assert!((share - expected).abs() < 0.005, "{share} instead of {expected}");
        }
    }

    #[test]
    fn all_in_slow_start_still_take_turns() {
        let mut endpoints = Plain::even(3);
        endpoints.shares = vec![0.1; 3];
        let mut counts = [0; 3];
        turns(&endpoints, 300).into_iter().for_each(|turn| counts[turn] += 1);
        assert!(counts.iter().all(|count| (80..=120).contains(count)), "{counts:?}");
    }

    #[test]
    fn workers_start_at_different_endpoints() {
        let first = |seed| RoundRobin::new(&[1; 16]).choose(&Plain::even(16), &mut Dice::new(seed));
        assert!((1..8).any(|seed| first(seed) != first(0)));
    }
}
