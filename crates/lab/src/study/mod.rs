//! Studies: a question put to the simulator or the rig in a factorial design, with repeats and seeds, whose
//! finished runs survive an interruption. A study says what was measured; what it means is up to its report.
//!
//! [`Study::read`] checks a study file, [`Study::plan`] lists its runs, [`run`] makes those that [`Folder`] does not
//! hold yet, each by [`simulate`].

pub mod analysis;
mod error;
mod folder;
mod measure;
mod patch;
mod plan;
mod runner;
mod simulate;
mod spec;
#[cfg(test)]
mod tests;

pub use error::StudyError;
pub use folder::{Damage, Folder, FolderError};
pub use measure::{Measure, Measures};
pub use plan::{Cell, Level, Plan, Run};
pub use runner::{Progress, Reader, RunError, missing, run};
pub use simulate::simulate;
pub use spec::{FactorSpec, LevelSpec, Study, StudySpec};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What made a run: with these and the study file it can be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Version and commit of Headgate.
    pub headgate: String,
    /// Processor, number of cores and kernel.
    pub machine: String,
}

/// One finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Level of each factor, by factor.
    pub levels: BTreeMap<String, String>,
    /// Counted from 1.
    pub repeat: u32,
    pub seed: u64,
    /// `sim` or `rig`.
    pub ground: Ground,
    pub measures: Measures,
    /// Of a simulated run: equal runs have equal digests.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
    /// What it took to make, in seconds of the wall clock.
    pub took_s: f64,
    pub origin: Origin,
}

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// In the simulator, in virtual time.
    Sim,
    /// With the real binary and real processes.
    Rig,
}
