//! The power of two choices: of two different random endpoints, the one with fewer requests in flight
//! for its weight. O(1), and the herd of many gateways does not run to one endpoint.
//!
//! Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.

use super::Endpoints;
use super::least_requests::Load;
use super::random::Random;
use headgate_model::dice::Dice;

/// Two candidates by weight, the lower load.
#[derive(Clone, Debug)]
pub struct P2c {
    random: Random,
}

impl P2c {
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        Self { random: Random::new(weights) }
    }

    /// The endpoint for one request; `None` when nothing is usable. A tie goes to the first drawn, so an
    /// idle set gets its weights exactly.
    pub fn choose<E: Endpoints>(&self, endpoints: &E, dice: &mut Dice) -> Option<usize> {
        let (first, second) = self.random.choose_two(endpoints, dice)?;
        let Some(second) = second else { return Some(first) };
        let second_is_less = Load::of(endpoints, second).compare(Load::of(endpoints, first)).is_lt();
        Some(if second_is_less { second } else { first })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Plain, assert_spread};
    use super::*;

    #[test]
    fn an_idle_set_gets_its_weights() {
        let endpoints = Plain::weighted(&[1, 2, 5]);
        let (policy, mut dice) = (P2c::new(&endpoints.weights), Dice::new(3));
        assert_spread(&[1.0, 2.0, 5.0], 40_000, || policy.choose(&endpoints, &mut dice));
    }

    #[test]
    fn the_most_loaded_is_never_chosen_while_another_is_usable() {
        let mut endpoints = Plain::even(10);
        endpoints.in_flight[6] = 1;
        let (policy, mut dice) = (P2c::new(&endpoints.weights), Dice::new(3));
        assert!((0..2_000).all(|_| policy.choose(&endpoints, &mut dice) != Some(6)));
    }

    /// n requests into n places: about ln n / ln ln n at random, ln ln n / ln 2 with two choices.
    #[test]
    fn beats_random_on_the_highest_load() {
        let highest = |seed, choose: &dyn Fn(&Plain, &mut Dice) -> Option<usize>| {
            let (mut endpoints, mut dice) = (Plain::even(500), Dice::new(seed));
            for _ in 0..500 {
                let chosen = choose(&endpoints, &mut dice).expect("all usable");
                endpoints.in_flight[chosen] += 1;
            }
            endpoints.in_flight.into_iter().max()
        };
        let (p2c, random) = (P2c::new(&[1; 500]), Random::new(&[1; 500]));
        for seed in 0..20 {
            let with_two = highest(seed, &|endpoints, dice| p2c.choose(endpoints, dice));
            let with_one = highest(seed, &|endpoints, dice| random.choose(endpoints, dice));
            assert!(with_two < with_one, "seed {seed}: {with_two:?} with two, {with_one:?} with one");
            assert!(with_two <= Some(4), "seed {seed}: {with_two:?}");
        }
    }
}
