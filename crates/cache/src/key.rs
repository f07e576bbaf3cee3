//! Under which name a response lies: the route's cache space, host and target, as bytes; and the hash by which
//! shards and eviction policies know it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// A key in its own allocation, shared by all who keep it.
pub type Key = Arc<[u8]>;

/// Hashes keys with a secret of this process, so that no client can choose where its objects lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyHasher(RandomState);

impl KeyHasher {
    /// Of the key alone: chooses its shard and its line in the table of fills.
    pub(crate) fn of_key(&self, key: &[u8]) -> u64 {
        self.0.hash_one(key)
    }

    /// Of the key and of what the object was selected by: its id for the eviction policy, the same when it comes
    /// back.
    pub(crate) fn of_object(&self, key: &[u8], selecting: &[u8], range: Option<&[u8]>) -> u64 {
        self.0.hash_one((key, selecting, range))
    }
}
