//! The response cache: what it may take of the machine, and what a route lets it do.

use super::values::bool_or_table;
use super::{Bytes, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// The cache of all routes that have `cache` on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSpec {
    /// Memory for responses, heads and bookkeeping included.
    pub memory: Bytes<268_435_456>,
    /// What leaves when it is full.
    pub eviction: EvictionPolicy,
    /// Longest content that is stored; what is longer passes through.
    pub max_object: Bytes<8_388_608>,
    /// How long a request waits for the fetch of another one before it asks the service itself.
    pub collapse_wait: Span<5_000>,
    /// Requests that wait for one fetch; more ask the service themselves.
    pub collapse_max: Limit<1_000>,
    /// Name in the `Cache-Status` field of responses. Empty: no such field.
    pub status_name: StatusName,
    /// A tier on disk below the memory, which outlives the process.
    pub disk: Option<DiskSpec>,
}

/// The cache's tier on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskSpec {
    /// Its folder, which holds nothing else. It is made when it is not there.
    pub path: String,
    /// What its files may take.
    #[serde(default)]
    pub size: Bytes<10_737_418_240>,
    /// Shortest content that is kept there.
    #[serde(default)]
    pub min_object: Bytes<1_024>,
    /// How long a request waits for the disk before the service is asked.
    #[serde(default)]
    pub deadline: Span<50>,
}

/// Each is the file of the same name in `policy/evict`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvictionPolicy {
    Fifo,
    Lru,
    Lfu,
    Sieve,
    #[default]
    #[serde(rename = "s3fifo")]
    S3Fifo,
    #[serde(rename = "tinylfu")]
    TinyLfu,
    Gdsf,
}

/// A number whose default is `DEFAULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Limit<const DEFAULT: u32>(pub u32);

impl<const DEFAULT: u32> Default for Limit<DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

/// A token, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StatusName(pub String);

impl Default for StatusName {
    fn default() -> Self {
        Self("Headgate".to_owned())
    }
}

/// Whether responses of a route are cached: `true`, or a table that says how.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum CacheChoice {
    Switch(bool),
    Full(Box<RouteCache>),
}

/// How responses of a route are cached. By default as RFC 9111 says for a shared cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteCache {
    /// How long a response is fresh that says nothing about it. Default: a tenth of the time since it was last
    /// modified, a day at most; without `Last-Modified` it is not stored.
    pub ttl: Option<Span<0>>,
    /// Whether `Cache-Control` and `Pragma` of requests count.
    pub obey_requests: bool,
    /// Query parameters that make no difference; `"utm_*"` is all that begin so.
    pub ignore_query: Vec<String>,
    /// The only query parameters that make a difference. Default: all.
    pub only_query: Option<Vec<String>>,
    /// Query parameters in another order are the same.
    pub sort_query: bool,
    /// Keeps the responses of each client apart by this: `"header:x-user"` or `"cookie:session"`. Without it, in
    /// the request nothing is stored or used.
    pub identity: Option<String>,
    /// Longest content that is stored. Default: that of `[cache]`.
    pub max_object: Option<Bytes<0>>,
    /// Whether responses that set cookies are stored where they say how long they are fresh.
    pub store_cookies: bool,
    /// How long a stale response may be used while the service cannot be reached and nothing forbids it.
    pub stale_if_unreachable: Span<86_400_000>,
    /// How far ahead of its end a response may be fetched again; 1 is right, 0 is off, more is earlier.
    pub early_refresh: f64,
}

impl Default for RouteCache {
    fn default() -> Self {
        Self {
            ttl: None,
            obey_requests: true,
            ignore_query: Vec::new(),
            only_query: None,
            sort_query: false,
            identity: None,
            max_object: None,
            store_cookies: true,
            stale_if_unreachable: Span::default(),
            early_refresh: 1.0,
        }
    }
}

impl CacheChoice {
    /// The settings, where the cache is on.
    #[must_use]
    pub fn settings(&self) -> Option<RouteCache> {
        match self {
            Self::Switch(false) => None,
            Self::Switch(true) => Some(RouteCache::default()),
            Self::Full(settings) => Some((**settings).clone()),
        }
    }
}

impl From<RouteCache> for CacheChoice {
    fn from(settings: RouteCache) -> Self {
        Self::Full(Box::new(settings))
    }
}

impl<'de> Deserialize<'de> for CacheChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "true, false, or a table like { ttl = \"1m\" }";
        bool_or_table::<_, RouteCache, _>(deserializer, expecting, Self::Switch)
    }
}
