//! Maglev hashing: a table of prime size that the endpoints fill in turns, each by its own permutation.
//! One lookup per choice and a spread within a percent; a little more disruption than the ring.
//!
//! Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", 2016,
//! section 3.4.

use super::hash::{hash, mix};
use super::rendezvous::Rendezvous;
use super::{Endpoints, WALK};
use std::sync::Arc;

/// Maps keys to endpoints by one lookup; see the module.
#[derive(Clone, Debug)]
pub struct Maglev {
    /// Empty when no endpoint has weight.
    table: Arc<[u32]>,
    /// Answers when the walk along the table did not.
    ranking: Rendezvous,
}

impl Maglev {
    /// Fills the table; some milliseconds for hundreds of endpoints.
    #[must_use]
    pub fn new(names: &[&str], weights: &[u32]) -> Self {
        let size = table_size(names.len());
        Self { table: fill(names, weights, size).into(), ranking: Rendezvous::new(names) }
    }

    /// The endpoint for the key with this hash; `None` when nothing is usable.
    pub fn choose<E: Endpoints>(&self, key: u64, endpoints: &E) -> Option<usize> {
        if self.table.is_empty() {
            return None;
        }
        let (before, after) = self.table.split_at((key % self.table.len() as u64) as usize);
        after
            .iter()
            .chain(before)
            .take(WALK)
            .map(|&endpoint| endpoint as usize)
            .find(|&index| endpoints.usable(index) && self.ranking.is_warm_for(key, endpoints, index))
            .or_else(|| self.ranking.choose(key, endpoints))
    }
}

/// The paper asks for a hundred slots per endpoint. 16 KiB stay in the first-level cache for the usual
/// small set, 256 KiB in the second-level cache; clones share them. The steps are few and far apart
/// because crossing one moves most keys.
fn table_size(endpoints: usize) -> u64 {
    match endpoints {
        0..=40 => 4_099,
        41..=655 => 65_537,
        _ => 655_373,
    }
}

/// One endpoint's walk through the slots. The size is prime, so every step visits all of them.
struct Permutation {
    slot: u64,
    step: u64,
    /// Turns earned: the heaviest endpoint earns one per round, the others in proportion.
    turns: f64,
    turns_per_round: f64,
}

fn fill(names: &[&str], weights: &[u32], size: u64) -> Vec<u32> {
    const FREE: u32 = u32::MAX;
    let heaviest = weights.iter().copied().max().unwrap_or(0);
    if heaviest == 0 {
        return Vec::new();
    }
    let mut permutations: Vec<Permutation> = names
        .iter()
        .zip(weights)
        .map(|(name, &weight)| {
            let seed = hash(name.as_bytes());
            Permutation {
                slot: mix(seed, 1) % size,
                step: mix(seed, 2) % (size - 1) + 1,
                turns: 0.0,
                turns_per_round: f64::from(weight) / f64::from(heaviest),
            }
        })
        .collect();
    let mut table = vec![FREE; size as usize];
    let mut free = size;
    loop {
        for (endpoint, own) in (0u32..).zip(&mut permutations) {
            own.turns += own.turns_per_round;
            if own.turns < 1.0 {
                continue;
            }
            own.turns -= 1.0;
            while table[own.slot as usize] != FREE {
                own.slot = (own.slot + own.step) % size;
            }
            table[own.slot as usize] = endpoint;
            free -= 1;
            if free == 0 {
                return table;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Plain, keys, names};
    use super::*;

    fn maglev(weights: &[u32]) -> Maglev {
        let names = names(weights.len());
        Maglev::new(&names.iter().map(String::as_str).collect::<Vec<_>>(), weights)
    }

    #[test]
    fn the_sizes_are_prime() {
        for size in [1, 100, 10_000].map(table_size) {
            assert!((2..).take_while(|factor| factor * factor <= size).all(|factor| size % factor != 0));
        }
    }

    /// In a full table equal endpoints differ by one slot at most: each round gives one to each.
    #[test]
    fn slots_follow_the_weights() {
        for weights in [vec![1; 7], vec![3, 0, 1, 1000, 250]] {
            let policy = maglev(&weights);
            let total: u32 = weights.iter().sum();
            for (endpoint, &weight) in (0u32..).zip(&weights) {
                let slots = policy.table.iter().filter(|&&owner| owner == endpoint).count() as f64;
                let expected = policy.table.len() as f64 * f64::from(weight) / f64::from(total);
                assert!((slots - expected).abs() <= 2.0, "{weights:?}: {slots}, expected {expected}");
            }
        }
    }

    #[test]
    fn unusable_keys_move_to_many_others() {
        let policy = maglev(&[1; 10]);
        let mut endpoints = Plain::even(10);
        endpoints.usable[4] = false;
        let mut taken = [0; 10];
        for key in keys(20_000).filter(|key| policy.choose(*key, &Plain::even(10)) == Some(4)) {
            taken[policy.choose(key, &endpoints).expect("nine usable")] += 1;
        }
        assert!((0..10).all(|index| (taken[index] > 120) == (index != 4)), "{taken:?}");
    }
}
