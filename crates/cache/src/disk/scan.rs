//! Reads the records of a segment file one after the other when the tier starts, without their values. Damage is
//! skipped up to the next whole record; a record that was not written to its end is the end.

use super::folder::SegmentFile;
use super::record::{ALIGN, Kind, Names, RECORD_HEAD, RecordHead, SEGMENT_HEAD, SegmentHead};
use std::io;

/// Bytes that are read at once.
const WINDOW: usize = 16 * 1024;

/// A segment file under the eyes.
pub(super) struct Scan<'f> {
    file: &'f dyn SegmentFile,
    len: u64,
    window: Vec<u8>,
    window_at: u64,
    at: u64,
    pub(super) head: SegmentHead,
    /// Times that something was skipped.
    pub(super) damaged: u64,
    /// What lies at the end is neither a record nor the beginning of one that was not written to its end.
    pub(super) ends_damaged: bool,
}

/// One record of a segment.
pub(super) struct Found<'s> {
    pub(super) head: RecordHead,
    pub(super) names: Names<'s>,
    pub(super) offset: u64,
}

impl<'f> Scan<'f> {
    /// None when the file does not begin as a segment with this id does.
    pub(super) fn new(file: &'f dyn SegmentFile, id: u32) -> io::Result<Option<Self>> {
        let len = file.len()?;
        if len < SEGMENT_HEAD as u64 {
            return Ok(None);
        }
        let mut head = [0; SEGMENT_HEAD];
        file.read_at(&mut head, 0)?;
        let head = SegmentHead::decode(&head).filter(|head| head.id == id);
        Ok(head.map(|head| Self {
            file,
            len,
            window: Vec::new(),
            window_at: 0,
            at: SEGMENT_HEAD as u64,
            head,
            damaged: 0,
            ends_damaged: false,
        }))
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Makes `len` bytes from the current place readable; false when the file has fewer.
    fn see(&mut self, len: usize) -> io::Result<bool> {
        if self.at + len as u64 > self.len {
            return Ok(false);
        }
        let end = self.window_at + self.window.len() as u64;
        if self.at < self.window_at || self.at + len as u64 > end {
            let most = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
            self.window.resize(len.max(WINDOW).min(most), 0);
            self.file.read_at(&mut self.window, self.at)?;
            self.window_at = self.at;
        }
        Ok(true)
    }

    /// What is visible from the current place on.
    fn seen(&self) -> &[u8] {
        // `see` has put the place into the window.
        &self.window[(self.at - self.window_at) as usize..]
    }

    /// The next whole record; None at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        let mut skipping = false;
        let (head, offset) = loop {
            if !self.see(RECORD_HEAD)? {
                return Ok(None);
            }
            if let Some(head) = self.record_here()? {
                break (head, self.at);
            }
            if !skipping {
                self.damaged += 1;
                self.ends_damaged = !self.is_torn();
                skipping = true;
            }
            self.at += ALIGN;
        };
        self.ends_damaged = false;
        let to = self.at - self.window_at;
        self.at += head.len().next_multiple_of(ALIGN);
        // Its checksum was right a moment ago.
        let names = Names::check(&head, self.head.secret, &self.window[to as usize..]);
        Ok(names.map(|names| Found { head, names, offset }))
    }

    /// Whether a put begins here that says it is longer than the file.
    fn is_torn(&self) -> bool {
        let head = self.seen().first_chunk().and_then(RecordHead::decode);
        head.is_some_and(|head| head.kind == Kind::Put && head.len() > self.len - self.at)
    }

    /// The head of a record that begins here and ends within the file.
    fn record_here(&mut self) -> io::Result<Option<RecordHead>> {
        let Some(head) = self.seen().first_chunk().and_then(RecordHead::decode) else { return Ok(None) };
        let fits = self.at.checked_add(head.len()).is_some_and(|end| end <= self.len);
        let value_is_right = head.kind == Kind::Put || head.value_len == 0;
        if !fits || !value_is_right || !self.see(RECORD_HEAD + head.names_len())? {
            return Ok(None);
        }
        Ok(Names::check(&head, self.head.secret, self.seen()).map(|_| head))
    }
}
