//! From 64-bit ids to places in a slab: open addressing with linear probing, and deletion that shifts back, so
//! that no tombstones pile up. It is never iterated, so its order is nobody's behaviour. Ids that a peer can
//! choose must be keyed hashes, or one can crowd a probe sequence.

const EMPTY: u32 = u32::MAX;
const LEAST: usize = 16;
/// 2^64 over the golden ratio: spreads consecutive ids (Knuth, The Art of Computer Programming, 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A map from ids to places below `u32::MAX`.
#[derive(Clone, Debug)]
pub struct Index {
    cells: Vec<(u64, u32)>,
    count: usize,
    shift: u32,
}

impl Default for Index {
    fn default() -> Self {
        Self { cells: vec![(0, EMPTY); LEAST], count: 0, shift: u64::BITS - LEAST.trailing_zeros() }
    }
}

impl Index {
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[must_use]
    pub fn get(&self, id: u64) -> Option<u32> {
        let (_, place) = self.cells[self.seek(id)];
        (place != EMPTY).then_some(place)
    }

    /// Adds or replaces.
    pub fn put(&mut self, id: u64, place: u32) {
        debug_assert!(place != EMPTY, "the mark of an empty cell");
        // At most three quarters full, so that probes stay short and always end.
        if (self.count + 1) * 4 > self.cells.len() * 3 {
            self.grow();
        }
        let at = self.seek(id);
        self.count += usize::from(self.cells[at].1 == EMPTY);
        self.cells[at] = (id, place);
    }

    pub fn remove(&mut self, id: u64) -> Option<u32> {
        let mut gap = self.seek(id);
        let (_, removed) = self.cells[gap];
        if removed == EMPTY {
            return None;
        }
        self.count -= 1;
        let mask = self.cells.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let (other, place) = self.cells[at];
            if place == EMPTY {
                break;
            }
            // A cell moves into the gap unless that would put it before its home.
            if at.wrapping_sub(self.home(other)) & mask >= at.wrapping_sub(gap) & mask {
                self.cells[gap] = self.cells[at];
                gap = at;
            }
        }
        self.cells[gap] = (0, EMPTY);
        Some(removed)
    }

    fn home(&self, id: u64) -> usize {
        (id.wrapping_mul(SPREAD) >> self.shift) as usize
    }

    /// The cell of `id`, or the empty one where it would go.
    fn seek(&self, id: u64) -> usize {
        let mask = self.cells.len() - 1;
        let mut at = self.home(id);
        while self.cells[at].1 != EMPTY && self.cells[at].0 != id {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let larger = self.cells.len() * 2;
        let old = std::mem::replace(&mut self.cells, vec![(0, EMPTY); larger]);
        self.shift -= 1;
        for (id, place) in old.into_iter().filter(|(_, place)| *place != EMPTY) {
            let at = self.seek(id);
            self.cells[at] = (id, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;
    use std::collections::BTreeMap;

    #[test]
    fn agrees_with_a_tree_through_growth_and_removal() {
        for seed in 0..30 {
            let mut dice = Dice::new(seed);
            let mut index = Index::default();
            let mut tree = BTreeMap::new();
            // Ids that share their homes, and ids at both ends of the range.
            let id = |dice: &mut Dice| match dice.below(3) {
                0 => dice.below(200),
                1 => dice.below(8).wrapping_mul(SPREAD).wrapping_sub(3),
                _ => u64::MAX - dice.below(50),
            };
            for step in 0..3_000 {
                let id = id(&mut dice);
                if dice.below(2) == 0 {
                    index.put(id, step);
                    tree.insert(id, step);
                } else {
                    assert_eq!(index.remove(id), tree.remove(&id), "seed {seed}");
                }
                assert_eq!(index.len(), tree.len());
            }
            for (id, place) in &tree {
                assert_eq!(index.get(*id), Some(*place), "seed {seed}");
            }
            assert_eq!(index.get(1_000), None);
        }
    }
}
