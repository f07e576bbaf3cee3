//! Studies: a question put to the simulator or the rig in a factorial design, with repeats and seeds, whose
//! finished runs survive an interruption. A study says what was measured; what it means is up to its report.
//!
//! [`Study::read`] checks a study file, [`Study::plan`] lists its runs, [`run`] makes those that [`Folder`] does not
//! hold yet, each by [`simulate`] or on a [`Bench`].

pub mod analysis;
mod error;
mod folder;
mod measure;
mod on_rig;
mod patch;
mod plan;
mod recovery;
mod runner;
mod simulate;
mod spec;
#[cfg(test)]
mod tests;

pub use error::StudyError;
pub use folder::{Damage, Folder, FolderError, Kept, put};
pub use measure::{Measure, Measures};
pub use on_rig::{Bench, OnRigError, check_for_rig};
pub use plan::{Cell, Level, Plan, Run};
pub use runner::{Making, Progress, RunError, missing, run};
pub use simulate::{check_for_sim, simulate};
pub use spec::{FactorSpec, LevelSpec, NamedFiles, Study, StudySpec};

use crate::rig::ProcessUse;
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
    /// On the rig: what each process really used, on the mean of the measured phases.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub processes: BTreeMap<String, ProcessUse>,
    /// What a reader must not overlook, as the load generator tells it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    /// What it took to make, in seconds of the wall clock.
    pub took_s: f64,
    pub origin: Origin,
}

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// In the simulator, in virtual time.
    Sim,
    /// With the real binary and real processes.
    Rig,
}

impl Ground {
    /// As it is written in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Rig => "rig",
        }
    }
}
