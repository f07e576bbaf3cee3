//! The tiers of the cache as one: what is taken away is taken away in all of them, the lower ones first, so that
//! nothing comes up again from there.

use crate::cache_rules::Cache;
use headgate_cache::disk::Figures;
use headgate_cache::object::Object;
use headgate_cache::tier::{Purge, TagHash};
use std::sync::atomic::Ordering;

impl Cache {
    /// Forgets an object, if it is still what is stored.
    pub(crate) fn remove(&self, key: &[u8], object: &Object) {
        self.lower.forget(key);
        self.store.remove(key, object);
    }

    /// Purges what is under `key`; how many objects of the memory that were. `soft` keeps those as stale.
    pub(crate) fn purge_key(&self, key: &[u8], soft: bool) -> usize {
        self.lower.purge(&Purge::Key(key.into()));
        self.store.purge_key(key, soft)
    }

    /// Purges what bears the tag.
    pub(crate) fn purge_tag(&self, tag: &[u8], soft: bool) {
        self.lower.purge(&Purge::Tag(TagHash::of(tag)));
        self.store.purge_tag(tag, soft);
    }

    /// Purges the keys that have one of `beginnings` at `at`; how many objects of the memory that were.
    pub(crate) fn purge_beginnings(&self, at: usize, beginnings: Vec<Vec<u8>>, soft: bool) -> usize {
        for bytes in &beginnings {
            // A place in a key is far below 4 GiB.
            self.lower.purge(&Purge::Beginning { at: at as u32, bytes: bytes.as_slice().into() });
        }
        let begins = move |key: &[u8]| {
            key.get(at..).is_some_and(|key| beginnings.iter().any(|bytes| key.starts_with(bytes)))
        };
        self.store.purge_matching(begins, soft)
    }

    /// Waits until purges so far outlive a failure of power; false where that cannot be promised.
    pub async fn settled(&self) -> bool {
        self.lower.settled().await
    }

    /// What the tier on disk holds and did, and how many requests it kept waiting in vain.
    #[must_use]
    pub fn disk_figures(&self) -> Option<(Figures, u64)> {
        self.disk.as_ref().map(|disk| (disk.figures(), self.late.load(Ordering::Relaxed)))
    }

    /// Writes to the disk what waits for that, and gives its folder to whoever comes next.
    pub fn close(&self) {
        if let Some(disk) = &self.disk {
            disk.close();
        }
    }
}
