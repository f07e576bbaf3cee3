//! Carries the schedule out: begins faults, ends them in time, and takes all of them back at once when told to
//! stop, or when it is torn down by a panic.

use super::act::{Act, Reins, acts, target_endpoint};
use super::board::Board;
use super::check::at_once;
use super::guard::Guard;
use super::probe::scrape;
use super::radius::{Fleet, Footprint};
use super::reaches;
use super::schedule::Planned;
use super::spec::GameDaySpec;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);

/// What became of a planned fault. Times are since the beginning of the game day.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) planned: Planned,
    /// In words.
    pub(super) what: Vec<String>,
    pub(super) began: Option<Duration>,
    /// When the last of it was gone.
    pub(super) ended: Option<Duration>,
    pub(super) hits: Option<u64>,
    /// Why it is not sure that it is gone, or that it was there.
    pub(super) problem: Option<String>,
    pub(super) is_rolled_back: bool,
}

/// What it needs to know.
pub(super) struct Conductor<'a> {
    pub(super) spec: &'a GameDaySpec,
    pub(super) plan: &'a [Planned],
    pub(super) seed: u64,
    pub(super) reins: Reins<'a>,
    pub(super) board: &'a Board<'a>,
    pub(super) interrupted: &'a AtomicBool,
    pub(super) guard: &'a Guard,
}

/// Faults that are there. Whatever happens, they are taken back when it is dropped.
struct Armed<'a> {
    conductor: &'a Conductor<'a>,
    fleet: Fleet,
    faults: Vec<Fault>,
}

struct Fault {
    carried: Carried,
    acts: Vec<Act>,
    /// So many of the acts have begun, or may have.
    begun: usize,
}

impl Conductor<'_> {
    /// Carries out the whole schedule, which lasts at least `length`, or takes everything back early.
    pub(super) fn run(&self, fleet: Fleet, length: Duration) -> Vec<Carried> {
        let began = Instant::now();
        let fault = |planned: &Planned| {
            let acts = acts(self.spec, planned, self.seed);
            let what = acts.iter().map(Act::describe).collect();
            let planned = planned.clone();
            let carried = Carried {
                planned,
                what,
                began: None,
                ended: None,
                hits: None,
                problem: None,
                is_rolled_back: true,
            };
            Fault { carried, acts, begun: 0 }
        };
        let mut armed = Armed { conductor: self, fleet, faults: self.plan.iter().map(fault).collect() };
        loop {
            if self.interrupted.load(Relaxed) {
                self.board.halt("interrupted".to_owned());
            }
            let now = began.elapsed();
            if self.board.is_halted() || now >= length {
                break;
            }
            armed.end_due(now);
            armed.begin_due(now);
            std::thread::sleep(LOOK.min(armed.next(now).saturating_sub(now)));
        }
        armed.end_all();
        armed.faults.drain(..).map(|fault| fault.carried).collect()
    }
}

impl Armed<'_> {
    /// When something is due next.
    fn next(&self, now: Duration) -> Duration {
        let ends =
            self.faults.iter().filter(|fault| fault.is_there()).map(|fault| fault.carried.planned.ends);
        let begins =
            self.faults.iter().filter(|fault| fault.is_to_come()).map(|it| it.carried.planned.begins);
        ends.chain(begins).min().unwrap_or(now + LOOK)
    }

    fn end_due(&mut self, now: Duration) {
        for index in 0..self.faults.len() {
            let fault = &self.faults[index];
            if fault.is_there() && fault.carried.planned.ends <= now {
                self.end(index);
            }
        }
    }

    fn begin_due(&mut self, now: Duration) {
        for index in 0..self.faults.len() {
            let fault = &self.faults[index];
            if fault.is_to_come() && fault.carried.planned.begins <= now && !self.conductor.board.is_halted()
            {
                self.begin(index, now);
            }
        }
    }

    fn begin(&mut self, index: usize, now: Duration) {
        let board = self.conductor.board;
        let name = self.faults[index].carried.planned.name.clone();
        if let Some(beyond) = self.beyond_now(now) {
            self.faults[index].carried.problem = Some(format!("not begun: {beyond}"));
            return board.halt(format!("the blast radius: with {name}, {beyond}"));
        }
        let fault = &mut self.faults[index];
        fault.carried.began = Some(board.now());
        for (number, act) in fault.acts.iter().enumerate() {
            self.conductor.guard.arm(&format!("{name}/{number}"), act);
            // It counts as begun before it is known to: half of it may be there.
            fault.begun += 1;
            if let Err(why) = act.begin(self.conductor.reins) {
                fault.carried.problem = Some(format!("did not begin: {why}"));
                self.tell_in_force();
                return board.halt(format!("the fault {name} did not begin: {why}"));
            }
        }
        self.tell_in_force();
    }

    /// What of the plan at this moment is beyond the cap, by the endpoints that the gateway has now.
    fn beyond_now(&mut self, now: Duration) -> Option<String> {
        if let Ok(scrape) = scrape(self.conductor.reins.admin) {
            let fleet = Fleet::of(&scrape);
            // Without a service there would be nothing to reckon with.
            if !fleet.services.is_empty() {
                self.fleet = fleet;
            }
        }
        let spec = self.conductor.spec;
        let reaches: Vec<_> =
            at_once(self.conductor.plan, now).into_iter().flat_map(|one| reaches(spec, one)).collect();
        Footprint::of(&reaches, &self.fleet).beyond(&spec.blast_radius)
    }

    fn tell_in_force(&self) {
        let there = || self.faults.iter().filter(|fault| fault.is_there());
        let mut rules = BTreeMap::new();
        for fault in there() {
            for act in &fault.acts {
                let Act::Rule(rule) = act else { continue };
                rules.insert(
                    rule.name.clone(),
                    self.service_of(rule.service.as_ref(), rule.endpoint.as_ref()),
                );
            }
        }
        let mut inner = self.conductor.board.lock();
        inner.set_in_force(rules);
        inner.faults = there().count();
    }

    /// The service that a rule is about; empty for all.
    fn service_of(&self, service: Option<&String>, endpoint: Option<&String>) -> String {
        let has = |endpoint: &String| {
            let endpoint = super::endpoint_name(endpoint).ok()?;
            let mut services =
                self.fleet.services.iter().filter(|(_, endpoints)| endpoints.contains_key(&endpoint));
            services.next().map(|(service, _)| service.clone())
        };
        service.cloned().or_else(|| endpoint.and_then(has)).unwrap_or_default()
    }

    fn end(&mut self, index: usize) {
        let fault = &mut self.faults[index];
        let begun = std::mem::take(&mut fault.begun);
        // The last first, as a stack is unwound.
        for (number, act) in fault.acts[..begun].iter().enumerate().rev() {
            let ended = act.end(self.conductor.reins);
            if ended.problem.is_none() {
                self.conductor.guard.disarm(&format!("{}/{number}", fault.carried.planned.name));
            }
            if let Some(hits) = ended.hits {
                *fault.carried.hits.get_or_insert(0) += hits;
            }
            if let Some(why) = ended.problem {
                fault.carried.is_rolled_back = false;
                fault.carried.problem.get_or_insert(format!("not taken back: {why}"));
            }
        }
        fault.carried.ended = Some(self.conductor.board.now());
        self.tell_in_force();
    }

    fn end_all(&mut self) {
        for index in (0..self.faults.len()).rev() {
            if self.faults[index].is_there() {
                self.end(index);
            }
        }
    }
}

impl Fault {
    fn is_there(&self) -> bool {
        self.begun > 0
    }

    fn is_to_come(&self) -> bool {
        self.carried.began.is_none() && self.carried.problem.is_none()
    }
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.end_all();
    }
}

/// The endpoints that faults of this plan are aimed at.
pub(super) fn aims(spec: &GameDaySpec, planned: &Planned) -> Vec<String> {
    planned.targets.iter().filter_map(|target| target_endpoint(spec, target)).collect()
}
