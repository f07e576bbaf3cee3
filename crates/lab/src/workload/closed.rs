//! The closed model: a number of users, each of whom waits for an answer, thinks, and asks again. A slow
//! service therefore sees less load, which the open model denies it.

use super::distribution::{Distribution, Sampler};
use super::error::SpecError;
use super::phases::{Phase, Phases};
use headgate_model::spec::Span;
use serde::{Deserialize, Serialize};

/// Users at once.
pub const USERS_MAX: u32 = 1_000_000;

/// The closed model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedSpec {
    /// From an answer to the next request, unless the step says otherwise.
    #[serde(default = "a_second")]
    pub think: Distribution<Span<0>>,
    /// Levels are numbers of users. User `n` is there while the level is above `n`, counted from zero; whoever
    /// goes finishes the request under way.
    pub phases: Vec<Phase>,
}

fn a_second() -> Distribution<Span<0>> {
    Distribution::Exponential { mean: Span(std::time::Duration::from_secs(1)) }
}

/// The checked closed model.
#[derive(Clone, Debug)]
pub struct Closed {
    phases: Phases,
    think: Sampler,
}

impl Closed {
    /// Checks the description.
    pub fn new(spec: &ClosedSpec) -> Result<Self, SpecError> {
        let think = spec.think.sampler().map_err(|error| error.within("think"))?;
        Ok(Self { phases: Phases::new(&spec.phases, f64::from(USERS_MAX))?, think })
    }

    #[must_use]
    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    /// The most users at once: users are numbered below it.
    #[must_use]
    pub fn users(&self) -> u32 {
        self.phases.peak().ceil() as u32
    }

    /// When user `user` may ask next, from `now_ns` on: at once, when the number of users rises again, or never.
    #[must_use]
    pub fn next_turn(&self, user: u32, now_ns: u64) -> Option<u64> {
        self.phases.reaches(user, now_ns)
    }

    pub(crate) fn think(&self) -> &Sampler {
        &self.think
    }
}
