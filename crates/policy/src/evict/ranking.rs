//! A heap of slots by rank, least first, whose ranks can change: each entry's mark is its place in the heap.
//! Equal ranks leave in the order in which they were last ranked.

use super::slab::Slab;

/// Children of a node; four share a cache line pair and halve the height.
const ARITY: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    rank: u64,
    turn: u64,
    slot: u32,
}

/// The heap.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranking {
    heap: Vec<Ranked>,
    turn: u64,
}

impl Ranking {
    /// The slot of the least rank, with its rank.
    pub(super) fn least(&self) -> Option<(u32, u64)> {
        self.heap.first().map(|first| (first.slot, first.rank))
    }

    pub(super) fn rank_of(&self, slab: &Slab, slot: u32) -> u64 {
        self.heap[slab.entry(slot).mark as usize].rank
    }

    /// Visits the ids in the order of the heap: the least first, the others roughly by rank.
    pub(super) fn each(&self, slab: &Slab, visit: &mut dyn FnMut(u64)) {
        self.heap.iter().for_each(|ranked| visit(slab.entry(ranked.slot).id));
    }

    /// Adds a slot that is not there.
    pub(super) fn push(&mut self, slab: &mut Slab, slot: u32, rank: u64) {
        self.turn += 1;
        self.heap.push(Ranked { rank, turn: self.turn, slot });
        self.rise(slab, self.heap.len() - 1);
    }

    /// Gives a slot another rank.
    pub(super) fn change(&mut self, slab: &mut Slab, slot: u32, rank: u64) {
        self.turn += 1;
        let at = slab.entry(slot).mark as usize;
        self.heap[at] = Ranked { rank, turn: self.turn, slot };
        let at = self.rise(slab, at);
        self.sink(slab, at);
    }

    pub(super) fn remove(&mut self, slab: &mut Slab, slot: u32) {
        let at = slab.entry(slot).mark as usize;
        self.heap.swap_remove(at);
        if at < self.heap.len() {
            let at = self.rise(slab, at);
            self.sink(slab, at);
        }
    }

    /// Moves the node at `at` up to where it belongs.
    fn rise(&mut self, slab: &mut Slab, mut at: usize) -> usize {
        let node = self.heap[at];
        while at > 0 && node < self.heap[(at - 1) / ARITY] {
            self.set(slab, at, self.heap[(at - 1) / ARITY]);
            at = (at - 1) / ARITY;
        }
        self.set(slab, at, node);
        at
    }

    fn sink(&mut self, slab: &mut Slab, mut at: usize) {
        let node = self.heap[at];
        loop {
            let first = at * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|child| self.heap[*child]) else { break };
            if node < self.heap[least] {
                break;
            }
            self.set(slab, at, self.heap[least]);
            at = least;
        }
        self.set(slab, at, node);
    }

    fn set(&mut self, slab: &mut Slab, at: usize, node: Ranked) {
        self.heap[at] = node;
        slab.entry_mut(node.slot).mark = at as u32; // no more nodes than slots
    }
}
