//! What the threads of the disk tier share: where records lie, which of them are barred, the open segment files, and
//! the counts.

use super::barred::Barred;
use super::folder::SegmentFile;
use super::index::{Index, Place};
use super::record::{Kind, Names, RECORD_HEAD, RecordHead, is_undamaged};
use crate::key::KeyHasher;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// An open segment.
pub(super) struct Segment {
    pub(super) secret: u64,
    pub(super) file: Box<dyn SegmentFile>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) index: Index,
    barred: Mutex<Barred>,
    segments: RwLock<BTreeMap<u32, Arc<Segment>>>,
    hasher: KeyHasher,
    /// What lay in the folder is known, and the folder is this process's.
    pub(super) ready: AtomicBool,
    /// Reading is off until then, in milliseconds of Unix time.
    pub(super) no_reads_until_ms: AtomicU64,
    pub(super) counts: Counts,
}

/// Counts since the start, and what is there now.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) bytes: AtomicU64,
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) read_errors: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) write_errors: AtomicU64,
}

/// A record that was read.
pub(super) struct Read {
    pub(super) head: RecordHead,
    /// All of the record.
    bytes: Bytes,
}

impl Read {
    pub(super) fn value(&self) -> Bytes {
        self.bytes.slice(RECORD_HEAD + self.head.names_len()..)
    }

    /// `secret` is that of its segment.
    pub(super) fn names(&self, secret: u64) -> Option<Names<'_>> {
        Names::check(&self.head, secret, &self.bytes)
    }
}

/// Why a record could not be read.
pub(super) enum ReadError {
    /// Its segment has left meanwhile.
    Gone,
    Damaged,
    Io(io::Error),
}

impl State {
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.of_key(key)
    }

    pub(super) fn barred(&self) -> MutexGuard<'_, Barred> {
        self.barred.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segment(&self, id: u32) -> Option<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).get(&id).map(Arc::clone)
    }

    pub(super) fn add_segment(&self, id: u32, segment: Arc<Segment>) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).insert(id, segment);
    }

    pub(super) fn remove_segment(&self, id: u32) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// The record at `place`, if it is a whole and undamaged one. Whether it is the one that was meant, its key says.
    pub(super) fn read(&self, place: Place) -> Result<(Read, Arc<Segment>), ReadError> {
        let segment = self.segment(place.segment).ok_or(ReadError::Gone)?;
        let mut bytes = vec![0; place.len as usize];
        match segment.file.read_at(&mut bytes, u64::from(place.offset)) {
            Ok(()) => {}
            // Somebody has cut the file.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ReadError::Damaged),
            Err(error) => return Err(ReadError::Io(error)),
        }
        let head = bytes.first_chunk().and_then(RecordHead::decode).ok_or(ReadError::Damaged)?;
        let whole = head.kind == Kind::Put
            && head.len() == u64::from(place.len)
            && Names::check(&head, segment.secret, &bytes).is_some()
            && is_undamaged(&head, &bytes[RECORD_HEAD + head.names_len()..]);
        if !whole {
            return Err(ReadError::Damaged);
        }
        Ok((Read { head, bytes: bytes.into() }, segment))
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
