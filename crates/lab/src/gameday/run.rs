//! A game day from its first look at the system to its outcome: before, during, after, and what they say.

use super::act::{PREFIX, Reins};
use super::board::Board;
use super::check::{Mistakes, check_plan, footprint};
use super::conductor::{Carried, Conductor};
use super::guard::Guard;
use super::outcome::{AbortResult, Budget, FORMAT, Outcome, RadiusResult, StageResult, Verdict};
use super::probe::scrape;
use super::radius::{Fleet, Footprint};
use super::spec::{GameDaySpec, Stage};
use super::stage::{Ground, Staged};
use super::{GameDay, effect, endpoint_name, rigged, score};
use crate::admin::rules::rules;
use crate::load::{LoadError, Moment, Plan, RequestSpec, Target};
use crate::rig::{RigError, System};
use crate::workload::{ClosedSpec, Distribution, Files, OpenSpec, Phase, Streams, Workload, WorkloadSpec};
use headgate_model::ConfigError;
use headgate_model::spec::Span;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Why a game day cannot begin. Nothing was done to the system.
#[derive(Debug, thiserror::Error)]
pub enum GameDayError {
    #[error("the load cannot be sent: {0}")]
    Load(#[from] LoadError),
    #[error(transparent)]
    Rig(#[from] RigError),
    #[error("no metrics from the admin listener at {admin}: {why}; is it running, and is this its address?")]
    Admin { admin: String, why: String },
    /// The plan does not fit the system that is there.
    #[error("{}", list(.0))]
    Misfit(Vec<ConfigError>),
    #[error("the process that takes faults back after a crash cannot be started: {0}")]
    Guard(std::io::Error),
    #[error(
        "the rule {rule} of an earlier game day is still in force; wait until its time is over, or remove it with \
         `headgate chaos remove {rule}`"
    )]
    Leftover { rule: String },
}

fn list(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The load of one stage.
pub(super) fn load_plan(
    spec: &GameDaySpec,
    seed: u64,
    length: Duration,
    warm_up: Duration,
    files: Files<'_>,
) -> Result<Plan, LoadError> {
    let level = spec.load.rate.unwrap_or_else(|| f64::from(spec.load.users.unwrap_or(1)));
    let mut phases = Vec::new();
    if !warm_up.is_zero() {
        phases.push(Phase::steady("warm-up", warm_up, level).warm_up());
    }
    phases.push(Phase::steady("load", length, level));
    let (open, closed) = match spec.load.rate {
        Some(_) => (Some(OpenSpec { phases, ..OpenSpec::default() }), None),
        None => {
            let think = spec.load.think.clone().unwrap_or(Distribution::Constant(Span(Duration::ZERO)));
            (None, Some(ClosedSpec { think, phases }))
        }
    };
    let workload = WorkloadSpec {
        open,
        closed,
        keys: spec.load.keys.clone(),
        steps: spec.load.steps.clone(),
        tenants: spec.load.tenants.clone(),
    };
    let workload = Workload::new(&workload, seed, files)?;
    let mut target = Target::parse(&spec.system.gateway)?;
    target.path = format!("{}{}", target.path.trim_end_matches('/'), spec.load.path);
    let mut plan = Plan::new(target, workload, seed);
    plan.http2 = spec.load.http2;
    plan.connections = spec.load.connections;
    plan.timeout = spec.load.timeout.0;
    let headers = spec.load.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    plan.requests = RequestSpec { headers, ..RequestSpec::default() };
    plan.check()?;
    Ok(plan)
}

impl GameDay {
    /// Carries the game day out. `interrupted` may be set at any time: all faults are then taken back, and what
    /// there is is reported. `program` is the `headgate` binary: for the rig, and for the process that takes
    /// faults back when this one is killed. `show` is told of each second of the load.
    ///
    /// # Errors
    /// When it cannot begin. Nothing has been done to the system then.
    pub fn run(
        &self,
        files: Files<'_>,
        interrupted: &AtomicBool,
        program: &Path,
        show: &mut dyn FnMut(Stage, &Moment),
    ) -> Result<Outcome, GameDayError> {
        let Some(layout) = &self.layout else {
            return self.run_on(None, files, interrupted, program, show);
        };
        let rig = System::start(program, layout)?;
        let mut placed = self.clone();
        rigged::place(&mut placed.spec, layout, Some(&rig));
        let mut outcome = placed.run_on(Some(&rig), files, interrupted, program, show)?;
        if let Err(error) = rig.stop() {
            outcome.notes.push(format!("the rig did not stop in order: {error}"));
        }
        Ok(outcome)
    }

    fn run_on(
        &self,
        rig: Option<&System>,
        files: Files<'_>,
        interrupted: &AtomicBool,
        program: &Path,
        show: &mut dyn FnMut(Stage, &Moment),
    ) -> Result<Outcome, GameDayError> {
        let (gateway, admin) =
            (Target::parse(&self.spec.system.gateway)?, Target::parse(&self.spec.system.admin)?);
        let fleet = self.fit(&admin)?;
        let board = Board::new(&self.spec);
        let ground =
            Ground { spec: &self.spec, gateway: &gateway, admin: &admin, board: &board, interrupted };
        let mut load = |stage: Stage, length, warm_up| {
            let seed = Streams::new(self.seed).dice("load", stage as u64).bits();
            load_plan(&self.spec, seed, length, warm_up, &mut *files)
        };
        let stages = &self.spec.stages;
        let mut all = Vec::new();
        let plan = load(Stage::Before, stages.before.0, stages.warm_up.0)?;
        all.push(ground.run(Stage::Before, &plan, Vec::new, show)?);
        let is_steady = all[0].probes.iter().all(|probe| probe.passed);
        if is_steady && !interrupted.load(Relaxed) {
            let length = self.length();
            let plan = load(Stage::During, length, Duration::ZERO)?;
            let mut beside = Command::new(program);
            beside.args(["lab", "gameday-guard"]);
            let guard = Guard::start(beside, &self.spec.system.admin)?;
            let conductor = Conductor {
                guard: &guard,
                spec: &self.spec,
                plan: &self.plan,
                seed: self.seed,
                reins: Reins { admin: &admin, rig },
                board: &board,
                interrupted,
            };
            let at_once = fleet.clone();
            all.push(ground.run(Stage::During, &plan, || conductor.run(at_once, length), show)?);
            if !interrupted.load(Relaxed) {
                board.resume();
                let plan = load(Stage::After, stages.after.0, Duration::ZERO)?;
                all.push(ground.run(Stage::After, &plan, Vec::new, show)?);
            }
        }
        Ok(self.outcome(all, &board, &fleet, interrupted.load(Relaxed)))
    }

    /// Whether the plan fits the system that is there; its endpoints.
    fn fit(&self, admin: &Target) -> Result<Fleet, GameDayError> {
        let unreachable = |why: String| GameDayError::Admin { admin: self.spec.system.admin.clone(), why };
        let fleet = Fleet::of(&scrape(admin).map_err(unreachable)?);
        let mut mistakes = Mistakes::new(&self.file);
        for (name, target) in &self.spec.system.targets {
            let endpoint = target.endpoint.as_deref().and_then(|written| endpoint_name(written).ok());
            if endpoint.is_some_and(|endpoint| !fleet.knows(&endpoint)) {
                let at = ["system", "target", name, "endpoint"];
                let known: Vec<&str> =
                    fleet.services.values().flat_map(|it| it.keys()).map(String::as_str).collect();
                mistakes.add(
                    &at,
                    "the gateway has no such endpoint",
                    &format!("its endpoints are {}", known.join(", ")),
                );
            }
        }
        check_plan(&self.spec, &self.plan, &fleet, &mut mistakes);
        if !mistakes.found.is_empty() {
            return Err(GameDayError::Misfit(mistakes.found));
        }
        let left = rules(admin).map_err(|error| unreachable(error.to_string()))?;
        match left.into_iter().find(|rule| rule.name.starts_with(PREFIX)) {
            Some(rule) => Err(GameDayError::Leftover { rule: rule.name }),
            None => Ok(fleet),
        }
    }

    fn outcome(&self, all: Vec<Staged>, board: &Board<'_>, fleet: &Fleet, interrupted: bool) -> Outcome {
        let spec = &self.spec;
        let carried: Vec<Carried> = all.iter().flat_map(|staged| staged.carried.clone()).collect();
        let mut notes: Vec<String> = all.iter().flat_map(|staged| staged.notes.clone()).collect();
        let method_s = all.get(1).map_or(f64::INFINITY, |during| during.result.began_s);
        let met = board.conditions_met();
        let mut inner = board.lock();
        let (course, mut alarms) = (std::mem::take(&mut inner.course), std::mem::take(&mut inner.alarms));
        if inner.alarms_dropped > 0 {
            notes.push(format!("{} changes of alarms were too many to keep", inner.alarms_dropped));
        }
        let false_alarms = effect::mark_false(&mut alarms, spec, &carried, method_s);
        let faults: Vec<_> = carried.iter().map(|one| effect::result(one, spec, &course, &alarms)).collect();
        for fault in faults.iter().filter(|fault| !fault.rolled_back) {
            let problem = fault.problem.as_deref().unwrap_or_default();
            notes.push(format!("{} is perhaps still there: {problem}", fault.name));
        }
        let missed: Vec<&str> =
            faults.iter().filter(|fault| fault.hits == Some(0)).map(|fault| fault.name.as_str()).collect();
        if !missed.is_empty() {
            notes.push(format!("no attempt was hit by {}: the hypothesis was not tested", missed.join(", ")));
        }
        let probes: Vec<_> = all.iter().flat_map(|staged| staged.probes.clone()).collect();
        let wrong: Vec<String> = probes
            .iter()
            .filter(|probe| !probe.passed)
            .map(|probe| format!("{} ({}): {}", probe.name, probe.stage.name(), probe.evidence))
            .collect();
        let problem = faults.iter().find_map(|fault| fault.problem.clone());
        let (verdict, reason) = match (&inner.halt, all.len()) {
            _ if interrupted => (Verdict::Interrupted, "it was stopped from outside".to_owned()),
            (_, 1) => (Verdict::NotBegun, wrong.join("; ")),
            (Some(reason), _) => (Verdict::Aborted, reason.clone()),
            _ if !wrong.is_empty() => (Verdict::NotHeld, wrong.join("; ")),
            _ if !missed.is_empty() => {
                (Verdict::NotHeld, "a fault hit nothing, so nothing was tested".to_owned())
            }
            _ => match problem {
                Some(problem) => (Verdict::NotHeld, problem),
                None => (Verdict::Held, "every probe passed before, during and after".to_owned()),
            },
        };
        let budget = budget(spec.slo.success_percent, &all[1..]);
        let conditions = (0..spec.aborts.len()).map(|index| AbortResult {
            condition: board.words(index),
            met_at_s: met[index].map(|met| met.as_secs_f64()),
        });
        let cap = &spec.blast_radius;
        Outcome {
            format: FORMAT,
            name: spec.name.clone(),
            hypothesis: spec.hypothesis.clone(),
            seed: self.seed,
            verdict,
            reason,
            score: score::score(verdict, &probes, &faults, &budget, false_alarms),
            probes,
            faults,
            blast_radius: RadiusResult {
                cap: Footprint {
                    requests_percent: cap.requests_percent,
                    endpoints_percent: cap.endpoints_percent,
                    processes: cap.processes,
                },
                planned: footprint(spec, &self.plan, fleet),
                measured_requests_percent: inner.measured_percent,
            },
            aborts: conditions.collect(),
            alarms,
            budget,
            stages: all.iter().map(|staged| staged.result.clone()).collect::<Vec<StageResult>>(),
            notes,
            course,
        }
    }
}

fn budget(success_percent: f64, tested: &[Staged]) -> Budget {
    let planned: u64 = tested.iter().map(|staged| staged.result.planned).sum();
    let failed: u64 = tested.iter().map(|staged| staged.result.failed).sum();
    let allowed = planned as f64 * (1.0 - success_percent / 100.0);
    let spent_percent = if allowed > 0.0 { 100.0 * failed as f64 / allowed } else { 0.0 };
    Budget { success_percent, planned, failed, allowed, spent_percent }
}
