//! Timers that are moved: one for each slot (a replica's next completion, the oldest deadline of a service). A
//! tournament tree: setting one costs as many comparisons as levels change, and nothing stale is left behind.

/// The time of a slot that has none.
pub const NEVER: u64 = u64::MAX;

/// One settable time for each slot.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    /// A complete binary tree: the root at 1, the leaves from `leaves` on; each node is the least of its two.
    tree: Vec<u64>,
    leaves: usize,
}

impl Timers {
    pub(super) fn new(slots: usize) -> Self {
        let leaves = slots.next_power_of_two().max(2);
        Self { tree: vec![NEVER; 2 * leaves], leaves }
    }

    /// Makes room for slots below `slots`.
    pub(super) fn grow(&mut self, slots: usize) {
        if slots <= self.leaves {
            return;
        }
        let times = self.tree.split_off(self.leaves);
        *self = Self::new(slots);
        times.into_iter().enumerate().for_each(|(slot, at_ns)| self.set(slot, at_ns));
    }

    /// Sets the time of a slot, in place of the one that it had.
    #[inline]
    pub(super) fn set(&mut self, slot: usize, at_ns: u64) {
        let tree = self.tree.as_mut_slice();
        let mut node = self.leaves + slot;
        let mut least = at_ns;
        tree[node] = at_ns;
        while node > 1 {
            least = least.min(tree[node ^ 1]);
            node /= 2;
            if std::mem::replace(&mut tree[node], least) == least {
                return;
            }
        }
    }

    /// The earliest time of all.
    #[inline]
    pub(super) fn first_ns(&self) -> u64 {
        self.tree[1]
    }

    /// The slot of the earliest time; of equal ones the lowest.
    #[inline]
    pub(super) fn first(&self) -> usize {
        let mut node = 1;
        while node < self.leaves {
            node = 2 * node + usize::from(self.tree[2 * node] > self.tree[2 * node + 1]);
        }
        node - self.leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    #[test]
    fn the_first_is_the_least_of_all_whatever_was_set_before() {
        for seed in 0..50 {
            let mut dice = Dice::new(seed);
            let mut slots = 1 + dice.below(70) as usize;
            let mut timers = Timers::new(slots);
            let mut plain = vec![NEVER; slots];
            for _ in 0..1_000 {
                if dice.below(100) == 0 {
                    slots += dice.below(30) as usize;
                    timers.grow(slots);
                    plain.resize(slots, NEVER);
                }
                let slot = dice.below(slots as u64) as usize;
                let at = if dice.below(4) == 0 { NEVER } else { dice.below(50) };
                timers.set(slot, at);
                plain[slot] = at;
                let first = *plain.iter().min().unwrap();
                assert_eq!(timers.first_ns(), first, "seed {seed}");
                if first < NEVER {
                    assert_eq!(Some(timers.first()), plain.iter().position(|&at| at == first), "seed {seed}");
                }
            }
        }
    }
}
