//! GreedyDual-Size-Frequency (Cherkasova, HPL-98-69R1, 1998; after Cao and Irani's GreedyDual-Size, USITS 1997):
//! an object is worth its requests times its cost over its size, plus the worth of the last one that had to
//! leave, so that what is old sinks against what is new. Small objects stay; good for object hits, less for bytes.

use super::Evict;
use super::ranking::Ranking;
use super::slab::Slab;

/// The policy.
#[derive(Clone, Debug)]
pub struct Gdsf {
    slab: Slab,
    /// By worth: the bits of a number that is not negative are in its order.
    ranking: Ranking,
    /// By slot: requests since admission, and cost.
    facts: Vec<(u32, f64)>,
    /// Worth of the last victim. It only grows; at the usual worth of 1e-4 of a request for a file it takes
    /// 2^53 victims until the sum loses what is added.
    inflation: f64,
}

impl Gdsf {
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self { slab: Slab::new(capacity), ranking: Ranking::default(), facts: Vec::new(), inflation: 0.0 }
    }

    fn worth(&self, slot: u32) -> u64 {
        let (requests, cost) = self.facts[slot as usize];
        let size = self.slab.entry(slot).size as f64;
        (self.inflation + f64::from(requests) * cost / size).to_bits()
    }

    fn take(&mut self, slot: u32) -> u64 {
        self.ranking.remove(&mut self.slab, slot);
        self.slab.free(slot)
    }
}

impl Evict for Gdsf {
    fn hit(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        let requests = &mut self.facts[slot as usize].0;
        *requests = requests.saturating_add(1);
        let worth = self.worth(slot);
        self.ranking.change(&mut self.slab, slot, worth);
        true
    }

    fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        self.remove(id);
        if !self.slab.can_hold(size) {
            return false;
        }
        while !self.slab.has_room(size) {
            let Some((slot, worth)) = self.ranking.least() else { return false };
            self.inflation = f64::from_bits(worth);
            evicted.push(self.take(slot));
        }
        let slot = self.slab.insert(id, size);
        // A cost that is no number, or below zero, would break the order of the bits.
        let facts = (1, if cost.is_finite() { cost.max(0.0) } else { 0.0 });
        match self.facts.get_mut(slot as usize) {
            Some(place) => *place = facts,
            None => self.facts.push(facts), // slots are handed out in order
        }
        let worth = self.worth(slot);
        self.ranking.push(&mut self.slab, slot, worth);
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
