//! The disk tier: a log of records in segment files of one size, written by one thread and read by a few, with its
//! index in memory. The oldest segment goes when the budget is full; what of it was asked for is written again.
//! A restart, also after a kill, finds what was written; damage is noticed by checksums and is a miss. After a
//! power failure the same holds, but purges of the last moments may be lost unless somebody waited for them.

mod barred;
mod event;
mod folder;
mod index;
mod log;
mod queue;
mod reader;
mod record;
mod scan;
mod state;
#[cfg(test)]
mod tests;
mod writer;

use crate::steady;
use crate::tier::{Kept, Looked, Purge, Put, Tier};
pub use event::Event;
use event::Say;
use folder::{Directory, Folder};
use log::{Limits, Log};
use queue::Queue;
use reader::{Job, Reader};
use record::{KEY_MAX, RECORD_HEAD, SEGMENT_HEAD, TAGS_MAX};
use state::{State, count};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use writer::Writer;

/// Threads that read.
const READERS: usize = 2;
/// Reads that wait for them. More are misses.
const READS: usize = 1_024;
/// What is left to write is waited for this long when the tier is closed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the tier holds and did, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Whether it is known what lies in the folder.
    pub ready: bool,
    /// Bytes of files.
    pub bytes: u64,
    pub objects: u64,
    pub hits: u64,
    pub misses: u64,
    /// Reads that were not done because too many waited.
    pub busy: u64,
    /// Records that were not what was written.
    pub damaged: u64,
    pub read_errors: u64,
    pub written: u64,
    /// Not written: the queue was full, or the tier off.
    pub dropped: u64,
    pub write_errors: u64,
}

/// The disk tier.
pub struct Disk {
    state: Arc<State>,
    queue: Arc<Queue>,
    limits: Limits,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    jobs: SyncSender<Job>,
    writer: JoinHandle<()>,
    readers: Vec<JoinHandle<()>>,
}

impl Disk {
    /// Starts the tier in the folder at `path`, which it makes when it can; `budget` is in bytes. It is on when it
    /// has the folder for itself and knows what lies there; `say` is told of that and of failures.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(path: &Path, budget: u64, say: impl Fn(&Event) + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_in(Box::new(Directory::new(path.to_owned())), Limits::of(budget), Box::new(say))
    }

    fn start_in(folder: Box<dyn Folder>, limits: Limits, say: Say) -> io::Result<Self> {
        let (state, queue, say) = (Arc::new(State::default()), Arc::new(Queue::default()), Arc::new(say));
        let log = Log::new(folder, Arc::clone(&state), limits);
        let writer = Writer::new(log, Arc::clone(&state), Arc::clone(&queue), Arc::clone(&say));
        let (jobs, waiting) = sync_channel(READS);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut readers = Vec::new();
        for number in 0..READERS {
            let reader =
                Reader { state: Arc::clone(&state), jobs: Arc::clone(&waiting), say: Arc::clone(&say) };
            readers.push(spawn(&format!("disk-read-{number}"), || reader.run())?);
        }
        let writer = spawn("disk-write", || writer.run())?;
        let threads = Mutex::new(Some(Threads { jobs, writer, readers }));
        Ok(Self { state, queue, limits, threads })
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        let counts = &self.state.counts;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            ready: self.state.ready.load(Ordering::Acquire),
            bytes: get(&counts.bytes),
            objects: self.state.index.count() as u64,
            hits: get(&counts.hits),
            misses: get(&counts.misses),
            busy: get(&counts.busy),
            damaged: get(&counts.damaged),
            read_errors: get(&counts.read_errors),
            written: get(&counts.written),
            dropped: get(&counts.dropped),
            write_errors: get(&counts.write_errors),
        }
    }

    /// Writes what waits, and gives the folder back. Waits for that a few seconds at most.
    pub fn close(&self) {
        self.queue.close();
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Threads { jobs, writer, readers }) = threads else { return };
        drop(jobs);
        let (done, ended) = sync_channel(1);
        // A device that hangs must not hang whoever stops; the threads end with the process then.
        let waits = std::thread::spawn(move || {
            // They end by themselves, whatever became of what they did.
            let _ = writer.join();
            for reader in readers {
                let _ = reader.join();
            }
            let _ = done.send(());
        });
        if ended.recv_timeout(PATIENCE).is_ok() {
            let _ = waits.join();
        }
    }

    fn is_too_large(&self, put: &Put) -> bool {
        let value: u64 = put.value.iter().map(|piece| piece.len() as u64).sum();
        let names = RECORD_HEAD + put.key.len() + put.tags.len() * 8;
        put.key.len() > KEY_MAX
            || put.tags.len() > TAGS_MAX
            || value + (names + SEGMENT_HEAD) as u64 + record::ALIGN > self.limits.segment
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

impl Tier for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn get(&self, key: &[u8]) -> Looked {
        let nothing = || Box::pin(std::future::ready(None));
        let hash = self.state.hash(key);
        let on = self.state.ready.load(Ordering::Acquire)
            && self.state.no_reads_until_ms.load(Ordering::Acquire) < steady::now_ms();
        let Some(place) = (if on { self.state.index.hit(hash) } else { None }) else {
            count(&self.state.counts.misses);
            return nothing();
        };
        let (answer, value) = tokio::sync::oneshot::channel();
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = threads.as_ref().is_some_and(|threads| {
            threads.jobs.try_send(Job { hash, place, key: key.into(), answer }).is_ok()
        });
        drop(threads);
        if !asked {
            count(&self.state.counts.busy);
            return nothing();
        }
        let kept = |bytes| Kept { bytes, received_ms: None };
        Box::pin(async move { value.await.ok().flatten().map(kept) })
    }

    fn put(&self, put: Put) {
        if !self.state.ready.load(Ordering::Acquire) {
            count(&self.state.counts.dropped);
            return;
        }
        let key = put.key.clone();
        if self.is_too_large(&put) || !self.queue.put(put) {
            count(&self.state.counts.dropped);
            self.purge(&Purge::Key(key));
        }
    }

    fn purge(&self, purge: &Purge) {
        let writes = match purge {
            // Where it is not known yet what lies in the folder, it may be there.
            Purge::Key(key) => {
                let was_there = self.state.index.remove(self.state.hash(key));
                was_there || !self.state.ready.load(Ordering::Acquire)
            }
            _ => true,
        };
        if !self.state.barred().add(purge) {
            self.queue.purge(Purge::everything());
        } else if writes {
            self.queue.purge(purge.clone());
        }
    }

    fn settled(&self) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> {
        let settled = self.queue.settle();
        Box::pin(async { settled.await.is_ok() })
    }
}
