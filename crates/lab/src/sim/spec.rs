//! The simulated system as written in a file: nodes, network, gateways, services with their call graph and
//! policies, faults. Policies are written as in the gateway's configuration, with the same types.

use crate::workload::Distribution;
use headgate_model::spec::{
    Balance, BalancePolicy, Breaker, Bulkhead, Bytes, ChaosFault, Outlier, RetrySpec, Span,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole simulated system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SystemSpec {
    pub nodes: NodesSpec,
    pub network: NetworkSpec,
    pub gateway: GatewaySpec,
    /// Services by name.
    #[serde(rename = "service")]
    pub services: BTreeMap<String, ServiceSpec>,
    /// The service that takes a step of the workload, by the step's name; `"*"` for all others.
    pub entry: BTreeMap<String, String>,
    #[serde(rename = "fault")]
    pub faults: Vec<FaultSpec>,
    /// Length of a row of the results' series.
    pub interval: Span<10_000>,
}

/// The machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodesSpec {
    pub count: u32,
    pub vcpus: f64,
    pub memory: Bytes<17_179_869_184>,
}

impl Default for NodesSpec {
    fn default() -> Self {
        Self { count: 10, vcpus: 8.0, memory: Bytes::default() }
    }
}

/// Zones and the times between them. Nodes belong to the zones in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSpec {
    pub zones: Vec<String>,
    /// Round trip within a zone.
    pub rtt_within: Span<0>,
    /// Round trip between zones that `rtt` does not name.
    pub rtt_between: Span<2>,
    pub rtt: Vec<RttSpec>,
}

impl Default for NetworkSpec {
    fn default() -> Self {
        let rtt_within = Span(std::time::Duration::from_micros(500));
        Self { zones: vec!["one".to_owned()], rtt_within, rtt_between: Span::default(), rtt: Vec::new() }
    }
}

/// The round trip between two zones, both ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RttSpec {
    pub zones: [String; 2],
    pub rtt: Span<0>,
}

/// The gateways: each has balancers, breakers and budgets of its own and sees only its own requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewaySpec {
    pub count: u32,
    /// Default: the first zone.
    pub zone: Option<String>,
    /// Share of the calls that go past the gateways to a random replica, unseen by every policy.
    pub bypass: f64,
}

impl Default for GatewaySpec {
    fn default() -> Self {
        Self { count: 1, zone: None, bypass: 0.0 }
    }
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceSpec {
    pub replicas: u32,
    /// Cores that one replica may use; a call uses one at most.
    pub cpus: f64,
    /// Speed of each replica beside the usual one, in turn. Default: all 1.
    pub speeds: Vec<f64>,
    /// Node of each replica, in turn. Default: services are spread over all nodes, one after the other.
    pub nodes: Vec<u32>,
    /// Calls that a replica works on at once, those that wait for other services included.
    pub concurrency: u32,
    /// Calls that wait for a place in front of a replica, first come first served; beyond it: 503.
    pub queue: u32,
    /// What a call does, one stage after the other.
    pub does: Vec<StageSpec>,
    /// Work for each KiB of the response, on top of the first stage.
    pub work_per_kib: Span<0>,
    /// Memory of an idle replica, and of each call within.
    pub memory: Bytes<268_435_456>,
    pub memory_per_call: Bytes<1_048_576>,
    /// From the start of a replica until it takes calls.
    pub cold_start: Distribution<Span<0>>,
    /// How long an attempt may take before the gateway gives it up; the replica works on.
    pub timeout: Span<30_000>,
    pub balance: Balance,
    pub retry: RetrySpec,
    pub breaker: Option<Breaker>,
    pub bulkhead: Option<Bulkhead>,
    pub outlier: Option<Outlier>,
    pub health: Option<HealthSpec>,
    pub slow_start: Span<0>,
    /// Answers kept in front of the service.
    pub cache: Option<CacheSpec>,
    /// Neighbours that take a replica's speed away.
    pub noise: Option<NoiseSpec>,
}

impl Default for ServiceSpec {
    fn default() -> Self {
        Self {
            replicas: 1,
            cpus: 1.0,
            speeds: Vec::new(),
            nodes: Vec::new(),
            concurrency: 256,
            queue: 1_024,
            does: Vec::new(),
            work_per_kib: Span::default(),
            memory: Bytes::default(),
            memory_per_call: Bytes::default(),
            cold_start: Distribution::Constant(Span(std::time::Duration::from_secs(5))),
            timeout: Span::default(),
            balance: Balance::Name(BalancePolicy::RoundRobin),
            retry: RetrySpec { attempts: 1, ..RetrySpec::default() },
            breaker: None,
            bulkhead: None,
            outlier: None,
            health: None,
            slow_start: Span::default(),
            cache: None,
            noise: None,
        }
    }
}

/// One stage of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StageSpec {
    /// Work on the replica's cores, as time on one core of full speed.
    Work(Distribution<Span<0>>),
    /// Calls to other services, all at once; the stage is over when the last has answered.
    Calls(Vec<CallSpec>),
}

/// One call to another service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSpec {
    pub service: String,
    /// How often this call is made at all.
    #[serde(default = "always")]
    pub share: f64,
    /// Whether the caller can do without the answer.
    #[serde(default)]
    pub optional: bool,
}

fn always() -> f64 {
    1.0
}

/// Probes of every replica at once; a replica that is down, starting or stopped fails them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSpec {
    pub interval: Span<2_000>,
    pub healthy_after: u16,
    pub unhealthy_after: u16,
}

impl Default for HealthSpec {
    fn default() -> Self {
        Self { interval: Span::default(), healthy_after: 2, unhealthy_after: 3 }
    }
}

/// A cache in front of a service. Only reads are answered from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CacheSpec {
    /// This share of the reads is answered.
    Ratio(f64),
    /// The keys read last, as many as this.
    Lru(u32),
}

/// Speeds that change: every replica takes the next of `speeds` every `every`, each from a random place on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseSpec {
    pub every: Span<0>,
    pub speeds: Vec<f64>,
    /// One of `speeds` at random instead of the next.
    #[serde(default)]
    pub shuffled: bool,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// From the start of the run.
    pub at: Span<0>,
    /// A random time up to this is added to `at`, by the seed.
    #[serde(default)]
    pub jitter: Span<0>,
    /// Default: to the end of the run.
    pub lasts: Option<Span<0>>,
    pub what: FaultKindSpec,
    /// Whom it strikes: exactly one of `service`, `node` and `zone`; for a partition two zones are in `what`.
    pub service: Option<String>,
    pub node: Option<u32>,
    pub zone: Option<String>,
    /// With `service`: how many of its replicas, drawn by the seed. Default: all.
    pub replicas: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKindSpec {
    /// The processes end; connections are reset. After `lasts` they start again, cold.
    Kill,
    /// The processes stand still and accept connections.
    Stop,
    /// They go on at this share of their speed.
    Slow(f64),
    /// This share of the calls is answered with 500 at once.
    Fail(f64),
    /// Each message to or from them takes this much longer.
    Delay(Span<0>),
    /// Messages between the two zones are lost.
    Partition([String; 2]),
    /// A chaos rule of the gateway, for the endpoints of those it strikes. Only on the rig: nothing here has bytes.
    Chaos(ChaosSpec),
}

/// What such a rule does, and to how many of the attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChaosSpec {
    pub fault: ChaosFault,
    #[serde(default = "all")]
    pub percent: f64,
    /// Health probes are hit too.
    #[serde(default)]
    pub probes: bool,
}

fn all() -> f64 {
    100.0
}
