//! Where records lie, by the hash of their keys: 24 bytes each, 28 to 55 as the table takes them. That two keys
//! have one hash is noticed by who reads the record.

use crate::ledger::AsItIs;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;
/// More hits than this make no difference.
const HITS_MAX: u8 = 3;

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// Without what is left free behind it.
    pub(super) len: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    hits: u8,
}

type Shard = HashMap<u64, Entry, BuildHasherDefault<AsItIs>>;

#[derive(Debug, Default)]
pub(super) struct Index {
    shards: [Mutex<Shard>; SHARDS],
}

impl Index {
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let shard = (hash >> 32) as usize % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it lies; notes that it was asked for.
    pub(super) fn hit(&self, hash: u64) -> Option<Place> {
        let mut shard = self.shard(hash);
        let entry = shard.get_mut(&hash)?;
        entry.hits = (entry.hits + 1).min(HITS_MAX);
        Some(entry.place)
    }

    /// Where it lies, and how often it was asked for.
    pub(super) fn look(&self, hash: u64) -> Option<(Place, u8)> {
        self.shard(hash).get(&hash).map(|entry| (entry.place, entry.hits))
    }

    /// Enters a record, unless `is_purged`, which is asked while nobody can remove it. True when it did.
    pub(super) fn insert_unless(&self, hash: u64, place: Place, is_purged: impl FnOnce() -> bool) -> bool {
        let mut shard = self.shard(hash);
        let enters = !is_purged();
        if enters {
            shard.insert(hash, Entry { place, hits: 0 });
        } else {
            shard.remove(&hash);
        }
        enters
    }

    /// The record has moved, if it is still the one.
    pub(super) fn moved(&self, hash: u64, from: Place, to: Place) -> bool {
        match self.shard(hash).get_mut(&hash) {
            Some(entry) if entry.place == from => {
                *entry = Entry { place: to, hits: 0 };
                true
            }
            _ => false,
        }
    }

    /// True when it was there.
    pub(super) fn remove(&self, hash: u64) -> bool {
        self.shard(hash).remove(&hash).is_some()
    }

    /// Removes this record, if it is still the one.
    pub(super) fn remove_at(&self, hash: u64, place: Place) {
        let mut shard = self.shard(hash);
        if shard.get(&hash).is_some_and(|entry| entry.place == place) {
            shard.remove(&hash);
        }
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            *shard.lock().unwrap_or_else(PoisonError::into_inner) = Shard::default();
        }
    }

    pub(super) fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Gives each record to `see`.
    pub(super) fn each(&self, mut see: impl FnMut(Place)) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().for_each(|entry| see(entry.place));
        }
    }
}
