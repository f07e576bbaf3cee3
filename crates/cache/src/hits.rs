//! Hits that one worker has seen and the eviction policies have not: a hit writes one number into memory that only
//! its worker touches, and a lock is taken for many of them at once, if it is free.

/// Hits after which the shard's lock is tried.
pub(crate) const BATCH: usize = 64;
/// Hits that wait for a lock that is never free; what is beyond is dropped and counted. A policy that misses a few
/// hits of many decides nearly the same.
const WAITING_MAX: usize = 1024;

/// One worker's hits that wait, by shard.
#[derive(Debug, Default)]
pub struct HitLog {
    pub(crate) waiting: Vec<Vec<u64>>,
    /// Hits that were dropped.
    pub(crate) dropped: u64,
}

impl HitLog {
    /// Notes a hit; true when it is time to hand them over.
    #[inline]
    pub(crate) fn note(&mut self, shard: usize, shards: usize, id: u64) -> bool {
        if self.waiting.len() != shards {
            self.waiting.resize_with(shards, || Vec::with_capacity(WAITING_MAX));
        }
        let waiting = &mut self.waiting[shard];
        if waiting.len() == WAITING_MAX {
            self.dropped += 1;
        } else {
            waiting.push(id);
        }
        waiting.len().is_multiple_of(BATCH)
    }

    /// Hits dropped since the last call.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}
