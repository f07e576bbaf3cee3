//! The bytes of a segment file: its head and its records. Every record says of itself how long it is and has a
//! checksum over its head, seeded by a secret of the segment, and one over its value.

use crate::tier::{Purge, TagHash};
use std::hash::Hasher;
use twox_hash::XxHash3_64;

/// Records begin at multiples of this, so that the next one can be found behind damage.
pub(super) const ALIGN: u64 = 64;
/// Before the first record.
pub(super) const SEGMENT_HEAD: usize = 64;
/// Before tags, key and value of a record.
pub(super) const RECORD_HEAD: usize = 56;
/// Longest key.
pub(super) const KEY_MAX: usize = 256 * 1024;
/// Tags of one record.
pub(super) const TAGS_MAX: usize = crate::tags::TAGS_PER_OBJECT;

const SEGMENT_MAGIC: [u8; 8] = *b"HGSEG\0\0\x01";
const RECORD_MAGIC: [u8; 4] = *b"hgr\x01";

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub(super) id: u32,
    /// Seed of the checksums of record heads. Nobody whose response is stored knows it, so no content looks like a
    /// record.
    pub(super) secret: u64,
    /// Purge records written before, in all segments.
    pub(super) purges: u64,
}

impl SegmentHead {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEAD] {
        let mut out = [0; SEGMENT_HEAD];
        out[..8].copy_from_slice(&SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&self.id.to_le_bytes());
        out[16..24].copy_from_slice(&self.secret.to_le_bytes());
        out[24..32].copy_from_slice(&self.purges.to_le_bytes());
        let sum = XxHash3_64::oneshot(&out[..56]);
        out[56..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8; SEGMENT_HEAD]) -> Option<Self> {
        let whole = bytes[..8] == SEGMENT_MAGIC && number(bytes, 56) == XxHash3_64::oneshot(&bytes[..56]);
        whole.then(|| Self { id: short(bytes, 8), secret: number(bytes, 16), purges: number(bytes, 24) })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    PurgeKey,
    PurgeTag,
    /// `keep_until_ms` is the place in the key.
    PurgeBeginning,
}

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub(super) kind: Kind,
    tags: u32,
    key_len: u32,
    pub(super) value_len: u32,
    /// Counts records; never the same twice.
    pub(super) number: u64,
    pub(super) keep_until_ms: u64,
    /// Of the value.
    pub(super) checksum: u64,
    /// Purge records written before, so that one that was lost to damage is missed.
    pub(super) purges: u64,
}

impl RecordHead {
    /// Bytes of tags and key.
    pub(super) fn names_len(&self) -> usize {
        self.tags as usize * 8 + self.key_len as usize
    }

    /// Bytes of all of it, without what is left free behind it.
    pub(super) fn len(&self) -> u64 {
        (RECORD_HEAD + self.names_len()) as u64 + u64::from(self.value_len)
    }

    /// Reads a head; its checksum is not looked at, but its lengths are possible.
    pub(super) fn decode(bytes: &[u8; RECORD_HEAD]) -> Option<Self> {
        if bytes[..4] != RECORD_MAGIC {
            return None;
        }
        let kind = match bytes[4] {
            0 => Kind::Put,
            1 => Kind::PurgeKey,
            2 => Kind::PurgeTag,
            3 => Kind::PurgeBeginning,
            _ => return None,
        };
        let tags = u32::from(bytes[5]);
        let (key_len, value_len) = (short(bytes, 8), short(bytes, 12));
        let head = Self {
            kind,
            tags,
            key_len,
            value_len,
            number: number(bytes, 16),
            keep_until_ms: number(bytes, 24),
            checksum: number(bytes, 32),
            purges: number(bytes, 40),
        };
        (key_len as usize <= KEY_MAX && tags as usize <= TAGS_MAX).then_some(head)
    }
}

/// The whole of a record but its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    tags: &'a [u8],
    pub(super) key: &'a [u8],
}

impl<'a> Names<'a> {
    /// `bytes` begin with the head and go to the end of the key at least. None when they are damaged.
    pub(super) fn check(head: &RecordHead, secret: u64, bytes: &'a [u8]) -> Option<Self> {
        let end = RECORD_HEAD + head.names_len();
        let sum = head_checksum(secret, bytes.get(..48)?, bytes.get(RECORD_HEAD..end)?);
        if sum != number(bytes, 48) {
            return None;
        }
        let (tags, key) = bytes[RECORD_HEAD..end].split_at(head.tags as usize * 8);
        Some(Self { tags, key })
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = TagHash> {
        self.tags.chunks_exact(8).map(|bytes| TagHash(number(bytes, 0)))
    }

    /// What a record that is no put purges.
    pub(super) fn purge(&self, head: &RecordHead) -> Option<Purge> {
        match head.kind {
            Kind::Put => None,
            Kind::PurgeKey => Some(Purge::Key(self.key.into())),
            Kind::PurgeTag => self.tags().next().map(Purge::Tag),
            Kind::PurgeBeginning => {
                let at = u32::try_from(head.keep_until_ms).ok()?;
                Some(Purge::Beginning { at, bytes: self.key.into() })
            }
        }
    }
}

/// A record that is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft<'a> {
    pub(super) kind: Kind,
    pub(super) key: &'a [u8],
    pub(super) tags: &'a [TagHash],
    pub(super) keep_until_ms: u64,
    pub(super) value_len: u32,
    pub(super) value_checksum: u64,
}

impl Draft<'_> {
    pub(super) fn of_purge(purge: &Purge) -> Draft<'_> {
        let (kind, key, tags, at): (_, &[u8], &[TagHash], _) = match purge {
            Purge::Key(key) => (Kind::PurgeKey, key, &[], 0),
            Purge::Tag(tag) => (Kind::PurgeTag, &[], std::slice::from_ref(tag), 0),
            Purge::Beginning { at, bytes } => (Kind::PurgeBeginning, bytes, &[], *at),
        };
        let nothing = value_checksum(std::iter::empty());
        Draft { kind, key, tags, keep_until_ms: u64::from(at), value_len: 0, value_checksum: nothing }
    }

    /// Bytes that it takes in a segment.
    pub(super) fn room(&self) -> u64 {
        let names = RECORD_HEAD + self.tags.len() * 8 + self.key.len();
        (names as u64 + u64::from(self.value_len)).next_multiple_of(ALIGN)
    }

    /// Head, tags and key; the value follows.
    pub(super) fn encode(&self, number: u64, purges: u64, secret: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORD_HEAD + self.tags.len() * 8 + self.key.len());
        out.extend_from_slice(&RECORD_MAGIC);
        // Kinds are few, and tags of one record too.
        out.extend_from_slice(&[self.kind as u8, self.tags.len() as u8, 0, 0]);
        out.extend_from_slice(&(self.key.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.value_len.to_le_bytes());
        for field in [number, self.keep_until_ms, self.value_checksum, purges, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for tag in self.tags {
            out.extend_from_slice(&tag.0.to_le_bytes());
        }
        out.extend_from_slice(self.key);
        let sum = head_checksum(secret, &out[..48], &out[RECORD_HEAD..]);
        out[48..RECORD_HEAD].copy_from_slice(&sum.to_le_bytes());
        out
    }
}

fn head_checksum(secret: u64, head: &[u8], names: &[u8]) -> u64 {
    let mut hasher = XxHash3_64::with_seed(secret);
    hasher.write(head);
    hasher.write(names);
    hasher.finish()
}

pub(super) fn value_checksum<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = XxHash3_64::new();
    for piece in pieces {
        hasher.write(piece);
    }
    hasher.finish()
}

/// Whether `value` is what the record was written with.
pub(super) fn is_undamaged(head: &RecordHead, value: &[u8]) -> bool {
    value.len() == head.value_len as usize && XxHash3_64::oneshot(value) == head.checksum
}

/// `bytes` are long enough at each place that asks.
fn short(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from(short(bytes, at)) | u64::from(short(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], secret: u64) -> Option<(RecordHead, Vec<TagHash>, Vec<u8>)> {
        let head = RecordHead::decode(bytes.first_chunk()?)?;
        let names = Names::check(&head, secret, bytes)?;
        Some((head, names.tags().collect(), names.key.to_vec()))
    }

    proptest! {
        #[test]
        fn a_record_comes_back_and_damage_to_its_head_is_noticed(
            key: Vec<u8>, tags in prop::collection::vec(any::<u64>(), 0..5), keep_until_ms: u64, value_len: u32,
            at: prop::sample::Index, bit in 0..8_u8, secret: u64, count: u64,
        ) {
            let tags: Vec<TagHash> = tags.into_iter().map(TagHash).collect();
            let draft =
                Draft { kind: Kind::Put, key: &key, tags: &tags, keep_until_ms, value_len, value_checksum: 3 };
            let mut bytes = draft.encode(count, 9, secret);
            let (head, found_tags, found_key) = read(&bytes, secret).unwrap();
            prop_assert_eq!((&found_tags, &found_key), (&tags, &key));
            prop_assert_eq!((head.number, head.purges, head.keep_until_ms), (count, 9, keep_until_ms));
            prop_assert_eq!(head.len().next_multiple_of(ALIGN), draft.room());
            prop_assert!(read(&bytes, !secret).is_none());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(read(&bytes, secret).is_none());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(mut bytes: Vec<u8>, real: bool) {
            if real {
                bytes.splice(0..0, RECORD_MAGIC);
            }
            let _ = read(&bytes, 0);
        }
    }

    #[test]
    fn purges_come_back() {
        for purge in [
            Purge::Key((*b"key").into()),
            Purge::Tag(TagHash::of(b"shoes")),
            Purge::Beginning { at: 10, bytes: (*b"shop.example/").into() },
            Purge::everything(),
        ] {
            let bytes = Draft::of_purge(&purge).encode(1, 0, 5);
            let head = RecordHead::decode(bytes.first_chunk().unwrap()).unwrap();
            assert_eq!(Names::check(&head, 5, &bytes).unwrap().purge(&head), Some(purge));
        }
    }

    #[test]
    fn the_head_of_a_segment_comes_back_or_is_refused() {
        let head = SegmentHead { id: 7, secret: 8, purges: 9 };
        assert_eq!(SegmentHead::decode(&head.encode()), Some(head));
        for at in 0..SEGMENT_HEAD {
            let mut bytes = head.encode();
            bytes[at] ^= 4;
            assert_eq!(SegmentHead::decode(&bytes), None, "byte {at}");
        }
    }
}
