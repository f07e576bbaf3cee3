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
    pub(crate) shards: Box<[Mutex<Ledger>]>,
    hasher: KeyHasher,
    pub(crate) purges: Purges,
    pub(crate) evicted: AtomicU64,
    refused: AtomicU64,
    unheard: AtomicU64,
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
    /// Hits that the policy did not hear of, because its lock was not free for too long.
    pub unheard: u64,
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
            unheard: AtomicU64::new(0),
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
            self.unheard.fetch_add(log.take_dropped(), Ordering::Relaxed);
            for id in log.waiting[shard].drain(..) {
                self.hit(&mut ledger, id);
            }
        }
    }

    /// Notes the first use of what was fetched ahead, which from now on is an object like others.
    pub fn note_first_use(&self, key: &[u8], object: &Object) {
        if let Ok(mut ledger) = self.shards[self.shard_of(key)].try_lock() {
            self.hit(&mut ledger, object.id);
        }
    }

    fn hit(&self, ledger: &mut Ledger, id: u64) {
        ledger.hit(id, |id, owner| {
            self.evicted.fetch_add(1, Ordering::Relaxed);
            self.take_out(owner, id);
        });
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
        let (worth, ahead) = ((draft.size(key.len()), cost), draft.ahead.is_some());
        let admitted = ledger.admit(id, key, worth, ahead, |id, owner| {
            self.evicted.fetch_add(1, Ordering::Relaxed);
            self.take_out(owner, id);
        });
        if matches!(admitted, Admitted::No) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Box::new(draft));
        }
        if let Some(ahead) = &draft.ahead {
            let received_ms = draft.freshness.received_ms;
            let lifetime_ms =
                u64::try_from(draft.freshness.ttl_s(received_ms)).unwrap_or(0).saturating_mul(1_000);
            ahead.store(received_ms.saturating_add(lifetime_ms));
        }
        let object = Arc::new(Object::new(draft, id));
        let mut variants = vec![Arc::clone(&object)];
        if let Some(entry) = map.get(key) {
            for other in entry.variants.iter().filter(|other| other.id != object.id) {
                // The whole answers whatever a part of it does.
                let replaced =
                    object.part.is_none() && other.part.is_some() && other.selecting == object.selecting;
                if variants.len() < VARIANTS_MAX && !other.is_purged() && !replaced {
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
    pub(crate) fn take_out(&self, key: &[u8], id: u64) {
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

    /// Whether what was asked for at `born` under `key` may have been purged since.
    #[must_use]
    pub fn may_have_purged(&self, key: &[u8], born: u64) -> bool {
        self.purges.may_have_purged(key, born)
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
            unheard: self.unheard.load(Ordering::Relaxed),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ahead::{Ahead, State};
    use bytes::Bytes;
    use headgate_model::dice::Dice;

    fn draft(store: &Store, len: usize, selecting: &str, tags: &[&[u8]]) -> Draft {
        Draft {
            selecting: selecting.as_bytes().into(),
            tags: store.tags(tags.iter().copied()).unwrap(),
            born: store.born(),
            ..Draft::fresh(Bytes::from(vec![0; len]))
        }
    }

    fn key(number: u64) -> Key {
        format!("key {number}").into_bytes().into()
    }

    fn has(store: &Store, key: &[u8]) -> bool {
        matches!(store.find(key, |_| true), Found::Object(_))
    }

    /// Keys in the table, and objects under them.
    fn table(store: &Store) -> (usize, usize) {
        let map = store.map.pin();
        (map.len(), map.values().map(|entry| entry.variants.len()).sum())
    }

    #[test]
    fn table_and_ledger_agree_under_every_policy() {
        for kind in Kind::ALL {
            let store = Store::new(kind, 1 << 20, 1);
            let mut log = HitLog::default();
            let mut dice = Dice::new(7);
            for _ in 0..5_000 {
                let (key, other) = (key(dice.below(300)), key(dice.below(300)));
                let selecting = format!("a: {}\r\n", dice.below(3));
                match store.find(&key, |object| *object.selecting == *selecting.as_bytes()) {
                    Found::Object(object) => store.note_hit(&key, &object, &mut log),
                    _ => {
                        let len = dice.below(20_000) as usize;
                        let _ = store.insert(&key, draft(&store, len, &selecting, &[]));
                    }
                }
                if dice.below(50) == 0 {
                    store.purge_key(&other, false);
                }
            }
            let fill = store.fill();
            assert_eq!(table(&store).1 as u64, fill.objects, "{kind:?}");
            assert!(fill.bytes <= 1 << 20 && fill.bytes > 1 << 19, "{kind:?}: {}", fill.bytes);
            assert!(fill.evicted > 100, "{kind:?}");
            store.purge_matching(|_| true, false);
            assert_eq!((table(&store), store.fill().objects), ((0, 0), 0), "{kind:?}");
        }
    }

    #[test]
    fn what_was_fetched_ahead_leaves_first_until_it_is_used() {
        let store = Store::new(Kind::Lru, 1 << 20, 1);
        let insert = |number: u64, ahead: Option<&Arc<Ahead>>| {
            let draft = Draft { ahead: ahead.cloned(), ..draft(&store, 2_000, "", &[]) };
            drop(store.insert(&key(number), draft).unwrap());
        };
        (0..300).for_each(|number| insert(number, None));
        let aheads: Vec<Arc<Ahead>> = (0..100).map(|_| Arc::default()).collect();
        (1_000..).zip(&aheads).for_each(|(number, ahead)| insert(number, Some(ahead)));
        assert!(aheads[0].is_gone() && aheads[0].state() == State::Stored, "it left, and nobody asked");
        let rest = aheads.iter().filter(|ahead| !ahead.is_gone()).count();
        assert!((20..40).contains(&rest), "8 % of the cache: {rest}");
        let Found::Object(used) = store.find(&key(1_099), |_| true) else { panic!("the newest is there") };
        assert!(used.ahead.as_ref().unwrap().ask());
        store.note_first_use(&key(1_099), &used);
        (2_000..2_200).for_each(|number| insert(number, Some(&Arc::default())));
        assert!(has(&store, &key(1_099)) && !has(&store, &key(1_098)), "now it is one of the others");
        assert_eq!(table(&store).1 as u64, store.fill().objects);
        assert!(store.fill().bytes <= 1 << 20);
    }

    #[test]
    fn many_threads_lose_nothing_and_purge_for_good() {
        let store = Store::new(Kind::S3Fifo, 64 << 20, 8);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    let mut log = HitLog::default();
                    let mut dice = Dice::new(thread);
                    for _ in 0..5_000 {
                        let key = key(dice.below(500));
                        match store.find(&key, |_| true) {
                            Found::Object(object) => store.note_hit(&key, &object, &mut log),
                            _ => drop(store.insert(&key, draft(store, 100, "", &[b"t"]))),
                        }
                        match dice.below(200) {
                            0 => drop(store.purge_key(&key, false)),
                            1 => store.purge_tag(b"t", false),
                            2 => drop(store.purge_matching(|key| key.ends_with(b"7"), false)),
                            _ => {}
                        }
                    }
                });
            }
        });
        assert_eq!(table(&store).1 as u64, store.fill().objects);
        let late = draft(&store, 100, "", &[b"t"]);
        store.purge_tag(b"t", false);
        for number in 0..500 {
            assert!(!has(&store, &key(number)));
        }
        assert!(store.insert(&key(1), late).is_err(), "it was on its way");
        assert!(store.insert(&key(1), draft(&store, 100, "", &[b"t"])).is_ok());
        assert!(has(&store, &key(1)));
    }

    #[test]
    fn of_many_purges_the_oldest_are_remembered_as_one() {
        let store = Store::new(Kind::Lru, 1 << 20, 1);
        let (old, other) = (draft(&store, 1, "", &[]), draft(&store, 1, "", &[]));
        store.purge_key(&key(0), false);
        for number in 1..10 {
            store.purge_key(&key(number), false);
        }
        assert!(store.insert(&key(100), other).is_ok(), "nobody purged that");
        for number in 10..1_000 {
            store.purge_key(&key(number), false);
        }
        assert!(store.insert(&key(0), old).is_err());
    }

    #[test]
    fn hits_that_nobody_could_hear_of_are_counted() {
        let store = Store::new(Kind::Lru, 1 << 20, 1);
        let object = store.insert(&key(0), draft(&store, 1, "", &[])).unwrap();
        let mut log = HitLog::default();
        let mut hit = |times: u32| (0..times).for_each(|_| store.note_hit(&key(0), &object, &mut log));
        let ledger = store.shards[0].lock().unwrap();
        hit(1_500);
        assert_eq!(store.unheard.load(Ordering::Relaxed), 0, "not known yet");
        drop(ledger);
        hit(1_500);
        assert_eq!(
            store.fill().unheard,
            477,
            "1,024 wait, and the first that finds the lock free is one too many"
        );
    }

    #[test]
    fn variants_of_one_key_are_limited() {
        let store = Store::new(Kind::Lru, 1 << 20, 1);
        for number in 0..100 {
            store.insert(&key(0), draft(&store, 1, &format!("a: {number}\r\n"), &[])).unwrap();
        }
        assert_eq!(table(&store), (1, VARIANTS_MAX));
        assert_eq!(store.fill().objects, VARIANTS_MAX as u64);
    }
}
