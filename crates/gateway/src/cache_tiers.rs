//! The tiers of the cache as one: what is taken away is taken away in all of them, the lower ones first, so that
//! nothing comes up again from there.

use crate::cache_rules::Cache;
use headgate_cache::disk::Figures;
use headgate_cache::object::Object;
use headgate_cache::redis;
use headgate_cache::tier::{Notice, Noticed};
use std::sync::atomic::Ordering;

impl Cache {
    /// Forgets an object, if it is still what is stored.
    pub(crate) fn remove(&self, key: &[u8], object: &Object) {
        self.lower.forget(key);
        self.store.remove(key, object);
    }

    /// Purges what is under `key`; how many objects of the memory that were. `soft` keeps those as stale.
    pub(crate) fn purge_key(&self, key: &[u8], soft: bool) -> usize {
        self.purge(&Notice { what: Noticed::Key(key.into()), soft })
    }

    /// Purges what bears the tag.
    pub(crate) fn purge_tag(&self, tag: &[u8], soft: bool) {
        self.purge(&Notice { what: Noticed::Tag(tag.into()), soft });
    }

    /// Purges the keys that have one of `beginnings` at `at`; how many objects of the memory that were.
    pub(crate) fn purge_beginnings(&self, at: usize, beginnings: Vec<Vec<u8>>, soft: bool) -> usize {
        // A place in a key is far below 4 GiB.
        let at = at as u32;
        let notice = |bytes: Vec<u8>| Notice { what: Noticed::Beginning { at, bytes: bytes.into() }, soft };
        beginnings.into_iter().map(|bytes| self.purge(&notice(bytes))).sum()
    }

    fn purge(&self, notice: &Notice) -> usize {
        self.lower.purge(notice);
        self.purge_memory(notice)
    }

    /// Another gateway that shares a tier has purged this.
    pub(crate) fn hear(&self, notice: &Notice) {
        self.lower.hear(&notice.what);
        self.purge_memory(notice);
    }

    /// Others may have purged whatever is in memory, which keeps it to ask about it, and with `below` what is in
    /// the tiers of this machine, which cannot.
    pub(crate) fn doubt(&self, below: bool) {
        let notice = Notice { what: Noticed::everything(), soft: true };
        if below {
            self.hear(&notice);
        } else {
            self.purge_memory(&notice);
        }
    }

    fn purge_memory(&self, notice: &Notice) -> usize {
        let Notice { what, soft } = notice;
        match what {
            Noticed::Key(key) => self.store.purge_key(key, *soft),
            Noticed::Tag(tag) => {
                self.store.purge_tag(tag, *soft);
                0
            }
            Noticed::Beginning { at, bytes } => {
                let (at, bytes) = (*at as usize, bytes.clone());
                let begins = move |key: &[u8]| key.get(at..).is_some_and(|key| key.starts_with(&bytes));
                self.store.purge_matching(begins, *soft)
            }
        }
    }

    /// Waits until purges so far outlive a failure of power, and no gateway gets what was purged from a shared tier;
    /// the names of the tiers where that cannot be promised.
    pub async fn unsettled(&self) -> Vec<&'static str> {
        self.lower.unsettled().await
    }

    /// What the tier on disk holds and did, and how many requests it kept waiting in vain.
    #[must_use]
    pub fn disk_figures(&self) -> Option<(Figures, u64)> {
        self.disk.as_ref().map(|disk| (disk.figures(), self.late.load(Ordering::Relaxed)))
    }

    /// What the tier in Redis did.
    #[must_use]
    pub fn redis_figures(&self) -> Option<redis::Figures> {
        self.redis.as_ref().map(|redis| redis.figures())
    }

    /// Writes what waits for that, and gives the folder on disk to whoever comes next.
    pub fn close(&self) {
        if let Some(redis) = &self.redis {
            redis.close();
        }
        if let Some(disk) = &self.disk {
            disk.close();
        }
    }
}
