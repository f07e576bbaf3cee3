//! The response cache: what it may take of the machine, and what a route lets it do.

use super::values::bool_or_table;
use super::{Bytes, PrefetchSpec, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// The cache of all routes that have `cache` on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSpec {
    /// Memory for responses, heads and bookkeeping included.
    pub memory: Bytes<268_435_456>,
    /// With `adaptive` eviction: as far as the memory may grow where that pays, and shrink again to `memory`.
    pub memory_max: Option<Bytes<0>>,
    /// What leaves when it is full.
    pub eviction: EvictionPolicy,
    /// What `adaptive` eviction is to save. Default: `objects`.
    pub goal: Option<EvictionGoal>,
    /// How far `adaptive` eviction may go, and what it is held against.
    pub guard: Option<EvictionGuard>,
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
    /// A tier in Redis or Valkey below that, which gateways share, and by which their purges reach each other.
    pub redis: Option<RedisSpec>,
    pub prefetch: PrefetchSpec,
}

impl CacheSpec {
    /// The plain policy that runs the cache, or that runs it where `adaptive` does not.
    #[must_use]
    pub fn baseline(&self) -> EvictionPolicy {
        if self.eviction == EvictionPolicy::Adaptive { self.guard().baseline } else { self.eviction }
    }

    /// What `adaptive` is to save.
    #[must_use]
    pub fn goal(&self) -> EvictionGoal {
        self.goal.unwrap_or_default()
    }

    /// The guard of `adaptive`.
    #[must_use]
    pub fn guard(&self) -> EvictionGuard {
        self.guard.unwrap_or_default()
    }
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

/// The cache's tier in Redis or Valkey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisSpec {
    /// `"redis://10.0.0.5:6379/0"`, or `rediss` for TLS; the port and the number of the database may be left out.
    pub url: String,
    /// Who logs in. Default: whoever Redis takes one for that names nobody.
    #[serde(default)]
    pub user: Option<String>,
    /// Take it from the environment: `"${REDIS_PASSWORD}"`.
    #[serde(default)]
    pub password: Option<String>,
    /// Files for TLS, read at each connection.
    #[serde(default)]
    pub tls: RedisTls,
    /// Begins the names of everything that is written there. Gateways with the same one share what they have.
    #[serde(default)]
    pub prefix: RedisPrefix,
    /// How long a request waits for Redis before the service is asked.
    #[serde(default)]
    pub deadline: Span<50>,
    /// Shortest content that is kept there.
    #[serde(default)]
    pub min_object: Bytes<0>,
    /// Longest content that is kept there.
    #[serde(default)]
    pub max_object: Bytes<1_048_576>,
}

/// Files for TLS with Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisTls {
    /// PEM file of authorities instead of the public ones.
    pub ca: Option<String>,
    /// Client certificate and key, PEM files.
    pub cert: Option<String>,
    pub key: Option<String>,
}

/// A name without spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RedisPrefix(pub String);

impl Default for RedisPrefix {
    fn default() -> Self {
        Self("headgate".to_owned())
    }
}

/// Where a Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisPlace {
    pub encrypted: bool,
    pub host: String,
    pub port: u16,
    pub database: u32,
}

impl RedisSpec {
    /// What the URL says.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn place(&self) -> Result<RedisPlace, (&'static str, &'static str)> {
        let form = "write \"redis://HOST:PORT/DATABASE\", or rediss:// for TLS";
        let (scheme, rest) = self.url.split_once("://").ok_or(("not the URL of a Redis", form))?;
        let encrypted = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(("not the URL of a Redis", form)),
        };
        if rest.contains('@') {
            return Err(("a URL may be shown", "write `user` and `password` beside it"));
        }
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = if database.is_empty() { Ok(0) } else { database.parse() };
        let database = database.map_err(|_| ("the database is no number", form))?;
        // An IPv6 address stands in brackets, which are no part of it.
        let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some("6379"))),
            None => place.split_once(':').map_or((place, Some("6379")), |(host, port)| (host, Some(port))),
        };
        let port = port.and_then(|port| port.parse().ok()).ok_or(("the port is no number", form))?;
        if host.is_empty() || host.chars().any(|letter| !letter.is_ascii_graphic()) {
            return Err(("the URL has no host", form));
        }
        Ok(RedisPlace { encrypted, host: host.to_owned(), port, database })
    }
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
    Lirs,
    /// Tunes itself, under the guard.
    Adaptive,
}

/// What a hit is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvictionGoal {
    /// One each: object hit ratio.
    #[default]
    Objects,
    /// Its bytes: byte hit ratio.
    Bytes,
    /// The time that the service took to answer.
    Cost,
}

/// The guard of `adaptive` eviction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvictionGuard {
    /// How far evidence may bring it.
    pub mode: GuardMode,
    /// Of the cache's shards, between `shadow` and `on`, in percent.
    pub share_percent: f64,
    /// What runs the cache otherwise, and what it is held against.
    pub baseline: EvictionPolicy,
    /// Requests of so long a time are compared at once.
    pub window: Span<10_000>,
    /// Both are the baseline, to see how often the guard is wrong.
    pub a_a: bool,
}

impl Default for EvictionGuard {
    fn default() -> Self {
        Self {
            mode: GuardMode::default(),
            share_percent: 10.0,
            baseline: EvictionPolicy::default(),
            window: Span::default(),
            a_a: false,
        }
    }
}

/// How far a learned policy may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardMode {
    /// It is not asked.
    Off,
    /// It is watched, and does not act.
    Shadow,
    /// It acts for a share.
    Share,
    /// It acts for all.
    #[default]
    On,
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
    /// The same for errors that may be kept: 404, 405, 410, 414 and 501. Default: as the others.
    pub negative_ttl: Option<Span<0>>,
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
    /// Whether its responses may be fetched ahead, where `[cache.prefetch]` is on.
    pub prefetch: bool,
}

impl Default for RouteCache {
    fn default() -> Self {
        Self {
            ttl: None,
            negative_ttl: None,
            obey_requests: true,
            ignore_query: Vec::new(),
            only_query: None,
            sort_query: false,
            identity: None,
            max_object: None,
            store_cookies: true,
            stale_if_unreachable: Span::default(),
            early_refresh: 1.0,
            prefetch: true,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_redis_says_where_it_is() {
        let place = |url: &str| {
            let (prefix, password) = (RedisPrefix::default(), None);
            let (deadline, min_object, max_object) = (Span::default(), Bytes::default(), Bytes::default());
            let url = url.to_owned();
            let tls = RedisTls::default();
            RedisSpec { url, user: None, password, tls, prefix, deadline, min_object, max_object }.place()
        };
        for (url, host, port, database) in [
            ("redis://cache.internal", "cache.internal", 6379, 0),
            ("redis://10.0.0.5:7000/3", "10.0.0.5", 7000, 3),
            ("redis://[::1]/", "::1", 6379, 0),
            ("rediss://[::1]:7000", "::1", 7000, 0),
        ] {
            let (encrypted, host) = (url.starts_with("rediss"), host.to_owned());
            assert_eq!(place(url), Ok(RedisPlace { encrypted, host, port, database }), "{url}");
        }
        for bad in [
            "",
            "localhost:6379",
            "redis://",
            "redis://:6379",
            "redis://a:b",
            "redis://a/b",
            "redis://a b",
            "redis://[::1]7000",
            "redis://:secret@a",
            "https://a",
            "redis://a:70000",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
