//! One stream of dice for each entity, by name and number: a further user, service or replica takes nothing
//! from the streams of the others.

use headgate_model::dice::Dice;
use headgate_policy::balance::hash::{hash, mix};

/// Makes streams out of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds would differ in one bit only.
        Self { seed: hash(&seed.to_le_bytes()) }
    }

    /// The stream of entity `number` of this kind. Equal arguments give equal streams.
    #[must_use]
    pub fn dice(&self, kind: &str, number: u64) -> Dice {
        Dice::new(mix(mix(self.seed, hash(kind.as_bytes())), number))
    }

    /// A seed for everything that belongs to entity `number` of this kind.
    #[must_use]
    pub fn within(&self, kind: &str, number: u64) -> Self {
        Self { seed: mix(mix(self.seed, hash(kind.as_bytes())), number) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_kind_and_number_and_repeat() {
        let first = |seed, kind, number| Streams::new(seed).dice(kind, number).bits();
        assert_eq!(first(1, "user", 7), first(1, "user", 7));
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..10 {
            for kind in ["user", "arrivals"] {
                for number in 0..100 {
                    assert!(seen.insert(first(seed, kind, number)), "{seed} {kind} {number}");
                }
            }
        }
    }
}
