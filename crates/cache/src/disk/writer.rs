//! The writer: one thread that takes the folder for this process, finds what lies there, and writes what it is told
//! to. What to do when the device fails is decided here; requests never notice.

use super::event::{Event, Say};
use super::log::{Log, Recovered};
use super::queue::{Order, Queue};
use super::state::{State, count};
use crate::tier::{Purge, Put};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the writer waits before it tries again to get the folder.
const RETRY: Duration = Duration::from_secs(1);
/// First and longest pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);

pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) state: Arc<State>,
    pub(super) queue: Arc<Queue>,
    pub(super) say: Arc<Say>,
    pause: Duration,
    /// Nothing is put until then.
    off_until: Option<Instant>,
    /// What was found at the start.
    recovered: Recovered,
}

impl Writer {
    pub(super) fn new(log: Log, state: Arc<State>, queue: Arc<Queue>, say: Arc<Say>) -> Self {
        let (pause, off_until, recovered) = (PAUSE, None, Recovered::default());
        Self { log, state, queue, say, pause, off_until, recovered }
    }

    /// Until the queue is closed.
    pub(super) fn run(mut self) {
        if self.take_over() {
            self.serve();
        }
        self.state.ready.store(false, Ordering::Release);
        self.log.unlock();
    }

    /// Gets the folder, and enters what lies there; tries again until it can. False when the queue was closed first.
    fn take_over(&mut self) -> bool {
        let mut told = false;
        loop {
            let pause = match self.try_take_over() {
                Ok(Some(recovered)) => {
                    self.recovered = recovered;
                    break;
                }
                Ok(None) => {
                    if !told {
                        (self.say)(&Event::Waiting);
                    }
                    told = true;
                    RETRY
                }
                Err(error) => self.fail(&error),
            };
            if self.queue.is_closed_within(pause) {
                return false;
            }
        }
        self.off_until = None;
        self.pause = PAUSE;
        // What was purged meanwhile stands before it.
        self.queue.open();
        true
    }

    fn try_take_over(&mut self) -> io::Result<Option<Recovered>> {
        if self.log.lock()? { self.log.recover().map(Some) } else { Ok(None) }
    }

    fn begin(&self) {
        self.state.ready.store(true, Ordering::Release);
        let (objects, bytes) = (self.state.index.count(), self.state.counts.bytes.load(Ordering::Relaxed));
        let Recovered { damaged, lost_purge } = self.recovered;
        self.state.counts.damaged.fetch_add(damaged, Ordering::Relaxed);
        (self.say)(&Event::Ready { objects, bytes, damaged, lost_purge });
    }

    fn serve(&mut self) {
        while let Some(order) = self.queue.take() {
            match order {
                Order::Open => self.begin(),
                Order::Put(put) => self.put(&put),
                Order::Purge(purge) => self.purge(&purge),
                Order::Settle(sender) => match self.log.sync() {
                    // Whoever asked may have gone.
                    Ok(()) => _ = sender.send(()),
                    Err(error) => _ = self.fail(&error),
                },
            }
        }
    }

    fn put(&mut self, put: &Put) {
        let off = self.off_until.is_some_and(|until| Instant::now() < until);
        if !off {
            match self.log.put(put) {
                Ok(()) => {
                    self.off_until = None;
                    self.pause = PAUSE;
                    return;
                }
                Err(error) => _ = self.fail(&error),
            }
        }
        count(&self.state.counts.dropped);
        self.state.index.remove(self.state.hash(&put.key));
    }

    /// A purge has to be written: else it would be undone by a restart. For its place the oldest segment goes, and
    /// where nothing can be written, all of them.
    fn purge(&mut self, purge: &Purge) {
        self.log.apply(purge);
        let Err(error) = self.log.purge(purge) else { return };
        self.fail(&error);
        if self.log.give_up_oldest().is_ok() && self.log.purge(purge).is_ok() {
            return;
        }
        let emptied = self.log.empty().is_ok();
        (self.say)(&Event::Emptied { emptied });
    }

    /// Puts nothing for a while; for how long.
    fn fail(&mut self, error: &io::Error) -> Duration {
        count(&self.state.counts.write_errors);
        let pause = self.pause;
        self.off_until = Some(Instant::now() + pause);
        self.pause = (pause * 2).min(PAUSE_MAX);
        (self.say)(&Event::WriteFailed { error: error.to_string(), pause });
        pause
    }
}
