//! SIEVE (Zhang and others, NSDI 2024): a FIFO queue with one bit for each entry and a hand that goes from old to
//! new, clears the bits it finds and evicts the first entry without one. Entries never move, so a hit is one
//! store. Weak where everything is read twice, shortly apart: what proved useless stays as long as what is new.

use super::slab::{List, Slab};
use super::{Evict, Facts};

/// The policy.
#[derive(Clone, Debug)]
pub struct Sieve {
    slab: Slab,
    list: List,
    /// Where the search for a victim goes on; none: at the oldest.
    hand: Option<u32>,
}

impl Sieve {
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self { slab: Slab::new(capacity), list: List::default(), hand: None }
    }

    fn victim(&mut self) -> Option<u32> {
        let mut at = self.hand.or(self.list.oldest())?;
        while self.slab.entry(at).mark != 0 {
            self.slab.entry_mut(at).mark = 0;
            at = List::newer(&self.slab, at).or(self.list.oldest())?;
        }
        Some(at)
    }

    fn take(&mut self, slot: u32) -> (u64, Facts) {
        self.list.unlink(&mut self.slab, slot);
        self.slab.free(slot)
    }
}

impl Evict for Sieve {
    fn hit(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.slab.entry_mut(slot).mark = 1;
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
        let slot = self.victim()?;
        self.hand = List::newer(&self.slab, slot);
        Some(self.take(slot))
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        if self.hand == Some(slot) {
            self.hand = List::newer(&self.slab, slot);
        }
        self.take(slot);
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
