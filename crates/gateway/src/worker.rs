//! One worker: a thread with its own runtime, sockets, pools and counters. What all workers share is in
//! [`Shared`], and is either read-only or atomic.

use crate::snapshot::Snapshot;
use crate::view::{Links, View};
use arc_swap::ArcSwap;
use headgate_model::dice::Dice;
use headgate_model::units::Tick;
use headgate_net::buffer::{Buffers, HeadSize};
use headgate_net::deadline::Deadlines;
use headgate_observe::registry::{Registry, WorkerMetrics};
use headgate_observe::request_metrics::FaultMetrics;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What all workers share.
pub struct Shared {
    snapshot: ArcSwap<Snapshot>,
    /// The snapshot's generation; workers compare it with one relaxed load per request.
    generation: AtomicU64,
    changed: watch::Sender<u64>,
    pub registry: Registry,
    /// Zero of the monotonic clock.
    started: Instant,
    stopping: watch::Sender<bool>,
}

impl Shared {
    #[must_use]
    pub fn new(snapshot: Snapshot, registry: Registry) -> Arc<Self> {
        let generation = snapshot.generation;
        Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            generation: AtomicU64::new(generation),
            changed: watch::Sender::new(generation),
            registry,
            started: Instant::now(),
            stopping: watch::Sender::new(false),
        })
    }

    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Swaps the configuration in. Requests in flight finish with the one they began with.
    pub fn publish(&self, snapshot: Snapshot) {
        let generation = snapshot.generation;
        self.snapshot.store(Arc::new(snapshot));
        self.generation.store(generation, Ordering::Release);
        self.changed.send_replace(generation);
    }

    /// Tells when a new snapshot was published.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// No new connections; those that are open finish what they have.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub fn stops(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    #[must_use]
    pub fn now(&self) -> Tick {
        // 584 years fit.
        Tick(self.started.elapsed().as_nanos() as u64)
    }
}

/// One worker's own things. Lives on one thread.
pub struct Worker {
    pub id: usize,
    pub shared: Arc<Shared>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) dice: RefCell<Dice>,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) faults: FaultMetrics,
    view: RefCell<Rc<View>>,
    links: RefCell<Links>,
    /// Client connections that are open now.
    pub(crate) connections: Cell<usize>,
    pub(crate) draining: Cell<bool>,
}

/// How often idle upstream connections are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl Worker {
    /// `seed` starts the worker's dice. Has to be called on the worker's thread, inside its runtime.
    #[must_use]
    pub fn new(id: usize, shared: Arc<Shared>, seed: u64) -> Rc<Self> {
        let snapshot = shared.snapshot();
        let metrics = shared.registry.worker(id);
        let mut links = Links::new();
        // Heads are sized by the largest limit of any listener, so that one pool serves all.
        let largest = snapshot.listeners.iter().map(|listener| &listener.spec.limits);
        let bytes = largest.clone().map(|limits| limits.head.0).max().unwrap_or(16_384) as usize;
        let fields = largest.map(|limits| limits.headers).max().unwrap_or(100) as usize;
        let view = View::build(snapshot, &metrics, &mut links);
        Rc::new(Self {
            id,
            buffers: Buffers::new(HeadSize { bytes, fields }),
            deadlines: Deadlines::new(),
            dice: RefCell::new(Dice::new(seed)),
            faults: FaultMetrics::new(&metrics),
            metrics,
            view: RefCell::new(Rc::new(view)),
            links: RefCell::new(links),
            connections: Cell::new(0),
            draining: Cell::new(false),
            shared,
        })
    }

    #[must_use]
    pub fn now(&self) -> Tick {
        self.shared.now()
    }

    /// The view of the newest snapshot.
    #[inline]
    pub(crate) fn view(&self) -> Rc<View> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let view = self.view.borrow();
        if view.snapshot.generation == generation {
            return Rc::clone(&view);
        }
        drop(view);
        self.rebuild()
    }

    #[cold]
    fn rebuild(&self) -> Rc<View> {
        let view = Rc::new(View::build(self.shared.snapshot(), &self.metrics, &mut self.links.borrow_mut()));
        *self.view.borrow_mut() = Rc::clone(&view);
        view
    }

    /// Finishes what is open: requests under way run to their end, resting connections wait for one more
    /// request until the drain time is over.
    pub async fn drain(self: Rc<Self>) {
        self.draining.set(true);
        let limit = self.view().snapshot.config.drain.0;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let started = self.now();
        while self.connections.get() > 0 && self.now().since(started) < limit {
            ticks.tick().await;
        }
    }

    /// Fires deadlines and closes old idle connections, for ever.
    pub async fn keep_house(self: Rc<Self>) {
        tokio::task::spawn_local(Rc::clone(&self.deadlines).sweep());
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        loop {
            ticks.tick().await;
            let now = self.now();
            let view = self.view();
            poll_fn(|cx| {
                for service in &view.services {
                    for link in &service.links {
                        link.pool.sweep(now, &service.pool_limits, cx);
                    }
                }
                Poll::Ready(())
            })
            .await;
        }
    }
}
