//! The simulator as its users see it: queueing theory, policies under faults, exact repetition.

mod flow;
mod policies;
mod queueing;
mod recovery;
mod repeat;

use super::{Results, Sim, SystemSpec};
use crate::workload::{Workload, WorkloadSpec, no_files};

/// Builds from two pieces of TOML; the error as text.
pub(super) fn sim(system: &str, workload: &str, seed: u64) -> Result<Sim, String> {
    let system: SystemSpec = toml::from_str(system).map_err(|error| error.to_string())?;
    let workload: WorkloadSpec = toml::from_str(workload).map_err(|error| error.to_string())?;
    let workload = Workload::new(&workload, seed, &mut no_files()).map_err(|error| error.to_string())?;
    Sim::new(&system, workload, seed).map_err(|error| error.to_string())
}

pub(super) fn run(system: &str, workload: &str, seed: u64) -> Results {
    sim(system, workload, seed).unwrap().run()
}
