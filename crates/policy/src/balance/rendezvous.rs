//! Highest random weight: each endpoint throws for the key, the highest throw takes it. No table, O(n),
//! and the least possible disruption: only the keys of what left or came move.
//!
//! Sources: Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998; the
//! weighting by logarithm: Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005.

use super::hash::{hash, mix, to_unit};
use super::{Endpoints, effective_weight};
use std::sync::Arc;

/// Ranks the endpoints for a key; clones share the hashed names.
#[derive(Clone, Debug)]
pub struct Rendezvous {
    /// Hashes of the names.
    seeds: Arc<[u64]>,
}

impl Rendezvous {
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        Self { seeds: names.iter().map(|name| hash(name.as_bytes())).collect() }
    }

    /// The endpoint for the key with this hash; `None` when nothing is usable.
    pub fn choose<E: Endpoints>(&self, key: u64, endpoints: &E) -> Option<usize> {
        self.choose_where(key, endpoints, |_| true)
    }

    /// The highest among those that `fits` also allows.
    pub(super) fn choose_where<E: Endpoints>(
        &self,
        key: u64,
        endpoints: &E,
        fits: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (index, &seed) in self.seeds.iter().enumerate() {
            let weight = effective_weight(endpoints, index);
            if weight == 0 || !fits(index) {
                continue;
            }
            let score = -f64::from(weight) / to_unit(mix(key, seed)).ln();
            if best.is_none_or(|(_, highest)| score > highest) {
                best = Some((index, score));
            }
        }
        best.map(|(index, _)| index)
    }

    /// For policies with a table: whether an endpoint in slow start takes this key already. As its share
    /// grows, keys only join.
    pub(super) fn is_warm_for<E: Endpoints>(&self, key: u64, endpoints: &E, index: usize) -> bool {
        let share = endpoints.share(index);
        share >= 1.0 || to_unit(mix(key, self.seeds[index])) < f64::from(share)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Plain, keys, names};
    use super::*;

    #[test]
    fn exactly_the_keys_of_the_removed_one_move() {
        let all = names(12);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let weights: Vec<u32> = (1..=12).collect();
        let (full, fewer) = (Rendezvous::new(&all), Rendezvous::new(&all[..11]));
        let (before, after) = (Plain::weighted(&weights), Plain::weighted(&weights[..11]));
        let mut moved = 0;
        for key in keys(20_000) {
            let was = full.choose(key, &before);
            let is = fewer.choose(key, &after);
            if was == Some(11) {
                moved += 1;
            } else {
                assert_eq!(was, is);
            }
        }
        assert!((2_700..3_450).contains(&moved), "12/78 of the keys: {moved}");
    }

    #[test]
    fn in_slow_start_keys_only_join() {
        let all = names(5);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let policy = Rendezvous::new(&all);
        let mut endpoints = Plain::even(5);
        let mut owned: Vec<u64> = Vec::new();
        for share in [0.1, 0.4, 0.7, 1.0] {
            endpoints.shares[3] = share;
            let now: Vec<u64> =
                keys(5_000).filter(|&key| policy.choose(key, &endpoints) == Some(3)).collect();
            assert!(owned.iter().all(|key| now.contains(key)) && now.len() > owned.len());
            owned = now;
        }
    }
}
