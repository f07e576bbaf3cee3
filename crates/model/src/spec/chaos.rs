//! What a chaos rule is: which requests it is about, how many of them, and what befalls them. One type for
//! the file and for rules that are added at run time. What a fault does is not here.

use super::{Bytes, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Injects a fault into live traffic: for tests of what is built around a failing service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChaosRule {
    /// Name in logs, metrics and the admin API; no two rules share one.
    pub name: String,
    /// Only requests that took the route of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Only attempts at this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Only attempts at the endpoint of this address, in whichever service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Share of the attempts that are hit, 0 to 100; fractions are allowed.
    #[serde(default = "all")]
    pub percent: f64,
    pub fault: ChaosFault,
    /// Health probes of the endpoint are hit too. Only faults of the exchange, and not by route.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub probes: bool,
    /// Of the rule's own dice: the same seed gives the first, the second, the hundredth attempt the same fate.
    /// Default: the dice of each worker, which differ from start to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How long it is in force. Only for rules that are added at run time.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span<0>>,
}

fn all() -> f64 {
    100.0
}

/// What befalls an attempt. `delay` to `partition` are faults of the exchange; the rest are faults of the
/// bytes on the connection to the endpoint, the toxics of Toxiproxy under their own names among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChaosFault {
    /// The endpoint takes longer.
    Delay(Delay),
    /// The endpoint answers with this status.
    Abort(Abort),
    /// The client's connection is reset; of HTTP/2, its stream.
    Reset,
    /// Nothing comes from the endpoint, for as long as the timeouts allow.
    Stall,
    /// The endpoint cannot be reached.
    Partition(Partition),
    /// The endpoint accepts no connections.
    Down,
    /// Bytes arrive later.
    Latency(Latency),
    /// Bytes arrive no faster than this.
    Bandwidth(Bandwidth),
    /// The end of the connection arrives later.
    SlowClose(SlowClose),
    /// No byte arrives, and then the connection closes.
    Timeout(Timeout),
    /// The connection is reset.
    ResetPeer(ResetPeer),
    /// Bytes arrive in small pieces.
    Slicer(Slicer),
    /// The connection closes after so many bytes.
    LimitData(LimitData),
    /// Bytes of content are changed.
    Corrupt(Corrupt),
}

impl ChaosFault {
    /// The name in the file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delay(_) => "delay",
            Self::Abort(_) => "abort",
            Self::Reset => "reset",
            Self::Stall => "stall",
            Self::Partition(_) => "partition",
            Self::Down => "down",
            Self::Latency(_) => "latency",
            Self::Bandwidth(_) => "bandwidth",
            Self::SlowClose(_) => "slow_close",
            Self::Timeout(_) => "timeout",
            Self::ResetPeer(_) => "reset_peer",
            Self::Slicer(_) => "slicer",
            Self::LimitData(_) => "limit_data",
            Self::Corrupt(_) => "corrupt",
        }
    }
}

/// How long a delay is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delay {
    /// Always as long.
    Constant(Span<0>),
    /// Anything from `latency - jitter` to `latency + jitter`.
    Uniform(Uniform),
    /// Normal, cut off at zero.
    Normal(Normal),
    /// Lognormal: most are near the median, a few take long.
    Lognormal(Tail),
    /// Pareto: the tail goes on and on.
    Pareto(Tail),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uniform {
    pub latency: Span<0>,
    pub jitter: Span<0>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normal {
    pub mean: Span<0>,
    /// Standard deviation.
    pub deviation: Span<0>,
}

/// A distribution told by two of its quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    pub median: Span<0>,
    pub p99: Span<0>,
}

/// An answer in place of the endpoint's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// 200 to 599.
    pub status: u16,
    /// Plain text.
    #[serde(default)]
    pub body: String,
}

/// How it shows that an endpoint cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Partition {
    /// Connections are refused at once.
    Refuse,
    /// Connections are not answered until the connect timeout.
    Timeout,
}

/// The direction that a byte fault acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client to the endpoint: the request.
    Upstream,
    /// From the endpoint to the client: the response.
    #[default]
    Downstream,
}

/// Each piece of bytes is held back for `latency`, give or take up to `jitter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub latency: Span<0>,
    #[serde(default)]
    pub jitter: Span<0>,
    #[serde(default)]
    pub stream: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Bytes per second.
    pub rate: Bytes<0>,
    #[serde(default)]
    pub stream: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowClose {
    pub delay: Span<0>,
    #[serde(default)]
    pub stream: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    /// Zero: the connection stays open.
    pub timeout: Span<0>,
    #[serde(default)]
    pub stream: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPeer {
    /// From the first byte in this direction; zero: at once.
    #[serde(default)]
    pub timeout: Span<0>,
    #[serde(default)]
    pub stream: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slicer {
    /// Bytes of a piece, on average.
    pub average_size: Bytes<0>,
    /// Bytes that a piece may be longer or shorter; less than the average.
    #[serde(default)]
    pub size_variation: Bytes<0>,
    /// Pause after each piece.
    #[serde(default)]
    pub delay: Span<0>,
    #[serde(default)]
    pub stream: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitData {
    pub bytes: Bytes<0>,
    #[serde(default)]
    pub stream: Direction,
}

/// Changes bytes of content, never of heads and framing: what is broken is what a message says, not where
/// it ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Corrupt {
    /// Share of the bytes that are changed, 0 to 1.
    pub probability: f64,
    #[serde(default)]
    pub stream: Direction,
}
