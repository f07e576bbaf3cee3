//! What was purged lately, so that a response that was asked for before a purge is not stored after it.

use crate::tags::Tags;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Purges that are remembered one by one. Beyond, everything that was on its way at the oldest of them is not
/// stored.
const REMEMBERED: usize = 256;

type Matches = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// The purge clock and what happened on it. The clock counts purges; an object's birth is its reading.
#[derive(Default)]
pub(crate) struct Purges {
    clock: AtomicU64,
    /// What was born before this is not stored.
    floor: AtomicU64,
    recent: Mutex<VecDeque<(u64, Matches)>>,
    /// When a tag was purged last.
    last_tag: AtomicU64,
    pub(crate) tags: Tags,
}

impl Purges {
    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::Acquire)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether a purge since `born` concerns `key`.
    pub(crate) fn has_purged(&self, key: &[u8], born: u64) -> bool {
        if born >= self.now() {
            return false;
        }
        if born < self.floor.load(Ordering::Acquire) {
            return true;
        }
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().any(|(at, matches)| born < *at && matches(key))
    }

    /// Whether a purge since `born` may mean what is on its way for `key`, whose tags are not known.
    pub(crate) fn may_have_purged(&self, key: &[u8], born: u64) -> bool {
        born < self.last_tag.load(Ordering::Acquire) || self.has_purged(key, born)
    }

    pub(crate) fn note_key(&self, key: &[u8]) {
        let key: Box<[u8]> = key.into();
        self.note_matching(Arc::new(move |other| *other == *key));
    }

    pub(crate) fn note_matching(&self, matches: Matches) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == REMEMBERED
            && let Some((at, _)) = recent.pop_front()
        {
            self.floor.fetch_max(at, Ordering::AcqRel);
        }
        // Inside the lock, so that the queue is in order.
        recent.push_back((self.tick(), matches));
    }

    pub(crate) fn tag(&self, name: &[u8], soft: bool) {
        let now = self.tick();
        self.last_tag.fetch_max(now, Ordering::AcqRel);
        let forgot = self.tags.sweep();
        if self.tags.purge(name, soft, now).is_err() || forgot {
            self.floor.fetch_max(now, Ordering::AcqRel);
        }
    }
}
