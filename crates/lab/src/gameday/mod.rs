//! Game days: a hypothesis about a running system is put to the test by breaking parts of it on purpose, with a
//! cap on the damage, conditions to abort, and a schedule from a seed. It measures and takes back; the faults
//! themselves are the gateway's chaos rules, harm to processes, changed files, and commands.
//!
//! [`GameDay::read`] checks a file and draws its schedule, [`GameDay::run`] carries it out and gives an
//! [`Outcome`]: as text, JSON or report.

mod act;
mod board;
mod check;
mod command;
mod conductor;
mod effect;
mod exposition;
mod guard;
mod outcome;
mod page;
mod probe;
mod radius;
mod rigged;
mod run;
mod schedule;
mod score;
mod spec;
mod stage;
#[cfg(test)]
mod tests;
mod text;

pub use guard::guard;
pub use outcome::{
    AbortResult, AlarmChange, Budget, CoursePoint, ExpectationResult, FORMAT, FaultResult, Outcome,
    ProbeResult, RadiusResult, Score, ScorePart, StageResult, Verdict,
};
pub use radius::Footprint;
pub use run::GameDayError;
pub use schedule::Planned;
pub use spec::{GameDaySpec, Stage};

use crate::rig::Layout;
use crate::workload::Files;
use check::{Mistakes, check, check_plan};
use headgate_model::address::EndpointAddress;
use headgate_model::{ConfigError, StrictFile};
use radius::{Fleet, Reach};
use spec::ProcessStep;
use std::time::Duration;

/// A checked game day with its schedule.
#[derive(Clone, Debug)]
pub struct GameDay {
    pub spec: GameDaySpec,
    pub seed: u64,
    plan: Vec<Planned>,
    file: StrictFile,
    /// What is started for it.
    layout: Option<Layout>,
}

impl GameDay {
    /// Reads and checks a file, and draws its schedule; `seed` in place of the file's. `lookup` gives
    /// environment variables, `files` the text of files that the load names.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn read(
        text: &str,
        name: &str,
        seed: Option<u64>,
        lookup: &dyn Fn(&str) -> Option<String>,
        files: Files<'_>,
    ) -> Result<Self, Vec<ConfigError>> {
        let file = StrictFile::new(name, text);
        let mut spec: GameDaySpec = file.read(lookup)?;
        let seed = seed.unwrap_or(spec.seed);
        let mut mistakes = Mistakes::new(&file);
        let layout = match rigged::layout(&spec, seed) {
            Some(Ok(layout)) => Some(layout),
            Some(Err(error)) => {
                mistakes.add(&["system", "rig"], error.to_string(), "");
                None
            }
            None => None,
        };
        if let Some(layout) = &layout {
            rigged::check(&spec, &mut mistakes);
            rigged::place(&mut spec, layout, None);
        }
        check(&spec, &mut mistakes);
        let mut plan = Vec::new();
        if mistakes.found.is_empty() {
            plan = schedule::draw(&spec, seed);
            check_plan(&spec, &plan, &fleet(&spec), &mut mistakes);
        }
        if mistakes.found.is_empty()
            && let Err(error) = run::load_plan(&spec, seed, Duration::from_secs(1), Duration::ZERO, files)
        {
            mistakes.add(&["load"], error.to_string(), "");
        }
        match mistakes.found.is_empty() {
            true => Ok(Self { spec, seed, plan, file, layout }),
            false => Err(mistakes.found),
        }
    }

    /// The faults with their times, in order.
    #[must_use]
    pub fn plan(&self) -> &[Planned] {
        &self.plan
    }

    /// How long the method lasts.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.plan.iter().map(|planned| planned.ends).max().unwrap_or_default().max(self.spec.stages.during.0)
    }

    /// The most that the plan affects at once, as far as the file tells.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        check::footprint(&self.spec, &self.plan, &fleet(&self.spec))
    }
}

/// The endpoints that the file knows of.
fn fleet(spec: &GameDaySpec) -> Fleet {
    let known = spec.system.targets.values().filter_map(|target| {
        let endpoint = endpoint_name(target.endpoint.as_deref()?).ok()?;
        Some((target.service.clone().unwrap_or_default(), endpoint))
    });
    Fleet::of_targets(known)
}

/// An endpoint's address as the gateway writes it in metrics.
fn endpoint_name(written: &str) -> Result<String, String> {
    written.parse::<EndpointAddress>().map(|address| address.to_string()).map_err(|error| error.to_string())
}

/// What a planned fault reaches, for each of its targets.
fn reaches(spec: &GameDaySpec, planned: &Planned) -> Vec<Reach> {
    let action = &spec.method[planned.action];
    // A file hits whatever reads it, and what that does about it is the question.
    if action.file.is_some() {
        return Vec::new();
    }
    let (service, share) = match (&action.chaos, action.process) {
        (Some(chaos), _) => (chaos.service.clone(), chaos.percent / 100.0),
        (_, Some(ProcessStep::Fail { share })) => (None, share),
        _ => (None, 1.0),
    };
    let is_process = action.command.is_some() || action.process.is_some();
    let reach = |endpoint| Reach { service: service.clone(), endpoint, share, is_process };
    match planned.targets.is_empty() {
        true => vec![reach(None)],
        false => planned.targets.iter().map(|target| reach(act::target_endpoint(spec, target))).collect(),
    }
}
