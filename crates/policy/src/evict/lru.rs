//! Least recently used: what nobody asked for longest leaves. Simple and everywhere; a scan empties it.

use super::Evict;
use super::slab::{List, Slab};

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

    fn admit(&mut self, id: u64, size: u64, _cost: f64, evicted: &mut Vec<u64>) -> bool {
        self.remove(id);
        if !self.slab.can_hold(size) {
            return false;
        }
        while !self.slab.has_room(size) {
            let Some(slot) = self.list.pop(&mut self.slab) else { return false };
            evicted.push(self.slab.free(slot));
        }
        let slot = self.slab.insert(id, size);
        self.list.push(&mut self.slab, slot);
        true
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.list.unlink(&mut self.slab, slot);
        self.slab.free(slot);
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
