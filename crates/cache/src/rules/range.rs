//! Byte ranges of stored responses (RFC 9110 section 14): what a request asks for, what of it there is, and how
//! the answer is framed.

use super::fields::{Fields, Members, lines};
use std::fmt;
use std::io::Write;

/// Ranges that one request may ask for; with more, `Range` is ignored (RFC 9110 section 17.15).
pub(super) const MAX_RANGES: usize = 16;

/// Bytes that a part of several costs beside its content, as RFC 9110 section 15.3.7.2 estimates it. Ranges that are
/// no further apart are answered as one.
const PART_OVERHEAD: u64 = 80;

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
    /// Answer 206 with these, in the order asked for; none touches another.
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

impl Parts {
    /// Puts ranges together that overlap, or have less between them than another part would cost. One stands where the
    /// first of its members stood (RFC 9110 section 15.3.7.2).
    fn coalesce(&mut self) {
        let mut at = 0;
        while at < self.count {
            let ByteRange { first, last } = self.ranges[at];
            let near = |other: &ByteRange| {
                first <= other.last.saturating_add(PART_OVERHEAD)
                    && other.first <= last.saturating_add(PART_OVERHEAD)
            };
            match self.as_slice()[at + 1..].iter().position(near) {
                Some(behind) => {
                    let other = self.ranges[at + 1 + behind];
                    self.ranges[at] = ByteRange { first: first.min(other.first), last: last.max(other.last) };
                    self.ranges.copy_within(at + 2 + behind..self.count, at + 1 + behind);
                    self.count -= 1;
                    // What was too far from either may be near to both.
                    at = 0;
                }
                None => at += 1,
            }
        }
    }

    /// Bytes of an answer with them, about.
    fn cost(&self) -> u64 {
        let framed = if self.count > 1 { PART_OVERHEAD * self.count as u64 } else { 0 };
        self.as_slice().iter().map(ByteRange::len).sum::<u64>() + framed
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
    if parts.count == 0 {
        return Ranges::Unsatisfiable;
    }
    if parts.count > 1 {
        parts.coalesce();
        // The whole is as short, and easier to understand.
        if parts.cost() >= length {
            return Ranges::Ignore;
        }
    }
    Ranges::Parts(parts)
}

/// `Content-Range` of a 206: the bytes that it has, and of how many when that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    pub range: ByteRange,
    pub complete: Option<u64>,
}

impl ContentRange {
    /// Of the 206 with these fields; None when it has none in bytes, more than one, or one that cannot be. A multipart
    /// has none, whatever its fields say.
    pub fn of(response: &impl Fields) -> Option<Self> {
        const MULTIPART: &[u8] = b"multipart/byteranges";
        let is_multipart = |content_type: &[u8]| {
            content_type.get(..MULTIPART.len()).is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART))
        };
        let mut values = lines(response, b"content-range");
        let (value, None) = (values.next()?, values.next()) else { return None };
        if lines(response, b"content-type").any(is_multipart) { None } else { Self::parse(value) }
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
        // No content has so many bytes, and nothing that is computed from it can overflow.
        let fits = fits && last < u64::MAX;
        fits.then_some(Self { range: ByteRange { first, last }, complete })
    }

    /// With the content that was really there: `stored_bytes` from its first byte on. What an upstream announces and
    /// does not send is not stored. None when there is nothing, or more than was announced.
    #[must_use]
    pub fn clipped(self, stored_bytes: u64) -> Option<Self> {
        let last = self.range.first.checked_add(stored_bytes.checked_sub(1)?)?;
        (last <= self.range.last).then_some(Self { range: ByteRange { last, ..self.range }, ..self })
    }

    /// The bytes of this part that answer a request with `range`, the value of its `Range` field: all of them when
    /// the part came for the same text, `asked_with`; else what the request asks for, when that is one range and this
    /// part has all of it.
    #[must_use]
    pub fn answer(&self, asked_with: &[u8], range: &[u8]) -> Option<ByteRange> {
        if asked_with == range {
            return Some(self.range);
        }
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

#[cfg(test)]
mod tests {
    use super::super::fields::tests::head;
    use super::*;
    use headgate_model::dice::Dice;

    fn parts(range: &str, length: u64) -> Option<Vec<(u64, u64)>> {
        match ranges(range.as_bytes(), length) {
            Ranges::Parts(parts) => {
                Some(parts.as_slice().iter().map(|range| (range.first, range.last)).collect())
            }
            _ => None,
        }
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (range, expected) in [
            ("bytes=0-499", vec![(0, 499)]),
            ("bytes=500-999", vec![(500, 999)]),
            ("bytes=-500", vec![(9_500, 9_999)]),
            ("bytes=9500-", vec![(9_500, 9_999)]),
            ("Bytes=0-0,-1", vec![(0, 0), (9_999, 9_999)]),
            ("bytes= 0-999, 4500-5499, -1000", vec![(0, 999), (4_500, 5_499), (9_000, 9_999)]),
            ("bytes=0-99999999999999999999999", vec![(0, 9_999)]),
            ("bytes=-99999999999999999999999", vec![(0, 9_999)]),
            ("bytes=5-6, 20000-", vec![(5, 6)]),
        ] {
            assert_eq!(parts(range, 10_000), Some(expected), "{range}");
        }
    }

    #[test]
    fn what_is_no_range_is_ignored() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "items=0-1",
            "bytes=1-0",
            "bytes=a-",
            "bytes=-",
            "bytes=0-1;",
            "bytes 0-1",
        ] {
            assert_eq!(ranges(range.as_bytes(), 100), Ranges::Ignore, "{range}");
        }
    }

    #[test]
    fn ranges_behind_the_end_are_unsatisfiable() {
        for (range, length) in [
            ("bytes=100-", 100),
            ("bytes=-0", 100),
            ("bytes=0-", 0),
            ("bytes=-1", 0),
            ("bytes=100-200, 300-", 100),
        ] {
            assert_eq!(ranges(range.as_bytes(), length), Ranges::Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn many_and_overlapping_ranges_are_ignored() {
        let many: Vec<String> = (0..17).map(|at| format!("{}-{}", 200 * at, 200 * at + 9)).collect();
        assert_eq!(ranges(format!("bytes={}", many.join(",")).as_bytes(), 10_000), Ranges::Ignore);
        assert_eq!(
            parts(&format!("bytes={}", many[..16].join(",")), 10_000).map(|parts| parts.len()),
            Some(16)
        );
        for range in ["0-,0-", "0-,0-0,0-0", "-1000,-1000", "0-500,100-999", "5-,1-"] {
            assert_eq!(ranges(format!("bytes={range}").as_bytes(), 1_000), Ranges::Ignore, "{range}");
        }
        let bomb = format!("bytes={}", vec!["0-"; 100_000].join(","));
        assert_eq!(ranges(bomb.as_bytes(), 1_000), Ranges::Ignore);
    }

    #[test]
    fn near_ranges_are_answered_as_one_in_the_place_of_the_first() {
        for (range, expected) in [
            ("0-9,10-19", vec![(0, 19)]),
            ("500-509, 0-9, 510-519", vec![(500, 519), (0, 9)]),
            ("0-9,89-99", vec![(0, 99)]),
            ("0-9,90-99", vec![(0, 9), (90, 99)]),
            ("0-9,300-309,150-159,80-89,230-239", vec![(0, 309)]),
            ("0-99,50-149", vec![(0, 149)]),
            ("-1,0-0", vec![(9_999, 9_999), (0, 0)]),
        ] {
            assert_eq!(parts(&format!("bytes={range}"), 10_000), Some(expected), "{range}");
        }
        assert_eq!(parts("bytes=0-9,20-29", 50), Some(vec![(0, 29)]));
        assert_eq!(parts("bytes=0-9,200-209", 190), Some(vec![(0, 9)]), "the other lies behind the end");
        assert_eq!(ranges(b"bytes=0-9,100-109", 120), Ranges::Ignore, "two parts are longer than all of it");
        assert_eq!(ranges(b"bytes=0-4,5-9", 10), Ranges::Ignore, "that is all of it");
    }

    #[test]
    fn parts_hold_what_was_asked_for_and_do_not_touch_whatever_is_asked() {
        for seed in 0..20_000 {
            let dice = &mut Dice::new(seed);
            let length = dice.below(2_000);
            let mut text = String::new();
            for _ in 0..dice.below(20) {
                let mut number = |empty| {
                    if dice.below(empty) == 0 { String::new() } else { dice.below(2_100).to_string() }
                };
                text +=
                    &format!("{}-{}{}", number(4), number(4), if number(9).is_empty() { " , " } else { "," });
            }
            let Ranges::Parts(parts) = ranges(format!("bytes={text}").as_bytes(), length) else { continue };
            let parts = parts.as_slice();
            let asked: Vec<ByteRange> = specs(format!("bytes={text}").as_bytes())
                .unwrap()
                .filter_map(|spec| spec.of(length))
                .collect();
            let context = format!("seed {seed}: {text} of {length}: {parts:?}");
            assert!(
                !parts.is_empty() && parts.iter().all(|part| part.first <= part.last && part.last < length),
                "{context}"
            );
            let within =
                |one: &ByteRange, other: &ByteRange| other.first <= one.first && one.last <= other.last;
            assert!(asked.iter().all(|asked| parts.iter().any(|part| within(asked, part))), "{context}");
            let apart = |one: &ByteRange, other: &ByteRange| {
                one == other
                    || one.last + PART_OVERHEAD < other.first
                    || other.last + PART_OVERHEAD < one.first
            };
            assert!(parts.iter().all(|one| parts.iter().all(|other| apart(one, other))), "{context}");
            let bytes = parts.iter().map(ByteRange::len).sum::<u64>();
            assert!(parts.len() == 1 || bytes + PART_OVERHEAD * (parts.len() as u64) < length, "{context}");
            let firsts = parts.iter().map(|part| asked.iter().position(|asked| within(asked, part)));
            assert!(firsts.is_sorted(), "{context}");
        }
    }

    #[test]
    fn content_range_is_read_as_it_is_written() {
        let part = ContentRange::parse(b"bytes 4-9/10").unwrap();
        assert_eq!((part.range.first, part.range.last, part.complete), (4, 9, Some(10)));
        let mut out = Vec::new();
        write_content_range(&mut out, part.range, None);
        assert_eq!(out, b"bytes 4-9/*");
        assert_eq!(ContentRange::parse(&out).map(|part| part.complete), Some(None));
        for value in [
            "bytes 4-9/9",
            "bytes 9-4/10",
            "bytes */10",
            "bytes 4-/10",
            "bytes -4/10",
            "items 4-9/10",
            "bytes 4-9",
            "bytes 0-18446744073709551615/*",
            "bytes 0-99999999999999999999/*",
        ] {
            assert_eq!(ContentRange::parse(value.as_bytes()), None, "{value}");
        }
        for bad in [
            "Content-Type: multipart/byteranges; boundary=x",
            "Content-Type: Multipart/Byteranges; boundary=x\nContent-Range: bytes 4-9/10",
            "Content-Range: bytes 4-9/10\nContent-Range: bytes 0-5/10",
        ] {
            assert_eq!(ContentRange::of(&head(bad)), None, "{bad}");
        }
        assert_eq!(
            ContentRange::of(&head("Content-Type: text/plain\nContent-Range: bytes 4-9/10")),
            Some(part)
        );
    }

    #[test]
    fn a_part_answers_what_lies_in_it() {
        let part = ContentRange::parse(b"bytes 4-9/20").unwrap();
        let answer =
            |range: &str| part.answer(b"bytes=4-9", range.as_bytes()).map(|range| (range.first, range.last));
        assert_eq!(answer("bytes=6-8"), Some((6, 8)));
        assert_eq!(answer("bytes=4-9"), Some((4, 9)));
        for range in
            ["bytes=3-5", "bytes=6-10", "bytes=6-", "bytes=-1", "bytes=5-6,7-8", "items=5-6", "bytes=20-"]
        {
            assert_eq!(answer(range), None, "{range}");
        }
        let end = ContentRange::parse(b"bytes 15-19/20").unwrap();
        assert_eq!(end.answer(b"", b"bytes=-2").map(|range| range.first), Some(18));
        assert_eq!(end.answer(b"", b"bytes=16-").map(|range| range.last), Some(19));
    }

    #[test]
    fn a_part_is_what_came_not_what_was_announced() {
        // As the public suite's origin does: six bytes announced, five sent.
        let part = ContentRange::parse(b"bytes 4-9/10").unwrap().clipped(5).unwrap();
        assert_eq!(part.answer(b"bytes=-5", b"bytes=-5"), Some(ByteRange { first: 4, last: 8 }));
        assert_eq!(part.answer(b"bytes=-5", b"bytes=6-8"), Some(ByteRange { first: 6, last: 8 }));
        assert_eq!(part.answer(b"bytes=-5", b"bytes=-1"), None);
        assert_eq!(part.answer(b"bytes=-5", b"bytes=6-"), None);
        assert_eq!((part.clipped(0), part.clipped(6)), (None, None), "nothing, and more than was announced");
        let far = ContentRange::parse(b"bytes 18446744073709551613-18446744073709551614/*").unwrap();
        assert_eq!((far.clipped(2), far.clipped(5)), (Some(far), None));
    }
}
