//! Least frequently used: what was asked for least while resident leaves, the longest untouched among equals.
//! It keeps what was popular once for ever; here as a yardstick and for stable popularity.

use super::Evict;
use super::ranking::Ranking;
use super::slab::Slab;

/// The policy.
#[derive(Clone, Debug)]
pub struct Lfu {
    slab: Slab,
    /// By number of requests.
    ranking: Ranking,
}

impl Lfu {
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self { slab: Slab::new(capacity), ranking: Ranking::default() }
    }

    fn take(&mut self, slot: u32) -> u64 {
        self.ranking.remove(&mut self.slab, slot);
        self.slab.free(slot)
    }
}

impl Evict for Lfu {
    fn hit(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        let requests = self.ranking.rank_of(&self.slab, slot) + 1;
        self.ranking.change(&mut self.slab, slot, requests);
        true
    }

    fn admit(&mut self, id: u64, size: u64, _cost: f64, evicted: &mut Vec<u64>) -> bool {
        self.remove(id);
        if !self.slab.can_hold(size) {
            return false;
        }
        while !self.slab.has_room(size) {
            let Some((slot, _)) = self.ranking.least() else { return false };
            evicted.push(self.take(slot));
        }
        let slot = self.slab.insert(id, size);
        self.ranking.push(&mut self.slab, slot, 1);
        true
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.take(slot);
        true
    }

    fn contains(&self, id: u64) -> bool {
        self.slab.find(id).is_some()
    }

    fn used(&self) -> u64 {
        self.slab.used()
    }

    fn count(&self) -> usize {
        self.slab.count()
    }
}
