//! Contents of a cache that imitates several policies at once, which run beside it on all requests (after Subramanian,
//! Smaragdakis and Loh, Adaptive Caches, MICRO 2006): each votes for what it holds, with a weight, and what has the least
//! votes leaves. Weights can change at any time; nothing is lost by it. It decides nothing itself.

use super::judge::MOST_SETTINGS;
use crate::evict::Facts;
use crate::evict::slab::{List, Slab};

/// Policies, as a set of bits.
pub(super) type Set = u32;

#[derive(Clone)]
pub(super) struct Ensemble {
    slab: Slab,
    /// By the set of policies that hold an entry, which is its mark: the entries, by when they came to be there.
    classes: Vec<List>,
    counts: Vec<u64>,
    /// The sets, those with the least votes first; and the place of each in that order.
    order: Vec<Set>,
    places: Vec<u32>,
    /// The places in the order that have entries, as bits.
    filled: u128,
}

impl Ensemble {
    pub(super) fn new(capacity: u64, weights: &[f64]) -> Self {
        debug_assert!(weights.len() <= MOST_SETTINGS, "a bit for each set of them");
        let sets = 1 << weights.len();
        let mut empty = Self {
            slab: Slab::new(capacity),
            classes: vec![List::default(); sets],
            counts: vec![0; sets],
            order: (0..sets as Set).collect(),
            places: vec![0; sets],
            filled: 0,
        };
        empty.weigh(weights);
        empty
    }

    /// From now on the votes of each policy count so much; not negative.
    pub(super) fn weigh(&mut self, weights: &[f64]) {
        let mut votes = vec![0.0; self.order.len()];
        for set in 1..votes.len() {
            // That of a set without its lowest member is known.
            votes[set] = votes[set & (set - 1)] + weights[set.trailing_zeros() as usize];
        }
        self.order.sort_by(|one, other| votes[*one as usize].total_cmp(&votes[*other as usize]));
        self.filled = 0;
        for (place, set) in self.order.iter().enumerate() {
            self.places[*set as usize] = place as u32;
            self.filled |= u128::from(self.counts[*set as usize] > 0) << place;
        }
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.slab.find(id).is_some()
    }

    pub(super) fn facts(&self, id: u64) -> Option<Facts> {
        self.slab.facts(id)
    }

    pub(super) fn used(&self) -> u64 {
        self.slab.used()
    }

    pub(super) fn count(&self) -> usize {
        self.slab.count()
    }

    /// Entries that a policy holds as well.
    pub(super) fn shared(&self, policy: usize) -> u64 {
        let counts = self.counts.iter().enumerate();
        counts.filter(|(set, _)| set >> policy & 1 == 1).map(|(_, count)| count).sum()
    }

    /// After a request that the policies saw: who holds the object now, and which ids left whom.
    pub(super) fn follow(&mut self, id: u64, holders: Set, gone: &[(usize, u64)]) {
        for (policy, gone) in gone {
            if let Some(slot) = self.slab.find(*gone) {
                let set = self.slab.entry(slot).mark & !(1 << policy);
                self.leave(slot);
                self.join(slot, set);
            }
        }
        if let Some(slot) = self.slab.find(id)
            && self.slab.entry(slot).mark != holders
        {
            self.leave(slot);
            self.join(slot, holders);
        }
    }

    /// Takes in an object that is not resident, if any policy did.
    pub(super) fn admit(&mut self, id: u64, facts: Facts, holders: Set, evicted: &mut Vec<u64>) -> bool {
        if holders == 0 || !self.slab.can_hold(facts.size) {
            return false;
        }
        while !self.slab.has_room(facts.size) {
            let least = self.filled.trailing_zeros();
            // What nobody wants less than the newcomer does not leave for it.
            if least > self.places[holders as usize] {
                return false;
            }
            let Some(set) = self.order.get(least as usize).copied() else { return false };
            let Some((gone, _)) = self.pop(set) else { return false };
            evicted.push(gone);
        }
        let slot = self.slab.insert(id, facts.size, facts.cost);
        self.join(slot, holders);
        true
    }

    /// Visits the contents, what leaves first first.
    pub(super) fn each(&self, visit: &mut dyn FnMut(u64)) {
        self.order.iter().for_each(|set| self.classes[*set as usize].each(&self.slab, visit));
    }

    /// Gives up what has the least votes and a policy does not hold.
    pub(super) fn evict_without(&mut self, policy: usize) -> Option<(u64, Facts)> {
        let is_free = |set: &Set| set >> policy & 1 == 0 && self.counts[*set as usize] > 0;
        let set = self.order.iter().copied().find(is_free)?;
        self.pop(set)
    }

    pub(super) fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.leave(slot);
        self.slab.free(slot);
        true
    }

    fn pop(&mut self, set: Set) -> Option<(u64, Facts)> {
        let slot = self.classes[set as usize].oldest()?;
        self.leave(slot);
        Some(self.slab.free(slot))
    }

    fn join(&mut self, slot: u32, set: Set) {
        self.slab.entry_mut(slot).mark = set;
        self.classes[set as usize].push(&mut self.slab, slot);
        self.counts[set as usize] += 1;
        self.filled |= 1 << self.places[set as usize];
    }

    fn leave(&mut self, slot: u32) {
        let set = self.slab.entry(slot).mark as usize;
        self.classes[set].unlink(&mut self.slab, slot);
        self.counts[set] -= 1;
        if self.counts[set] == 0 {
            self.filled &= !(1 << self.places[set]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Facts = Facts { size: 1, cost: 1.0 };

    /// Three objects, each held by one of three policies.
    fn one_each(weights: &[f64]) -> Ensemble {
        let mut ensemble = Ensemble::new(3, weights);
        (0..3).for_each(|id| assert!(ensemble.admit(id, UNIT, 1 << id, &mut Vec::new())));
        ensemble
    }

    fn order(ensemble: &Ensemble) -> Vec<u64> {
        let mut ids = Vec::new();
        ensemble.each(&mut |id| ids.push(id));
        ids
    }

    #[test]
    fn what_has_the_least_votes_leaves_by_the_weights_of_the_day() {
        let mut ensemble = one_each(&[1.0, 0.5, 0.2]);
        let mut gone = Vec::new();
        assert_eq!(order(&ensemble), [2, 1, 0]);
        assert!(ensemble.admit(3, UNIT, 0b111, &mut gone));
        ensemble.weigh(&[0.1, 0.5, 1.0]);
        assert!(ensemble.admit(4, UNIT, 0b111, &mut gone));
        assert_eq!(gone, [2, 0]);
        assert_eq!([0, 1, 2].map(|policy| ensemble.shared(policy)), [2, 3, 2]);
        ensemble.follow(1, 0b100, &[(0, 3), (1, 3), (2, 3)]);
        assert_eq!(order(&ensemble), [3, 1, 4], "nobody holds 3 any more");
    }

    #[test]
    fn two_of_little_weight_outvote_one_and_the_leader_outvotes_both() {
        let mut ensemble = Ensemble::new(2, &[1.0, 0.3, 0.3]);
        let mut gone = Vec::new();
        for (id, holders) in [(0, 0b001), (1, 0b110)] {
            assert!(ensemble.admit(id, UNIT, holders, &mut gone));
        }
        assert_eq!(order(&ensemble), [1, 0]);
        ensemble.weigh(&[1.0, 0.6, 0.6]);
        assert_eq!(order(&ensemble), [0, 1]);
    }

    #[test]
    fn a_newcomer_that_is_wanted_less_than_all_that_is_there_stays_outside() {
        let mut ensemble = one_each(&[1.0, 0.5, 0.2]);
        let mut gone = Vec::new();
        ensemble.follow(2, 0b111, &[]);
        assert!(!ensemble.admit(3, UNIT, 0b100, &mut gone), "0.2 votes");
        assert!(!ensemble.admit(3, UNIT, 0, &mut gone), "none");
        assert!(gone.is_empty() && ensemble.admit(3, UNIT, 0b010, &mut gone));
        assert_eq!(gone, [1], "as many votes, and older");
        assert_eq!(ensemble.evict_without(1), Some((0, UNIT)));
        assert_eq!(ensemble.evict_without(1), None, "both are held by it");
        assert_eq!((ensemble.count(), ensemble.used()), (2, 2));
    }
}
