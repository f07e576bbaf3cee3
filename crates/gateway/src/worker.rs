//! One worker: a thread with its own runtime, sockets, pools and counters. What all workers share is in
//! [`Shared`], and is either read-only or atomic.

use crate::cache_rules::Cache;
use crate::clock::WallClock;
use crate::guard_desk::GuardDesk;
use crate::listener::Place;
use crate::prefetch_queue::Hub;
use crate::snapshot::Snapshot;
use crate::view::{Links, View};
use arc_swap::{ArcSwap, ArcSwapOption};
use headgate_cache::hits::HitLog;
use headgate_model::dice::Dice;
use headgate_model::signal::SignalSender;
use headgate_model::units::Tick;
use headgate_net::buffer::{Buffers, HeadSize};
use headgate_net::deadline::Deadlines;
use headgate_observe::access_log::AccessLog;
use headgate_observe::journal::Journal;
use headgate_observe::registry::{Registry, WorkerMetrics};
use headgate_observe::request_metrics::FaultMetrics;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
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
    pub cache: Cache,
    pub journal: Journal,
    pub guards: GuardDesk,
    /// Where fetching ahead is on.
    pub(crate) prefetch: ArcSwapOption<Hub>,
    /// Zero of the monotonic clock.
    started: Instant,
    stopping: watch::Sender<bool>,
    workers: AtomicUsize,
    hurried: AtomicBool,
    /// Client connections of all listeners, and how many there may be.
    open: Arc<AtomicU32>,
    open_most: AtomicU32,
}

impl Shared {
    #[must_use]
    pub fn new(snapshot: Snapshot, registry: Registry) -> Arc<Self> {
        let generation = snapshot.generation;
        let workers = snapshot.config.workers.unwrap_or(1);
        let cache = Cache::new(&snapshot.config.cache, workers);
        Arc::new(Self {
            cache,
            snapshot: ArcSwap::from_pointee(snapshot),
            generation: AtomicU64::new(generation),
            changed: watch::Sender::new(generation),
            journal: Journal::new(&registry.worker(usize::MAX)),
            guards: GuardDesk::default(),
            prefetch: ArcSwapOption::empty(),
            registry,
            started: Instant::now(),
            stopping: watch::Sender::new(false),
            workers: AtomicUsize::new(0),
            hurried: AtomicBool::new(false),
            open: Arc::default(),
            open_most: AtomicU32::new(u32::MAX),
        })
    }

    /// From here on no more client connections than this are taken, whatever the listeners allow.
    pub fn limit_connections(&self, most: u32) {
        self.open_most.store(most, Ordering::Relaxed);
    }

    /// Takes a place for one client connection; `None` when there are too many.
    pub(crate) fn enter(&self) -> Option<Place> {
        Place::take(&self.open, self.open_most.load(Ordering::Relaxed))
    }

    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Swaps the configuration in. Requests in flight finish with the one they began with. The slow start
    /// of endpoints that are new in a service begins now.
    pub fn publish(&self, snapshot: Snapshot) {
        self.date_new_endpoints(&snapshot);
        for service in &snapshot.services {
            for (endpoint, weight) in service.state.endpoints.iter().zip(&service.weights) {
                endpoint.set_weight(*weight);
            }
        }
        let generation = snapshot.generation;
        self.snapshot.store(Arc::new(snapshot));
        self.generation.store(generation, Ordering::Release);
        self.changed.send_replace(generation);
    }

    fn date_new_endpoints(&self, snapshot: &Snapshot) {
        let (before, now) = (self.snapshot.load(), self.now());
        for service in &snapshot.services {
            // All endpoints of a service that is new start alike.
            let Some(known) = before.service(&service.state.name) else { continue };
            let is_known = |endpoint| known.state.endpoints.iter().any(|known| Arc::ptr_eq(known, endpoint));
            for endpoint in service.state.endpoints.iter().filter(|endpoint| !is_known(endpoint)) {
                endpoint.set_since(now);
            }
        }
    }

    /// Tells when a new snapshot was published.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// No new connections; those that are open finish what they have.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// A stop that is under way waits for open connections no longer.
    pub fn hurry(&self) {
        self.hurried.store(true, Ordering::Relaxed);
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

/// Where a worker tells what happens. Absent: nobody wants to know.
#[derive(Debug, Default)]
pub struct Outlets {
    /// Outcomes of attempts, for the loop that ejects outliers.
    pub signals: Option<SignalSender>,
    pub access_log: Option<AccessLog>,
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
    pub(crate) signals: Option<SignalSender>,
    pub(crate) access_log: RefCell<Option<AccessLog>>,
    pub(crate) wall: WallClock,
    /// Hits that the cache's eviction policy has not seen yet.
    pub(crate) hits: RefCell<HitLog>,
    view: RefCell<Rc<View>>,
    links: RefCell<Links>,
    /// Client connections that are open now.
    connections: Cell<usize>,
    pub(crate) draining: Cell<bool>,
}

/// When the process stops, a connection at rest is closed after this long: time for a request that is
/// already on its way.
pub(crate) const REST_AT_STOP: Duration = Duration::from_secs(1);
/// How often idle upstream connections are looked at.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

impl Worker {
    /// `seed` starts the worker's dice. Has to be called on the worker's thread, inside its runtime.
    #[must_use]
    pub fn with_outlets(id: usize, shared: Arc<Shared>, seed: u64, outlets: Outlets) -> Rc<Self> {
        shared.workers.fetch_add(1, Ordering::Relaxed);
        let snapshot = shared.snapshot();
        let metrics = shared.registry.worker(id);
        let mut links = Links::new();
        let heads = head_size(&snapshot);
        let view =
            View::build(snapshot, &metrics, &shared.journal, &mut links, shared.prefetch.load_full(), None);
        Rc::new(Self {
            id,
            buffers: Buffers::new(heads),
            deadlines: Deadlines::new(),
            dice: RefCell::new(Dice::new(seed)),
            faults: FaultMetrics::new(&metrics),
            metrics,
            signals: outlets.signals,
            access_log: RefCell::new(outlets.access_log),
            wall: WallClock::new(shared.now()),
            hits: RefCell::default(),
            view: RefCell::new(Rc::new(view)),
            links: RefCell::new(links),
            connections: Cell::new(0),
            draining: Cell::new(false),
            shared,
        })
    }

    /// Tells requests that end from now on to another access log, or to none.
    pub fn log_to(&self, access_log: Option<AccessLog>) {
        *self.access_log.borrow_mut() = access_log;
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

    /// Changes a connection to the newest configuration between two requests, if that still has its listener.
    #[inline]
    pub(crate) fn follow_reload(&self, held: &mut Rc<View>, listener: &mut usize) {
        let view = self.view();
        if Rc::ptr_eq(&view, held) {
            return;
        }
        let name = &held.snapshot.listeners[*listener].name;
        if let Some(index) = view.snapshot.listeners.iter().position(|listener| listener.name == *name) {
            *listener = index;
            *held = view;
        }
    }

    #[cold]
    fn rebuild(&self) -> Rc<View> {
        let before = Rc::clone(&self.view.borrow());
        let links = &mut self.links.borrow_mut();
        let (snapshot, journal) = (self.shared.snapshot(), &self.shared.journal);
        let prefetch = self.shared.prefetch.load_full();
        let view = Rc::new(View::build(snapshot, &self.metrics, journal, links, prefetch, Some(&before)));
        self.buffers.resize_heads(head_size(&view.snapshot));
        *self.view.borrow_mut() = Rc::clone(&view);
        view
    }

    /// Counts a client connection for as long as the result lives.
    pub(crate) fn open_connection(self: &Rc<Self>) -> OpenConnection {
        self.connections.set(self.connections.get() + 1);
        OpenConnection { worker: Rc::clone(self) }
    }

    /// Finishes what is open: requests under way run to their end, or to the end of the drain time; resting
    /// connections may bring one more request within a second. Gives the number of connections that are left
    /// to be cut.
    pub async fn drain(self: Rc<Self>) -> usize {
        self.draining.set(true);
        self.deadlines.hurry_resting(REST_AT_STOP);
        let limit = self.view().snapshot.config.drain.0;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let started = self.now();
        let hurried = || self.shared.hurried.load(Ordering::Relaxed);
        while self.connections.get() > 0 && self.now().since(started) < limit && !hurried() {
            ticks.tick().await;
        }
        self.connections.get()
    }

    /// Fires deadlines, reads the wall clock and closes old idle connections, for ever.
    pub async fn keep_house(self: Rc<Self>) {
        tokio::task::spawn_local(Rc::clone(&self.deadlines).sweep());
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        loop {
            ticks.tick().await;
            let now = self.now();
            self.wall.read(now);
            let view = self.view();
            let shares = self.shared.workers.load(Ordering::Relaxed) > 1;
            poll_fn(|cx| {
                for service in &view.services {
                    for link in &service.links {
                        let limits = &service.pool_limits;
                        link.pool.sweep(now, limits, shares.then_some(&*link.spares), cx);
                        link.spares.sweep(now, limits);
                    }
                }
                Poll::Ready(())
            })
            .await;
        }
    }
}

/// Heads are sized by the largest limit of any listener, so that one pool serves all.
fn head_size(snapshot: &Snapshot) -> HeadSize {
    let largest = snapshot.listeners.iter().map(|listener| &listener.spec.limits);
    let bytes = largest.clone().map(|limits| limits.head.0).max().unwrap_or(16_384) as usize;
    let fields = largest.map(|limits| limits.headers).max().unwrap_or(100) as usize;
    HeadSize { bytes, fields }
}

/// One client connection among those that a stop waits for.
pub(crate) struct OpenConnection {
    pub worker: Rc<Worker>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.worker.connections.set(self.worker.connections.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Discovered;

    #[test]
    fn an_endpoint_that_joins_a_service_starts_slowly() {
        let compiled = |endpoints: &str, before: Option<&Snapshot>| {
            let text = format!("[listen.web]\nbind = \":0\"\n[service.shop]\nendpoints = [{endpoints}]\n");
            let config = headgate_model::load(&text, "test.toml", &|_| None).unwrap();
            Snapshot::compile(Arc::new(config), &Discovered::new(), before).unwrap()
        };
        let shared = Shared::new(compiled("\":1\"", None), Registry::default());
        shared.publish(compiled("\":1\", \":2\"", Some(&shared.snapshot())));
        let since = |index: usize| shared.snapshot().services[0].state.endpoints[index].since();
        assert_eq!(since(0), None, "it has been there from the start");
        let joined = since(1);
        assert!(joined.is_some());
        shared.publish(compiled("\":1\", \":2\"", Some(&shared.snapshot())));
        assert_eq!(since(1), joined);
    }
}
