//! What a run is reduced to: a few numbers with their units in their names. The replicate is the run, so the
//! single requests of a run go into these and nowhere else.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The numbers of one run. One that could not be measured is absent.
pub type Measures = BTreeMap<Measure, f64>;

/// A number that a run is reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Of good answers, from the planned time.
    LatencyMeanMs,
    LatencyMedianMs,
    /// Standard deviation within the run.
    LatencyDeviationMs,
    #[serde(rename = "latency_p95_ms")]
    LatencyP95Ms,
    #[serde(rename = "latency_p99_ms")]
    LatencyP99Ms,
    /// Good answers per second of the measured phases.
    ThroughputPerS,
    /// Share of all nodes' cores in use.
    CpuPercent,
    /// Share of all nodes' memory in use.
    MemoryPercent,
    /// Good answers of all planned requests.
    SuccessPercent,
    /// From the first fault until a policy takes a struck replica out of use.
    DetectS,
    /// From then until requests are answered well again.
    RespondS,
    /// From then until there are as many replicas in service as before.
    ScaleS,
    /// From the first fault until all of this is done.
    RecoveryS,
    /// Real processor time of the gateway's process, of one core. On the rig only, as are the following.
    GatewayCpuPercent,
    /// Memory of the gateway's process.
    #[serde(rename = "gateway_memory_mib")]
    GatewayMemoryMib,
    /// Real processor time of all services' processes, which compute no more than their delays.
    ServicesCpuPercent,
    #[serde(rename = "services_memory_mib")]
    ServicesMemoryMib,
}

impl Measure {
    pub const ALL: [Self; 17] = [
        Self::LatencyMeanMs,
        Self::LatencyMedianMs,
        Self::LatencyDeviationMs,
        Self::LatencyP95Ms,
        Self::LatencyP99Ms,
        Self::ThroughputPerS,
        Self::CpuPercent,
        Self::MemoryPercent,
        Self::SuccessPercent,
        Self::DetectS,
        Self::RespondS,
        Self::ScaleS,
        Self::RecoveryS,
        Self::GatewayCpuPercent,
        Self::GatewayMemoryMib,
        Self::ServicesCpuPercent,
        Self::ServicesMemoryMib,
    ];

    /// As it is written in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LatencyMeanMs => "latency_mean_ms",
            Self::LatencyMedianMs => "latency_median_ms",
            Self::LatencyDeviationMs => "latency_deviation_ms",
            Self::LatencyP95Ms => "latency_p95_ms",
            Self::LatencyP99Ms => "latency_p99_ms",
            Self::ThroughputPerS => "throughput_per_s",
            Self::CpuPercent => "cpu_percent",
            Self::MemoryPercent => "memory_percent",
            Self::SuccessPercent => "success_percent",
            Self::DetectS => "detect_s",
            Self::RespondS => "respond_s",
            Self::ScaleS => "scale_s",
            Self::RecoveryS => "recovery_s",
            Self::GatewayCpuPercent => "gateway_cpu_percent",
            Self::GatewayMemoryMib => "gateway_memory_mib",
            Self::ServicesCpuPercent => "services_cpu_percent",
            Self::ServicesMemoryMib => "services_memory_mib",
        }
    }

    /// As people read it, with its unit.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::LatencyMeanMs => "mean latency (ms)",
            Self::LatencyMedianMs => "median latency (ms)",
            Self::LatencyDeviationMs => "standard deviation of latency (ms)",
            Self::LatencyP95Ms => "latency p95 (ms)",
            Self::LatencyP99Ms => "latency p99 (ms)",
            Self::ThroughputPerS => "throughput (requests/s)",
            Self::CpuPercent => "CPU (%)",
            Self::MemoryPercent => "memory (%)",
            Self::SuccessPercent => "success (%)",
            Self::DetectS => "detection (s)",
            Self::RespondS => "response (s)",
            Self::ScaleS => "scaling (s)",
            Self::RecoveryS => "recovery (s)",
            Self::GatewayCpuPercent => "CPU of the gateway's process (% of a core)",
            Self::GatewayMemoryMib => "memory of the gateway's process (MiB)",
            Self::ServicesCpuPercent => "CPU of all services' processes (% of a core)",
            Self::ServicesMemoryMib => "memory of all services' processes (MiB)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_is_written_under_its_name() {
        for measure in Measure::ALL {
            assert_eq!(serde_json::to_value(measure).unwrap(), measure.name());
        }
    }
}
