//! GreedyDual-Size-Frequency (Cherkasova, HPL-98-69R1, 1998; after Cao and Irani's GreedyDual-Size, USITS 1997):
//! an object is worth its requests times its cost over its size, plus the worth of the last one that had to
//! leave, so that what is old sinks against what is new. Small objects stay; good for object hits, less for bytes.

use super::ranking::Ranking;
use super::slab::Slab;
use super::{Evict, Facts};

/// The policy.
#[derive(Clone, Debug)]
pub struct Gdsf {
    slab: Slab,
    /// By worth: the bits of a number that is not negative are in its order.
    ranking: Ranking,
    /// By slot: requests since admission, and what one is worth.
    facts: Vec<(u32, f64)>,
    cost_exponent: f64,
    size_exponent: f64,
    /// Worth of the last victim. It only grows; at the usual worth of 1e-4 of a request for a file it takes
    /// 2^53 victims until the sum loses what is added.
    inflation: f64,
}

impl Gdsf {
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self::with_exponents(capacity, 1.0, 1.0)
    }

    /// Worth by requests times cost to the power of `cost_exponent` over size to that of `size_exponent`; both not
    /// negative. Without both it is LFU with dynamic aging.
    #[must_use]
    pub fn with_exponents(capacity: u64, cost_exponent: f64, size_exponent: f64) -> Self {
        Self {
            slab: Slab::new(capacity),
            ranking: Ranking::default(),
            facts: Vec::new(),
            cost_exponent,
            size_exponent,
            inflation: 0.0,
        }
    }

    fn worth(&self, slot: u32) -> u64 {
        let (requests, each) = self.facts[slot as usize];
        (self.inflation + f64::from(requests) * each).to_bits()
    }

    fn take(&mut self, slot: u32) -> (u64, Facts) {
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
            let Some((victim, _)) = self.evict() else { return false };
            evicted.push(victim);
        }
        let slot = self.slab.insert(id, size, cost);
        // A cost that is no number, or below zero, would break the order of the bits.
        let cost = if cost.is_finite() { cost.max(0.0) } else { 0.0 };
        let size = self.slab.entry(slot).size as f64;
        let facts = (1, power(cost, self.cost_exponent) / power(size, self.size_exponent));
        match self.facts.get_mut(slot as usize) {
            Some(place) => *place = facts,
            None => self.facts.push(facts), // slots are handed out in order
        }
        let worth = self.worth(slot);
        self.ranking.push(&mut self.slab, slot, worth);
        true
    }

    fn evict(&mut self) -> Option<(u64, Facts)> {
        let (slot, worth) = self.ranking.least()?;
        self.inflation = f64::from_bits(worth);
        Some(self.take(slot))
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

/// The usual exponents without rounding of their own.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent == 0.0 {
        1.0
    } else if exponent == 1.0 {
        base
    } else {
        base.powf(exponent)
    }
}
