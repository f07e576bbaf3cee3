//! The thread that drains the workers' rings and writes their records. Workers do not wake it: it looks at
//! the rings every 20 ms while they are empty, so that a request costs no system call.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use headgate_model::spec;

use super::format::Format;
use super::output::Output;
use super::record::AccessRecord;
use super::ring::Consumer;
use crate::counter::Counter;
use crate::log::{self, Level, PeerEvent};
use crate::registry::WorkerMetrics;

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Records taken from one ring before the next ring's turn.
const TURN_RECORDS: usize = 128;
/// A batch is written when it has this size, and at the end of each round over the rings.
const BATCH_BYTES: usize = 64 << 10;

static WRITE_FAILED: PeerEvent = PeerEvent::new("access_log_write_failed");

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Stdout,
    /// Appended to, made when it is missing.
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl From<&spec::AccessLog> for Target {
    fn from(log: &spec::AccessLog) -> Self {
        log.path.as_ref().map_or(Self::Stdout, |path| Self::File(path.into()))
    }
}

/// The target could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "access log {target} cannot be opened for appending; check that its directory exists and is writable"
)]
pub struct OpenError {
    target: Target,
    #[source]
    source: io::Error,
}

/// The handle of the thread. When it is dropped, the thread goes on until all workers' ends are gone and what
/// they sent is written; nobody waits for that.
#[derive(Debug)]
pub struct AccessLogWriter {
    control: Arc<Control>,
    thread: Thread,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl AccessLogWriter {
    /// Opens the target and starts the thread. `counts` makes the thread's own counters; its id must be no
    /// worker's.
    ///
    /// # Errors
    /// When the target cannot be opened or the thread cannot be started.
    pub fn spawn(
        target: Target,
        format: Format,
        rings: Vec<Consumer>,
        counts: &WorkerMetrics,
    ) -> Result<Self, OpenError> {
        let file = open(&target)?;
        let control = Arc::new(Control::default());
        let lost = "Access log lines lost because they could not be written.";
        let (running, ended) = channel();
        let drain = Drain {
            rings,
            format,
            output: Output::new(file),
            target: target.clone(),
            batch: Vec::with_capacity(2 * BATCH_BYTES),
            message: Vec::new(),
            lines_lost: counts.counter("headgate_access_log_lines_lost_total", lost, &[]),
        };
        let for_thread = Arc::clone(&control);
        let thread = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || drain.run(&for_thread, running))
            .map_err(|source| OpenError { target, source })?;
        Ok(Self { control, thread: thread.thread().clone(), ended })
    }

    /// Opens the file anew, after a rotation has moved it. When that fails, the old file stays in use and
    /// the event log says so.
    pub fn reopen(&self) {
        self.order(|orders| orders.reopen = true);
    }

    /// Goes on with another target and format. When the target cannot be opened, the old ones stay in use.
    ///
    /// # Errors
    /// When the target cannot be opened.
    pub fn change(&self, target: Target, format: Format) -> Result<(), OpenError> {
        let file = open(&target)?;
        self.order(|orders| *orders = Orders { change: Some((target, format, file)), reopen: false });
        Ok(())
    }

    /// Writes what the rings hold and ends the thread. Workers should have stopped. `false` when
    /// `patience` ran out first, for example because standard output is blocked; the thread is then left.
    #[must_use]
    pub fn stop(self, patience: Duration) -> bool {
        self.control.stop.store(true, Ordering::Release);
        self.thread.unpark();
        self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        give(&mut self.control.orders());
        self.thread.unpark();
    }
}

impl Drop for AccessLogWriter {
    fn drop(&mut self) {
        self.control.abandoned.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[derive(Debug, Default)]
struct Control {
    /// End when the rings are empty.
    stop: AtomicBool,
    /// End when the rings are closed and empty.
    abandoned: AtomicBool,
    orders: Mutex<Orders>,
}

impl Control {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread is to do next; only the newest counts, so that a blocked thread collects no backlog.
#[derive(Debug, Default)]
struct Orders {
    change: Option<(Target, Format, File)>,
    reopen: bool,
}

/// What the thread owns.
struct Drain {
    rings: Vec<Consumer>,
    format: Format,
    output: Output<File>,
    target: Target,
    batch: Vec<u8>,
    message: Vec<u8>,
    lines_lost: Arc<Counter>,
}

impl Drain {
    /// `_running` is dropped when this returns or panics; that is how the end is told.
    fn run(mut self, control: &Control, _running: Sender<()>) {
        loop {
            // Looked at before the rings, so that what was queued before the stop is written.
            let stopping = control.stop.load(Ordering::Acquire)
                || control.abandoned.load(Ordering::Acquire) && self.rings.iter().all(Consumer::is_closed);
            let orders = std::mem::take(&mut *control.orders());
            self.obey(orders);
            if !self.round() {
                if stopping {
                    return;
                }
                thread::park_timeout(LOOK_EVERY);
            }
        }
    }

    fn obey(&mut self, orders: Orders) {
        if let Some((target, format, file)) = orders.change {
            (self.target, self.format, self.output) = (target, format, Output::new(file));
        }
        if orders.reopen {
            match open(&self.target) {
                Ok(file) => self.output = Output::new(file),
                Err(error) => {
                    let fields: log::Fields<'_> = &[("error", &error), ("cause", &error.source)];
                    log::event(Level::Error, "access log not reopened; the old file stays in use", fields);
                }
            }
        }
    }

    /// One turn for each ring. `false` when all were empty.
    fn round(&mut self) -> bool {
        let mut any = false;
        let mut rings = std::mem::take(&mut self.rings);
        for ring in &mut rings {
            for _ in 0..TURN_RECORDS {
                if !ring.pop(&mut self.message) {
                    break;
                }
                any = true;
                // Only `encode` fills the rings, so that every message decodes.
                if let Some((record, cut)) = AccessRecord::decode(&self.message) {
                    self.format.write(&record, cut, &mut self.batch);
                }
                if self.batch.len() >= BATCH_BYTES {
                    self.write_batch();
                }
            }
        }
        self.rings = rings;
        self.write_batch();
        any
    }

    fn write_batch(&mut self) {
        if let Err(failed) = self.output.write(&self.batch) {
            self.lines_lost.add(failed.lines_lost);
            let fields: log::Fields<'_> = &[("lines", &failed.lines_lost), ("cause", &failed.source)];
            log::peer_event(&WRITE_FAILED, Level::Error, "access log lines lost", fields);
        }
        self.batch.clear();
    }
}

/// Standard output without the buffer of `std`, whose line-wise flushing would cost a call per batch part.
fn open(target: &Target) -> Result<File, OpenError> {
    let file = match target {
        Target::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        Target::File(path) => OpenOptions::new().append(true).create(true).open(path),
    };
    file.map_err(|source| OpenError { target: target.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::{AccessLog, RING_BYTES};
    use crate::registry::{Registry, Value};
    use headgate_model::spec::LogFormat;
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A directory that is removed with its content.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let name =
                format!("headgate-observe-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn start(
        path: &Path,
        format: &str,
        registry: &Registry,
        workers: usize,
    ) -> (AccessLogWriter, Vec<AccessLog>) {
        let (logs, rings): (Vec<_>, Vec<_>) =
            (0..workers).map(|id| AccessLog::new(&registry.worker(id), RING_BYTES)).unzip();
        let writer =
            AccessLogWriter::spawn(Target::File(path.into()), parse(format), rings, &registry.worker(99));
        (writer.unwrap(), logs)
    }

    fn parse(format: &str) -> Format {
        Format::parse(&LogFormat::from(format.to_owned())).unwrap()
    }

    fn total(registry: &Registry, name: &str) -> u64 {
        let gathered = registry.gather();
        let series = gathered.into_iter().find(|family| family.name == name).unwrap().series;
        series.iter().map(|(_, value)| if let Value::Counter(count) = value { *count } else { 0 }).sum()
    }

    fn wait_for(path: &Path) {
        let begun = Instant::now();
        while !path.exists() {
            assert!(begun.elapsed() < PATIENCE, "{path:?} does not come");
            thread::yield_now();
        }
    }

    #[test]
    fn every_record_is_written_or_counted_as_dropped() {
        const PER_WORKER: u64 = 20_000;
        let (folder, registry) = (Folder::new(), Registry::default());
        let path = folder.file("access.log");
        let (writer, logs) = start(&path, "%method %duration_us", &registry, 2);
        thread::scope(|scope| {
            for (mut log, name) in logs.into_iter().zip([b"ONE", b"TWO"]) {
                scope.spawn(move || {
                    for n in 0..PER_WORKER {
                        log.record(&AccessRecord { method: name, duration_us: n, ..AccessRecord::default() });
                    }
                });
            }
        });
        assert!(writer.stop(PATIENCE));

        let text = fs::read_to_string(&path).unwrap();
        for name in ["ONE", "TWO"] {
            let numbers: Vec<u64> =
                (text.lines()).filter_map(|line| line.strip_prefix(name)?.trim().parse().ok()).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "one worker's lines keep their order");
        }
        let lines = text.lines().count() as u64;
        assert_eq!(lines, total(&registry, "headgate_access_log_records_total"));
        assert_eq!(lines + total(&registry, "headgate_access_log_dropped_total"), 2 * PER_WORKER);
        assert_eq!(total(&registry, "headgate_access_log_lines_lost_total"), 0);
    }

    #[test]
    fn without_its_handle_the_thread_writes_what_still_comes_and_ends() {
        let (folder, registry) = (Folder::new(), Registry::default());
        let path = folder.file("access.log");
        let (mut writer, mut logs) = start(&path, "%status", &registry, 2);
        let (_, nothing) = channel();
        let ended = std::mem::replace(&mut writer.ended, nothing);
        drop(writer);
        for (log, status) in logs.iter_mut().zip([200, 404]) {
            log.record(&AccessRecord { status, ..AccessRecord::default() });
        }
        drop(logs);
        assert_eq!(ended.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
        let mut lines: Vec<_> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["200", "404"]);
    }

    #[test]
    fn a_full_ring_drops_and_counts() {
        let registry = Registry::default();
        let (mut log, _ring_that_nobody_drains) = AccessLog::new(&registry.worker(0), 1_024);
        (0..100).for_each(|_| log.record(&AccessRecord::default()));
        let queued = total(&registry, "headgate_access_log_records_total");
        assert!((1..100).contains(&queued));
        assert_eq!(queued + total(&registry, "headgate_access_log_dropped_total"), 100);
    }

    #[test]
    fn after_a_rotation_lines_go_to_the_new_file() {
        let (folder, registry) = (Folder::new(), Registry::default());
        let path = folder.file("access.log");
        let (writer, mut logs) = start(&path, "%status", &registry, 1);
        fs::rename(&path, folder.file("access.log.1")).unwrap();
        writer.reopen();
        wait_for(&path);
        logs[0].record(&AccessRecord { status: 204, ..AccessRecord::default() });
        assert!(writer.stop(PATIENCE));
        assert_eq!(fs::read_to_string(&path).unwrap(), "204\n");
        assert_eq!(fs::read_to_string(folder.file("access.log.1")).unwrap(), "");
    }

    #[test]
    fn a_reload_can_change_file_and_format_but_not_to_an_impossible_place() {
        let (folder, registry) = (Folder::new(), Registry::default());
        let (writer, mut logs) = start(&folder.file("old.log"), "%status", &registry, 1);
        let impossible = Target::File(folder.file("missing/access.log"));
        let error = writer.change(impossible, parse("json")).unwrap_err().to_string();
        assert!(error.contains("missing/access.log"), "{error}");
        let new = folder.file("new.log");
        writer.change(Target::File(new.clone()), parse("%status!")).unwrap();
        while fs::metadata(&new).unwrap().len() == 0 {
            logs[0].record(&AccessRecord { status: 404, ..AccessRecord::default() });
            thread::yield_now();
        }
        assert!(writer.stop(PATIENCE));
        assert!(fs::read_to_string(&new).unwrap().lines().all(|line| line == "404!"));
    }
}
