//! Any policy with a small queue of its own for what was fetched ahead: such objects leave first in, first out, take at
//! most their share of the bytes, and join the others at their first use, as if they had been missed then. What the
//! queue does not need is the others'.

use super::handover::Handover;
use super::slab::{List, Slab};
use super::{Evict, Facts};

/// The policy behind, and the queue.
pub struct Prefetched {
    /// Bytes of both together.
    capacity: u64,
    behind: Handover,
    share: f64,
    slab: Slab,
    queue: List,
}

/// What a request found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Resident,
    /// Fetched ahead, and used for the first time.
    Ahead,
}

impl Prefetched {
    /// `policy` is for `capacity` bytes and empty; up to `share` of them, 0 to 1, are the queue's.
    #[must_use]
    pub fn new(capacity: u64, share: f64, policy: Box<dyn Evict + Send>) -> Self {
        let share = share.clamp(0.0, 1.0);
        let behind = Handover::new(capacity, policy);
        // What it may hold follows the capacity.
        Self { capacity, behind, share, slab: Slab::new(u64::MAX), queue: List::default() }
    }

    /// As [`Handover::turn`].
    pub fn turn(&mut self, next: Box<dyn Evict + Send>, capacity: u64) -> bool {
        let turned = self.behind.turn(next, capacity);
        self.capacity = self.behind.capacity();
        turned
    }

    /// As [`Handover::turn_back`].
    pub fn turn_back(&mut self) -> bool {
        let turned = self.behind.turn_back();
        self.capacity = self.behind.capacity();
        turned
    }

    /// As [`Handover::trim`]; what was fetched ahead goes first.
    pub fn trim(&mut self, most: usize, evicted: &mut Vec<u64>) -> bool {
        let from = evicted.len();
        while self.used() > self.capacity && evicted.len() - from < most {
            let Some(slot) = self.queue.pop(&mut self.slab) else { break };
            evicted.push(self.slab.free(slot).0);
        }
        let left = most.saturating_sub(evicted.len() - from);
        self.behind.trim(left, evicted) && self.used() <= self.capacity
    }

    fn queue_bytes(&self) -> u64 {
        (self.capacity as f64 * self.share) as u64
    }

    /// Takes what was fetched ahead in, and appends what leaves for it: of the queue first. What is resident under
    /// the id is replaced. False when it is too large for the queue; then nothing changes.
    pub fn admit_ahead(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        let size = Slab::charge(size);
        if size > self.queue_bytes() {
            return false;
        }
        self.remove(id);
        while self.slab.used() + size > self.queue_bytes() || !self.slab.has_room(size) {
            let Some(slot) = self.queue.pop(&mut self.slab) else { return false };
            evicted.push(self.slab.free(slot).0);
        }
        let slot = self.slab.insert(id, size, cost);
        self.queue.push(&mut self.slab, slot);
        self.make_room(evicted);
        true
    }

    /// Notes a request. What was fetched ahead joins the others; `evicted` has what leaves for it.
    pub fn request(&mut self, id: u64, evicted: &mut Vec<u64>) -> Found {
        if self.behind.hit(id) {
            return Found::Resident;
        }
        let Some(facts) = self.slab.facts(id) else { return Found::Nothing };
        // Refused by the policy it leaves with its first use.
        if !self.admit(id, facts.size, facts.cost, evicted) {
            evicted.push(id);
        }
        Found::Ahead
    }

    /// Makes an object resident that somebody asked for, as [`Evict::admit`].
    pub fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        self.drop_ahead(id);
        let from = evicted.len();
        let admitted = self.behind.admit(id, size, cost, evicted);
        self.make_room(evicted);
        if admitted && !self.behind.contains(id) {
            // It had to leave at once: the same as if the policy had not wanted it.
            let mut at = 0;
            evicted.retain(|gone| {
                at += 1;
                at <= from || *gone != id
            });
            return false;
        }
        admitted
    }

    /// The others give up what the queue has taken.
    fn make_room(&mut self, evicted: &mut Vec<u64>) {
        while self.used() > self.capacity {
            let Some((gone, _)) = self.behind.evict() else { return };
            evicted.push(gone);
        }
    }

    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.facts(id).is_some()
    }

    /// Size and cost of a resident object.
    #[must_use]
    pub fn facts(&self, id: u64) -> Option<Facts> {
        self.behind.facts(id).or_else(|| self.slab.facts(id))
    }

    /// Bytes that are resident, both parts together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.behind.used() + self.slab.used()
    }

    /// Objects that are resident, both parts together.
    #[must_use]
    pub fn count(&self) -> usize {
        self.behind.count() + self.slab.count()
    }

    /// Bytes that were fetched ahead and not used yet.
    #[must_use]
    pub fn unused(&self) -> u64 {
        self.slab.used()
    }

    /// Forgets an object, for a purge. False when it is not resident.
    pub fn remove(&mut self, id: u64) -> bool {
        self.drop_ahead(id) || self.behind.remove(id)
    }

    fn drop_ahead(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.queue.unlink(&mut self.slab, slot);
        self.slab.free(slot);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;
    use headgate_model::dice::Dice;

    fn lru(capacity: u64) -> Prefetched {
        Prefetched::new(capacity, 0.1, Kind::Lru.build(capacity))
    }

    #[test]
    fn the_unused_leave_first_and_take_no_more_than_their_share() {
        let mut cache = lru(100);
        let mut gone = Vec::new();
        (0..100).for_each(|id| assert!(cache.admit(id, 1, 1.0, &mut gone)));
        assert!(gone.is_empty(), "what nobody fetched ahead is the others'");
        (1_000..1_015).for_each(|id| assert!(cache.admit_ahead(id, 1, 1.0, &mut gone)));
        let (queue, others): (Vec<u64>, Vec<u64>) = gone.drain(..).partition(|id| *id >= 1_000);
        assert_eq!(queue, (1_000..1_005).collect::<Vec<_>>());
        assert_eq!(others, (0..10).collect::<Vec<_>>());
        assert!((10..100).all(|id| cache.contains(id)));
        assert_eq!(cache.request(1_010, &mut gone), Found::Ahead);
        assert_eq!((gone.len(), cache.count()), (0, 100), "it moves, and nobody leaves for it");
        assert_eq!(cache.request(1_010, &mut gone), Found::Resident);
        assert_eq!(cache.request(1_000, &mut gone), Found::Nothing);
        assert!(!cache.admit_ahead(7_777, 11, 1.0, &mut gone), "larger than the queue");
        assert!(cache.remove(1_011) && !cache.remove(1_011));
        assert!(
            cache.admit_ahead(50, 1, 1.0, &mut gone) && cache.count() == 99,
            "in place of the one there was"
        );
        assert_eq!(cache.request(50, &mut gone), Found::Ahead);
    }

    #[test]
    fn bytes_stay_within_both_limits_with_every_policy() {
        for kind in Kind::ALL {
            let mut dice = Dice::new(5);
            let mut cache = Prefetched::new(10_000, 0.08, kind.build(10_000));
            let mut gone = Vec::new();
            for _ in 0..20_000 {
                let (id, size) = (dice.below(500), 1 + dice.below(400));
                match dice.below(3) {
                    0 => drop(cache.admit_ahead(id, size, 1.0, &mut gone)),
                    1 if cache.request(id, &mut gone) == Found::Nothing => {
                        cache.admit(id, size, 1.0, &mut gone);
                    }
                    _ => {}
                }
                assert!(cache.used() <= 10_000 && cache.unused() <= 800, "{kind:?}");
                gone.clear();
            }
        }
    }

    #[test]
    fn the_policy_and_the_size_are_exchanged_under_both() {
        let mut cache = lru(1_000);
        let mut gone = Vec::new();
        (0..900).for_each(|id| assert!(cache.admit(id, 1, 1.0, &mut gone)));
        (2_000..2_100).for_each(|id| assert!(cache.admit_ahead(id, 1, 1.0, &mut gone)));
        assert!(gone.is_empty() && cache.turn(Kind::Sieve.build(500), 500));
        while !cache.trim(64, &mut gone) {}
        assert!(cache.used() <= 500 && cache.unused() == 0, "what nobody asked for goes first");
        assert!(
            cache.admit_ahead(3_000, 50, 1.0, &mut gone) && !cache.admit_ahead(3_001, 51, 1.0, &mut gone)
        );
        assert!(cache.used() <= 500 && cache.turn_back());
        assert!(cache.admit_ahead(3_001, 51, 1.0, &mut gone), "the former size again");
    }
}
