//! Ids of objects that left lately: a FIFO bounded by the bytes that the objects had. Since each counts at least
//! one byte, there are never more ghosts than a cache of that size could hold entries.

use super::slab::{List, Slab};

/// The queue.
#[derive(Clone, Debug)]
pub(super) struct Ghost {
    slab: Slab,
    list: List,
}

impl Ghost {
    /// Remembers objects of `capacity` bytes together.
    pub(super) fn new(capacity: u64) -> Self {
        Self { slab: Slab::new(capacity), list: List::default() }
    }

    pub(super) fn remember(&mut self, id: u64, size: u64) {
        self.forget(id);
        if !self.slab.can_hold(size) {
            return;
        }
        while !self.slab.has_room(size) {
            let Some(slot) = self.list.pop(&mut self.slab) else { return };
            self.slab.free(slot);
        }
        let slot = self.slab.insert(id, size, 0.0);
        self.list.push(&mut self.slab, slot);
    }

    /// Whether it was remembered; it is not any more.
    pub(super) fn forget(&mut self, id: u64) -> bool {
        let Some(slot) = self.slab.find(id) else { return false };
        self.list.unlink(&mut self.slab, slot);
        self.slab.free(slot);
        true
    }
}
