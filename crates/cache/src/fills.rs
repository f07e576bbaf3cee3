//! Fills under way, by key, so that requests for the same response wait for one fetch; and keys whose responses
//! turned out to be nobody else's, so that requests for those do not wait for each other.

use crate::ahead::Ahead;
use crate::fill::{Fill, Reader, Writer};
use crate::key::{Key, KeyHasher};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;
/// Keys that are remembered as not shared; two that meet in one place forget each other.
const APART: usize = 4096;
/// How long a key is remembered, in milliseconds.
const APART_MS: u64 = 10_000;

type Shard = HashMap<Key, Arc<Fill>>;

/// The fills under way.
pub struct Fills {
    shards: [Mutex<Shard>; SHARDS],
    /// Upper half: part of the key's hash; lower half: until when, in seconds.
    apart: Box<[AtomicU64]>,
    hasher: KeyHasher,
}

/// How a request takes part in a fill.
pub enum Part {
    /// It writes, and reads along.
    Lead(Writer, Reader),
    Join(Reader),
    /// Too many read along, or it is too late for that.
    Full,
}

impl Default for Fills {
    fn default() -> Self {
        Self {
            shards: Default::default(),
            apart: (0..APART).map(|_| AtomicU64::new(0)).collect(),
            hasher: KeyHasher::default(),
        }
    }
}

impl Fills {
    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        let shard = self.hasher.of_key(key) as usize % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the fill of `key`, or begins it. `most`: readers of one fill. One that was asked for before a purge that
    /// may mean it is not joined any more: `was_purged` since that moment.
    pub fn enter(&self, key: &[u8], most: usize, was_purged: impl Fn(u64) -> bool) -> Part {
        let mut shard = self.shard(key);
        if let Some(fill) = shard.get(key).filter(|fill| !was_purged(fill.born())) {
            return fill.join(most).map_or(Part::Full, Part::Join);
        }
        match begin(key) {
            Some((writer, reader)) => {
                shard.insert(Key::clone(&writer.fill().key), Arc::clone(writer.fill()));
                Part::Lead(writer, reader)
            }
            None => Part::Full,
        }
    }

    /// Begins the fill of `key` for nobody in particular, or before anybody asked. None when one is under way.
    pub fn begin_unread(&self, key: &[u8], ahead: Option<Arc<Ahead>>) -> Option<Writer> {
        let mut shard = self.shard(key);
        if shard.contains_key(key) {
            return None;
        }
        let writer = Writer::ahead(key.into(), ahead);
        shard.insert(Key::clone(&writer.fill().key), Arc::clone(writer.fill()));
        Some(writer)
    }

    /// The fill has ended, or nobody can join it any more.
    pub fn leave(&self, fill: &Arc<Fill>) {
        let mut shard = self.shard(&fill.key);
        if shard.get(&fill.key).is_some_and(|known| Arc::ptr_eq(known, fill)) {
            shard.remove(&fill.key);
        }
    }

    #[must_use]
    pub fn has(&self, key: &[u8]) -> bool {
        self.shard(key).contains_key(key)
    }

    /// Fills under way.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Remembers that responses under `key` are not shared.
    pub fn set_apart(&self, key: &[u8], now_ms: u64) {
        let (place, mark) = self.mark(key);
        let until_s = (now_ms + APART_MS) / 1_000;
        place.store(mark | (until_s & 0xffff_ffff), Ordering::Relaxed);
    }

    /// Whether responses under `key` were not shared lately.
    pub fn is_apart(&self, key: &[u8], now_ms: u64) -> bool {
        let (place, mark) = self.mark(key);
        let noted = place.load(Ordering::Relaxed);
        noted & !0xffff_ffff == mark && noted & 0xffff_ffff > now_ms / 1_000
    }

    fn mark(&self, key: &[u8]) -> (&AtomicU64, u64) {
        let hash = self.hasher.of_key(key);
        (&self.apart[hash as usize % APART], hash & !0xffff_ffff)
    }
}

/// A fill of `key` that nobody else can join, and its one reader.
#[must_use]
pub fn begin(key: &[u8]) -> Option<(Writer, Reader)> {
    let writer = Writer::new(key.into());
    let reader = writer.fill().join(1)?;
    Some((writer, reader))
}
