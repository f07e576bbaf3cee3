//! What a tier below the memory has to offer: bytes under keys, and purges. It knows no responses; those are turned
//! into bytes and back by [`crate::lower`].

use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use twox_hash::XxHash3_64;

/// What a look into a tier brings, once it is there.
pub type Looked = Pin<Box<dyn Future<Output = Option<Kept>> + Send>>;

/// Bytes from a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub bytes: Bytes,
    /// When the response came, in milliseconds of [`crate::steady`], where the bytes may tell it by the clock of
    /// another process.
    pub received_ms: Option<u64>,
}

/// A tier below the memory. Nothing here waits for a device: what cannot be done at once is queued, and what cannot
/// be queued is not done and counted. Losing what was put is allowed; giving what was purged is not.
pub trait Tier: Send + Sync {
    /// Its name in `Cache-Status`, metrics and logs.
    fn name(&self) -> &'static str;

    /// The bytes that were put under `key` last; None also when they are damaged, or when the tier is off.
    fn get(&self, key: &[u8]) -> Looked;

    /// Keeps bytes, unless they were purged since they were born. Not kept, they still replace what was there, if
    /// the tier is on.
    fn put(&self, put: Put);

    /// From now on `get` gives nothing that was purged.
    fn purge(&self, purge: &Purge);

    /// As `purge`, for what others have to hear of too who share the tier; `notice` is the same as they hear it.
    fn announce(&self, purge: &Purge, _notice: &Notice) {
        self.purge(purge);
    }

    /// The moment on the tier's own clock of purges, where it has one.
    fn moment(&self) -> Moment {
        Moment::default()
    }

    /// Ready when what was put and purged before will be there after a failure of power, and nobody can get from a
    /// shared tier what was purged; false where that is not so.
    fn settled(&self) -> Pin<Box<dyn Future<Output = bool> + Send>>;
}

/// Bytes to be kept.
#[derive(Debug)]
pub struct Put {
    pub key: Box<[u8]>,
    pub value: Vec<Bytes>,
    /// Hashes of the tags that it can be purged by.
    pub tags: Box<[TagHash]>,
    /// When the response came, in milliseconds of [`crate::steady`].
    pub received_ms: u64,
    /// When they come to be of no use, by the same clock.
    pub keep_until_ms: u64,
    pub birth: Birth,
}

/// What is purged in a tier. There is no soft purge: what is to be asked for again is taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    Key(Box<[u8]>),
    Tag(TagHash),
    /// Keys that have these bytes at this place.
    Beginning {
        at: u32,
        bytes: Box<[u8]>,
    },
}

/// A purge as one gateway tells it to others: by the keys and tags of the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub what: Noticed,
    /// What the memory has is only made stale.
    pub soft: bool,
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noticed {
    Key(Box<[u8]>),
    /// The tag's name.
    Tag(Box<[u8]>),
    /// Keys that have these bytes at this place.
    Beginning {
        at: u32,
        bytes: Box<[u8]>,
    },
}

impl Noticed {
    #[must_use]
    pub fn everything() -> Self {
        Self::Beginning { at: 0, bytes: Box::default() }
    }
}

/// When something happened on the clock of a shared tier. Two of different sessions cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Of this process with the tier; 0 for none.
    pub session: u64,
    /// Purges that were known.
    pub position: u64,
}

impl Purge {
    pub(crate) const fn is_of_everything(&self) -> bool {
        matches!(self, Self::Beginning { bytes, .. } if bytes.is_empty())
    }

    pub(crate) fn everything() -> Self {
        Self::Beginning { at: 0, bytes: Box::default() }
    }
}

/// A tag where it is stored: the same in every process. Two tags with one hash are purged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagHash(pub(crate) u64);

impl TagHash {
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        Self(XxHash3_64::oneshot(name))
    }
}

/// Places for the moments of purges. Keys and tags that share one drop a few fills too many.
const PLACES: usize = 16_384;

/// When keys and tags were purged last, so that what was asked for before a purge is not put after it. Fixed in
/// size: it tells too much rather than too little.
#[derive(Debug)]
pub(crate) struct Purged {
    clock: AtomicU64,
    /// When more than single keys and tags was purged.
    all: AtomicU64,
    places: Box<[AtomicU64]>,
}

impl Default for Purged {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self { clock: AtomicU64::new(0), all: AtomicU64::new(0), places }
    }
}

impl Purged {
    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.places[hash as usize % PLACES]
    }

    /// To be called before tiers are told.
    pub(crate) fn note(&self, purge: &Purge) {
        let now = self.clock.fetch_add(1, Ordering::AcqRel) + 1;
        let place = match purge {
            Purge::Key(key) => self.place(XxHash3_64::oneshot(key)),
            Purge::Tag(tag) => self.place(tag.0),
            Purge::Beginning { .. } => &self.all,
        };
        place.fetch_max(now, Ordering::AcqRel);
    }
}

/// When something was asked for, on the clock of purges.
#[derive(Clone, Debug)]
pub struct Birth {
    purged: Arc<Purged>,
    at: u64,
    owner: u64,
    /// The same on the clock of the shared tier.
    pub(crate) moment: Moment,
}

impl Birth {
    pub(crate) fn now(purged: &Arc<Purged>, owner: &[u8], moment: Moment) -> Self {
        let at = purged.clock.load(Ordering::Acquire);
        Self { purged: Arc::clone(purged), at, owner: XxHash3_64::oneshot(owner), moment }
    }

    /// Whether a purge since may have meant it.
    pub(crate) fn was_purged(&self, tags: &[TagHash]) -> bool {
        let since = |place: &AtomicU64| place.load(Ordering::Acquire) > self.at;
        since(&self.purged.all)
            || since(self.purged.place(self.owner))
            || tags.iter().any(|tag| since(self.purged.place(tag.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_before_a_purge_is_known_as_purged() {
        let purged = Arc::new(Purged::default());
        let tags = [TagHash::of(b"shoes")];
        let key = |key: &[u8]| Purge::Key(key.into());
        for (purge, meant) in [
            (key(b"a"), true),
            (key(b"b"), false),
            (Purge::Tag(tags[0]), true),
            (Purge::Tag(TagHash::of(b"hats")), false),
            (Purge::everything(), true),
        ] {
            let before = Birth::now(&purged, b"a", Moment::default());
            assert!(!before.was_purged(&tags));
            purged.note(&purge);
            assert_eq!(before.was_purged(&tags), meant, "{purge:?}");
            assert!(!Birth::now(&purged, b"a", Moment::default()).was_purged(&tags));
        }
    }
}
