//! A game day as it is written in a file. What makes sense together is checked elsewhere.

use crate::workload::{Distribution, PopularitySpec, StepSpec, TenantSpec};
use headgate_model::spec::{Bytes, ChaosFault, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A game day file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GameDaySpec {
    /// Letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What is believed, in words.
    pub hypothesis: String,
    /// Of everything that is drawn: times, targets, requests, the dice of chaos rules.
    #[serde(default)]
    pub seed: u64,
    pub system: SystemSpec,
    pub load: LoadSpec,
    #[serde(default)]
    pub stages: StagesSpec,
    /// What users are promised.
    #[serde(default)]
    pub slo: SloSpec,
    pub blast_radius: RadiusSpec,
    /// The steady state: what has to hold before, during and after.
    #[serde(rename = "probe")]
    pub probes: Vec<ProbeSpec>,
    /// What is done to the system.
    pub method: Vec<ActionSpec>,
    /// When all faults are taken back at once.
    #[serde(rename = "abort")]
    pub aborts: Vec<AbortSpec>,
}

/// A system that runs already, or one that is started for the game day.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemSpec {
    /// URL that the load is sent to.
    #[serde(default)]
    pub gateway: String,
    /// Address of the admin listener.
    #[serde(default)]
    pub admin: String,
    /// What faults can be aimed at, by a name for people.
    #[serde(default, rename = "target")]
    pub targets: BTreeMap<String, TargetSpec>,
    /// In place of all that: real processes on this machine, as the simulator describes them. Its replicas are
    /// the targets, `SERVICE-0` and so on, and the process `gateway`.
    pub rig: Option<crate::sim::SystemSpec>,
}

/// Something that a fault can be aimed at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSpec {
    /// Its address among the endpoints of the gateway.
    pub endpoint: Option<String>,
    /// The service that it is an endpoint of.
    pub service: Option<String>,
    /// A file with the number of its process.
    pub pid_file: Option<PathBuf>,
}

/// The built-in load.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSpec {
    /// Requests per second, whatever the answers; or `users`.
    pub rate: Option<f64>,
    /// Users who wait for their answers; or `rate`.
    pub users: Option<u32>,
    /// Between the answer and the next request of a user.
    pub think: Option<Distribution<Span<0>>>,
    /// Follows the URL of the gateway; `{key}` is filled in.
    #[serde(default = "slash")]
    pub path: String,
    #[serde(default)]
    pub keys: PopularitySpec,
    #[serde(default)]
    pub steps: BTreeMap<String, StepSpec>,
    #[serde(default)]
    pub tenants: BTreeMap<String, TenantSpec>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub http2: bool,
    pub connections: Option<usize>,
    /// For an answer. What hangs is an error only after it.
    #[serde(default)]
    pub timeout: Span<2_000>,
}

fn slash() -> String {
    "/".to_owned()
}

/// How long the system is watched.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StagesSpec {
    /// Load without being watched, so that pools and estimates are warm.
    pub warm_up: Span<2_000>,
    /// Before the first fault.
    pub before: Span<10_000>,
    /// At least this long from the first action's zero; longer when the method is.
    pub during: Span<0>,
    /// After the last fault.
    pub after: Span<15_000>,
}

/// What users are promised.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SloSpec {
    /// Percent of the requests that are answered well.
    pub success_percent: f64,
}

impl Default for SloSpec {
    fn default() -> Self {
        Self { success_percent: 99.9 }
    }
}

/// The most that may be affected at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadiusSpec {
    /// Percent of the attempts at the service that is hit worst.
    pub requests_percent: f64,
    /// Percent of the endpoints of the service that is hit worst.
    #[serde(default = "half")]
    pub endpoints_percent: f64,
    /// Processes under a process fault.
    #[serde(default = "one")]
    pub processes: usize,
}

fn half() -> f64 {
    50.0
}

fn one() -> usize {
    1
}

/// One part of the steady state. Exactly one of `load`, `http`, `metric` and `command` is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    pub name: String,
    /// Of the built-in load over a whole stage: `p99<50ms`, `errors<0.1%`, `rate>=90`.
    pub load: Option<String>,
    pub http: Option<HttpProbe>,
    pub metric: Option<MetricProbe>,
    pub command: Option<CommandProbe>,
    #[serde(default = "all_stages")]
    pub when: Vec<Stage>,
    #[serde(default)]
    pub mode: Mode,
    /// How often it is asked.
    #[serde(default)]
    pub every: Span<1_000>,
    /// Percent of the answers of a stage that may be wrong.
    #[serde(default)]
    pub tolerate_percent: f64,
}

fn all_stages() -> Vec<Stage> {
    Stage::ALL.to_vec()
}

/// A part of a game day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The steady state has to hold, or nothing is done.
    Before,
    /// The method.
    During,
    /// All faults have been taken back.
    After,
}

impl Stage {
    pub const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];

    /// As in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        }
    }
}

/// Which answers of a stage count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every one, but for `tolerate_percent`.
    #[default]
    Continuous,
    /// One is enough.
    Eventually,
    /// The last.
    End,
}

/// A request with what its answer has to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// `http://...`; `/path` asks the gateway, `admin:/path` its admin listener.
    pub url: String,
    #[serde(default = "ok")]
    pub status: u16,
    /// Text that the body contains.
    pub contains: Option<String>,
    pub json: Option<JsonProbe>,
    #[serde(default)]
    pub timeout: Span<2_000>,
}

fn ok() -> u16 {
    200
}

/// A value in a JSON body.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonProbe {
    /// JSON Pointer (RFC 6901), like `/requests/per_s`.
    pub pointer: String,
    pub equals: serde_json::Value,
}

/// A figure of the gateway's `/metrics`: the sum of all series with these labels; no series counts as zero.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricProbe {
    pub name: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    pub at_least: Option<f64>,
    pub at_most: Option<f64>,
    /// By how much it has grown since the stage began, in place of its value.
    #[serde(default)]
    pub growth: bool,
}

/// A command with its exit code.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandProbe {
    /// The program and its arguments; no shell.
    pub run: Vec<String>,
    #[serde(default)]
    pub exit_code: i32,
    #[serde(default)]
    pub timeout: Span<10_000>,
}

/// One thing that is done to the system, and taken back. Exactly one of `chaos`, `process`, `file` and `command`
/// is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    pub name: String,
    /// From the beginning of the method; or `between`.
    pub at: Option<Span<0>>,
    /// A time that is drawn.
    pub between: Option<[Span<0>; 2]>,
    pub lasts: Span<0>,
    /// How many times it is drawn.
    #[serde(default = "once")]
    pub times: u32,
    /// Names of targets, of which `pick` are drawn each time.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Default: all.
    pub pick: Option<usize>,
    pub chaos: Option<ChaosStep>,
    pub process: Option<ProcessStep>,
    pub file: Option<FileStep>,
    pub command: Option<CommandStep>,
    #[serde(default)]
    pub expect: ExpectSpec,
}

fn once() -> u32 {
    1
}

/// A chaos rule; where there are targets, one for the endpoint of each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChaosStep {
    pub route: Option<String>,
    pub service: Option<String>,
    #[serde(default = "hundred")]
    pub percent: f64,
    pub fault: ChaosFault,
    /// Health probes of the endpoint are hit too.
    #[serde(default)]
    pub probes: bool,
}

fn hundred() -> f64 {
    100.0
}

/// What befalls the process of each target.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessStep {
    /// Stands still (SIGSTOP).
    Stop,
    /// Ends at once (SIGKILL); taken back: started anew. Only on the rig, as all that follow.
    Kill {
        /// From its new start until it listens.
        #[serde(default)]
        cold_start: Span<0>,
    },
    /// Has this share of a core's time, 0 to 1.
    CpuQuota {
        share: f64,
        #[serde(default)]
        period: Span<100>,
    },
    /// Has no more address space than this; taken back: started anew.
    MemoryCap { bytes: Bytes<0> },
    /// Works at this share of its speed.
    Slow { share: f64 },
    /// Answers this share of its requests with 500.
    Fail { share: f64 },
    /// Each message to it and from it takes this much longer.
    Delay { by: Span<0> },
    /// Its wall clock is off; also the gateway's.
    Clock(ClockStep),
}

/// How far a clock is off.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockStep {
    Ahead(Span<0>),
    Behind(Span<0>),
}

/// A text in a file is replaced by another, and put back: answers of `headgate lab dns`, lists of endpoints,
/// settings, certificates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileStep {
    pub path: PathBuf,
    /// Must stand in it.
    pub from: String,
    pub to: String,
}

/// Commands of one's own. `{target}` and `{endpoint}` in arguments are filled in, once for each target.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandStep {
    pub run: Vec<String>,
    /// Takes it back.
    pub undo: Vec<String>,
    #[serde(default)]
    pub timeout: Span<10_000>,
}

/// How soon the system is expected to deal with a fault. Part of the score, not of the hypothesis.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectSpec {
    /// From the beginning until the gateway has taken a target out.
    pub detected_within: Option<Span<0>>,
    /// From the beginning until users are well again, the fault still there.
    pub mitigated_within: Option<Span<0>>,
    /// From the end until users are well and nothing is taken out any more.
    pub recovered_within: Option<Span<0>>,
}

/// A reason to stop. Exactly one of `load`, `burn_rate`, `metric` and `probe` is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbortSpec {
    /// Of each second: `errors>20%`, `p99>2s`, `rate<10`.
    pub load: Option<String>,
    /// Errors of each second as a multiple of what the SLO allows are above this.
    pub burn_rate: Option<f64>,
    /// Is as described.
    pub metric: Option<MetricProbe>,
    /// The probe of this name gives a wrong answer.
    pub probe: Option<String>,
    /// For so long without a break.
    #[serde(default, rename = "for")]
    pub lasts: Span<0>,
}
