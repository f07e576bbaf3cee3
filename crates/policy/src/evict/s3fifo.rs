//! S3-FIFO (Yang and others, SOSP 2023): a small queue that most objects pass once, a main queue for those that
//! were asked for again there, and a ghost queue that lets the returning ones straight into main. A hit only
//! raises a counter of the entry, up to 3, so it is one store.

use super::ghost::Ghost;
use super::slab::{List, Slab};
use super::{Evict, Facts};

/// Share of the bytes that the small queue has, as the paper found best over its traces.
const SMALL_SHARE: f64 = 0.1;
/// Hits within the small queue that lead to main.
const PROMOTE_AT: u32 = 2;
const MOST_HITS: u32 = 3;
/// The bit of an entry's mark that says it is in main; below it, hits.
const MAIN: u32 = 1 << 31;

/// The policy.
#[derive(Clone, Debug)]
pub struct S3Fifo {
    slab: Slab,
    small: List,
    main: List,
    ghost: Ghost,
    small_bytes: u64,
    main_bytes: u64,
    /// Whether the cache has been full; until then what the small queue cannot take goes to main.
    has_evicted: bool,
}

impl S3Fifo {
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self::with_small(capacity, SMALL_SHARE)
    }

    /// With another share of the bytes for the small queue, 0 to 1.
    #[must_use]
    pub fn with_small(capacity: u64, small_share: f64) -> Self {
        let small_bytes = ((capacity as f64 * small_share) as u64).clamp(1, capacity.max(1));
        let main_bytes = capacity.saturating_sub(small_bytes);
        Self {
            slab: Slab::new(capacity),
            small: List::default(),
            main: List::default(),
            ghost: Ghost::new(main_bytes),
            small_bytes,
            main_bytes,
            has_evicted: false,
        }
    }

    fn make_room(&mut self, size: u64, evicted: &mut Vec<u64>) -> bool {
        if !self.slab.can_hold(size) {
            return false;
        }
        while !self.slab.has_room(size) {
            let Some((victim, _)) = self.victim() else { return false };
            evicted.push(victim);
        }
        true
    }

    /// Frees one object; those that deserve to stay are moved on the way. None when there is nothing.
    fn victim(&mut self) -> Option<(u64, Facts)> {
        self.has_evicted = true;
        if self.main.bytes > self.main_bytes {
            return self.evict_main();
        }
        while let Some(slot) = self.small.pop(&mut self.slab) {
            let entry = self.slab.entry_mut(slot);
            if entry.mark < PROMOTE_AT {
                self.ghost.remember(entry.id, entry.size);
                return Some(self.slab.free(slot));
            }
            entry.mark = MAIN;
            self.main.push(&mut self.slab, slot);
            if self.main.bytes > self.main_bytes {
                break;
            }
        }
        self.evict_main()
    }

    /// As CLOCK: each hit that was counted buys one more round.
    fn evict_main(&mut self) -> Option<(u64, Facts)> {
        while let Some(slot) = self.main.pop(&mut self.slab) {
            let entry = self.slab.entry_mut(slot);
            if entry.mark == MAIN {
                return Some(self.slab.free(slot));
            }
            entry.mark -= 1;
            self.main.push(&mut self.slab, slot);
        }
        None
    }
}

impl Evict for S3Fifo {
    fn hit(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        let entry = self.slab.entry_mut(slot);
        entry.mark += u32::from(entry.mark & !MAIN < MOST_HITS);
        true
    }

    fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        self.remove(id);
        let returns = self.ghost.forget(id);
        // What is larger than the small queue would push everything else out of it.
        let limit = if returns { self.slab.capacity() } else { self.small_bytes };
        if Slab::charge(size) > limit || !self.make_room(size, evicted) {
            return false;
        }
        let slot = self.slab.insert(id, size, cost);
        if returns || (!self.has_evicted && self.small.bytes >= self.small_bytes) {
            self.slab.entry_mut(slot).mark = MAIN;
            self.main.push(&mut self.slab, slot);
        } else {
            self.small.push(&mut self.slab, slot);
        }
        true
    }

    /// Straight to main.
    fn adopt(&mut self, id: u64, facts: Facts, evicted: &mut Vec<u64>) -> bool {
        self.remove(id);
        self.ghost.forget(id);
        if !self.make_room(facts.size, evicted) {
            return false;
        }
        let slot = self.slab.insert(id, facts.size, facts.cost);
        self.slab.entry_mut(slot).mark = MAIN;
        self.main.push(&mut self.slab, slot);
        true
    }

    fn evict(&mut self) -> Option<(u64, Facts)> {
        self.victim()
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        let list = if self.slab.entry(slot).mark & MAIN == 0 { &mut self.small } else { &mut self.main };
        list.unlink(&mut self.slab, slot);
        self.slab.free(slot);
        true
    }

    fn facts(&self, id: u64) -> Option<Facts> {
        self.slab.facts(id)
    }

    fn each(&self, visit: &mut dyn FnMut(u64)) {
        self.small.each(&self.slab, visit);
        self.main.each(&self.slab, visit);
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
