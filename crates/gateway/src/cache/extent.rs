//! What of a response a client gets: what its conditions and ranges leave.

use super::answer::Lookup;
use crate::head_fields::HeadFields;
use headgate_cache::object::Part;
use headgate_cache::rules::{
    Answer, Block, ByteRange, Freshness, Multipart, Ranges, evaluate, first, if_range_holds, ranges,
};
use headgate_net::head::Method;
use std::hash::{BuildHasher, RandomState};

/// What of a response the client gets.
pub(super) enum Extent {
    Whole,
    NotModified,
    Range(ByteRange),
    /// Several ranges, which only a response that is complete can give.
    Ranges(Box<Multipart>),
    Unsatisfiable,
}

/// A response that is stored or being stored, as far as its head goes.
pub(super) struct Known<'a> {
    pub status: u16,
    pub lines: &'a [u8],
    pub freshness: Option<&'a Freshness>,
    pub length: Option<u64>,
    pub bodiless: bool,
    /// All of its content is there.
    pub is_complete: bool,
    /// Where it is a part of the whole only, which was found because it answers this request.
    pub part: Option<&'a Part>,
}

impl Known<'_> {
    /// What the request's conditions and ranges leave of it.
    pub(super) fn extent(&self, look: &Lookup<'_, '_>) -> Extent {
        let asked = &look.asked;
        if !asked.conditional && !asked.range {
            return Extent::Whole;
        }
        let Some(freshness) = self.freshness else { return Extent::Whole };
        let (request, stored) = (HeadFields(look.x.head), Block(self.lines));
        if asked.conditional
            && evaluate(&request, &stored, self.status, freshness.received_ms) == Answer::NotModified
        {
            return Extent::NotModified;
        }
        if let Some(part) = self.part {
            return stored_part(look, part);
        }
        let ranged = asked.range && look.x.head.line.method == Method::Get && self.status == 200;
        let (Some(length), Some(range)) = (self.length, first(&request, b"range").filter(|_| ranged)) else {
            return Extent::Whole;
        };
        if !if_range_holds(&request, &stored, freshness.received_ms) {
            return Extent::Whole;
        }
        match ranges(range, length) {
            Ranges::Ignore => Extent::Whole,
            Ranges::Unsatisfiable => Extent::Unsatisfiable,
            Ranges::Parts(parts) => match parts.single() {
                Some(range) => Extent::Range(range),
                None if self.is_complete => {
                    let content_type = first(&stored, b"content-type");
                    let multipart = Multipart::new(parts, content_type, length, unforeseen_bits());
                    Extent::Ranges(Box::new(multipart))
                }
                // In what order they come is the client's choice; the whole is always right.
                None => Extent::Whole,
            },
        }
    }
}

/// What a stored part gives this request: all of it where it was asked for in the same words.
fn stored_part(look: &Lookup<'_, '_>, part: &Part) -> Extent {
    let request = HeadFields(look.x.head);
    let range = first(&request, b"range").unwrap_or_default();
    match part.range.answer(&part.asked, range) {
        Some(within) if *part.asked != *range => Extent::Range(within),
        _ => Extent::Whole,
    }
}

/// For the boundary of a multipart: from keys of the process that no peer knows.
fn unforeseen_bits() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(0u8));
    half() << 64 | half()
}
