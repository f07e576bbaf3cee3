//! W-TinyLFU (Einziger, Friedman and Manes, TOS 2017): newcomers pass a small LRU window; what falls out of it
//! enters the main segmented LRU only if a sketch saw it more often than what would have to leave. For objects
//! with sizes it must beat its victims together (Einziger and others, TOS 2022). The window is 1 % unless
//! another is asked for, which is the paper's and loses where everything is new; it does not change by itself.

use super::sketch::Sketch;
use super::slab::{List, Slab};
use super::{Evict, Facts};

const WINDOW_SHARE: f64 = 0.01;
/// Share of the main part that is kept for what was hit in it.
const PROTECTED_SHARE: f64 = 0.8;

/// Where an entry is: its mark.
const WINDOW: u32 = 0;
const PROBATION: u32 = 1;
const PROTECTED: u32 = 2;

/// The policy.
#[derive(Clone, Debug)]
pub struct TinyLfu {
    slab: Slab,
    /// By mark.
    lists: [List; 3],
    sketch: Sketch,
    window_bytes: u64,
    main_bytes: u64,
    protected_bytes: u64,
}

impl TinyLfu {
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self::with_window(capacity, WINDOW_SHARE)
    }

    /// With another share of the bytes for the window, 0 to 1.
    #[must_use]
    pub fn with_window(capacity: u64, share: f64) -> Self {
        let window_bytes = ((capacity as f64 * share) as u64).clamp(1, capacity.max(1));
        let main_bytes = capacity.saturating_sub(window_bytes);
        Self {
            slab: Slab::new(capacity),
            lists: [List::default(), List::default(), List::default()],
            sketch: Sketch::new(),
            window_bytes,
            main_bytes,
            protected_bytes: (main_bytes as f64 * PROTECTED_SHARE) as u64,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let mark = self.slab.entry(slot).mark;
        self.lists[mark as usize].unlink(&mut self.slab, slot);
    }

    fn push(&mut self, slot: u32, mark: u32) {
        self.slab.entry_mut(slot).mark = mark;
        self.lists[mark as usize].push(&mut self.slab, slot);
    }

    fn discard(&mut self, slot: u32, evicted: &mut Vec<u64>) {
        self.unlink(slot);
        evicted.push(self.slab.free(slot).0);
    }

    fn main_used(&self) -> u64 {
        self.lists[PROBATION as usize].bytes + self.lists[PROTECTED as usize].bytes
    }

    /// The order in which main would give up its entries.
    fn main_victims(&self) -> impl Iterator<Item = u32> + '_ {
        [PROBATION, PROTECTED].into_iter().flat_map(|mark| {
            std::iter::successors(self.lists[mark as usize].oldest(), |slot| List::newer(&self.slab, *slot))
        })
    }

    /// Makes room in main for an object that is not in it, if that is worth more than what would leave.
    fn wins(&mut self, id: u64, size: u64, evicted: &mut Vec<u64>) -> bool {
        if size > self.main_bytes {
            return false;
        }
        let frequency = self.sketch.estimate(id);
        let mut lacking = (self.main_used() + size).saturating_sub(self.main_bytes);
        let (mut victims, mut theirs) = (0, 0);
        for slot in self.main_victims() {
            if lacking == 0 {
                break;
            }
            let entry = self.slab.entry(slot);
            theirs += self.sketch.estimate(entry.id);
            if theirs >= frequency {
                return false;
            }
            lacking = lacking.saturating_sub(entry.size);
            victims += 1;
        }
        for _ in 0..victims {
            let Some(slot) = self.main_victims().next() else { break };
            self.discard(slot, evicted);
        }
        true
    }

    /// Empties the window until `bytes` more fit into it; each that falls out enters main or leaves.
    fn make_window(&mut self, bytes: u64, evicted: &mut Vec<u64>) {
        while self.lists[WINDOW as usize].bytes + bytes > self.window_bytes {
            let Some(candidate) = self.lists[WINDOW as usize].oldest() else { break };
            let (id, size) = (self.slab.entry(candidate).id, self.slab.entry(candidate).size);
            if self.wins(id, size, evicted) {
                self.unlink(candidate);
                self.push(candidate, PROBATION);
            } else {
                self.discard(candidate, evicted);
            }
        }
    }
}

impl Evict for TinyLfu {
    fn hit(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.sketch.count(id);
        let mark = self.slab.entry(slot).mark;
        self.unlink(slot);
        self.push(slot, if mark == WINDOW { WINDOW } else { PROTECTED });
        while self.lists[PROTECTED as usize].bytes > self.protected_bytes {
            let Some(oldest) = self.lists[PROTECTED as usize].oldest() else { break };
            self.unlink(oldest);
            self.push(oldest, PROBATION);
        }
        true
    }

    fn admit(&mut self, id: u64, size: u64, cost: f64, evicted: &mut Vec<u64>) -> bool {
        self.remove(id);
        self.sketch.fit(self.slab.count());
        self.sketch.count(id);
        let size = Slab::charge(size);
        // What is larger than the window contends for main at once, and the window keeps what it has.
        let mark = if size > self.window_bytes { PROBATION } else { WINDOW };
        if mark == WINDOW {
            self.make_window(size, evicted);
        } else if !self.wins(id, size, evicted) {
            return false;
        }
        if !self.slab.has_room(size) {
            return false;
        }
        let slot = self.slab.insert(id, size, cost);
        self.push(slot, mark);
        true
    }

    fn evict(&mut self) -> Option<(u64, Facts)> {
        let slot = self.main_victims().next().or(self.lists[WINDOW as usize].oldest())?;
        self.unlink(slot);
        Some(self.slab.free(slot))
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.unlink(slot);
        self.slab.free(slot);
        true
    }

    fn facts(&self, id: u64) -> Option<Facts> {
        self.slab.facts(id)
    }

    fn each(&self, visit: &mut dyn FnMut(u64)) {
        self.lists.iter().for_each(|list| list.each(&self.slab, visit));
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
