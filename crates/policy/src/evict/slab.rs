//! Where the policies keep their entries: a slab found by id, with a byte budget, and lists through it that are
//! linked by index. A slot is in at most one list at a time.

use super::Facts;
use super::index::Index;

const NONE: u32 = u32::MAX;
/// Beyond it an object evicts as if the bytes were used up; the slab would take 32 GiB then.
const MOST: usize = 1 << 30;

/// One resident object.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub id: u64,
    pub size: u64,
    /// What fetching it again takes, as it was told.
    pub cost: f32,
    /// What the policy notes: hits, a queue, a place in a heap.
    pub mark: u32,
    older: u32,
    newer: u32,
}

impl Entry {
    pub(super) fn facts(&self) -> Facts {
        Facts { size: self.size, cost: f64::from(self.cost) }
    }
}

/// Entries by slot and by id.
#[derive(Clone, Debug)]
pub(super) struct Slab {
    capacity: u64,
    used: u64,
    entries: Vec<Entry>,
    index: Index,
    /// Free slots, linked by `newer`.
    free: u32,
}

impl Slab {
    pub(super) fn new(capacity: u64) -> Self {
        Self { capacity, used: 0, entries: Vec::new(), index: Index::default(), free: NONE }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn count(&self) -> usize {
        self.index.len()
    }

    /// What an object counts: an empty one is not free, or their number had no bound.
    pub(super) fn charge(size: u64) -> u64 {
        size.max(1)
    }

    /// Whether an object of `size` bytes could be resident at all.
    pub(super) fn can_hold(&self, size: u64) -> bool {
        Self::charge(size) <= self.capacity
    }

    /// Whether it fits beside what is there.
    pub(super) fn has_room(&self, size: u64) -> bool {
        Self::charge(size) <= self.capacity - self.used && self.count() < MOST
    }

    pub(super) fn find(&self, id: u64) -> Option<u32> {
        self.index.get(id)
    }

    pub(super) fn entry(&self, slot: u32) -> &Entry {
        &self.entries[slot as usize]
    }

    pub(super) fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.entries[slot as usize]
    }

    /// Size and cost of a resident object.
    pub(super) fn facts(&self, id: u64) -> Option<Facts> {
        self.find(id).map(|slot| self.entry(slot).facts())
    }

    /// Adds an object that is not there and fits.
    pub(super) fn insert(&mut self, id: u64, size: u64, cost: f64) -> u32 {
        debug_assert!(self.find(id).is_none() && self.has_room(size), "the caller has made room");
        let cost = cost as f32;
        let entry = Entry { id, size: Self::charge(size), cost, mark: 0, older: NONE, newer: NONE };
        self.used += entry.size;
        let slot = if self.free == NONE {
            self.entries.push(entry);
            (self.entries.len() - 1) as u32 // below MOST
        } else {
            let slot = self.free;
            self.free = self.entries[slot as usize].newer;
            self.entries[slot as usize] = entry;
            slot
        };
        self.index.put(id, slot);
        slot
    }

    /// An object leaves and its id stays: it counts no bytes any more, here; a list that it is in still counts them.
    pub(super) fn shed(&mut self, slot: u32) {
        let entry = &mut self.entries[slot as usize];
        self.used -= std::mem::take(&mut entry.size);
    }

    /// Forgets an object that is in no list any more, and says what it was.
    pub(super) fn free(&mut self, slot: u32) -> (u64, Facts) {
        let entry = &mut self.entries[slot as usize];
        entry.newer = self.free;
        self.free = slot;
        self.used -= entry.size;
        self.index.remove(entry.id);
        (entry.id, entry.facts())
    }
}

/// A list from the oldest entry to the newest.
#[derive(Clone, Debug)]
pub(super) struct List {
    oldest: u32,
    newest: u32,
    /// Sum of the sizes.
    pub bytes: u64,
}

impl Default for List {
    fn default() -> Self {
        Self { oldest: NONE, newest: NONE, bytes: 0 }
    }
}

impl List {
    pub(super) fn oldest(&self) -> Option<u32> {
        some(self.oldest)
    }

    /// The one that came after `slot`.
    pub(super) fn newer(slab: &Slab, slot: u32) -> Option<u32> {
        some(slab.entry(slot).newer)
    }

    /// Appends a slot that is in no list.
    pub(super) fn push(&mut self, slab: &mut Slab, slot: u32) {
        let last = self.newest;
        let entry = slab.entry_mut(slot);
        (entry.older, entry.newer) = (last, NONE);
        self.bytes += entry.size;
        match some(last) {
            Some(last) => slab.entry_mut(last).newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }

    /// Takes a slot of this list out.
    pub(super) fn unlink(&mut self, slab: &mut Slab, slot: u32) {
        let Entry { older, newer, size, .. } = *slab.entry(slot);
        match some(older) {
            Some(older) => slab.entry_mut(older).newer = newer,
            None => self.oldest = newer,
        }
        match some(newer) {
            Some(newer) => slab.entry_mut(newer).older = older,
            None => self.newest = older,
        }
        self.bytes -= size;
    }

    /// Takes the oldest out.
    pub(super) fn pop(&mut self, slab: &mut Slab) -> Option<u32> {
        let slot = self.oldest()?;
        self.unlink(slab, slot);
        Some(slot)
    }

    /// Visits the ids from the oldest on.
    pub(super) fn each(&self, slab: &Slab, visit: &mut dyn FnMut(u64)) {
        let mut at = self.oldest();
        while let Some(slot) = at {
            visit(slab.entry(slot).id);
            at = Self::newer(slab, slot);
        }
    }

    /// Makes a slot of this list the newest.
    pub(super) fn renew(&mut self, slab: &mut Slab, slot: u32) {
        self.unlink(slab, slot);
        self.push(slab, slot);
    }
}

fn some(slot: u32) -> Option<u32> {
    (slot != NONE).then_some(slot)
}
