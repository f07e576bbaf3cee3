//! One run of a study in the simulator, reduced to its measures.

use super::error::StudyError;
use super::measure::{Measure, Measures};
use super::plan::Run;
use super::recovery::intervals;
use super::spec::Study;
use crate::sim::{FaultKindSpec, FaultSpec, Results, Sim};
use crate::workload::Workload;

/// Whether every combination of the study can be run in the simulator.
///
/// # Errors
/// The first that cannot, with the key that is in the way.
pub fn check_for_sim(study: &Study) -> Result<(), StudyError> {
    study.plan().cells().iter().try_for_each(|cell| {
        let (system, _) = study.specs(cell)?;
        let is_rule = |fault: &FaultSpec| matches!(fault.what, FaultKindSpec::Chaos(_));
        let Some(index) = system.faults.iter().position(is_rule) else { return Ok(()) };
        let problem = format!("system.fault[{index}].what.chaos is for the rig: write --rig");
        Err(StudyError::Cell { cell: cell.to_string(), problem })
    })
}

/// Makes the run. The same run of the same study gives the same results, to the bit.
///
/// # Errors
/// When the cell cannot be run, which [`Study::read`] has ruled out.
pub fn simulate(study: &Study, run: Run) -> Result<(Measures, Results), StudyError> {
    let cell = &study.plan().cells()[run.cell];
    let (system, workload) = study.specs(cell)?;
    let in_cell = |problem: String| StudyError::Cell { cell: cell.to_string(), problem };
    let workload = study.workload(cell, &workload, run.seed, &mut study.named_files())?;
    let measured_s = measured_s(&workload);
    let mut sim = Sim::new(&system, workload, run.seed).map_err(|error| in_cell(error.to_string()))?;
    let recovery = sim.run_through_fault();
    let results = sim.run();
    let mut measures = reduce(&results, measured_s);
    if let Some(recovery) = recovery {
        measures.extend(intervals(&recovery));
    }
    Ok((measures, results))
}

/// Length of the measured phases in seconds.
fn measured_s(workload: &Workload) -> f64 {
    let phases = workload.phases();
    let measured = phases.all().iter().filter(|phase| phase.measured);
    measured.map(|phase| phase.lasts.0.as_secs_f64()).sum()
}

fn reduce(results: &Results, measured_s: f64) -> Measures {
    let latency = &results.latency;
    let ms = |ns: f64| ns / 1e6;
    let quantile = |q: f64| ms(latency.quantile_ns(q) as f64);
    let (cpu, memory) = results.cpu_and_memory();
    let mut measures =
        Measures::from([(Measure::CpuPercent, cpu * 100.0), (Measure::MemoryPercent, memory * 100.0)]);
    if results.offered > 0 {
        measures.insert(Measure::SuccessPercent, results.success_share() * 100.0);
    }
    if measured_s > 0.0 {
        measures.insert(Measure::ThroughputPerS, results.ok() as f64 / measured_s);
    }
    if latency.count() > 0 {
        measures.extend([
            (Measure::LatencyMeanMs, ms(latency.mean_ns())),
            (Measure::LatencyMedianMs, quantile(0.5)),
            (Measure::LatencyDeviationMs, ms(latency.deviation_ns())),
            (Measure::LatencyP95Ms, quantile(0.95)),
            (Measure::LatencyP99Ms, quantile(0.99)),
        ]);
    }
    measures
}
