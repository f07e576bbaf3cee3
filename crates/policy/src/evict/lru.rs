//! Least recently used: what nobody asked for longest leaves. Simple and everywhere; a scan empties it.

use super::slab::{List, Slab};
use super::{Evict, Facts};

/// The policy.
#[derive(Clone, Debug)]
pub struct Lru {
    slab: Slab,
    list: List,
}

impl Lru {
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self { slab: Slab::new(capacity), list: List::default() }
    }
}

impl Evict for Lru {
    fn hit(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.list.renew(&mut self.slab, slot);
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
        self.list.push(&mut self.slab, slot);
        true
    }

    fn evict(&mut self) -> Option<(u64, Facts)> {
        self.list.pop(&mut self.slab).map(|slot| self.slab.free(slot))
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.list.unlink(&mut self.slab, slot);
        self.slab.free(slot);
        true
    }

    fn facts(&self, id: u64) -> Option<Facts> {
        self.slab.facts(id)
    }

    fn each(&self, visit: &mut dyn FnMut(u64)) {
        self.list.each(&self.slab, visit);
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
