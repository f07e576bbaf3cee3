//! The decision journal: what was decided, why, and how it turned out. Bounded in memory, appended to a folder by a
//! thread of its own where one is set, read by the admin listener and `headgate why`. It decides nothing, and no
//! request waits for it: an entry costs one short lock on a path that is rare.

mod disk;
mod query;
mod text;

pub use disk::{Loaded, load};
pub use query::Query;
pub use text::{clock, render};

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use headgate_model::decision::{Decision, Entry, Outcome};
use serde::{Deserialize, Serialize};

use crate::counter::Counter;
use crate::log::{Level, PeerEvent, peer_event};
use crate::registry::{Registry, WorkerMetrics};
use crate::timestamp::unix_us;

/// Entries in memory at most.
pub const ENTRIES_MAX: usize = 4_096;
/// Lines that may wait for the disk; more are dropped and counted.
const WAITING_MAX: usize = 1_024;

static WRITE_FAILED: PeerEvent = PeerEvent::new("journal_write_failed");

/// One journal. Clones are cheap and are the same one.
#[derive(Clone, Debug)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    entries: VecDeque<Arc<Entry>>,
    last_id: u64,
    writer: Option<Writer>,
    recorded: Arc<Counter>,
    dropped: Arc<Counter>,
}

/// The thread that appends to one folder.
#[derive(Debug)]
struct Writer {
    folder: PathBuf,
    lines: SyncSender<Line>,
    /// Disconnected when all is written and the thread has ended.
    ended: Receiver<()>,
}

/// One line on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Outcome { outcome_of: u64, outcome: Outcome },
    Entry(Box<Entry>),
}

/// An answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// Lines that never reached the disk, since the start.
    pub dropped: u64,
}

impl Default for Journal {
    /// In memory only, with counters that nobody reads.
    fn default() -> Self {
        Self::new(&Registry::default().worker(0))
    }
}

impl Journal {
    /// In memory only, until it is told a folder. `counts` makes its counters.
    #[must_use]
    pub fn new(counts: &WorkerMetrics) -> Self {
        let recorded =
            counts.counter("headgate_journal_entries_total", "Decisions that were journaled.", &[]);
        let help = "Lines of the decision journal that could not be written to its folder.";
        let dropped = counts.counter("headgate_journal_dropped_total", help, &[]);
        let inner = Inner { entries: VecDeque::new(), last_id: 0, writer: None, recorded, dropped };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Keeps it in `folder` from now on, which is made when it is missing; what is there already is read first.
    /// `None`: in memory only. The same folder again changes nothing.
    ///
    /// # Errors
    /// The folder cannot be made, or its file cannot be opened; the journal stays as it was.
    pub fn keep_in(&self, folder: Option<&Path>) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.writer.as_ref().map(|writer| writer.folder.as_path()) == folder {
            return Ok(());
        }
        let Some(folder) = folder else {
            inner.writer = None;
            return Ok(());
        };
        let file = disk::Segment::open(folder)?;
        let before = load(folder, ENTRIES_MAX)?;
        let (lines, waiting) = sync_channel(WAITING_MAX);
        let (end, ended) = channel::<()>();
        let dropped = Arc::clone(&self.inner);
        thread::Builder::new().name("journal".to_owned()).spawn(move || {
            write(file, &waiting, &dropped);
            drop(end);
        })?;
        inner.writer = Some(Writer { folder: folder.to_owned(), lines, ended });
        inner.adopt(before.entries);
        Ok(())
    }

    /// Takes in a decision; its number, for [`Self::outcome`].
    pub fn record(&self, decision: Decision) -> u64 {
        let at_us = unix_us(SystemTime::now());
        let decision = decision.bounded();
        let mut inner = self.lock();
        // Also after a restart, and beside a predecessor that writes to the same folder, numbers grow.
        let id = at_us.max(inner.last_id + 1);
        inner.last_id = id;
        let entry = Arc::new(Entry { id, at_us, decision, outcome: None });
        inner.recorded.inc();
        inner.push(Arc::clone(&entry));
        if inner.writer.is_some() {
            inner.send(Line::Entry(Box::new(Entry::clone(&entry))));
        }
        id
    }

    /// Adds how the decision `id` turned out. One that is no longer in memory gets it on disk only.
    pub fn outcome(&self, id: u64, outcome: Outcome) {
        let outcome = outcome.bounded();
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.iter_mut().rev().find(|entry| entry.id == id) {
            Arc::make_mut(entry).outcome = Some(outcome.clone());
        }
        inner.send(Line::Outcome { outcome_of: id, outcome });
    }

    /// What it has in memory that `query` asks for.
    #[must_use]
    pub fn page(&self, query: &Query) -> Page {
        let inner = self.lock();
        let dropped = inner.dropped.get();
        let entries: Vec<Arc<Entry>> = inner.entries.iter().cloned().collect();
        drop(inner);
        Page { entries: query.pick(entries), dropped }
    }

    /// Waits until all is on disk, `patience` at most. Afterwards it is in memory only.
    pub fn close(&self, patience: Duration) {
        let Some(Writer { lines, ended, .. }) = self.lock().writer.take() else { return };
        drop(lines);
        if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            peer_event(
                &WRITE_FAILED,
                Level::Error,
                "the end of the decision journal may not be on disk",
                &[],
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, entry: Arc<Entry>) {
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    fn send(&mut self, line: Line) {
        if self.writer.as_ref().is_some_and(|writer| writer.lines.try_send(line).is_err()) {
            self.dropped.inc();
        }
    }

    /// Puts what was on disk before what was recorded since, and writes that there too.
    fn adopt(&mut self, before: Vec<Entry>) {
        let since = std::mem::take(&mut self.entries);
        let before: BTreeMap<u64, Entry> = before.into_iter().map(|entry| (entry.id, entry)).collect();
        let since = since.into_iter().filter(|entry| !before.contains_key(&entry.id)).collect::<Vec<_>>();
        since.iter().for_each(|entry| self.send(Line::Entry(Box::new(Entry::clone(entry)))));
        let mut all: Vec<_> = before.into_values().map(Arc::new).chain(since).collect();
        all.sort_by_key(|entry| entry.id);
        self.last_id = all.last().map_or(self.last_id, |entry| entry.id.max(self.last_id));
        all.into_iter().for_each(|entry| self.push(entry));
    }
}

/// Appends lines until nobody sends any more.
fn write(mut file: disk::Segment, lines: &Receiver<Line>, counts: &Mutex<Inner>) {
    for line in lines {
        let written = serde_json::to_vec(&line).map_err(io::Error::other).and_then(|text| file.append(&text));
        if let Err(error) = written {
            // Counters have one writer at a time.
            counts.lock().unwrap_or_else(PoisonError::into_inner).dropped.inc();
            let fields: crate::log::Fields<'_> = &[("error", &error)];
            peer_event(&WRITE_FAILED, Level::Error, "the decision journal cannot be written", fields);
        }
    }
}

#[cfg(test)]
mod tests;
