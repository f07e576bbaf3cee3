//! The bytes that a stored response is outside of this process: versioned, little-endian, self-contained, with a
//! checksum over all of it. Partial responses have no such form. Where the bytes lie is not known here.

use crate::object::{Content, Object};
use crate::rules::{Freshness, WhenStale, is_stored_block};
use bytes::Bytes;
use twox_hash::XxHash3_64;

/// The first bytes; another version of the form has another last one.
const MAGIC: [u8; 4] = *b"HGW\x01";
const RESPONSE: u8 = 1;
const VARIES: u8 = 2;

/// Before the key: magic and kind.
const START: usize = 5;
/// The checksum, XXH3 with 64 bits, ends it.
const CHECKSUM: usize = 8;

/// Content from this length on shares the allocation that it was read into.
const SHARED_MIN: usize = 64 * 1024;

const BODILESS: u8 = 1;
const ALWAYS_REVALIDATE: u8 = 2;
const IMMUTABLE: u8 = 4;

/// What lies under a key.
#[derive(Debug)]
pub(crate) enum Decoded {
    Response(Response),
    Varies(Varies),
}

/// A response without what only this process knows of it.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Box<[u8]>,
    pub(crate) content: Content,
    pub(crate) bodiless: bool,
    pub(crate) freshness: Freshness,
    pub(crate) selecting: Box<[u8]>,
    pub(crate) fetch_ms: u32,
    /// Names of its tags.
    pub(crate) tags: Vec<Bytes>,
}

/// Says that responses under a key differ by request fields, and lie under keys of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Varies {
    /// Part of those keys, so that a purge of this record leaves nothing that could be found.
    pub(crate) epoch: u64,
    /// `Vary` of the response, as a line of a block.
    pub(crate) vary: Box<[u8]>,
}

/// The bytes of a response under `key`, in pieces that share the object's content. None for a part.
pub(crate) fn encode(key: &[u8], object: &Object) -> Option<Vec<Bytes>> {
    if object.part.is_some() {
        return None;
    }
    let freshness = &object.freshness;
    let mut out = begin(RESPONSE, key, object.head.len() + object.selecting.len() + 256);
    let when_stale = match freshness.when_stale {
        WhenStale::Allowed => 0,
        WhenStale::OnlyAsSaid => 1,
        WhenStale::Forbidden => 2,
    };
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let flags = flag(object.bodiless, BODILESS)
        | flag(freshness.always_revalidate, ALWAYS_REVALIDATE)
        | flag(freshness.immutable, IMMUTABLE);
    out.extend_from_slice(&object.status.to_le_bytes());
    out.extend_from_slice(&[flags, when_stale]);
    out.extend_from_slice(&freshness.received_ms.to_le_bytes());
    for number in [
        freshness.initial_age_s,
        freshness.lifetime_s,
        freshness.stale_while_revalidate_s,
        freshness.stale_if_error_s,
        object.fetch_ms,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    push(&mut out, &object.selecting);
    push(&mut out, &object.head);
    out.extend_from_slice(&(object.tags.len() as u32).to_le_bytes());
    for tag in &object.tags {
        push(&mut out, tag.name());
    }
    out.extend_from_slice(&object.content.len().to_le_bytes());
    let mut pieces = vec![Bytes::from(out)];
    pieces.extend(object.content.pieces().iter().filter(|piece| !piece.is_empty()).cloned());
    Some(sealed(pieces))
}

/// The bytes that say by what the responses under `key` differ.
pub(crate) fn encode_varies(key: &[u8], varies: &Varies) -> Vec<Bytes> {
    let mut out = begin(VARIES, key, varies.vary.len() + 64);
    out.extend_from_slice(&varies.epoch.to_le_bytes());
    push(&mut out, &varies.vary);
    sealed(vec![Bytes::from(out)])
}

fn begin(kind: u8, key: &[u8], room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(START + key.len() + room);
    out.extend_from_slice(&MAGIC);
    out.push(kind);
    push(&mut out, key);
    out
}

/// Length and bytes. Everything that has one came out of a message head, whose length is limited far below 4 GiB.
fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn sealed(mut pieces: Vec<Bytes>) -> Vec<Bytes> {
    let sum = checksum(pieces.iter().map(|piece| &piece[..]));
    pieces.push(Bytes::copy_from_slice(&sum.to_le_bytes()));
    pieces
}

fn checksum<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = XxHash3_64::new();
    for piece in pieces {
        std::hash::Hasher::write(&mut hasher, piece);
    }
    std::hash::Hasher::finish(&hasher)
}

/// What `bytes` are, if they are undamaged and lie under `key`.
pub(crate) fn decode(key: &[u8], bytes: &Bytes) -> Option<Decoded> {
    let end = bytes.len().checked_sub(CHECKSUM)?;
    let sum = u64::from_le_bytes(bytes[end..].try_into().ok()?);
    if sum != checksum(std::iter::once(&bytes[..end])) {
        return None;
    }
    let mut input = Input { bytes, at: 0, end };
    if *input.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let [kind] = input.array()?;
    if *input.counted()? != *key {
        return None;
    }
    let decoded = match kind {
        RESPONSE => Decoded::Response(input.response()?),
        VARIES => Decoded::Varies(Varies {
            epoch: u64::from_le_bytes(input.array()?),
            vary: input.counted()?[..].into(),
        }),
        _ => return None,
    };
    (input.at == input.end).then_some(decoded)
}

/// Bytes that are read from the front. Nothing is allocated by what they say of lengths.
struct Input<'a> {
    bytes: &'a Bytes,
    at: usize,
    end: usize,
}

impl Input<'_> {
    fn take(&mut self, len: usize) -> Option<Bytes> {
        let to = self.at.checked_add(len).filter(|to| *to <= self.end)?;
        let taken = self.bytes.slice(self.at..to);
        self.at = to;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?[..].try_into().ok()
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn counted(&mut self) -> Option<Bytes> {
        let len = self.number()?;
        self.take(len as usize)
    }

    fn response(&mut self) -> Option<Response> {
        let status = u16::from_le_bytes(self.array()?);
        let [flags, when_stale] = self.array()?;
        let when_stale = match when_stale {
            0 => WhenStale::Allowed,
            1 => WhenStale::OnlyAsSaid,
            2 => WhenStale::Forbidden,
            _ => return None,
        };
        let freshness = Freshness {
            received_ms: u64::from_le_bytes(self.array()?),
            initial_age_s: self.number()?,
            lifetime_s: self.number()?,
            stale_while_revalidate_s: self.number()?,
            stale_if_error_s: self.number()?,
            when_stale,
            always_revalidate: flags & ALWAYS_REVALIDATE != 0,
            immutable: flags & IMMUTABLE != 0,
        };
        let fetch_ms = self.number()?;
        let selecting = self.counted()?[..].into();
        let head: Box<[u8]> = self.counted()?[..].into();
        let mut tags = Vec::new();
        for _ in 0..self.number()? {
            // Each takes four bytes of the input at least, or ends this.
            tags.push(self.counted()?);
        }
        let len = u64::from_le_bytes(self.array()?);
        let content = match self.take(usize::try_from(len).ok()?)? {
            // Shared, it would keep everything around it in memory too.
            small if small.len() < SHARED_MIN => Bytes::copy_from_slice(&small),
            large => large,
        };
        let content = Content::new(if content.is_empty() { Vec::new() } else { vec![content] });
        let bodiless = flags & BODILESS != 0;
        // Whoever wrote it must not reach beyond this response: into the framing of a client's connection.
        let has_content = !bodiless && !matches!(status, 204 | 304);
        let sound = (200..600).contains(&status) && (has_content || content.is_empty());
        if !sound || !is_stored_block(&head) {
            return None;
        }
        Some(Response { status, head, content, bodiless, freshness, selecting, fetch_ms, tags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Draft, Part};
    use crate::rules::{ByteRange, ContentRange};
    use crate::tags::Tags;
    use proptest::prelude::*;

    fn joined(pieces: &[Bytes]) -> Bytes {
        pieces.concat().into()
    }

    prop_compose! {
        fn freshness()(
            received_ms: u64, ages: [u32; 4], when_stale in 0..3_u8, always_revalidate: bool, immutable: bool,
        ) -> Freshness {
            let when_stale = [WhenStale::Allowed, WhenStale::OnlyAsSaid, WhenStale::Forbidden][when_stale as usize];
            let [initial_age_s, lifetime_s, stale_while_revalidate_s, stale_if_error_s] = ages;
            Freshness {
                received_ms, initial_age_s, lifetime_s, stale_while_revalidate_s, stale_if_error_s, when_stale,
                always_revalidate, immutable,
            }
        }
    }

    fn block() -> impl Strategy<Value = Vec<u8>> {
        "([a-z-]{1,9}x: [ -~]{0,20}\r\n){0,4}".prop_map(String::into_bytes)
    }

    prop_compose! {
        fn object()(
            status in 200..600_u16, head in block(), pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
            bodiless: bool, freshness in freshness(), selecting: Vec<u8>, fetch_ms: u32,
            names in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..5),
        ) -> Object {
            let pieces = if bodiless || matches!(status, 204 | 304) { Vec::new() } else { pieces };
            Object::loose(Draft {
                status,
                head: head.into(),
                content: Content::new(pieces.into_iter().map(Bytes::from).collect()),
                bodiless,
                part: None,
                freshness,
                selecting: selecting.into(),
                fetch_ms,
                tags: Tags::default().get(names.iter().map(|name| &name[..])).unwrap(),
                ahead: None,
                born: 0,
            })
        }
    }

    fn is_same(object: &Object, response: &Response) -> bool {
        let content = |content: &Content| content.slices(0, content.len()).collect::<Vec<_>>().concat();
        let names: Vec<&[u8]> = object.tags.iter().map(|tag| tag.name()).collect();
        object.status == response.status
            && object.head == response.head
            && content(&object.content) == content(&response.content)
            && object.bodiless == response.bodiless
            && object.freshness == response.freshness
            && object.selecting == response.selecting
            && object.fetch_ms == response.fetch_ms
            && names == response.tags
    }

    proptest! {
        #[test]
        fn a_response_comes_back_as_it_was(key: Vec<u8>, object in object()) {
            let bytes = joined(&encode(&key, &object).unwrap());
            let Some(Decoded::Response(response)) = decode(&key, &bytes) else { panic!("not decoded") };
            prop_assert!(is_same(&object, &response));
        }

        #[test]
        fn damage_anywhere_is_noticed(
            object in object(), at: prop::sample::Index, bit in 0..8_u8, cut: prop::sample::Index,
        ) {
            let whole = encode(b"key", &object).unwrap().concat();
            let mut flipped = whole.clone();
            flipped[at.index(whole.len())] ^= 1 << bit;
            prop_assert!(decode(b"key", &flipped.into()).is_none());
            prop_assert!(decode(b"key", &Bytes::copy_from_slice(&whole[..cut.index(whole.len())])).is_none());
            prop_assert!(decode(b"kez", &whole.into()).is_none());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(mut bytes: Vec<u8>, kind in 0..4_u8, real: bool) {
            if real {
                // Past magic and key, where lengths stand.
                let mut start = begin(kind, b"", 0);
                start.append(&mut bytes);
                bytes = start;
            }
            let _ = decode(b"", &joined(&sealed(vec![bytes.into()])));
        }
    }

    #[test]
    fn what_would_reach_into_framing_is_refused() {
        let decoded = |status: u16, head: &str, content: &'static [u8]| {
            let object = Object::loose(Draft {
                status,
                head: head.as_bytes().into(),
                ..Draft::fresh(Bytes::from_static(content))
            });
            decode(b"key", &joined(&encode(b"key", &object).unwrap())).is_some()
        };
        assert!(decoded(200, "a: b\r\n", b"content"));
        for head in [
            "\r\n",
            "a: b\n",
            "a: b",
            "a: b\rc: d\r\n",
            "a b: c\r\n",
            "Content-Length: 3\r\n",
            "transfer-encoding: chunked\r\n",
            "no colon\r\n",
        ] {
            assert!(!decoded(200, head, b"content"), "{head:?}");
        }
        for status in [0, 101, 199, 204, 304, 600] {
            assert!(!decoded(status, "", b"content"), "{status}");
        }
        assert!(decoded(204, "", b""));
    }

    #[test]
    fn what_responses_differ_by_comes_back_too() {
        let varies = Varies { epoch: 7, vary: (*b"vary: accept\r\n").into() };
        let bytes = joined(&encode_varies(b"key", &varies));
        assert!(matches!(decode(b"key", &bytes), Some(Decoded::Varies(found)) if found == varies));
    }

    #[test]
    fn a_part_has_no_such_form() {
        let range = ContentRange { range: ByteRange { first: 0, last: 3 }, complete: Some(10) };
        let mut object = Object::loose(Draft { status: 206, ..Draft::fresh(Bytes::from_static(b"abcd")) });
        assert!(encode(b"key", &object).is_some());
        object.part = Some(Part { range, asked: (*b"bytes=0-3").into() });
        assert!(encode(b"key", &object).is_none());
    }
}
