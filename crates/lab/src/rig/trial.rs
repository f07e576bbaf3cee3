//! One run on the rig: a system of processes under a workload, with the faults that its description plans. It
//! measures; what a measurement means to a study is not known here.

use super::error::RigError;
use super::layout::Layout;
use super::replica::Usage;
use super::schedule::{Act, Schedule};
use super::strike::Strike;
use super::system::System;
use super::traffic;
use super::watch::Watched;
use crate::admin::rules;
use crate::load::{self, Plan, Summary, Tally, Target};
use crate::sim::{PlannedFault, Recovery, Sim, SystemSpec};
use crate::workload::{Files, Sampler, SpecError, Streams, Workload, WorkloadSpec};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Connections of the open model: for calls that take this long at the highest rate, within these bounds.
const OPEN_SECONDS: f64 = 2.0;
const OPEN_CONNECTIONS: (f64, f64) = (64.0, 2_000.0);
/// A client waits longer than any service does; the simulator's waits forever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run that can be made.
#[derive(Clone, Debug)]
pub struct Trial {
    layout: Layout,
    workload: Workload,
    seed: u64,
    faults: Vec<(PlannedFault, Strike)>,
    /// Cores and bytes of all nodes.
    node_cores: f64,
    node_bytes: f64,
    /// By service: what a replica and a call in it hold.
    memory: BTreeMap<String, (u64, u64)>,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The load with its latencies.
    pub load: Summary,
    /// Share of all nodes' virtual cores and memory in use in the measured phases, as in the simulator.
    pub cpu_share: f64,
    pub memory_share: f64,
    /// Real use of each process in the measured phases.
    pub processes: BTreeMap<String, ProcessUse>,
    /// Of the first fault that strikes replicas.
    pub recovery: Option<Recovery>,
}

/// What a process really used, on the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProcessUse {
    pub cores: f64,
    pub memory_bytes: f64,
}

impl Trial {
    /// Checks that the description can be run on processes. Faults strike whom and when they do in the
    /// simulator.
    ///
    /// # Errors
    /// With the key of what is wrong, or cannot be shown.
    pub fn new(
        system: &SystemSpec,
        workload: &WorkloadSpec,
        seed: u64,
        files: Files<'_>,
    ) -> Result<Self, SpecError> {
        let made = |workload: &WorkloadSpec, files: Files<'_>| {
            Workload::new(workload, seed, files).map_err(|error| error.within("workload"))
        };
        let sim = Sim::new(system, made(workload, files)?, seed).map_err(|error| error.within("system"))?;
        let layout = Layout::of(system, seed).map_err(|error| error.within("system"))?;
        let zone = system.gateway.zone.as_ref();
        let zone = zone.and_then(|zone| system.network.zones.iter().position(|other| other == zone));
        let routed =
            traffic::routed(system, workload, zone.unwrap_or(0)).map_err(|error| error.within("system"))?;
        let planned = sim.planned_faults();
        let streams = Streams::new(seed);
        let faults = planned.into_iter().zip(&system.faults).enumerate().map(|(index, (planned, spec))| {
            let service = spec.service.as_ref().and_then(|name| system.services.get(name));
            // A fault of a node or zone strikes several services; the usual cold start stands for all.
            let cold_start = match service {
                Some(service) => service.cold_start.sampler()?,
                None => Sampler::constant(5_000_000_000),
            };
            let cold_start = cold_start.sample(&mut streams.dice("cold start", index as u64));
            let dice_seed = rules::seed(&mut streams.dice("rule", index as u64));
            let strike = Strike::of(&spec.what, Duration::from_nanos(cold_start), index, dice_seed);
            Ok((planned, strike.map_err(|error| error.within("system"))?))
        });
        let memory = system.services.iter();
        Ok(Self {
            layout,
            workload: made(&routed, files)?,
            seed,
            faults: faults.collect::<Result<_, SpecError>>()?,
            node_cores: f64::from(system.nodes.count) * system.nodes.vcpus,
            node_bytes: f64::from(system.nodes.count) * system.nodes.memory.0 as f64,
            memory: memory.map(|(name, one)| (name.clone(), (one.memory.0, one.memory_per_call.0))).collect(),
        })
    }

    /// Makes the run, until `stop` is set. No process is left, whatever comes of it.
    ///
    /// # Errors
    /// When a process ends that was not asked to, or the run was stopped.
    pub fn run(&self, program: &Path, stop: &AtomicBool) -> Result<Outcome, RigError> {
        let system = System::start(program, &self.layout)?;
        let tally = Arc::new(Tally::default());
        let plan = self.plan(&system, &tally)?;
        let (over, halt) = (AtomicBool::new(false), AtomicBool::new(false));
        let trouble: Mutex<Option<RigError>> = Mutex::new(None);
        let fail = |error: RigError| {
            trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            halt.store(true, Relaxed);
        };
        let schedule = Schedule { tally: &tally, over: &over, halt: &halt, stop, acts: self.acts() };
        let books = Mutex::new(Books::default());
        let (load, recovery) = std::thread::scope(|scope| {
            let (system, fail, books) = (&system, &fail, &books);
            scope.spawn(move || {
                let act = |at: Duration, act: Act| match act {
                    Act::Check => system.check(),
                    Act::Mark => books.lock().unwrap_or_else(PoisonError::into_inner).mark(system, at),
                    Act::Begin(index) => {
                        self.victims(index).try_for_each(|(name, strike)| strike.begin(system, name))
                    }
                    Act::End(index) => {
                        // All at once: a cold start takes its time, and what is due meanwhile does not wait for it.
                        self.victims(index).for_each(|(name, strike)| {
                            scope.spawn(move || strike.end(system, name).unwrap_or_else(fail));
                        });
                        Ok(())
                    }
                };
                if let Err(error) = schedule.follow(act) {
                    fail(error);
                }
            });
            let watching = scope.spawn(|| self.watch(system, &tally, &over));
            let load = {
                let _ending = Ending(&over);
                load::run(&plan, &halt, &mut |_| {})
            };
            let recovery = watching.join().unwrap_or(Ok(None));
            (load, recovery)
        });
        if stop.load(Relaxed) {
            return Err(RigError::Interrupted);
        }
        if let Some(error) = trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let (load, recovery) = (load?, recovery?);
        let zero = tally.start().map_or(Duration::ZERO, |start| start.duration_since(system.started()));
        let processes = self.processes(&system, zero);
        system.stop()?;
        let books = books.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (cpu_share, memory_share) = self.shares(&books);
        Ok(Outcome { load, cpu_share, memory_share, processes, recovery })
    }

    fn plan(&self, system: &System, tally: &Arc<Tally>) -> Result<Plan, RigError> {
        let target = Target::parse(&format!("http://{}/", system.gateway()))?;
        let mut plan = Plan::new(target, self.workload.clone(), self.seed);
        if plan.is_open() {
            let connections = traffic::peak(&self.workload) * OPEN_SECONDS;
            plan.connections = Some(connections.clamp(OPEN_CONNECTIONS.0, OPEN_CONNECTIONS.1) as usize);
        }
        plan.timeout = PATIENCE;
        plan.tally = Some(Arc::clone(tally));
        Ok(plan)
    }

    /// What is to be done by the clock, in order of time.
    fn acts(&self) -> Vec<(Duration, Act)> {
        let mut acts = Vec::new();
        for (from, to) in self.measured() {
            acts.extend([(from, Act::Mark), (to, Act::Mark)]);
        }
        for (index, (planned, _)) in self.faults.iter().enumerate() {
            acts.push((Duration::from_nanos(planned.begins_ns), Act::Begin(index)));
            acts.extend(planned.ends_ns.map(|ends_ns| (Duration::from_nanos(ends_ns), Act::End(index))));
        }
        acts.sort_by_key(|(at, _)| *at);
        acts
    }

    /// Measured phases from start to end.
    fn measured(&self) -> impl Iterator<Item = (Duration, Duration)> {
        let phases = self.workload.phases();
        let measured = phases.all().iter().enumerate().filter(|(_, phase)| phase.measured);
        measured.map(move |(index, _)| {
            let (from_ns, to_ns) = phases.span_ns(index);
            (Duration::from_nanos(from_ns), Duration::from_nanos(to_ns))
        })
    }

    /// Whom a fault strikes, and with what.
    fn victims(&self, fault: usize) -> impl Iterator<Item = (&str, &Strike)> {
        let (planned, strike) = &self.faults[fault];
        let name = |index: &u32| self.layout.replicas[*index as usize].replica.name.as_str();
        planned.replicas.iter().map(move |index| (name(index), strike))
    }

    fn watch(&self, system: &System, tally: &Tally, over: &AtomicBool) -> Result<Option<Recovery>, RigError> {
        let faults = self.faults.iter().filter(|(planned, _)| !planned.replicas.is_empty());
        let Some((first, _)) = faults.min_by_key(|(planned, _)| planned.begins_ns) else { return Ok(None) };
        let Some(start) = super::schedule::start_of(tally, over) else { return Ok(None) };
        let ends = self.faults.iter().map(|(planned, _)| planned.ends_ns.map(Duration::from_nanos));
        let name = |index: &u32| self.layout.replicas[*index as usize].replica.name.as_str();
        let watched = Watched {
            system,
            tally,
            struck: first.replicas.iter().map(name).collect(),
            start,
            begins: Duration::from_nanos(first.begins_ns),
            patience: Duration::from_nanos(first.patience_ns),
            ends: ends.collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max()),
        };
        watched.follow(|| over.load(Relaxed)).map(Some)
    }

    fn processes(&self, system: &System, zero: Duration) -> BTreeMap<String, ProcessUse> {
        let spans: Vec<(Duration, Duration)> =
            self.measured().map(|(from, to)| (zero + from, zero + to)).collect();
        let length: f64 = spans.iter().map(|(from, to)| (*to - *from).as_secs_f64()).sum();
        let used = |name: &str| {
            let samples = system.samples(name);
            let mut used = ProcessUse::default();
            for (from, to) in &spans {
                let weight = (*to - *from).as_secs_f64() / length;
                used.cores += samples.cores(*from, *to) * weight;
                used.memory_bytes += samples.memory_bytes(*from, *to) * weight;
            }
            used
        };
        system.names().map(|name| (name.to_owned(), used(name))).collect()
    }

    /// Shares of the nodes' virtual cores and memory in use between the marks.
    fn shares(&self, books: &Books) -> (f64, f64) {
        let (mut length_ns, mut core_ns, mut byte_ns) = (0.0, 0.0, 0.0);
        for pair in books.marks.chunks_exact(2) {
            let passed_ns = (pair[1].0 - pair[0].0).as_nanos() as f64;
            length_ns += passed_ns;
            for (seat, (before, after)) in self.layout.replicas.iter().zip(pair[0].1.iter().zip(&pair[1].1)) {
                let Some(after) = after else { continue };
                // One that was started anew has counted from zero.
                let before = before.filter(|before| before.calls <= after.calls).unwrap_or_default();
                let (idle, per_call) = self.memory.get(&seat.service).copied().unwrap_or_default();
                core_ns += (after.used_core_ns - before.used_core_ns).max(0.0);
                byte_ns +=
                    idle as f64 * passed_ns + per_call as f64 * (after.inside_ns - before.inside_ns).max(0.0);
            }
        }
        if length_ns == 0.0 {
            return (0.0, 0.0);
        }
        (core_ns / length_ns / self.node_cores, byte_ns / length_ns / self.node_bytes)
    }
}

/// What replicas had used at the starts and ends of measured phases, in turn.
#[derive(Debug, Default)]
struct Books {
    marks: Vec<(Duration, Vec<Option<Usage>>)>,
}

impl Books {
    fn mark(&mut self, system: &System, at: Duration) -> Result<(), RigError> {
        // One that is down has nothing to say, and one that stands still cannot.
        let usage = |name: &str| system.usage(name).ok();
        self.marks.push((at, system.names().skip(1).map(usage).collect()));
        Ok(())
    }
}

/// Says that the load is over, also when it ends in a panic: threads wait for it.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
