//! The cells of the response cache: what became of requests, by route, and what the memory holds. This file counts
//! and decides nothing.

use std::sync::Arc;

use crate::counter::{Counter, Gauge};
use crate::registry::WorkerMetrics;

const REQUESTS: &str = "headgate_cache_requests_total";

/// How a request of a cached route was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CacheResult {
    /// From a fresh stored response.
    Hit,
    /// From a stale one, while it is fetched again or because it could not be.
    Stale,
    /// From a stored one that the service said is still right.
    Revalidated,
    /// From the fetch of another request.
    Collapsed,
    /// From the service; the response was stored, or is being.
    Miss,
    /// From the service, and the response is not for storing.
    Pass,
    /// Past the cache: it does not answer such requests.
    Bypass,
}

/// In the order of [`CacheResult`].
const RESULTS: &[&str; 7] = &["hit", "stale", "revalidated", "collapsed", "miss", "pass", "bypass"];

impl CacheResult {
    pub const ALL: [Self; 7] =
        [Self::Hit, Self::Stale, Self::Revalidated, Self::Collapsed, Self::Miss, Self::Pass, Self::Bypass];

    /// The metric label and log value.
    #[must_use]
    pub fn label(self) -> &'static str {
        RESULTS[self as usize]
    }
}

/// What a worker counts for one route whose responses are cached.
#[derive(Clone, Debug)]
pub struct RouteCacheMetrics {
    by_result: Arc<[Counter]>,
    bytes: Arc<Counter>,
}

impl RouteCacheMetrics {
    #[must_use]
    pub fn new(worker: &WorkerMetrics, route: &str) -> Self {
        let help = "Requests of routes with a cache, by how they were answered.";
        let by_result = worker.counters(REQUESTS, help, &[("route", route)], ("result", RESULTS));
        let help = "Bytes of content that were answered without asking the service for them.";
        Self { by_result, bytes: worker.counter("headgate_cache_hit_bytes_total", help, &[("route", route)]) }
    }

    /// Counts one request and the bytes of content that it got.
    pub fn record(&self, result: CacheResult, bytes: u64) {
        self.by_result[result as usize].inc();
        if matches!(result, CacheResult::Hit | CacheResult::Stale | CacheResult::Revalidated) {
            self.bytes.add(bytes);
        }
    }
}

/// What happened at the cache's tier on disk.
const AT_DISK: &[&str; 9] =
    &["hit", "miss", "late", "busy", "damaged", "read_error", "written", "dropped", "write_error"];

/// The cells of the tier on disk, as of the last [`DiskMetrics::set`].
#[derive(Debug)]
pub struct DiskMetrics {
    on: Arc<Gauge>,
    bytes: Arc<Gauge>,
    objects: Arc<Gauge>,
    events: Arc<[Counter]>,
}

/// The figures of [`DiskMetrics`]. Each that has no unit counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFigures {
    pub on: bool,
    pub bytes: u64,
    pub objects: u64,
    /// In the order of the label's values: hit, miss, late, busy, damaged, read_error, written, dropped,
    /// write_error.
    pub events: [u64; AT_DISK.len()],
}

impl DiskMetrics {
    /// Only once per registry, like [`StoreMetrics::new`].
    #[must_use]
    pub fn new(cells: &WorkerMetrics) -> Self {
        let gauge = |name, help| cells.gauge(name, help, &[]);
        let help = "What happened at the cache's tier on disk.";
        Self {
            on: gauge("headgate_cache_disk_on", "1 while the cache's tier on disk is on."),
            bytes: gauge("headgate_cache_disk_bytes", "Bytes of the files of the cache's tier on disk."),
            objects: gauge("headgate_cache_disk_objects", "Responses in the cache's tier on disk."),
            events: cells.counters("headgate_cache_disk_total", help, &[], ("result", AT_DISK)),
        }
    }

    pub fn set(&self, figures: &DiskFigures) {
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.on, u64::from(figures.on));
        set(&self.bytes, figures.bytes);
        set(&self.objects, figures.objects);
        for (counter, value) in self.events.iter().zip(figures.events) {
            counter.add(value.saturating_sub(counter.get()));
        }
    }
}

/// What happened at the cache's tier in Redis.
const AT_REDIS: &[&str; 11] = &[
    "hit",
    "miss",
    "late",
    "busy",
    "off",
    "error",
    "put",
    "outdated",
    "dropped_full",
    "dropped_off",
    "dropped_error",
];
/// What became of purges there.
const PURGES: &[&str; 3] = &["sent", "heard", "doubted"];

/// The cells of the tier in Redis, as of the last [`RedisMetrics::set`].
#[derive(Debug)]
pub struct RedisMetrics {
    on: Arc<Gauge>,
    breaker: Arc<Gauge>,
    waiting: Arc<Gauge>,
    events: Arc<[Counter]>,
    purges: Arc<[Counter]>,
}

/// The figures of [`RedisMetrics`]. The arrays count since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedisFigures {
    pub on: bool,
    /// 0 closed, 1 half open, 2 open.
    pub breaker: u8,
    /// Purges that wait for Redis.
    pub purges_waiting: u64,
    /// In the order of the label's values: hit, miss, late, busy, off, error, put, outdated, dropped_full,
    /// dropped_off, dropped_error.
    pub events: [u64; AT_REDIS.len()],
    /// The same: sent, heard, doubted.
    pub purges: [u64; PURGES.len()],
}

impl RedisMetrics {
    /// Only once per registry, like [`StoreMetrics::new`].
    #[must_use]
    pub fn new(cells: &WorkerMetrics) -> Self {
        let gauge = |name, help| cells.gauge(name, help, &[]);
        let help = "What happened at the cache's tier in Redis.";
        let events = cells.counters("headgate_cache_redis_total", help, &[], ("result", AT_REDIS));
        let help = "Purges that were written to Redis, heard from there, or may have been missed.";
        let purges = cells.counters("headgate_cache_redis_purges_total", help, &[], ("what", PURGES));
        Self {
            on: gauge("headgate_cache_redis_on", "1 while Redis can be reached."),
            breaker: gauge(
                "headgate_cache_redis_breaker",
                "Breaker of Redis: 0 closed, 1 half open, 2 open.",
            ),
            waiting: gauge("headgate_cache_redis_purges_waiting", "Purges that wait for Redis."),
            events,
            purges,
        }
    }

    pub fn set(&self, figures: &RedisFigures) {
        self.on.set(i64::from(figures.on));
        self.breaker.set(i64::from(figures.breaker));
        self.waiting.set(i64::try_from(figures.purges_waiting).unwrap_or(i64::MAX));
        let events = self.events.iter().zip(figures.events);
        for (counter, value) in events.chain(self.purges.iter().zip(figures.purges)) {
            counter.add(value.saturating_sub(counter.get()));
        }
    }
}

/// Counts the requests that adaptive eviction wanted to see and did not.
#[must_use]
pub fn sample_dropped(cells: &WorkerMetrics) -> Arc<Counter> {
    let help =
        "Requests in the sample for adaptive eviction that it did not see, because there were too many.";
    cells.counter("headgate_cache_sample_dropped_total", help, &[])
}

/// What the memory of the cache holds, as of the last [`StoreMetrics::set`].
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    memory: Arc<Gauge>,
    bytes: Arc<Gauge>,
    objects: Arc<Gauge>,
    fills: Arc<Gauge>,
    evicted: Arc<Gauge>,
    refused: Arc<Gauge>,
    unheard: Arc<Gauge>,
}

/// The figures of [`StoreMetrics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    pub memory: u64,
    pub bytes: u64,
    pub objects: u64,
    pub fills: u64,
    pub evicted: u64,
    pub refused: u64,
    pub unheard: u64,
}

impl StoreMetrics {
    /// Only once per registry, because a gauge shows the sum over all who set it.
    #[must_use]
    pub fn new(cells: &WorkerMetrics) -> Self {
        let gauge = |name, help| cells.gauge(name, help, &[]);
        Self {
            memory: gauge("headgate_cache_memory_bytes", "Bytes that stored responses may take now."),
            bytes: gauge("headgate_cache_bytes", "Bytes that stored responses take, with their bookkeeping."),
            objects: gauge("headgate_cache_objects", "Responses that are stored."),
            fills: gauge("headgate_cache_fills", "Responses on their way into the cache."),
            evicted: gauge("headgate_cache_evicted", "Responses that left for others since the start."),
            refused: gauge(
                "headgate_cache_refused",
                "Responses that were not taken since the start: too large, not wanted, or purged on their way.",
            ),
            unheard: gauge(
                "headgate_cache_hits_unheard",
                "Hits that the eviction policy did not hear of since the start, because it was busy.",
            ),
        }
    }

    pub fn set(&self, figures: &StoreFigures) {
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.memory, figures.memory);
        set(&self.bytes, figures.bytes);
        set(&self.objects, figures.objects);
        set(&self.fills, figures.fills);
        set(&self.evicted, figures.evicted);
        set(&self.refused, figures.refused);
        set(&self.unheard, figures.unheard);
    }
}
