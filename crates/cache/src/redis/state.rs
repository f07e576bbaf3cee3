//! What workers and the thread of the tier share: whether Redis is to be asked, what waits for it, and the counts.

use super::pending::Pending;
use crate::tier::Moment;
use headgate_model::spec;
use headgate_model::units::Tick;
use headgate_policy::breaker::{Admission, Breaker, Change, Condition, Outcome};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Reads that are under way. More are misses.
const READS: usize = 1_024;
/// Puts that are under way, and bytes that they may have. More are dropped.
const PUTS: usize = 4_096;
const BYTES: usize = 64 << 20;
/// Fewer reads in the breaker's window do not open it.
const BREAKER_READS: u32 = 5;
const BREAKER_WINDOW: Duration = Duration::from_secs(5);
/// The first pause; it doubles up to ten times this.
const BREAKER_OPEN: Duration = Duration::from_secs(1);
const BREAKER_PROBES: u16 = 2;

pub(super) struct State {
    started: Instant,
    /// Number of the session with Redis; 0 while there is none.
    session: AtomicU64,
    /// Sessions so far.
    sessions: AtomicU64,
    /// Purges that are known to be in Redis.
    position: AtomicU64,
    breaker: Mutex<Breaker>,
    reads: AtomicUsize,
    puts: AtomicUsize,
    put_bytes: AtomicUsize,
    pub(super) pending: Pending,
    /// Told when purges were written and when a session ends.
    pub(super) moved: watch::Sender<()>,
    pub(super) counts: Counts,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) off: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) put: AtomicU64,
    pub(super) outdated: AtomicU64,
    pub(super) dropped_full: AtomicU64,
    pub(super) dropped_off: AtomicU64,
    pub(super) dropped_error: AtomicU64,
    pub(super) purges_sent: AtomicU64,
    pub(super) purges_heard: AtomicU64,
    pub(super) doubts: AtomicU64,
}

impl State {
    pub(super) fn new() -> Self {
        let breaker = spec::Breaker {
            minimum_requests: BREAKER_READS,
            window: spec::Span(BREAKER_WINDOW),
            open: spec::Span(BREAKER_OPEN),
            probes: BREAKER_PROBES,
            ..spec::Breaker::default()
        };
        Self {
            started: Instant::now(),
            session: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            position: AtomicU64::new(0),
            breaker: Mutex::new(Breaker::new(&breaker)),
            reads: AtomicUsize::new(0),
            puts: AtomicUsize::new(0),
            put_bytes: AtomicUsize::new(0),
            pending: Pending::default(),
            moved: watch::Sender::new(()),
            counts: Counts::default(),
        }
    }

    fn now(&self) -> Tick {
        // 584 years fit.
        Tick(self.started.elapsed().as_nanos() as u64)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_on(&self) -> bool {
        self.session.load(Ordering::Acquire) != 0
    }

    /// Redis may be asked from here on; all purges up to `position` were before.
    pub(super) fn begin(&self, position: u64) {
        // First: whoever reads the number of the session reads a position of it or of a later one.
        self.position.store(position, Ordering::Release);
        let number = self.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        self.session.store(number, Ordering::Release);
    }

    /// False when there was no session.
    pub(super) fn end(&self) -> bool {
        let was_on = self.session.swap(0, Ordering::AcqRel) != 0;
        self.moved.send_replace(());
        was_on
    }

    /// Redis has all purges up to `position`.
    pub(super) fn saw(&self, position: u64) {
        self.position.fetch_max(position, Ordering::AcqRel);
    }

    pub(super) fn moment(&self) -> Moment {
        let session = self.session.load(Ordering::Acquire);
        Moment { session, position: self.position.load(Ordering::Acquire) }
    }

    pub(super) fn condition(&self) -> Condition {
        self.breaker().condition()
    }

    /// A place for one read. None when Redis is not to be asked now.
    pub(super) fn begin_read(self: &Arc<Self>) -> Option<Read> {
        if !self.is_on() {
            count(&self.counts.off);
            return None;
        }
        if self.reads.fetch_add(1, Ordering::Relaxed) >= READS {
            self.reads.fetch_sub(1, Ordering::Relaxed);
            count(&self.counts.busy);
            return None;
        }
        let admission = self.breaker().admit(self.now());
        let read = Read { state: Arc::clone(self), admission };
        if admission == Admission::Refused {
            count(&self.counts.off);
            return None;
        }
        Some(read)
    }

    /// A place for a put of that many bytes which was asked for at `born`. None when it cannot be kept now.
    pub(super) fn begin_put(self: &Arc<Self>, born: Moment, bytes: usize) -> Option<Write> {
        let session = self.session.load(Ordering::Acquire);
        if session == 0 || session != born.session || self.condition() != Condition::Closed {
            count(&self.counts.dropped_off);
            return None;
        }
        let write = Write { state: Arc::clone(self), bytes };
        let puts = self.puts.fetch_add(1, Ordering::Relaxed);
        let before = self.put_bytes.fetch_add(bytes, Ordering::Relaxed);
        if puts >= PUTS || before + bytes > BYTES {
            count(&self.counts.dropped_full);
            return None;
        }
        Some(write)
    }
}

/// One read that is under way.
pub(super) struct Read {
    state: Arc<State>,
    admission: Admission,
}

impl Read {
    /// Tells how it ended, which may change whether Redis is asked: for how long it is not, or that it is again.
    pub(super) fn end(self, outcome: Outcome) -> Option<Result<Duration, ()>> {
        let now = self.state.now();
        match self.state.breaker().record(now, self.admission, outcome)? {
            Change::Opened { until, .. } | Change::Reopened { until } => Some(Ok(until.since(now))),
            Change::Closed => Some(Err(())),
        }
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.state.reads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One put that is under way.
pub(super) struct Write {
    state: Arc<State>,
    bytes: usize,
}

impl Drop for Write {
    fn drop(&mut self) {
        self.state.puts.fetch_sub(1, Ordering::Relaxed);
        self.state.put_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_or_put_without_a_session() {
        let state = Arc::new(State::new());
        let before = state.moment();
        assert!(state.begin_read().is_none() && state.begin_put(before, 1).is_none());
        state.begin(7);
        assert!(state.begin_read().is_some());
        assert!(state.begin_put(before, 1).is_none(), "it was asked for before the session");
        let born = state.moment();
        assert_eq!(born.position, 7);
        assert!(state.begin_put(born, 1).is_some());
        assert!(state.end() && !state.end());
        state.begin(7);
        assert!(state.begin_put(born, 1).is_none(), "it was asked for in another session");
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let state = Arc::new(State::new());
        state.begin(0);
        let reads: Vec<_> = (0..READS).map_while(|_| state.begin_read()).collect();
        assert!(reads.len() == READS && state.begin_read().is_none());
        drop(reads);
        assert!(state.begin_read().is_some());
        let put = state.begin_put(state.moment(), BYTES).unwrap();
        assert!(state.begin_put(state.moment(), 1).is_none());
        drop(put);
        assert!(state.begin_put(state.moment(), 1).is_some());
        assert_eq!(state.counts.busy.load(Ordering::Relaxed), 1);
        assert_eq!(state.counts.dropped_full.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn late_reads_open_the_breaker() {
        let state = Arc::new(State::new());
        state.begin(0);
        let end = |outcome| state.begin_read().unwrap().end(outcome);
        for _ in 1..BREAKER_READS {
            assert_eq!(end(Outcome::Failure), None);
        }
        assert_eq!(end(Outcome::Failure), Some(Ok(BREAKER_OPEN)));
        assert!(state.begin_read().is_none());
        assert!(state.begin_put(state.moment(), 1).is_none());
    }
}
