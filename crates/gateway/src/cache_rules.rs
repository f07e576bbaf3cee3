//! The cache of the process, and what of it a route uses, compiled for the hot path.

use crate::{disk_tier, redis_tier};
use headgate_cache::disk::Disk;
use headgate_cache::fills::Fills;
use headgate_cache::lower::{Level, Lower};
use headgate_cache::redis::Redis;
use headgate_cache::rules::{QueryRules, SetCookie, Settings};
use headgate_cache::store::Store;
use headgate_model::spec::{CacheSpec, EvictionPolicy, RouteCache, RouteSpec};
use headgate_policy::balance::hash::hash;
use headgate_policy::evict::Kind;
use headgate_policy::evict::adaptive::Curve;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Content up to this length, in bytes, is put into one piece when it is complete.
pub(crate) const ONE_PIECE: u64 = 4 << 20;

/// What all workers share: stored responses, and those on their way.
pub struct Cache {
    pub store: Store,
    /// The tiers below it.
    pub(crate) lower: Lower,
    pub(crate) disk: Option<Arc<Disk>>,
    pub(crate) redis: Option<Arc<Redis>>,
    /// How long a request waits for the tiers below.
    pub(crate) lower_deadline: Duration,
    /// Requests that waited for the tiers below in vain.
    pub(crate) late: AtomicU64,
    pub fills: Fills,
    /// Bytes that responses on their way in hold to be stored.
    filling: AtomicU64,
    /// Bytes that stored responses may take now.
    memory: AtomicU64,
    curve: Mutex<Option<Curve>>,
}

impl Cache {
    #[must_use]
    pub fn new(spec: &CacheSpec, workers: usize) -> Self {
        let disk = spec.disk.as_ref().and_then(disk_tier::start);
        let redis = spec.redis.as_ref().and_then(|redis| redis_tier::make(redis, disk.is_some()));
        let mut levels = Vec::new();
        let mut lower_deadline = Duration::ZERO;
        if let (Some(tier), Some(spec)) = (&disk, &spec.disk) {
            let (tier, min_object) = (Arc::clone(tier) as _, spec.min_object.0);
            levels.push(Level { tier, min_object, max_object: u64::MAX, shared: false });
            lower_deadline += spec.deadline.0;
        }
        if let (Some(tier), Some(spec)) = (&redis, &spec.redis) {
            let (tier, min_object, max_object) =
                (Arc::clone(tier) as _, spec.min_object.0, spec.max_object.0);
            levels.push(Level { tier, min_object, max_object, shared: true });
            lower_deadline += spec.deadline.0;
        }
        Self {
            lower: Lower::new(levels),
            disk,
            redis,
            lower_deadline,
            late: AtomicU64::new(0),
            store: Store::new(kind(spec.baseline()), spec.memory.0, workers),
            fills: Fills::default(),
            filling: AtomicU64::new(0),
            memory: AtomicU64::new(spec.memory.0),
            curve: Mutex::default(),
        }
    }

    /// Bytes that stored responses may take now, those on their way in besides.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory.store(bytes, Ordering::Relaxed);
    }

    /// What other sizes of the memory would save. None: nothing watches, or it has not seen enough.
    #[must_use]
    pub fn curve(&self) -> Option<Curve> {
        self.curve.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn draw(&self, curve: Option<Curve>) {
        *self.curve.lock().unwrap_or_else(PoisonError::into_inner) = curve;
    }

    /// Whether another response, or more of one, may be held to be stored. What was taken has to be given back.
    pub(crate) fn hold(&self, bytes: u64) -> bool {
        let before = self.filling.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= self.memory() / 4;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.filling.fetch_sub(bytes, Ordering::Relaxed);
    }
}

pub(crate) fn kind(policy: EvictionPolicy) -> Kind {
    match policy {
        EvictionPolicy::Fifo => Kind::Fifo,
        EvictionPolicy::Lru => Kind::Lru,
        EvictionPolicy::Lfu => Kind::Lfu,
        EvictionPolicy::Sieve => Kind::Sieve,
        EvictionPolicy::S3Fifo => Kind::S3Fifo,
        EvictionPolicy::TinyLfu => Kind::TinyLfu,
        EvictionPolicy::Gdsf => Kind::Gdsf,
        EvictionPolicy::Lirs => Kind::Lirs,
        EvictionPolicy::Adaptive => Kind::Adaptive,
    }
}

/// A route's use of the cache.
pub struct CacheRules {
    pub(crate) settings: Settings,
    pub(crate) obey_requests: bool,
    pub(crate) query: QueryRules,
    pub(crate) identity: Option<Identity>,
    /// Bytes of content.
    pub(crate) max_object: u64,
    pub(crate) early_refresh: f64,
    /// Its responses may be fetched ahead.
    pub(crate) prefetch: bool,
    /// Keeps apart what routes make of the same target.
    pub(crate) space: [u8; 8],
}

/// Whose response it is.
pub(crate) enum Identity {
    /// A header field, in lower case.
    Header(Box<[u8]>),
    Cookie(Box<[u8]>),
}

impl Identity {
    /// From `header:NAME` or `cookie:NAME`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        let name = name.as_bytes();
        Some(match kind {
            "cookie" => Self::Cookie(name.into()),
            _ => Self::Header(name.to_ascii_lowercase().into()),
        })
    }
}

impl CacheRules {
    pub(crate) fn compile(route: &RouteSpec, cache: &CacheSpec) -> Option<Self> {
        let RouteCache {
            ttl,
            negative_ttl,
            obey_requests,
            ignore_query,
            only_query,
            sort_query,
            identity,
            max_object,
            store_cookies,
            stale_if_unreachable,
            early_refresh,
            prefetch,
        } = route.cache.as_ref()?.settings()?;
        let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        let identity = identity.and_then(|text| Identity::read(&text));
        Some(Self {
            settings: Settings {
                default_ttl_s: ttl.map(|ttl| seconds(ttl.0)),
                negative_ttl_s: negative_ttl.map(|ttl| seconds(ttl.0)),
                set_cookie: if store_cookies { SetCookie::Explicit } else { SetCookie::Refuse },
                stale_if_unreachable_s: seconds(stale_if_unreachable.0),
                ..Settings::default()
            },
            obey_requests,
            query: QueryRules { sort: sort_query, drop: ignore_query, keep: only_query },
            identity,
            max_object: max_object.map_or(cache.max_object.0, |bytes| bytes.0),
            early_refresh,
            prefetch,
            space: space(route),
        })
    }
}

/// A tag of Headgate's own.
pub(crate) type Tag = [u8; 9];

/// The tag of what different clients have under one target, by the key's part that they share. No client can name it:
/// a field holds no zero byte.
pub(crate) fn everybodys(shared_key: &[u8]) -> Tag {
    let mut tag = [0; 9];
    // Two targets with one hash are purged together.
    tag[1..].copy_from_slice(&hash(shared_key).to_le_bytes());
    tag
}

/// The same for as long as the route makes the same of a target; names and methods do not matter.
fn space(route: &RouteSpec) -> [u8; 8] {
    let RouteSpec { pattern, headers, query, service, strip, rewrite, host, request_headers, .. } = route;
    let text = format!("{:?}", (pattern, headers, query, service, strip, rewrite, host, request_headers));
    hash(text.as_bytes()).to_le_bytes()
}
