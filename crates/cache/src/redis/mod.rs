//! The shared tier: responses in Redis or Valkey, which several gateways have in common, and the purges by which they
//! stay of one mind. It is optional and fails open: when Redis is slow or dead nothing is asked of it, and requests go
//! on.
//!
//! **The clock.** Every purge is one tick of a clock in Redis and one entry of a stream, written in one atomic step
//! with what makes older values unusable. The ids of entries are the ticks, without gaps.
//!
//! **Values.** A value carries the tick that was known when it was asked for, and its tags. It is kept only if no
//! entry since that tick means it, and given only if no tag, beginning or everything was purged since; both are
//! decided in Redis in one atomic step (`scripts.rs`). So no gateway gets what any gateway has purged there, however
//! late it hears of it.
//!
//! **Other gateways** follow the stream and purge what they have themselves, in the order of the stream. A gap in it
//! means that entries were missed.
//!
//! **Epochs.** What Redis knows belongs to an epoch, a name that it forgets together with the clock. A gateway that
//! comes back shows the last entry that it knows; when Redis does not have it (flushed, restarted empty, or with an
//! older state), a new epoch begins in which no older value is found. A gateway that finds another epoch than its
//! own, or a gap, trusts nothing that it has ([`Gateway::doubt`]). What lies on its disk knows up to which entry it was
//! purged, so that a restart repeats what it has missed (`catch_up.rs`).
//!
//! **While Redis is away** purges wait, and are written before anything is read or kept again. A value is kept only
//! in the session in which it was asked for.
//!
//! No clocks of two machines are compared: ages cross as lengths of time (`value.rs`).

mod catch_up;
mod entry;
mod event;
mod follow;
mod pending;
mod scripts;
mod session;
mod state;
mod value;

use crate::steady;
use crate::tier::{Looked, Moment, Notice, Noticed, Purge, Put, Tier};
use entry::Entry;
pub use event::Event;
use event::Say;
use headgate_policy::breaker::Condition;
use scripts::{Names, Position};
use session::{Job, Runner};
use state::{State, count};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Longest key.
const KEY_MAX: usize = 16 * 1024;
/// What waits to be written is waited for this long when the tier is closed.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);

/// The gateway that uses the tier, as the tier sees it.
pub trait Gateway: Send + Sync {
    /// Another gateway has purged this. Called in the order of the purges.
    fn hear(&self, notice: &Notice);

    /// Somebody has purged this while this process was not there: what lies on this machine is to be purged.
    fn hear_below(&self, what: &Noticed);

    /// Purges of others may have been missed: whatever is in memory may have been purged, and with `below` what lies
    /// on this machine too.
    fn doubt(&self, below: bool);

    /// What lies on this machine may be used from here on.
    fn release(&self);

    /// Whether it is known what lies on this machine.
    fn is_ready(&self) -> bool;

    /// What was remembered last on this machine, maybe by another process.
    fn recall(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send>>;

    /// Remembers behind all purges so far; false while that cannot be.
    fn remember(&self, position: &str) -> bool;
}

/// PEM files, read at each connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities instead of the public ones.
    pub ca: Option<PathBuf>,
    /// Certificate and key of this client.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Where Redis is and how it is used.
#[derive(Clone)]
pub struct Settings {
    /// TLS, with these files.
    pub tls: Option<TlsFiles>,
    pub host: String,
    pub port: u16,
    pub database: u32,
    pub user: Option<String>,
    pub password: Option<String>,
    /// Begins the names of everything that is written.
    pub prefix: String,
    /// How long a read may take.
    pub deadline: Duration,
    /// Longest value that is read, in bytes.
    pub max_value: u64,
}

/// What the tier did, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Whether Redis is there.
    pub on: bool,
    /// It is asked by single probes only, or not at all: 1 and 2.
    pub breaker: u8,
    pub hits: u64,
    pub misses: u64,
    /// Reads that took longer than the deadline.
    pub late: u64,
    /// Reads that were not done because too many were under way.
    pub busy: u64,
    /// Reads that were not done because Redis is away.
    pub off: u64,
    pub errors: u64,
    pub put: u64,
    /// Not put: something was purged meanwhile that may mean it, or it is of no use any more.
    pub outdated: u64,
    /// Not put: too much was under way; Redis is away; it failed.
    pub dropped_full: u64,
    pub dropped_off: u64,
    pub dropped_error: u64,
    /// Purges that wait for Redis.
    pub purges_waiting: u64,
    pub purges_sent: u64,
    pub purges_heard: u64,
    /// Times that purges of others may have been missed.
    pub doubts: u64,
}

/// The shared tier.
pub struct Redis {
    settings: Settings,
    state: Arc<State>,
    jobs: mpsc::UnboundedSender<Job>,
    waiting: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
    closing: watch::Sender<bool>,
    say: Arc<Say>,
    /// This gateway in the stream.
    me: String,
    purges: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Redis {
    /// A tier that is off until [`Self::start`]; `say` is told what happens to it.
    #[must_use]
    pub fn new(settings: Settings, say: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let me = format!("{:016x}", RandomState::new().hash_one((std::process::id(), steady::now_ms())));
        Self {
            settings,
            state: Arc::new(State::new()),
            jobs,
            waiting: Mutex::new(Some(waiting)),
            closing: watch::Sender::new(false),
            say: Arc::new(Box::new(say)),
            me,
            purges: AtomicU64::new(0),
            thread: Mutex::default(),
        }
    }

    /// Begins to connect, for this gateway. Only the first call has an effect.
    ///
    /// # Errors
    /// When no thread or no runtime can be started.
    pub fn start(&self, gateway: Arc<dyn Gateway>) -> io::Result<()> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(jobs) = waiting else { return Ok(()) };
        let runner = Runner {
            settings: self.settings.clone(),
            names: Names::new(&self.settings.prefix),
            state: Arc::clone(&self.state),
            gateway,
            jobs,
            closing: self.closing.subscribe(),
            say: Arc::clone(&self.say),
            me: self.me.clone(),
            written: Position::default(),
            is_up_to_date: false,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let run = move || runtime.block_on(runner.run());
        let thread = std::thread::Builder::new().name("redis".to_owned()).spawn(run)?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Writes the purges that wait, if Redis is there. Waits for that a few seconds at most.
    pub fn close(&self) {
        self.closing.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        let started = std::time::Instant::now();
        // What it waits for has deadlines; past them it ends with the process.
        while !thread.is_finished() && started.elapsed() < CLOSE_PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        let counts = &self.state.counts;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            on: self.state.is_on(),
            breaker: match self.state.condition() {
                Condition::Closed => 0,
                Condition::HalfOpen => 1,
                Condition::Open => 2,
            },
            hits: get(&counts.hits),
            misses: get(&counts.misses),
            late: get(&counts.late),
            busy: get(&counts.busy),
            off: get(&counts.off),
            errors: get(&counts.errors),
            put: get(&counts.put),
            outdated: get(&counts.outdated),
            dropped_full: get(&counts.dropped_full),
            dropped_off: get(&counts.dropped_off),
            dropped_error: get(&counts.dropped_error),
            purges_waiting: self.state.pending.count() as u64,
            purges_sent: get(&counts.purges_sent),
            purges_heard: get(&counts.purges_heard),
            doubts: get(&counts.doubts),
        }
    }
}

impl Tier for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn get(&self, key: &[u8]) -> Looked {
        let nothing = || Box::pin(std::future::ready(None));
        if key.len() > KEY_MAX {
            return nothing();
        }
        let Some(read) = self.state.begin_read() else { return nothing() };
        let (answer, kept) = oneshot::channel();
        let deadline = Instant::now() + self.settings.deadline;
        if self.jobs.send(Job::Read { key: key.into(), deadline, read, answer }).is_err() {
            return nothing();
        }
        Box::pin(async { kept.await.ok() })
    }

    fn put(&self, put: Put) {
        let bytes = put.key.len() + put.value.iter().map(|piece| piece.len()).sum::<usize>();
        if put.key.len() > KEY_MAX {
            count(&self.state.counts.dropped_full);
        } else if let Some(write) = self.state.begin_put(put.birth.moment, bytes) {
            // Where the thread has ended it is dropped.
            let _ = self.jobs.send(Job::Put { put, write });
        }
    }

    fn purge(&self, purge: &Purge) {
        if let Purge::Key(key) = purge
            && key.len() <= KEY_MAX
            && let Some(write) = self.state.begin_put(self.state.moment(), key.len())
        {
            let _ = self.jobs.send(Job::Forget { key: key.clone(), write });
        }
    }

    fn announce(&self, purge: &Purge, notice: &Notice) {
        let tag = match &notice.what {
            Noticed::Tag(name) => name.clone(),
            _ => Box::default(),
        };
        let token = format!("{}.{}", self.me, self.purges.fetch_add(1, Ordering::Relaxed));
        let entry = Entry { purge: purge.clone(), tag, soft: notice.soft, token };
        if !self.state.pending.add(entry) {
            (self.say)(&Event::Overflowed);
        }
    }

    fn moment(&self) -> Moment {
        self.state.moment()
    }

    fn settled(&self) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let state = Arc::clone(&self.state);
        let number = state.pending.added();
        let mut moved = state.moved.subscribe();
        Box::pin(async move {
            loop {
                if state.pending.is_written(number) {
                    return true;
                }
                // Without a session nobody knows when there will be one.
                if !state.is_on() || moved.changed().await.is_err() {
                    return false;
                }
            }
        })
    }
}
