//! Contents of a cache that imitates a policy which runs beside it on all requests (after Subramanian, Smaragdakis and
//! Loh, Adaptive Caches, MICRO 2006): what the policy let go stays until room is needed, so the policy can be
//! exchanged at any time without losing anything. It decides nothing itself.

use crate::evict::slab::{List, Slab};
use crate::evict::{Evict, Facts};

/// Mark of an entry that the policy does not hold.
const SPARE: u32 = 1;

#[derive(Clone)]
pub(super) struct Follower {
    slab: Slab,
    /// Entries marked so, in the order in which they leave.
    spare: List,
}

impl Follower {
    pub(super) fn new(capacity: u64) -> Self {
        Self { slab: Slab::new(capacity), spare: List::default() }
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

    /// After a request that the policy saw: `gone` left it.
    pub(super) fn follow(&mut self, id: u64, policy: &dyn Evict, gone: &[u64]) {
        for gone in gone {
            self.set_spare(*gone, true);
        }
        self.set_spare(id, !policy.contains(id));
    }

    /// Takes in an object that is not resident, if the policy did and what it let go makes room enough.
    pub(super) fn admit(
        &mut self,
        id: u64,
        facts: Facts,
        policy: &dyn Evict,
        evicted: &mut Vec<u64>,
    ) -> bool {
        if !policy.contains(id) || !self.slab.can_hold(facts.size) {
            return false;
        }
        while !self.slab.has_room(facts.size) {
            let Some(slot) = self.spare.pop(&mut self.slab) else { return false };
            evicted.push(self.slab.free(slot));
        }
        self.slab.insert(id, facts.size, facts.cost);
        true
    }

    /// From now on it follows `to`, not `from`.
    pub(super) fn turn(&mut self, from: &dyn Evict, to: &dyn Evict) {
        let mut held = Vec::new();
        self.spare.each(&self.slab, &mut |id| held.push(id));
        from.each(&mut |id| held.push(id));
        for id in held {
            self.set_spare(id, !to.contains(id));
        }
    }

    /// Visits the contents, what leaves first first.
    pub(super) fn each(&self, policy: &dyn Evict, visit: &mut dyn FnMut(u64)) {
        self.spare.each(&self.slab, visit);
        policy.each(&mut |id| {
            if self.slab.find(id).is_some() {
                visit(id);
            }
        });
    }

    fn set_spare(&mut self, id: u64, is_spare: bool) {
        let Some(slot) = self.slab.find(id) else { return };
        let entry = self.slab.entry_mut(slot);
        if (entry.mark == SPARE) == is_spare {
            return;
        }
        entry.mark = u32::from(is_spare);
        if is_spare {
            self.spare.push(&mut self.slab, slot);
        } else {
            self.spare.unlink(&mut self.slab, slot);
        }
    }

    pub(super) fn evict(&mut self) -> Option<u64> {
        self.spare.pop(&mut self.slab).map(|slot| self.slab.free(slot))
    }

    pub(super) fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        if self.slab.entry(slot).mark == SPARE {
            self.spare.unlink(&mut self.slab, slot);
        }
        self.slab.free(slot);
        true
    }
}
