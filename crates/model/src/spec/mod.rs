//! The configuration spec: one set of types for the file, the command line, the admin API and the JSON
//! Schema. A default stands beside its field and nowhere else.

mod balance;
mod cache;
mod chaos;
mod health;
mod listen;
mod prefetch;
mod resilience;
mod route;
mod service;
mod telemetry;
mod values;

pub use balance::{Balance, BalancePolicy, HashKey, Sticky};
pub use cache::{
    CacheChoice, CacheSpec, DiskSpec, EvictionGoal, EvictionGuard, EvictionPolicy, GuardMode, RedisPlace,
    RedisPrefix, RedisSpec, RedisTls, RouteCache,
};
pub use chaos::{
    Abort, Bandwidth, ChaosFault, ChaosRule, Corrupt, Delay, Direction, Latency, LimitData, Normal,
    Partition, ResetPeer, Slicer, SlowClose, Tail, Timeout, Uniform,
};
pub use health::{Health, HealthKind, Outlier};
pub use listen::{
    Certificate, ClientAuth, ClientCertFields, ClientTimeouts, ForwardedFields, Limits, ListenSpec,
    ListenTls, ProxyProtocol,
};
pub use prefetch::{PrefetchMode, PrefetchSpec};
pub use resilience::{Breaker, Bulkhead, Fallback, RetrySpec};
pub use route::{HeaderEdits, Redirect, Respond, RouteSpec};
pub use service::{EndpointSpec, Pool, Protocol, ServiceSpec, UpstreamTimeouts, UpstreamTls};
pub use telemetry::{AccessLog, AdminSpec, DnsSpec, LogFormat, StateSpec, TraceSpec};
pub use values::{Bytes, Span, ValueError, parse_bytes, parse_duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole Headgate configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which set of policies is the default: any single one can still be named explicitly.
    pub profile: Profile,
    /// Worker threads, each with its own listeners' sockets and pools. Default: one per core.
    pub workers: Option<usize>,
    /// How long connections may finish after a stop signal before they are closed.
    pub drain: Span<30_000>,
    /// How long new connections are still taken after a stop signal, while `/readyz` says 503 already: time for
    /// whoever sends the traffic to notice.
    pub drain_delay: Span<0>,
    /// Where metrics, health and control are served. Absent: no admin listener.
    pub admin: Option<AdminSpec>,
    /// Access log. Absent: off.
    pub log: Option<AccessLog>,
    pub trace: TraceSpec,
    pub state: StateSpec,
    pub dns: DnsSpec,
    /// Responses of routes with `cache` are kept here.
    pub cache: CacheSpec,
    /// Listeners by name.
    #[serde(rename = "listen")]
    pub listeners: BTreeMap<String, ListenSpec>,
    /// Services by name.
    #[serde(rename = "service")]
    pub services: BTreeMap<String, ServiceSpec>,
    /// Routes. The most specific match wins whatever the order; see docs/configuration.md.
    #[serde(rename = "route")]
    pub routes: Vec<RouteSpec>,
    /// Faults to inject; see docs/chaos.md. 32 at most.
    pub chaos: Vec<ChaosRule>,
}

/// The three sets of policies (traditional is what most deployments run today).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Round robin, fixed limits.
    #[default]
    Traditional,
    /// Least requests by power of two choices, outlier ejection, breakers.
    Heuristic,
}
