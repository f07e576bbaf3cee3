//! The readers: a few threads that wait for the device in place of the workers.

use super::event::{Event, Say};
use super::index::Place;
use super::state::{ReadError, State, count};
use crate::steady;
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// How long nothing is read after the device failed, in milliseconds.
const OFF_MS: u64 = 10_000;

/// One record that somebody wants.
pub(super) struct Job {
    pub(super) hash: u64,
    pub(super) place: Place,
    pub(super) key: Box<[u8]>,
    pub(super) answer: oneshot::Sender<Option<Bytes>>,
}

pub(super) struct Reader {
    pub(super) state: Arc<State>,
    pub(super) jobs: Arc<Mutex<Receiver<Job>>>,
    pub(super) say: Arc<Say>,
}

impl Reader {
    /// Until nobody can ask any more.
    pub(super) fn run(self) {
        loop {
            let job = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            // Whoever asked may have lost patience.
            if !job.answer.is_closed() {
                let value = self.read(&job);
                count(if value.is_some() { &self.state.counts.hits } else { &self.state.counts.misses });
                let _ = job.answer.send(value);
            }
        }
    }

    fn read(&self, job: &Job) -> Option<Bytes> {
        let (read, segment) = match self.state.read(job.place) {
            Ok(read) => read,
            Err(ReadError::Gone) => return None,
            Err(ReadError::Damaged) => {
                count(&self.state.counts.damaged);
                self.state.index.remove_at(job.hash, job.place);
                return None;
            }
            Err(ReadError::Io(error)) => {
                count(&self.state.counts.read_errors);
                let until = steady::now_ms() + OFF_MS;
                let before = self.state.no_reads_until_ms.swap(until, Ordering::AcqRel);
                if before < steady::now_ms() {
                    (self.say)(&Event::ReadFailed { error: error.to_string() });
                }
                return None;
            }
        };
        let names = read.names(segment.secret)?;
        let is_wanted = *names.key == *job.key
            && read.head.keep_until_ms > steady::now_ms()
            && !self.state.barred().bars(read.head.number, names.key, names.tags());
        is_wanted.then(|| read.value())
    }
}
