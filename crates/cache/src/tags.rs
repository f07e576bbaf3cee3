//! Tags (surrogate keys): names under which responses are purged together, in one step however many they are.
//! A purge only writes down when it happened; who finds an object compares that with the object's birth.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Tags known at once. What would need another one is not stored.
pub const TAGS_MAX: usize = 1 << 18;
/// Tags of one response. A response that names more is not stored: it could not be purged by the others.
pub const TAGS_PER_OBJECT: usize = 128;
/// Longest tag in bytes.
pub const TAG_LEN: usize = 256;

/// A tag, and when it was purged last, on the purge clock; 0 for never.
#[derive(Debug)]
pub struct Tag {
    name: Box<[u8]>,
    purged: AtomicU64,
    outdated: AtomicU64,
}

impl Tag {
    fn new(name: &[u8]) -> Arc<Self> {
        Arc::new(Self { name: name.into(), purged: AtomicU64::new(0), outdated: AtomicU64::new(0) })
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(crate) fn purges(&self, born: u64) -> bool {
        self.purged.load(Ordering::Acquire) > born
    }

    pub(crate) fn outdates(&self, born: u64) -> bool {
        self.outdated.load(Ordering::Acquire) > born
    }
}

/// All tags by name. One that no object bears is forgotten when room is needed.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    known: Mutex<HashSet<ByName>>,
}

/// Is found by its name, which it holds itself.
#[derive(Debug)]
struct ByName(Arc<Tag>);

impl Borrow<[u8]> for ByName {
    fn borrow(&self) -> &[u8] {
        &self.0.name
    }
}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ByName {}

/// The tags cannot be kept, or not all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl Tags {
    /// The tags of these names for an object that was born at `born`.
    ///
    /// # Errors
    /// When there are too many, or one is too long. Its owner could not be purged by them.
    pub(crate) fn get<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Result<Box<[Arc<Tag>]>, NoRoom> {
        let mut names = names.peekable();
        if names.peek().is_none() {
            return Ok(Box::default());
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tags = Vec::new();
        for name in names {
            if name.len() > TAG_LEN || tags.len() == TAGS_PER_OBJECT {
                return Err(NoRoom);
            }
            if let Some(ByName(tag)) = known.get(name) {
                tags.push(Arc::clone(tag));
            } else if known.len() < TAGS_MAX {
                let tag = Tag::new(name);
                tags.push(Arc::clone(&tag));
                known.insert(ByName(tag));
            } else {
                return Err(NoRoom);
            }
        }
        Ok(tags.into())
    }

    /// Purges what bears the tag and was born before `now`, also what is only on its way.
    ///
    /// # Errors
    /// When the tag is new and there is no room to remember the purge for what is on its way.
    pub(crate) fn purge(&self, name: &[u8], soft: bool, now: u64) -> Result<(), NoRoom> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = match known.get(name) {
            Some(ByName(tag)) => Arc::clone(tag),
            None if known.len() < TAGS_MAX && name.len() <= TAG_LEN => {
                let tag = Tag::new(name);
                known.insert(ByName(Arc::clone(&tag)));
                tag
            }
            None => return Err(NoRoom),
        };
        let clock = if soft { &tag.outdated } else { &tag.purged };
        clock.fetch_max(now, Ordering::AcqRel);
        Ok(())
    }

    /// Forgets tags that no object bears, if more than half of the room is taken. True when it did: purges of
    /// those are no longer known.
    pub(crate) fn sweep(&self) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.len();
        if before > TAGS_MAX / 2 {
            known.retain(|ByName(tag)| Arc::strong_count(tag) > 1);
        }
        known.len() < before
    }
}
