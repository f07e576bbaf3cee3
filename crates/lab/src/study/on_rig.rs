//! One run of a study on the rig, reduced to the measures of a simulated one.

use super::error::StudyError;
use super::measure::{Measure, Measures};
use super::plan::{Cell, Run};
use super::recovery::intervals;
use super::spec::Study;
use crate::load::Measured;
use crate::rig::{GATEWAY, Outcome, RigError, Trial};
use std::path::Path;
use std::sync::atomic::AtomicBool;

const MIB: f64 = 1_048_576.0;

/// What the rig needs beside a study.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    /// The `headgate` binary that is started.
    pub program: &'a Path,
    /// Ends the run under way when it is set.
    pub stop: &'a AtomicBool,
}

/// Whether every combination of the study can be run on processes.
///
/// # Errors
/// The first that cannot, with the key that is in the way.
pub fn check_for_rig(study: &Study) -> Result<(), StudyError> {
    study.plan().cells().iter().try_for_each(|cell| trial(study, cell, study.spec.seed).map(|_| ()))
}

fn trial(study: &Study, cell: &Cell, seed: u64) -> Result<Trial, StudyError> {
    let (system, workload) = study.specs(cell)?;
    Trial::new(&system, &workload, seed, &mut study.named_files())
        .map_err(|error| StudyError::Cell { cell: cell.to_string(), problem: format!("on the rig: {error}") })
}

/// Makes the run.
///
/// # Errors
/// When the cell cannot be run, a process fails, or the run is stopped.
pub(super) fn run_on_rig(
    study: &Study,
    run: Run,
    bench: Bench<'_>,
) -> Result<(Measures, Outcome), OnRigError> {
    let cell = &study.plan().cells()[run.cell];
    let trial = trial(study, cell, run.seed)?;
    let outcome = trial
        .run(bench.program, bench.stop)
        .map_err(|source| OnRigError::Rig { cell: cell.to_string(), source: Box::new(source) })?;
    Ok((reduce(&outcome), outcome))
}

/// Why a run on the rig failed.
#[derive(Debug, thiserror::Error)]
pub enum OnRigError {
    #[error(transparent)]
    Study(#[from] StudyError),
    #[error("with {cell}")]
    Rig { cell: String, source: Box<RigError> },
}

fn reduce(outcome: &Outcome) -> Measures {
    let total = &outcome.load.total;
    let latency = &total.from_planned_good;
    let (good, all) = good_of_all(total);
    let mut measures = Measures::from([
        (Measure::CpuPercent, outcome.cpu_share * 100.0),
        (Measure::MemoryPercent, outcome.memory_share * 100.0),
    ]);
    if all > 0 {
        measures.insert(Measure::SuccessPercent, good as f64 / all as f64 * 100.0);
    }
    if total.seconds > 0.0 {
        measures.insert(Measure::ThroughputPerS, good as f64 / total.seconds);
    }
    if latency.count > 0 {
        measures.extend([
            (Measure::LatencyMeanMs, latency.mean_us / 1e3),
            (Measure::LatencyMedianMs, latency.p50_us / 1e3),
            (Measure::LatencyDeviationMs, latency.stdev_us / 1e3),
            (Measure::LatencyP95Ms, latency.p95_us / 1e3),
            (Measure::LatencyP99Ms, latency.p99_us / 1e3),
        ]);
    }
    let (mut cores, mut bytes) = (0.0, 0.0);
    for (name, used) in &outcome.processes {
        if name == GATEWAY {
            measures.insert(Measure::GatewayCpuPercent, used.cores * 100.0);
            measures.insert(Measure::GatewayMemoryMib, used.memory_bytes / MIB);
        } else {
            cores += used.cores;
            bytes += used.memory_bytes;
        }
    }
    measures.insert(Measure::ServicesCpuPercent, cores * 100.0);
    measures.insert(Measure::ServicesMemoryMib, bytes / MIB);
    if let Some(recovery) = &outcome.recovery {
        measures.extend(intervals(recovery));
    }
    measures
}

/// Good answers, and all requests that were planned.
fn good_of_all(total: &Measured) -> (u64, u64) {
    let good: u64 = total.statuses.range(..400).map(|(_, count)| count).sum();
    (good, total.answered + total.failed.total())
}
