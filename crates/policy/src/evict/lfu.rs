//! Least frequently used: what was asked for least while resident leaves, the longest untouched among equals.
//! It keeps what was popular once for ever; here as a yardstick and for stable popularity.

use super::ranking::Ranking;
use super::slab::Slab;
use super::{Evict, Facts};

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

    fn take(&mut self, slot: u32) -> (u64, Facts) {
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

    fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        self.remove(id);
        if !self.slab.can_hold(size) {
            return false;
        }
        while !self.slab.has_room(size) {
            let Some((victim, _)) = self.evict() else { return false };
            evicted.push(victim);
        }
        let slot = self.slab.insert(id, size, cost);
        self.ranking.push(&mut self.slab, slot, 1);
        true
    }

    fn evict(&mut self) -> Option<(u64, Facts)> {
        self.ranking.least().map(|(slot, _)| self.take(slot))
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.take(slot);
        true
    }

    fn facts(&self, id: u64) -> Option<Facts> {
        self.slab.facts(id)
    }

    fn each(&self, visit: &mut dyn FnMut(u64)) {
        self.ranking.each(&self.slab, visit);
    }

    fn boxed(&self) -> Box<dyn Evict + Send> {
        Box::new(self.clone())
    }

    fn used(&self) -> u64 {
        self.slab.used()
    }

    fn count(&self) -> usize {
        self.slab.count()
    }
}
