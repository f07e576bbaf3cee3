//! One stored response: its head as lines, its content in one piece or a few, and what decides about its use.

use crate::ahead::Ahead;
use crate::rules::{ContentRange, Freshness};
use crate::tags::Tag;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that an object costs beside its head, content and key: the object itself, its place in the table and in
/// the eviction policy, allocator overhead.
const OVERHEAD: u64 = 512;

/// Bytes that a tag of an object costs: a name may be its alone.
const TAG_SIZE: u64 = 128;

/// A stored response. What a revalidation changes makes another object that shares the content.
#[derive(Debug)]
pub struct Object {
    pub status: u16,
    /// Lines `name: value CRLF`: end-to-end fields without framing and `Age`.
    pub head: Box<[u8]>,
    pub content: Content,
    /// It has no content by its nature, and no length: 204 and its like.
    pub bodiless: bool,
    /// Where it is a part of the whole only.
    pub part: Option<Part>,
    pub freshness: Freshness,
    /// The request fields that it was selected by, by `Vary`.
    pub selecting: Box<[u8]>,
    /// Milliseconds that the origin took for it.
    pub fetch_ms: u32,
    /// What can purge it.
    pub tags: Box<[Arc<Tag>]>,
    /// Where it was fetched before anybody asked.
    pub ahead: Option<Arc<Ahead>>,
    /// Moment of the purge clock at which it was asked for.
    pub(crate) born: u64,
    /// The id by which the eviction policy knows it.
    pub(crate) id: u64,
    /// A soft purge made it stale.
    pub(crate) outdated: AtomicBool,
}

/// A response that is to be stored.
#[derive(Debug)]
pub struct Draft {
    pub status: u16,
    pub head: Box<[u8]>,
    pub content: Content,
    pub bodiless: bool,
    pub part: Option<Part>,
    pub freshness: Freshness,
    pub selecting: Box<[u8]>,
    pub fetch_ms: u32,
    pub tags: Box<[Arc<Tag>]>,
    /// Where nobody has asked for it yet.
    pub ahead: Option<Arc<Ahead>>,
    /// When it was asked for, on the purge clock.
    pub born: u64,
}

impl Draft {
    /// Bytes that it will take, under a key of `key_len` bytes.
    pub(crate) fn size(&self, key_len: usize) -> u64 {
        let texts = self.head.len() + self.selecting.len() + key_len;
        OVERHEAD + self.content.len + texts as u64 + TAG_SIZE * self.tags.len() as u64
    }
}

/// What a stored 206 is a part of.
#[derive(Clone, Debug)]
pub struct Part {
    pub range: ContentRange,
    /// The `Range` that it was asked for by.
    pub asked: Box<[u8]>,
}

/// Content in pieces.
#[derive(Clone, Debug, Default)]
pub struct Content {
    pieces: Arc<[Bytes]>,
    len: u64,
}

#[cfg(test)]
impl Draft {
    /// A response that is fresh for a minute from the beginning of time on.
    pub(crate) fn fresh(content: Bytes) -> Self {
        use crate::rules::WhenStale;
        Self {
            status: 200,
            head: Box::default(),
            content: Content::new(vec![content]),
            bodiless: false,
            part: None,
            freshness: Freshness {
                received_ms: 0,
                initial_age_s: 0,
                lifetime_s: 60,
                stale_while_revalidate_s: 0,
                stale_if_error_s: 0,
                when_stale: WhenStale::Allowed,
                always_revalidate: false,
                immutable: false,
            },
            selecting: Box::default(),
            fetch_ms: 1,
            tags: Box::default(),
            ahead: None,
            born: 0,
        }
    }
}

impl Object {
    /// Of a response that is not in the store.
    #[must_use]
    pub fn loose(draft: Draft) -> Self {
        Self::new(draft, 0)
    }

    pub(crate) fn new(draft: Draft, id: u64) -> Self {
        let Draft {
            status,
            head,
            content,
            bodiless,
            part,
            freshness,
            selecting,
            fetch_ms,
            tags,
            ahead,
            born,
        } = draft;
        let outdated = AtomicBool::new(false);
        Self {
            status,
            head,
            content,
            bodiless,
            part,
            freshness,
            selecting,
            fetch_ms,
            tags,
            ahead,
            born,
            id,
            outdated,
        }
    }

    /// Makes it stale: it is used again when the origin has confirmed it.
    pub fn outdate(&self) {
        self.outdated.store(true, Ordering::Relaxed);
    }

    /// Whether a soft purge made it stale.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed) || self.tags.iter().any(|tag| tag.outdates(self.born))
    }

    /// Whether a purge took it away.
    #[must_use]
    pub(crate) fn is_purged(&self) -> bool {
        self.tags.iter().any(|tag| tag.purges(self.born))
    }
}

impl Content {
    #[must_use]
    pub fn new(pieces: Vec<Bytes>) -> Self {
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces: pieces.into(), len }
    }

    /// In one piece, unless it is longer than `most` bytes.
    #[must_use]
    pub fn joined(pieces: Vec<Bytes>, most: u64) -> Self {
        let content = Self::new(pieces);
        if content.pieces.len() < 2 || content.len > most {
            return content;
        }
        Self::new(vec![Bytes::from(content.pieces.concat())])
    }

    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The pieces of the bytes from `from` up to `to`.
    pub fn slices(&self, from: u64, to: u64) -> impl Iterator<Item = &[u8]> {
        let mut at = 0;
        self.pieces.iter().filter_map(move |piece| {
            let (start, end) = (at, at + piece.len() as u64);
            at = end;
            let (from, to) = (from.max(start), to.min(end));
            // Offsets within one piece fit its length.
            (from < to).then(|| &piece[(from - start) as usize..(to - start) as usize])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_the_content_between_two_places() {
        let whole = b"abcdefghij";
        let content =
            Content::new(vec![Bytes::from_static(b"abc"), Bytes::new(), Bytes::from_static(b"defghij")]);
        assert_eq!(content.len(), 10);
        for from in 0..=10 {
            for to in from..=10 {
                let joined: Vec<u8> = content.slices(from, to).flatten().copied().collect();
                assert_eq!(joined, whole[from as usize..to as usize]);
            }
        }
    }
}
