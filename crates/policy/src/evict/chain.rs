//! Lists through a slab whose links lie beside it: for entries that are in one of the slab's own lists as well. A slot is
//! in at most one chain of the same links at a time.

const NONE: u32 = u32::MAX;
const OLDER: usize = 0;
const NEWER: usize = 1;

/// The neighbours of each slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Links(Vec<[u32; 2]>);

impl Links {
    /// Makes room for a slot; the slab hands them out in order.
    pub(super) fn make(&mut self, slot: u32) {
        if self.0.len() <= slot as usize {
            self.0.resize(slot as usize + 1, [NONE; 2]);
        }
    }

    /// The one that came after `slot`.
    pub(super) fn newer(&self, slot: u32) -> Option<u32> {
        some(self.0[slot as usize][NEWER])
    }
}

/// A list from the oldest slot to the newest.
#[derive(Clone, Debug)]
pub(super) struct Chain {
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
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn oldest(&self) -> Option<u32> {
        some(self.oldest)
    }

    /// Appends a slot that is in no chain.
    pub(super) fn push(&mut self, links: &mut Links, slot: u32) {
        links.0[slot as usize] = [self.newest, NONE];
        match some(self.newest) {
            Some(newest) => links.0[newest as usize][NEWER] = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
        self.count += 1;
    }

    /// Takes a slot of this chain out.
    pub(super) fn unlink(&mut self, links: &mut Links, slot: u32) {
        let [older, newer] = links.0[slot as usize];
        match some(older) {
            Some(older) => links.0[older as usize][NEWER] = newer,
            None => self.oldest = newer,
        }
        match some(newer) {
            Some(newer) => links.0[newer as usize][OLDER] = older,
            None => self.newest = older,
        }
        self.count -= 1;
    }
}

fn some(slot: u32) -> Option<u32> {
    (slot != NONE).then_some(slot)
}
