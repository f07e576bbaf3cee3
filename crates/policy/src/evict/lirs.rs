//! LIRS (Jiang and Zhang, SIGMETRICS 2002): objects are ranked by the number of others that were asked for between
//! their last two requests, not since the last one. Those where it is low (LIR) have nearly all of the cache; the others
//! (HIR) pass a small queue, and enter when they return while an LIR object waits longer. Close to the best on loops and
//! scans. Weak where all that returns does so once and soon, beyond the small queue.

use super::slab::{List, Slab};
use super::{Evict, Facts};

/// Share of the bytes that HIR objects have, the paper's.
const HIR_SHARE: f64 = 0.01;
/// Objects that have left and are remembered, for each that is resident.
const HISTORY: usize = 2;

/// What an entry is: its mark. Whether it is on the stack is a bit beside it.
const LIR: u32 = 0;
const HIR: u32 = 1;
const GONE: u32 = 2;
const STACKED: u32 = 4;
const NONE: u32 = u32::MAX;

/// The policy.
#[derive(Clone, Debug)]
pub struct Lirs {
    slab: Slab,
    /// By the last request: all LIR objects, and what was asked for after the oldest of them. The oldest is LIR.
    stack: List,
    /// Resident HIR objects, and remembered ones; an entry is in one of them at most, which may be beside the stack.
    queue: Chain,
    gone: Chain,
    /// By slot, of both: the older and the newer neighbour.
    links: Vec<[u32; 2]>,
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
            links: Vec::new(),
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
    fn forget(&mut self, slot: u32) -> u64 {
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
            let Some(victim) = self.evict() else { return false };
            evicted.push(victim);
        }
        let slot = self.slab.insert(id, size, cost);
        if slot as usize == self.links.len() {
            self.links.push([NONE; 2]); // slots are handed out in order
        }
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

    fn evict(&mut self) -> Option<u64> {
        if self.queue.is_empty() {
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
        let id = entry.id;
        self.stack.bytes -= entry.size;
        self.slab.shed(slot);
        while self.gone.count > HISTORY * self.count() {
            let Some(oldest) = self.gone.oldest() else { break };
            self.forget(oldest);
        }
        Some(id)
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
            at = some(self.links[slot as usize][NEWER]);
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
        self.slab.count() - self.gone.count
    }
}

const OLDER: usize = 0;
const NEWER: usize = 1;

/// A list from the oldest slot to the newest whose links lie beside the slab.
#[derive(Clone, Debug)]
struct Chain {
    oldest: u32,
    newest: u32,
    count: usize,
}

impl Default for Chain {
    fn default() -> Self {
        Self { oldest: NONE, newest: NONE, count: 0 }
    }
}

impl Chain {
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn oldest(&self) -> Option<u32> {
        some(self.oldest)
    }

    fn push(&mut self, links: &mut [[u32; 2]], slot: u32) {
        links[slot as usize] = [self.newest, NONE];
        match some(self.newest) {
            Some(newest) => links[newest as usize][NEWER] = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
        self.count += 1;
    }

    fn unlink(&mut self, links: &mut [[u32; 2]], slot: u32) {
        let [older, newer] = links[slot as usize];
        match some(older) {
            Some(older) => links[older as usize][NEWER] = newer,
            None => self.oldest = newer,
        }
        match some(newer) {
            Some(newer) => links[newer as usize][OLDER] = older,
            None => self.newest = older,
        }
        self.count -= 1;
    }
}

fn some(slot: u32) -> Option<u32> {
    (slot != NONE).then_some(slot)
}
