//! Byte ranges of stored responses (RFC 9110 section 14): what a request asks for, what of it there is, and how
//! the answer is framed.

use super::fields::{Fields, Members, first};
use std::fmt;
use std::io::Write;

/// Ranges that one request may ask for; with more, `Range` is ignored (RFC 9110 section 17.15).
pub(super) const MAX_RANGES: usize = 16;

/// Bytes from `first` up to and with `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    pub first: u64,
    pub last: u64,
}

impl ByteRange {
    /// Number of bytes; never zero.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a range has at least one byte")]
    pub fn len(&self) -> u64 {
        self.last - self.first + 1
    }
}

/// What a request's `Range` means for content of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one answer; a box would be an allocation"
)]
pub enum Ranges {
    /// Answer as if it were not there.
    Ignore,
    /// Answer 416.
    Unsatisfiable,
    /// Answer 206 with these, in the order asked for.
    Parts(Parts),
}

/// One range or several.
#[derive(Clone, PartialEq, Eq)]
pub struct Parts {
    ranges: [ByteRange; MAX_RANGES],
    count: usize,
}

impl Parts {
    #[must_use]
    pub fn as_slice(&self) -> &[ByteRange] {
        &self.ranges[..self.count]
    }

    /// The range, when there is only one: then the answer is no multipart.
    #[must_use]
    pub fn single(&self) -> Option<ByteRange> {
        if let [range] = self.as_slice() { Some(*range) } else { None }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// One member of a `Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spec {
    /// `first-last`, both included.
    Bounded(u64, u64),
    /// `first-`
    From(u64),
    /// `-length`: the end.
    Suffix(u64),
}

impl Spec {
    fn parse(text: &[u8]) -> Option<Self> {
        let dash = text.iter().position(|&byte| byte == b'-')?;
        let (first, last) = (&text[..dash], &text[dash + 1..]);
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Self::Suffix(number(last)?)),
            (false, true) => Some(Self::From(number(first)?)),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Bounded(first, last))
            }
        }
    }

    /// The bytes that it means of `length`; None when there are none.
    #[must_use]
    pub(super) fn of(self, length: u64) -> Option<ByteRange> {
        let end = length.checked_sub(1)?;
        let (first, last) = match self {
            Self::Bounded(first, last) => (first, last.min(end)),
            Self::From(first) => (first, end),
            Self::Suffix(0) => return None,
            Self::Suffix(bytes) => (length.saturating_sub(bytes), end),
        };
        (first <= end).then_some(ByteRange { first, last })
    }
}

/// Digits as a number that saturates: a position behind all content is behind it however far.
fn number(digits: &[u8]) -> Option<u64> {
    let digit = |sum: u64, byte: &u8| {
        byte.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, digit) }
}

/// Members of a `Range` in bytes; None when it is in another unit, or when one of them is no range.
pub(super) fn specs(range: &[u8]) -> Option<impl Iterator<Item = Spec>> {
    let (unit, list) = range.split_at_checked(6)?;
    let whole =
        unit.eq_ignore_ascii_case(b"bytes=") && Members::new(list).all(|text| Spec::parse(text).is_some());
    whole.then(|| Members::new(list).filter_map(Spec::parse))
}

/// What `range`, the value of a `Range` field, means for content of `length` bytes.
#[must_use]
pub fn ranges(range: &[u8], length: u64) -> Ranges {
    let Some(specs) = specs(range) else { return Ranges::Ignore };
    let mut parts = Parts { ranges: [ByteRange { first: 0, last: 0 }; MAX_RANGES], count: 0 };
    let (mut asked, mut bytes) = (0, 0u64);
    for spec in specs {
        asked += 1;
        let Some(range) = spec.of(length) else { continue };
        if parts.count == MAX_RANGES {
            return Ranges::Ignore;
        }
        bytes = bytes.saturating_add(range.len());
        parts.ranges[parts.count] = range;
        parts.count += 1;
    }
    // More bytes than there are: ranges overlap. A client gains nothing by that, but a server loses.
    if asked == 0 || asked > MAX_RANGES || bytes > length {
        return Ranges::Ignore;
    }
    if parts.count == 0 { Ranges::Unsatisfiable } else { Ranges::Parts(parts) }
}

/// `Content-Range` of a 206: the bytes that it has, and of how many when that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    pub range: ByteRange,
    pub complete: Option<u64>,
}

impl ContentRange {
    /// Of the 206 with these fields; None when it has none in bytes, or one that cannot be. A multipart has none.
    pub fn of(response: &impl Fields) -> Option<Self> {
        Self::parse(first(response, b"content-range")?)
    }

    /// `bytes 0-4/10` or `bytes 0-4/*`
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = value.split_at_checked(6)?;
        let slash = rest.iter().position(|&byte| byte == b'/')?;
        let Spec::Bounded(first, last) = Spec::parse(&rest[..slash])? else { return None };
        let complete = match &rest[slash + 1..] {
            b"*" => None,
            digits => Some(number(digits)?),
        };
        let fits = unit.eq_ignore_ascii_case(b"bytes ") && complete.is_none_or(|complete| last < complete);
        fits.then_some(Self { range: ByteRange { first, last }, complete })
    }

    /// With the content that was really there: `stored_bytes` from its first byte on. What an upstream announces and
    /// does not send is not stored. None when there is nothing.
    #[must_use]
    pub fn clipped(self, stored_bytes: u64) -> Option<Self> {
        let last = self.range.first + stored_bytes.min(self.range.len()).checked_sub(1)?;
        Some(Self { range: ByteRange { last, ..self.range }, ..self })
    }

    /// The bytes that `range`, the value of a request's `Range` field, asks for, when it asks for one range and this
    /// part has all of it.
    #[must_use]
    pub fn answers(&self, range: &[u8]) -> Option<ByteRange> {
        let mut specs = specs(range)?;
        let (spec, None) = (specs.next()?, specs.next()) else { return None };
        let asked = match (spec, self.complete) {
            (_, Some(complete)) => spec.of(complete)?,
            (Spec::Bounded(first, last), None) => ByteRange { first, last },
            _ => return None,
        };
        (self.range.first <= asked.first && asked.last <= self.range.last).then_some(asked)
    }
}

/// Writes the value of `Content-Range` for `range` of `complete` bytes.
pub fn write_content_range(out: &mut Vec<u8>, range: ByteRange, complete: Option<u64>) {
    // Writing to a Vec does not fail.
    let _ = write!(out, "bytes {}-{}/", range.first, range.last);
    let _ = match complete {
        Some(complete) => write!(out, "{complete}"),
        None => write!(out, "*"),
    };
}

/// Writes the value of `Content-Range` for a 416.
pub fn write_unsatisfied_range(out: &mut Vec<u8>, complete: u64) {
    let _ = write!(out, "bytes */{complete}");
}
