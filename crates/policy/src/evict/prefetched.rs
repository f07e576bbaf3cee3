//! Any policy with a small queue of its own for what was fetched ahead: such objects leave first in, first out, take at
//! most their share of the bytes, and join the others at their first use, as if they had been missed then. It is a
//! fixed partition: the others have the rest.

use super::Evict;
use super::slab::{List, Slab};

/// The policy behind, and the queue.
pub struct Prefetched {
    behind: Box<dyn Evict + Send>,
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
    /// `build` makes the policy for the bytes that are left of `capacity`; `share` of it, 0 to 1, is the queue's.
    #[must_use]
    pub fn new(capacity: u64, share: f64, build: impl FnOnce(u64) -> Box<dyn Evict + Send>) -> Self {
        let queue = (capacity as f64 * share.clamp(0.0, 1.0)) as u64;
        Self { behind: build(capacity.saturating_sub(queue)), slab: Slab::new(queue), queue: List::default() }
    }

    /// Takes what was fetched ahead in, and appends what left unused for it. False when it is too large for the
    /// queue, or resident already.
    pub fn admit_ahead(&mut self, id: u64, size: u64, unused: &mut Vec<u64>) -> bool {
        if self.contains(id) || !self.slab.can_hold(size) {
            return false;
        }
        while !self.slab.has_room(size) {
            let Some(slot) = self.queue.pop(&mut self.slab) else { return false };
            unused.push(self.slab.free(slot));
        }
        let slot = self.slab.insert(id, size, 1.0);
        self.queue.push(&mut self.slab, slot);
        true
    }

    /// Notes a request. What was fetched ahead joins the others; `evicted` has what leaves for it.
    pub fn request(&mut self, id: u64, cost: f64, evicted: &mut Vec<u64>) -> Found {
        if self.behind.hit(id) {
            return Found::Resident;
        }
        let Some(slot) = self.slab.find(id) else { return Found::Nothing };
        let size = self.slab.entry(slot).size;
        self.drop_ahead(id);
        self.behind.admit(id, size, cost, evicted);
        Found::Ahead
    }

    /// Makes an object resident that somebody asked for, as [`Evict::admit`].
    pub fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        self.drop_ahead(id);
        self.behind.admit(id, size, cost, evicted)
    }

    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.behind.contains(id) || self.slab.find(id).is_some()
    }

    /// Bytes that are resident, both parts together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.behind.used() + self.slab.used()
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
        Prefetched::new(capacity, 0.1, |bytes| Kind::Lru.build(bytes))
    }

    #[test]
    fn the_unused_leave_first_and_touch_nobody_else() {
        let mut cache = lru(100);
        let (mut evicted, mut unused) = (Vec::new(), Vec::new());
        (0..90).for_each(|id| assert!(cache.admit(id, 1, 1.0, &mut evicted)));
        (1_000..1_015).for_each(|id| assert!(cache.admit_ahead(id, 1, &mut unused)));
        assert_eq!(unused, (1_000..1_005).collect::<Vec<_>>());
        assert!(evicted.is_empty() && (0..90).all(|id| cache.contains(id)));
        assert_eq!(cache.request(1_010, 1.0, &mut evicted), Found::Ahead);
        assert_eq!(evicted, [0], "it takes its place like any other");
        assert_eq!(cache.request(1_010, 1.0, &mut evicted), Found::Resident);
        assert_eq!(cache.request(1_000, 1.0, &mut evicted), Found::Nothing);
        assert!(!cache.admit_ahead(1_010, 1, &mut unused) && !cache.admit_ahead(7_777, 11, &mut unused));
        assert!(cache.remove(1_011) && !cache.remove(1_011));
    }

    #[test]
    fn bytes_stay_within_both_limits_with_every_policy() {
        for kind in Kind::ALL {
            let mut dice = Dice::new(5);
            let mut cache = Prefetched::new(10_000, 0.08, |bytes| kind.build(bytes));
            let mut gone = Vec::new();
            for _ in 0..20_000 {
                let (id, size) = (dice.below(500), 1 + dice.below(400));
                match dice.below(3) {
                    0 => drop(cache.admit_ahead(id, size, &mut gone)),
                    1 if cache.request(id, 1.0, &mut gone) == Found::Nothing => {
                        cache.admit(id, size, 1.0, &mut gone);
                    }
                    _ => {}
                }
                assert!(cache.used() <= 10_000 && cache.unused() <= 800, "{kind:?}");
                gone.clear();
            }
        }
    }
}
