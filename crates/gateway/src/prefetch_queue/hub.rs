//! Where workers and the learner meet: one bounded queue of what was served, one of orders for each worker. It lives
//! for as long as the configuration wants it; without it nothing is told and nothing is paid.

use super::order::Order;
use super::told::Told;
use crate::cache_rules::Identity;
use headgate_model::spec::PrefetchSpec;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Requests that wait to be learned from.
const TOLD_MAX: usize = 8_192;
/// Orders that wait for one worker.
const ORDERS_MAX: usize = 64;

/// One learner's connections to the workers.
pub(crate) struct Hub {
    /// What it was made for.
    spec: PrefetchSpec,
    workers: usize,
    session: Option<Identity>,
    told: SyncSender<Told>,
    dropped: Arc<AtomicU64>,
    /// Each worker takes its own.
    orders: Box<[Mutex<Option<mpsc::Receiver<Order>>>]>,
    stopped: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The learner's ends.
pub(crate) struct Ends {
    pub told: Receiver<Told>,
    /// By worker.
    pub orders: Vec<mpsc::Sender<Order>>,
    /// It is to end.
    pub stopped: Arc<AtomicBool>,
    /// Requests that it was not told of.
    pub dropped: Arc<AtomicU64>,
}

impl Hub {
    /// With the ends that its learner takes.
    pub(crate) fn new(spec: &PrefetchSpec, workers: usize) -> (Self, Ends) {
        let (told, waiting) = sync_channel(TOLD_MAX);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel(ORDERS_MAX)).unzip();
        let (stopped, dropped) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let ends = Ends {
            told: waiting,
            orders: senders,
            stopped: Arc::clone(&stopped),
            dropped: Arc::clone(&dropped),
        };
        let hub = Self {
            spec: spec.clone(),
            workers,
            session: spec.session.as_deref().and_then(Identity::read),
            told,
            dropped,
            orders: receivers.into_iter().map(|orders| Mutex::new(Some(orders))).collect(),
            stopped,
            thread: Mutex::new(None),
        };
        (hub, ends)
    }

    pub(crate) fn is_for(&self, spec: &PrefetchSpec, workers: usize) -> bool {
        self.spec == *spec && self.workers == workers
    }

    /// The learner runs on this thread.
    pub(crate) fn runs_on(&self, thread: JoinHandle<()>) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    /// What tells sessions apart, where that is configured.
    pub(crate) fn session(&self) -> Option<&Identity> {
        self.session.as_ref()
    }

    /// Ends the learner; what workers still hold of it leads nowhere.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It looks a few times a second. If it panicked, that has been told.
            let _ = thread.join();
        }
    }

    pub(crate) fn send(&self, told: Told) {
        if let Err(TrySendError::Full(_)) = self.told.try_send(told) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The orders for a worker, for the first who asks.
    pub(crate) fn take_orders(&self, worker: usize) -> Option<mpsc::Receiver<Order>> {
        self.orders.get(worker)?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn ignores(&self, cookie: &[u8]) -> bool {
        self.spec.ignore_cookies.iter().any(|pattern| match pattern.as_bytes() {
            [start @ .., b'*'] => cookie.starts_with(start),
            whole => cookie == whole,
        })
    }
}
