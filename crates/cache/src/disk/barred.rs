//! Which records must not be read any more although they lie there: a tag or the beginning of a key was purged
//! after they were written. The numbers of records are given out here, so that "after" is exact.

use crate::tier::{Purge, TagHash};
use std::collections::{HashMap, VecDeque};

/// Tags that are remembered as purged. Beyond, everything is purged.
const TAGS: usize = 1 << 18;
/// The same for beginnings of keys.
const BEGINNINGS: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Barred {
    next: u64,
    /// Records below are barred.
    floor: u64,
    /// Number below which a record with the tag is barred.
    tags: HashMap<TagHash, u64>,
    beginnings: VecDeque<(u64, u32, Box<[u8]>)>,
}

impl Barred {
    /// The number of the next record.
    pub(super) fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The number that the next record will have.
    pub(super) fn peek_number(&self) -> u64 {
        self.next
    }

    /// A record with this number was found.
    pub(super) fn saw_number(&mut self, number: u64) {
        self.next = self.next.max(number.saturating_add(1));
    }

    /// Bars everything up to now.
    pub(super) fn bar_all(&mut self) {
        self.floor = self.next;
        self.tags.clear();
        self.beginnings.clear();
    }

    /// Bars what is purged of the records up to now. False when there was no room for it: then everything is
    /// barred. Single keys are not known here.
    pub(super) fn add(&mut self, purge: &Purge) -> bool {
        match purge {
            Purge::Key(_) => {}
            _ if purge.is_of_everything() => self.bar_all(),
            Purge::Tag(tag) => {
                if self.tags.len() >= TAGS && !self.tags.contains_key(tag) {
                    self.bar_all();
                    return false;
                }
                self.tags.insert(*tag, self.next);
            }
            Purge::Beginning { at, bytes } => {
                if self.beginnings.len() >= BEGINNINGS {
                    self.bar_all();
                    return false;
                }
                self.beginnings.push_back((self.next, *at, bytes.clone()));
            }
        }
        true
    }

    pub(super) fn bars(&self, number: u64, key: &[u8], mut tags: impl Iterator<Item = TagHash>) -> bool {
        let begins = |at: u32, bytes: &[u8]| key.get(at as usize..).is_some_and(|key| key.starts_with(bytes));
        number < self.floor
            || self.beginnings.iter().any(|(until, at, bytes)| number < *until && begins(*at, bytes))
            || tags.any(|tag| self.tags.get(&tag).is_some_and(|until| number < *until))
    }

    /// No record below `number` is left.
    pub(super) fn forget_before(&mut self, number: u64) {
        while self.beginnings.front().is_some_and(|(until, ..)| *until <= number) {
            self.beginnings.pop_front();
        }
        self.tags.retain(|_, until| *until > number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_a_purge_is_barred_and_what_comes_later_is_not() {
        let (shoes, hats) = (TagHash::of(b"shoes"), TagHash::of(b"hats"));
        let mut barred = Barred::default();
        let old = barred.take_number();
        assert!(barred.add(&Purge::Tag(shoes)));
        assert!(barred.add(&Purge::Beginning { at: 1, bytes: (*b"shop").into() }));
        let new = barred.take_number();
        let bars = |barred: &Barred, number, key: &[u8], tag| barred.bars(number, key, [tag].into_iter());
        assert!(bars(&barred, old, b"kother", shoes) && !bars(&barred, old, b"kother", hats));
        assert!(bars(&barred, old, b"kshop/a", hats) && !bars(&barred, old, b"shop", hats));
        assert!(!bars(&barred, new, b"kshop/a", shoes));
        assert!(barred.add(&Purge::everything()));
        assert!(bars(&barred, new, b"kother", hats));
    }

    #[test]
    fn purges_that_do_not_fit_bar_everything() {
        let mut barred = Barred::default();
        let number = barred.take_number();
        let purge = |n: usize| Purge::Beginning { at: 0, bytes: n.to_string().into_bytes().into() };
        assert!((0..BEGINNINGS).all(|n| barred.add(&purge(n))));
        assert!(!barred.bars(number, b"key", std::iter::empty()));
        assert!(!barred.add(&purge(BEGINNINGS)));
        assert!(barred.bars(number, b"key", std::iter::empty()));
        assert!(barred.add(&purge(0)), "there is room again");
    }
}
