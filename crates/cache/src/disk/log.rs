//! The segments as the writer keeps them: appends records to the newest, takes the oldest away when there are too
//! many, and finds them all again at the start. One thread owns it. What it does when writing fails is decided by
//! [`super::writer`].

use super::barred::Barred;
use super::folder::Folder;
use super::index::Place;
use super::record::{ALIGN, Draft, Kind, SEGMENT_HEAD, SegmentHead, value_checksum};
use super::scan::Scan;
use super::state::{Segment, State, count};
use crate::steady;
use crate::tier::{Purge, Put, TagHash};
use bytes::Bytes;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes of one segment, unless the budget is small or very large.
const SEGMENT: u64 = 64 << 20;
const SEGMENT_MIN: u64 = 1 << 20;
/// Offsets in a segment are 32 bits.
const SEGMENT_MAX: u64 = 2 << 30;
/// A smaller budget has segments of a part of it, a larger one this many at most: each is an open file.
const SEGMENTS_MIN: u64 = 16;
const SEGMENTS_MAX: u64 = 512;
/// Bytes of the budget for each record that may be there: what bounds the index.
const BYTES_PER_ENTRY: u64 = 4_096;

const PADDING: [u8; ALIGN as usize] = [0; ALIGN as usize];

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) budget: u64,
    pub(super) segment: u64,
}

impl Limits {
    pub(super) fn of(budget: u64) -> Self {
        let segment = SEGMENT.min(budget / SEGMENTS_MIN).max(budget / SEGMENTS_MAX);
        Self { budget, segment: segment.clamp(SEGMENT_MIN, SEGMENT_MAX) }
    }
}

/// What the log knows of a segment.
struct Kept {
    id: u32,
    len: u64,
    /// Number that its first record has at least.
    first_number: u64,
    /// Hashes of the keys of its records.
    hashes: Vec<u64>,
}

pub(super) struct Log {
    folder: Box<dyn Folder>,
    state: Arc<State>,
    limits: Limits,
    /// Oldest first.
    kept: VecDeque<Kept>,
    /// The last of `kept` is written to.
    open: bool,
    next_id: u32,
    /// Purge records ever written.
    purges: u64,
    /// The newest segment has purges that the device may not have.
    unsynced: bool,
}

/// What was found in the folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Times that something was skipped.
    pub(super) damaged: u64,
    /// Damage has taken a purge with it; what was older than that was forgotten.
    pub(super) lost_purge: bool,
}

/// What is at the end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A record, or the beginning of one that was not written to its end.
    Whole,
    /// Something else, which may have been a purge.
    Damaged,
}

impl Log {
    pub(super) fn new(folder: Box<dyn Folder>, state: Arc<State>, limits: Limits) -> Self {
        let kept = VecDeque::new();
        Self { folder, state, limits, kept, open: false, next_id: 0, purges: 0, unsynced: false }
    }

    pub(super) fn lock(&mut self) -> io::Result<bool> {
        self.folder.lock()
    }

    pub(super) fn unlock(&mut self) {
        self.folder.unlock();
    }

    fn bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.len).sum()
    }

    fn show_bytes(&self) {
        self.state.counts.bytes.store(self.bytes(), Ordering::Relaxed);
    }

    /// Enters what lies in the folder, in the order in which it was written.
    pub(super) fn recover(&mut self) -> io::Result<Recovered> {
        self.forget();
        let mut recovered = Recovered::default();
        let mut purges = None;
        let mut end = End::Whole;
        let mut useless = Vec::new();
        for id in self.folder.list()? {
            self.next_id = self.next_id.max(id.saturating_add(1));
            let known = self.kept.len();
            end = self.recover_segment(id, &mut purges, &mut recovered)?;
            useless.extend((self.kept.len() == known).then_some(id));
        }
        self.purges = purges.unwrap_or_default();
        if end == End::Damaged {
            recovered.lost_purge = true;
            // Where more follows, the count of purges tells; here nothing does, so it is written down.
            self.apply(&Purge::everything());
            if self.purge(&Purge::everything()).is_err() {
                self.empty()?;
            }
        }
        for id in useless {
            self.folder.remove(id)?;
        }
        self.drop_empty();
        self.show_bytes();
        Ok(recovered)
    }

    /// Knows of no segment any more.
    fn forget(&mut self) {
        self.state.index.clear();
        for kept in self.kept.drain(..) {
            self.state.remove_segment(kept.id);
        }
        self.open = false;
        self.show_bytes();
    }

    /// Takes everything away.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.state.index.clear();
        self.state.barred().bar_all();
        while !self.kept.is_empty() {
            self.remove_oldest()?;
        }
        Ok(())
    }

    /// Takes the oldest segment away, with all that is in it, unless it is the only one.
    pub(super) fn give_up_oldest(&mut self) -> io::Result<()> {
        if self.kept.len() < 2 {
            return Ok(());
        }
        if let Some(oldest) = self.kept.front_mut() {
            for hash in std::mem::take(&mut oldest.hashes) {
                if let Some((place, _)) =
                    self.state.index.look(hash).filter(|(place, _)| place.segment == oldest.id)
                {
                    self.state.index.remove_at(hash, place);
                }
            }
        }
        self.remove_oldest()
    }

    fn recover_segment(
        &mut self,
        id: u32,
        purges: &mut Option<u64>,
        recovered: &mut Recovered,
    ) -> io::Result<End> {
        let file = self.folder.open(id)?;
        let Some(mut scan) = Scan::new(&*file, id)? else {
            recovered.damaged += 1;
            // Too short to hold anything: it was only just begun.
            let was_begun = file.len()? <= SEGMENT_HEAD as u64;
            return Ok(if was_begun { End::Whole } else { End::Damaged });
        };
        let first_number = self.state.barred().peek_number();
        let (secret, len) = (scan.head.secret, scan.len());
        let mut hashes = Vec::new();
        let mut expect = |known: &mut Option<u64>, said: u64| {
            let lost = known.is_some_and(|known| known != said);
            if lost {
                recovered.lost_purge = true;
                self.state.index.clear();
                self.state.barred().bar_all();
            }
            *known = Some(said);
        };
        expect(purges, scan.head.purges);
        while let Some(found) = scan.next()? {
            expect(purges, found.head.purges);
            self.state.barred().saw_number(found.head.number);
            if let Some(purge) = found.names.purge(&found.head) {
                *purges = purges.map(|count| count + 1);
                self.apply(&purge);
                continue;
            }
            let hash = self.state.hash(found.names.key);
            // The file is not longer than a segment may be, unless somebody made it so.
            let Ok(offset) = u32::try_from(found.offset) else { continue };
            let Ok(len) = u32::try_from(found.head.len()) else { continue };
            let is_of_use = found.head.keep_until_ms > steady::now_ms();
            self.state.index.insert_unless(hash, Place { segment: id, offset, len }, || !is_of_use);
            if is_of_use {
                hashes.push(hash);
            }
        }
        recovered.damaged += scan.damaged;
        let end = if scan.ends_damaged { End::Damaged } else { End::Whole };
        self.state.add_segment(id, Arc::new(Segment { secret, file }));
        self.kept.push_back(Kept { id, len, first_number, hashes });
        Ok(end)
    }

    /// Lets go of the oldest segments that hold nothing any more.
    fn drop_empty(&mut self) {
        let mut live = std::collections::BTreeSet::new();
        self.state.index.each(|place| {
            live.insert(place.segment);
        });
        while self.kept.front().is_some_and(|kept| !live.contains(&kept.id)) {
            if self.reclaim().is_err() {
                break;
            }
        }
    }

    /// Does to the index what a purge asks for.
    pub(super) fn apply(&self, purge: &Purge) {
        if let Purge::Key(key) = purge {
            self.state.index.remove(self.state.hash(key));
        }
        if !self.state.barred().add(purge) || purge.is_of_everything() {
            self.state.index.clear();
        }
    }

    /// Writes a record to the newest segment. After an error nothing of it is left.
    ///
    /// # Errors
    /// Of the device. None when the record was purged before it could be written.
    fn append(
        &mut self,
        draft: &Draft<'_>,
        value: &[Bytes],
        is_purged: impl FnOnce(&Barred) -> bool,
    ) -> io::Result<Option<Place>> {
        let Some(kept) = self.kept.back_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        let Some(segment) = self.state.segment(kept.id) else { return Err(io::ErrorKind::NotFound.into()) };
        let number = {
            let mut barred = self.state.barred();
            // A purge that comes later finds the number taken.
            if is_purged(&barred) {
                return Ok(None);
            }
            barred.take_number()
        };
        let names = draft.encode(number, self.purges, segment.secret);
        let len = names.len() as u64 + u64::from(draft.value_len);
        let mut slices = vec![IoSlice::new(&names)];
        slices.extend(value.iter().map(|piece| IoSlice::new(piece)));
        slices.push(IoSlice::new(&PADDING[..(draft.room() - len) as usize]));
        if let Err(error) = segment.file.append(&mut slices) {
            // What cannot be cut off is left behind: the next record goes to another segment.
            self.open = segment.file.cut(kept.len).is_ok();
            return Err(error);
        }
        // Both are within a segment.
        let place = Place { segment: kept.id, offset: kept.len as u32, len: len as u32 };
        kept.len += draft.room();
        self.state.counts.bytes.fetch_add(draft.room(), Ordering::Relaxed);
        Ok(Some(place))
    }

    /// Writes a put.
    pub(super) fn put(&mut self, put: &Put) -> io::Result<()> {
        let draft = Draft {
            kind: Kind::Put,
            key: &put.key,
            tags: &put.tags,
            keep_until_ms: put.keep_until_ms,
            // It fits a segment, whose length is less.
            value_len: put.value.iter().map(|piece| piece.len() as u32).sum(),
            value_checksum: value_checksum(put.value.iter().map(|piece| &piece[..])),
        };
        self.make_room(&draft)?;
        let is_purged = || put.birth.was_purged(&put.tags);
        let Some(place) = self.append(&draft, &put.value, |_| is_purged())? else { return Ok(()) };
        let hash = self.state.hash(&put.key);
        if let Some(kept) = self.kept.back_mut() {
            kept.hashes.push(hash);
        }
        if self.state.index.insert_unless(hash, place, is_purged) {
            count(&self.state.counts.written);
            return Ok(());
        }
        // Whoever purged the key meanwhile may have found nothing there that had to be purged in the log.
        self.purge(&Purge::Key(put.key.clone()))
    }

    /// Writes a purge.
    pub(super) fn purge(&mut self, purge: &Purge) -> io::Result<()> {
        let draft = Draft::of_purge(purge);
        self.make_room(&draft)?;
        self.append(&draft, &[], |_| false)?;
        self.purges += 1;
        self.unsynced = true;
        if purge.is_of_everything() {
            // What is before it is of no use any more.
            while self.kept.len() > 1 {
                self.remove_oldest()?;
            }
        }
        Ok(())
    }

    /// Waits until the device has all that was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(newest) = self.kept.back().and_then(|kept| self.state.segment(kept.id)) {
            newest.file.sync()?;
        }
        self.unsynced = false;
        Ok(())
    }

    fn make_room(&mut self, draft: &Draft<'_>) -> io::Result<()> {
        let full = |kept: &Kept| kept.len + draft.room() > self.limits.segment;
        if self.open && self.kept.back().is_some_and(|kept| !full(kept)) {
            return Ok(());
        }
        self.begin_segment()?;
        let most = usize::try_from(self.limits.budget / BYTES_PER_ENTRY).unwrap_or(usize::MAX);
        let segments_max = 2 * (self.limits.budget / self.limits.segment) as usize;
        while self.kept.len() > 1
            && (self.bytes() + self.limits.segment > self.limits.budget
                || self.kept.len() > segments_max
                || self.state.index.count() > most)
        {
            self.reclaim()?;
        }
        self.show_bytes();
        // What was carried over may have taken the room.
        if self.kept.back().is_some_and(|kept| kept.len + draft.room() > self.limits.segment) {
            self.begin_segment()?;
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.sync()?;
        }
        let id = self.next_id;
        let file = self.folder.create(id)?;
        self.next_id += 1;
        let head = SegmentHead { id, secret: RandomState::new().hash_one(id), purges: self.purges };
        if let Err(error) = file.append(&mut [IoSlice::new(&head.encode())]) {
            // At worst a file stays that is no segment; the next start removes it.
            let _ = self.folder.remove(id);
            return Err(error);
        }
        self.state.add_segment(id, Arc::new(Segment { secret: head.secret, file }));
        let first_number = self.state.barred().peek_number();
        self.kept.push_back(Kept { id, len: SEGMENT_HEAD as u64, first_number, hashes: Vec::new() });
        self.open = true;
        Ok(())
    }

    /// Takes the oldest segment away. What of it was asked for lately is written again, up to half of a segment:
    /// a second chance, as S3-FIFO gives (Yang et al., SOSP 2023).
    fn reclaim(&mut self) -> io::Result<()> {
        let Some(oldest) = self.kept.front_mut() else { return Ok(()) };
        let (id, hashes) = (oldest.id, std::mem::take(&mut oldest.hashes));
        let carries = self.open && self.kept.len() > 1;
        let mut left = self.limits.segment / 2;
        for hash in hashes {
            let Some((place, hits)) = self.state.index.look(hash).filter(|(place, _)| place.segment == id)
            else {
                continue;
            };
            let len = u64::from(place.len).next_multiple_of(ALIGN);
            if carries && hits > 0 && len <= left && self.carry_over(hash, place) {
                left -= len;
            } else {
                self.state.index.remove_at(hash, place);
            }
        }
        self.remove_oldest()
    }

    /// Writes a record again; false when it is of no use any more, or cannot be written.
    fn carry_over(&mut self, hash: u64, from: Place) -> bool {
        let Ok((read, segment)) = self.state.read(from) else { return false };
        let Some(names) = read.names(segment.secret) else { return false };
        let tags: Vec<TagHash> = names.tags().collect();
        let value = read.value();
        if read.head.keep_until_ms <= steady::now_ms() {
            return false;
        }
        let draft = Draft {
            kind: Kind::Put,
            key: names.key,
            tags: &tags,
            keep_until_ms: read.head.keep_until_ms,
            value_len: read.head.value_len,
            value_checksum: read.head.checksum,
        };
        if !self.open || self.kept.back().is_none_or(|kept| kept.len + draft.room() > self.limits.segment) {
            return false;
        }
        let is_barred = |barred: &Barred| barred.bars(read.head.number, names.key, tags.iter().copied());
        let Ok(Some(to)) = self.append(&draft, &[value], is_barred) else { return false };
        // Removed meanwhile: then its purge is still to be written, behind what was written now.
        if self.state.index.moved(hash, from, to)
            && let Some(kept) = self.kept.back_mut()
        {
            kept.hashes.push(hash);
        }
        true
    }

    fn remove_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.kept.front() else { return Ok(()) };
        self.folder.remove(oldest.id)?;
        self.state.remove_segment(oldest.id);
        self.kept.pop_front();
        if let Some(oldest) = self.kept.front() {
            self.state.barred().forget_before(oldest.first_number);
        } else {
            self.open = false;
        }
        self.show_bytes();
        Ok(())
    }
}
