//! What lies under a key in Redis: the bytes of the tier, after what the scripts have to know of them. All times are
//! lengths of time, so that no clock of two machines is compared.

use crate::tier::{Kept, Moment, Put};
use bytes::Bytes;

/// Before the tags: three numbers with 16 digits and the count of tags with 4, in decimal because the scripts read
/// them.
const HEAD: usize = 16 + 4 + 16 + 16;
const TAGS_MAX: usize = 1_000;
/// Nothing is kept for longer.
const KEEP_MAX_MS: u64 = 7 * 24 * 3_600_000;

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    /// Hashes of the tags, one after the other.
    pub(super) tags: Vec<u8>,
    pub(super) keep_ms: u64,
}

impl Frame {
    /// At `now_ms` of this machine's Unix time. None when it is of no use any more, or has too many tags.
    pub(super) fn new(put: &Put, born: Moment, now_ms: u64) -> Option<Self> {
        let keep_ms = put.keep_until_ms.saturating_sub(now_ms).min(KEEP_MAX_MS);
        if keep_ms == 0 || put.tags.len() > TAGS_MAX {
            return None;
        }
        let age_ms = now_ms.saturating_sub(put.received_ms).min(KEEP_MAX_MS);
        let tags: Vec<u8> = put.tags.iter().flat_map(|tag| tag.0.to_le_bytes()).collect();
        let head = format!("{:016}{:04}{keep_ms:016}{age_ms:016}", born.position, put.tags.len());
        let len = put.value.iter().map(Bytes::len).sum::<usize>();
        let mut bytes = Vec::with_capacity(head.len() + tags.len() + len);
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&tags);
        put.value.iter().for_each(|piece| bytes.extend_from_slice(piece));
        Some(Self { bytes, tags, keep_ms })
    }
}

/// Bytes that a frame has beyond those of the tier, at most.
pub(super) const OVERHEAD: usize = HEAD + TAGS_MAX * 8;

/// What a value is, of which Redis says that it has `left_ms` left. None when it is none.
pub(super) fn read(value: Vec<u8>, left_ms: i64, now_ms: u64) -> Option<Kept> {
    let number = |from: usize, to: usize| str::from_utf8(value.get(from..to)?).ok()?.parse::<u64>().ok();
    let (count, keep_ms, age_ms) = (number(16, 20)?, number(20, 36)?, number(36, HEAD)?);
    let at = HEAD + usize::try_from(count).ok()? * 8;
    let since_ms = keep_ms.checked_sub(u64::try_from(left_ms).ok()?)?.checked_add(age_ms)?;
    let bytes = Bytes::from(value);
    let bytes = (at <= bytes.len()).then(|| bytes.slice(at..))?;
    Some(Kept { bytes, received_ms: Some(now_ms.saturating_sub(since_ms)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tier::{Birth, Purged, TagHash};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn put(value: &[u8], tags: &[&[u8]], keep_until_ms: u64) -> Put {
        Put {
            key: Box::default(),
            value: vec![Bytes::new(), Bytes::copy_from_slice(value)],
            tags: tags.iter().map(|tag| TagHash::of(tag)).collect(),
            received_ms: 5_000,
            keep_until_ms,
            birth: Birth::now(&Arc::new(Purged::default()), b"", Moment::default()),
        }
    }

    #[test]
    fn a_value_comes_back_with_its_age_by_another_clock() {
        let put = put(b"hello", &[b"a", b"b"], 100_000);
        let frame = Frame::new(&put, Moment { session: 1, position: 77 }, 6_000).unwrap();
        assert_eq!((frame.keep_ms, frame.tags.len()), (94_000, 16));
        assert!(frame.bytes.starts_with(b"00000000000000770002"));
        // 10 s in Redis and 1 s before, for a reader whose clock is elsewhere.
        let kept = read(frame.bytes, 84_000, 1_000_000).unwrap();
        assert_eq!((&kept.bytes[..], kept.received_ms), (&b"hello"[..], Some(1_000_000 - 11_000)));
    }

    #[test]
    fn what_is_of_no_use_has_no_frame_and_nothing_stays_for_ever() {
        assert_eq!(Frame::new(&put(b"a", &[], 6_000), Moment::default(), 6_000), None);
        let long = Frame::new(&put(b"a", &[], u64::MAX), Moment::default(), 6_000).unwrap();
        assert_eq!(long.keep_ms, KEEP_MAX_MS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            mut value: Vec<u8>, head in "[0-9]{52}", real: bool, left_ms: i64, now_ms: u64,
        ) {
            if real {
                value.splice(..0, head.into_bytes());
            }
            let _ = read(value, left_ms, now_ms);
        }
    }
}
