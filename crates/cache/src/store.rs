//! The memory tier: responses by key, in a table that is read without a lock. Writers of one shard take turns; the
//! shard's ledger decides what leaves.

use crate::hits::HitLog;
use crate::key::{Key, KeyHasher};
use crate::ledger::{Admitted, Ledger};
use crate::object::{Draft, Object};
use crate::purge::Purges;
use crate::tags::{NoRoom, Tag};
use headgate_policy::evict::Kind;
use papaya::HashMap;
use seize::Collector;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Objects under one key, one for each way in which requests differ by `Vary`; the oldest leaves first.
pub const VARIANTS_MAX: usize = 32;
/// Smallest part of the budget that a shard is made for: splitting a small cache costs it hits.
const SHARD_MIN: u64 = 64 << 20;

/// What is stored under one key, newest first.
struct Entry {
    variants: Box<[Arc<Object>]>,
}

/// The stored responses.
pub struct Store {
    map: HashMap<Key, Entry>,
    shards: Box<[Mutex<Ledger>]>,
    hasher: KeyHasher,
    pub(crate) purges: Purges,
    evicted: AtomicU64,
    refused: AtomicU64,
}

/// What the memory tier holds, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    pub bytes: u64,
    pub objects: u64,
    /// Objects that left for others.
    pub evicted: u64,
    /// Objects that were not taken: purged on their way, too large, or not wanted by the policy.
    pub refused: u64,
}

impl Store {
    /// For `budget` bytes and that many workers.
    #[must_use]
    pub fn new(kind: Kind, budget: u64, workers: usize) -> Self {
        let most = usize::try_from(budget / SHARD_MIN).unwrap_or(usize::MAX).max(1);
        let shards = (workers / 2).next_power_of_two().min(most);
        let ledger = |_| Mutex::new(Ledger::new(kind, budget / shards as u64));
        Self {
            // Each object that leaves is freed at once: a batch of large ones would not be in the budget.
            map: HashMap::builder().collector(Collector::new().batch_size(1)).build(),
            shards: (0..shards).map(ledger).collect(),
            hasher: KeyHasher::default(),
            purges: Purges::default(),
            evicted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// The object under `key` that `selects` picks, newest first. Notes no hit.
    #[inline]
    pub fn find(&self, key: &[u8], selects: impl Fn(&Object) -> bool) -> Found {
        let map = self.map.pin();
        let Some(entry) = map.get(key) else { return Found::Nothing };
        let mut found = Found::Nothing;
        for object in &entry.variants {
            if object.is_purged() {
                continue;
            }
            if selects(object) {
                return Found::Object(Arc::clone(object));
            }
            found = Found::OtherVariant;
        }
        found
    }

    /// Notes a hit of `object` under `key` for the eviction policy.
    #[inline]
    pub fn note_hit(&self, key: &[u8], object: &Object, log: &mut HitLog) {
        let shard = self.shard_of(key);
        if log.note(shard, self.shards.len(), object.id)
            && let Ok(mut ledger) = self.shards[shard].try_lock()
        {
            for id in log.waiting[shard].drain(..) {
                ledger.hit(id);
            }
        }
    }

    #[inline]
    fn shard_of(&self, key: &[u8]) -> usize {
        // One shard needs no hash.
        if self.shards.len() == 1 { 0 } else { self.hasher.of_key(key) as usize & (self.shards.len() - 1) }
    }

    fn ledger(&self, key: &[u8]) -> MutexGuard<'_, Ledger> {
        self.shards[self.shard_of(key)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a response, in the place of one that was selected alike.
    ///
    /// # Errors
    /// The draft, when it is not taken: it was purged on its way, is too large, or the policy does not want it.
    pub fn insert(&self, key: &Key, draft: Draft) -> Result<Arc<Object>, Box<Draft>> {
        let id = self.hasher.of_object(key, &draft.selecting, draft.part.as_ref().map(|part| &*part.asked));
        let mut ledger = self.ledger(key);
        // Under the lock: a purge takes it too, after it has written itself down.
        if self.purges.has_purged(key, draft.born) || draft.tags.iter().any(|tag| tag.purges(draft.born)) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Box::new(draft));
        }
        let map = self.map.pin();
        let cost = f64::from(draft.fetch_ms.max(1));
        let admitted = ledger.admit(id, key, draft.size(key.len()), cost, |id, owner| {
            self.evicted.fetch_add(1, Ordering::Relaxed);
            self.take_out(owner, id);
        });
        if matches!(admitted, Admitted::No) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Box::new(draft));
        }
        let object = Arc::new(Object::new(draft, id));
        let mut variants = vec![Arc::clone(&object)];
        if let Some(entry) = map.get(key) {
            for other in entry.variants.iter().filter(|other| other.id != object.id) {
                if variants.len() < VARIANTS_MAX && !other.is_purged() {
                    variants.push(Arc::clone(other));
                } else {
                    ledger.remove(other.id);
                }
            }
        }
        map.insert(Key::clone(key), Entry { variants: variants.into() });
        Ok(object)
    }

    /// Takes the object of that id out of the table; its ledger has forgotten it, and its lock is held.
    fn take_out(&self, key: &[u8], id: u64) {
        let map = self.map.pin();
        let Some((key, entry)) = map.get_key_value(key) else { return };
        let rest: Box<[_]> = entry.variants.iter().filter(|object| object.id != id).map(Arc::clone).collect();
        if rest.is_empty() {
            map.remove(key);
        } else {
            map.insert(Key::clone(key), Entry { variants: rest });
        }
    }

    /// Forgets an object, if it is still what is stored.
    pub fn remove(&self, key: &[u8], object: &Object) {
        let mut ledger = self.ledger(key);
        let is_stored = self
            .map
            .pin()
            .get(key)
            .is_some_and(|entry| entry.variants.iter().any(|known| std::ptr::eq(&**known, object)));
        if is_stored {
            ledger.remove(object.id);
            self.take_out(key, object.id);
        }
    }

    /// Takes away what is stored under `key`, or makes it stale; how many objects that were.
    pub fn purge_key(&self, key: &[u8], soft: bool) -> usize {
        self.purges.note_key(key);
        self.empty(key, soft)
    }

    fn empty(&self, key: &[u8], soft: bool) -> usize {
        let mut ledger = self.ledger(key);
        let map = self.map.pin();
        let Some(entry) = map.get(key) else { return 0 };
        for object in &entry.variants {
            if soft {
                object.outdate();
            } else {
                ledger.remove(object.id);
            }
        }
        if !soft {
            map.remove(key);
        }
        entry.variants.len()
    }

    /// The same for every key that `matches`, which has to be a function of the key alone; looks at all of them.
    pub fn purge_matching(
        &self,
        matches: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
        soft: bool,
    ) -> usize {
        let matches = Arc::new(matches);
        self.purges.note_matching(Arc::clone(&matches) as _);
        let keys: Vec<Key> = self.map.pin().keys().filter(|key| matches(key)).map(Key::clone).collect();
        keys.iter().map(|key| self.empty(key, soft)).sum()
    }

    /// Purges what bears the tag, in one step.
    pub fn purge_tag(&self, tag: &[u8], soft: bool) {
        self.purges.tag(tag, soft);
    }

    /// Tags of these names, for a draft.
    ///
    /// # Errors
    /// When they cannot be kept; the response must not be stored then.
    pub fn tags<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Result<Box<[Arc<Tag>]>, NoRoom> {
        self.purges.tags.get(names)
    }

    /// The moment on the purge clock: what is asked for now is older than every later purge.
    #[must_use]
    pub fn born(&self) -> u64 {
        self.purges.now()
    }

    #[must_use]
    pub fn fill(&self) -> Fill {
        let mut fill = Fill {
            evicted: self.evicted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            ..Fill::default()
        };
        for shard in &self.shards {
            let ledger = shard.lock().unwrap_or_else(PoisonError::into_inner);
            fill.bytes += ledger.used();
            fill.objects += ledger.count() as u64;
        }
        fill
    }
}

/// What a look into the store brought.
#[derive(Debug)]
pub enum Found {
    Object(Arc<Object>),
    /// The key is known, but not for a request like this.
    OtherVariant,
    Nothing,
}
