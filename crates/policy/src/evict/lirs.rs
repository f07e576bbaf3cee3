//! LIRS (Jiang and Zhang, SIGMETRICS 2002): objects are ranked by the number of others that were asked for between
//! their last two requests, not since the last one. Those where it is low (LIR) have nearly all of the cache; the others
//! (HIR) pass a small queue, and enter when they return while an LIR object waits longer. Close to the best on loops and
//! scans. Weak where all that returns does so once and soon, beyond the small queue.

use super::chain::{Chain, Links};
use super::slab::{List, Slab};
use super::{Evict, Facts};

/// Share of the bytes that HIR objects have, the paper's.
const HIR_SHARE: f64 = 0.01;
/// Objects that have left and are remembered, for each that is resident.
const HISTORY: usize = 3;

/// What an entry is: its mark. Whether it is on the stack is a bit beside it.
const LIR: u32 = 0;
const HIR: u32 = 1;
const GONE: u32 = 2;
const STACKED: u32 = 4;

/// The policy.
#[derive(Clone, Debug)]
pub struct Lirs {
    slab: Slab,
    /// By the last request: all LIR objects, and what was asked for after the oldest of them. The oldest is LIR.
    stack: List,
    /// Resident HIR objects, and remembered ones; an entry is in one of them at most, which may be beside the stack.
    queue: Chain,
    gone: Chain,
    /// Of both.
    links: Links,
    lir_bytes: u64,
    most_lir_bytes: u64,
}

impl Lirs {
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self::with_hir(capacity, HIR_SHARE)
    }

    /// With another share of the bytes for HIR objects, 0 to 1.
    #[must_use]
    pub fn with_hir(capacity: u64, hir_share: f64) -> Self {
        let hir_bytes = ((capacity as f64 * hir_share) as u64).clamp(1, capacity.max(1));
        Self {
            slab: Slab::new(capacity),
            stack: List::default(),
            queue: Chain::default(),
            gone: Chain::default(),
            links: Links::default(),
            lir_bytes: 0,
            most_lir_bytes: capacity.saturating_sub(hir_bytes),
        }
    }

    fn kind(&self, slot: u32) -> u32 {
        self.slab.entry(slot).mark & !STACKED
    }

    fn is_stacked(&self, slot: u32) -> bool {
        self.slab.entry(slot).mark & STACKED != 0
    }

    fn resident(&self, id: u64) -> Option<u32> {
        self.slab.find(id).filter(|slot| self.kind(*slot) != GONE)
    }

    fn stack(&mut self, slot: u32) {
        self.slab.entry_mut(slot).mark |= STACKED;
        self.stack.push(&mut self.slab, slot);
    }

    fn unstack(&mut self, slot: u32) {
        self.slab.entry_mut(slot).mark &= !STACKED;
        self.stack.unlink(&mut self.slab, slot);
    }

    /// Puts a slot that is in neither queue on top, as LIR; the oldest of those that are too much become HIR.
    fn promote(&mut self, slot: u32) {
        if self.is_stacked(slot) {
            self.unstack(slot);
        }
        let entry = self.slab.entry_mut(slot);
        entry.mark = LIR;
        self.lir_bytes += entry.size;
        self.stack(slot);
        while self.lir_bytes > self.most_lir_bytes && self.demote() {}
    }

    /// Makes the oldest LIR object HIR. False: there is none.
    fn demote(&mut self) -> bool {
        let Some(slot) = self.stack.oldest() else { return false };
        self.unstack(slot);
        let entry = self.slab.entry_mut(slot);
        entry.mark = HIR;
        self.lir_bytes -= entry.size;
        self.queue.push(&mut self.links, slot);
        self.prune();
        true
    }

    /// What was last asked for before the oldest LIR object cannot take its place.
    fn prune(&mut self) {
        while let Some(slot) = self.stack.oldest() {
            match self.kind(slot) {
                LIR => break,
                HIR => self.unstack(slot),
                _ => {
                    self.forget(slot);
                }
            }
        }
    }

    /// Takes an entry out of everything.
    fn forget(&mut self, slot: u32) -> (u64, Facts) {
        match self.kind(slot) {
            LIR => self.lir_bytes -= self.slab.entry(slot).size,
            HIR => self.queue.unlink(&mut self.links, slot),
            _ => self.gone.unlink(&mut self.links, slot),
        }
        if self.is_stacked(slot) {
            self.unstack(slot);
        }
        self.slab.free(slot)
    }
}

impl Evict for Lirs {
    fn hit(&mut self, id: u64) -> bool {
        let Some(slot) = self.resident(id) else { return false };
        match (self.kind(slot), self.is_stacked(slot)) {
            (LIR, _) => {
                self.stack.renew(&mut self.slab, slot);
                self.prune();
            }
            // It came back while the oldest LIR object waited.
            (_, true) if self.slab.entry(slot).size <= self.most_lir_bytes => {
                self.queue.unlink(&mut self.links, slot);
                self.promote(slot);
                self.prune();
            }
            (_, is_stacked) => {
                if is_stacked {
                    self.unstack(slot);
                }
                self.queue.unlink(&mut self.links, slot);
                self.queue.push(&mut self.links, slot);
                self.stack(slot);
                self.prune();
            }
        }
        true
    }

    fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        let known = self.slab.find(id).map(|slot| (slot, self.kind(slot) == GONE));
        let returns = known.is_some_and(|(_, is_gone)| is_gone);
        if let Some((slot, _)) = known {
            self.forget(slot);
            self.prune();
        }
        if !self.slab.can_hold(size) {
            return false;
        }
        while !self.slab.has_room(size) {
            let Some((victim, _)) = self.evict() else { return false };
            evicted.push(victim);
        }
        let slot = self.slab.insert(id, size, cost);
        self.links.make(slot);
        let size = Slab::charge(size);
        if size <= self.most_lir_bytes && (returns || size <= self.most_lir_bytes - self.lir_bytes) {
            self.promote(slot);
        } else {
            self.slab.entry_mut(slot).mark = HIR;
            self.queue.push(&mut self.links, slot);
            self.stack(slot);
        }
        self.prune();
        true
    }

    fn evict(&mut self) -> Option<(u64, Facts)> {
        if self.queue.count() == 0 {
            self.demote();
        }
        let slot = self.queue.oldest()?;
        if !self.is_stacked(slot) {
            return Some(self.forget(slot));
        }
        self.queue.unlink(&mut self.links, slot);
        self.gone.push(&mut self.links, slot);
        let entry = self.slab.entry_mut(slot);
        entry.mark = GONE | STACKED;
        let gone = (entry.id, entry.facts());
        self.stack.bytes -= entry.size;
        self.slab.shed(slot);
        while self.gone.count() > HISTORY * self.count() {
            let Some(oldest) = self.gone.oldest() else { break };
            self.forget(oldest);
        }
        Some(gone)
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.resident(id) else { return false };
        self.forget(slot);
        self.prune();
        true
    }

    fn facts(&self, id: u64) -> Option<Facts> {
        self.resident(id).and_then(|_| self.slab.facts(id))
    }

    fn each(&self, visit: &mut dyn FnMut(u64)) {
        let mut at = self.queue.oldest();
        while let Some(slot) = at {
            visit(self.slab.entry(slot).id);
            at = self.links.newer(slot);
        }
        let mut at = self.stack.oldest();
        while let Some(slot) = at {
            if self.kind(slot) == LIR {
                visit(self.slab.entry(slot).id);
            }
            at = List::newer(&self.slab, slot);
        }
    }

    fn boxed(&self) -> Box<dyn Evict + Send> {
        Box::new(self.clone())
    }

    fn used(&self) -> u64 {
        self.slab.used()
    }

    fn count(&self) -> usize {
        self.slab.count() - self.gone.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evict::lru::Lru;
    use headgate_model::dice::Dice;

    /// The paper's rules on plain lists, for objects of one byte.
    #[derive(Default)]
    struct Naive {
        /// Oldest first: id, and whether it is LIR.
        stack: Vec<(u64, bool)>,
        queue: Vec<u64>,
        gone: Vec<u64>,
    }

    impl Naive {
        fn is_lir(&self, id: u64) -> bool {
            self.stack.contains(&(id, true))
        }

        fn lirs(&self) -> usize {
            self.stack.iter().filter(|(_, is_lir)| *is_lir).count()
        }

        fn is_resident(&self, id: u64) -> bool {
            self.is_lir(id) || self.queue.contains(&id)
        }

        fn prune(&mut self) {
            let first = self.stack.iter().position(|(_, is_lir)| *is_lir).unwrap_or(self.stack.len());
            for (id, _) in self.stack.drain(..first) {
                self.gone.retain(|gone| *gone != id);
            }
        }

        fn promote(&mut self, id: u64, most_lirs: usize) {
            self.stack.push((id, true));
            if self.lirs() > most_lirs {
                let (oldest, _) = self.stack.remove(0);
                self.queue.push(oldest);
            }
            self.prune();
        }

        /// What left.
        fn request(&mut self, id: u64, capacity: usize, most_lirs: usize) -> Option<u64> {
            let (was_lir, was_resident) = (self.is_lir(id), self.is_resident(id));
            let was_stacked = self.stack.iter().any(|(stacked, _)| *stacked == id);
            self.stack.retain(|(stacked, _)| *stacked != id);
            self.gone.retain(|gone| *gone != id);
            if was_lir {
                self.stack.push((id, true));
                self.prune();
                return None;
            }
            self.queue.retain(|queued| *queued != id);
            let mut left = None;
            if !was_resident && self.lirs() + self.queue.len() == capacity {
                let victim = self.queue.remove(0);
                if self.stack.iter().any(|(stacked, _)| *stacked == victim) {
                    self.gone.push(victim);
                }
                if self.gone.len() > HISTORY * (capacity - 1) {
                    let forgotten = self.gone.remove(0);
                    self.stack.retain(|(stacked, _)| *stacked != forgotten);
                }
                left = Some(victim);
            }
            if was_stacked || (!was_resident && self.lirs() < most_lirs) {
                self.promote(id, most_lirs);
            } else {
                self.stack.push((id, false));
                self.queue.push(id);
                self.prune();
            }
            left
        }
    }

    #[test]
    fn it_does_what_the_rules_say() {
        for seed in 0..60 {
            let mut dice = Dice::new(seed);
            let (capacity, queue) = [(5, 1), (12, 2), (40, 4)][dice.below(3) as usize];
            let mut policy = Lirs::with_hir(capacity, queue as f64 / capacity as f64);
            let (mut naive, mut gone) = (Naive::default(), Vec::new());
            for step in 0..3_000 {
                let id = match dice.below(3) {
                    0 => dice.below(capacity / 2),
                    1 => step % (capacity * 2),
                    _ => dice.below(capacity * 6),
                };
                assert_eq!(policy.contains(id), naive.is_resident(id), "seed {seed}, step {step}");
                let expected = naive.request(id, capacity as usize, (capacity - queue) as usize);
                if !policy.hit(id) {
                    assert!(policy.admit(id, 1, 1.0, &mut gone));
                }
                assert_eq!(gone.pop(), expected, "seed {seed}, step {step}");
                assert_eq!(policy.gone.count(), naive.gone.len(), "seed {seed}, step {step}");
            }
        }
    }

    fn hits(policy: &mut dyn Evict, requests: impl Iterator<Item = u64>) -> u64 {
        let mut gone = Vec::new();
        requests.map(|id| u64::from(policy.hit(id) || !policy.admit(id, 1, 1.0, &mut gone))).sum()
    }

    #[test]
    fn a_loop_keeps_all_but_the_small_queue() {
        let cycles = || (0..20 * 1_500u64).map(|step| step % 1_500);
        assert_eq!(hits(&mut Lirs::new(1_000), cycles()), 19 * 990);
        assert_eq!(hits(&mut Lru::new(1_000), cycles()), 0);
    }

    #[test]
    fn what_is_remembered_is_bounded_by_what_is_there() {
        let mut policy = Lirs::new(1_000);
        hits(&mut policy, 0..50_000);
        assert_eq!((policy.count(), policy.gone.count()), (1_000, HISTORY * 999));
        assert_eq!(policy.slab.count(), 1_000 + HISTORY * 999);
        (0..990).for_each(|id| assert!(policy.remove(id)));
        assert_eq!(policy.slab.count(), 10, "no LIR object is left that something could have come after");
    }
}
