//! What a fault does to the system, and how it is taken back and that verified. When is decided elsewhere.

use super::schedule::Planned;
use super::spec::{ClockStep, CommandStep, FileStep, GameDaySpec, ProcessStep};
use super::{command, endpoint_name};
use crate::admin::rules::{self, add, remove};
use crate::load::Target;
use crate::rig::{ClockError, GATEWAY, ProcessFault, System};
use crate::workload::Streams;
use headgate_model::spec::{ChaosRule, Span};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// By so much a chaos rule outlives its fault, should nobody be left to remove it.
const OUTLIVES: Duration = Duration::from_secs(2);
/// Names of rules of game days begin with it.
pub(super) const PREFIX: &str = "gameday-";
/// Attempts to take a fault back.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// A longer file is not changed.
const FILE_MAX: u64 = 16 << 20;

/// One thing that is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Act {
    /// A chaos rule of the gateway.
    Rule(Box<ChaosRule>),
    /// A process that runs already stands still.
    Stop {
        pid_file: PathBuf,
    },
    /// A process of the rig. It ends with the game day, whatever becomes of that.
    #[serde(skip)]
    Process {
        name: String,
        fault: ProcessFault,
    },
    /// One text of a file in place of another.
    File {
        path: PathBuf,
        from: String,
        to: String,
    },
    Command {
        run: Vec<String>,
        undo: Vec<String>,
        timeout: Duration,
    },
}

/// Through what acts reach the system.
#[derive(Clone, Copy)]
pub(super) struct Reins<'a> {
    pub(super) admin: &'a Target,
    pub(super) rig: Option<&'a System>,
}

/// How an act was taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Attempts that it hit, where that is counted.
    pub(super) hits: Option<u64>,
    /// Why it is not sure that it is gone.
    pub(super) problem: Option<String>,
}

/// Everything that a planned fault does: once for each target, or once.
pub(super) fn acts(spec: &GameDaySpec, planned: &Planned, seed: u64) -> Vec<Act> {
    let streams = Streams::new(seed).within(&planned.name, 0);
    let none = [String::new()];
    let targets = if planned.targets.is_empty() { none.as_slice() } else { &planned.targets };
    let act = |(number, target): (usize, &String)| {
        act(spec, planned, target, number, rules::seed(&mut streams.dice("rule", number as u64)))
    };
    targets.iter().enumerate().filter_map(act).collect()
}

fn act(spec: &GameDaySpec, planned: &Planned, name: &str, number: usize, seed: u64) -> Option<Act> {
    let action = &spec.method[planned.action];
    let target = spec.system.targets.get(name);
    let endpoint = target.and_then(|target| target.endpoint.clone());
    if let Some(chaos) = &action.chaos {
        return Some(Act::Rule(Box::new(ChaosRule {
            name: format!("{PREFIX}{}-{}", planned.name, number + 1),
            route: chaos.route.clone(),
            service: chaos.service.clone(),
            endpoint,
            percent: chaos.percent,
            fault: chaos.fault.clone(),
            lasts: Some(Span(planned.ends.saturating_sub(planned.begins) + OUTLIVES)),
            seed: Some(seed),
            probes: chaos.probes,
        })));
    }
    if let Some(process) = action.process {
        return Some(match target.and_then(|target| target.pid_file.clone()) {
            Some(pid_file) => Act::Stop { pid_file },
            None => Act::Process { name: name.to_owned(), fault: fault(process) },
        });
    }
    if let Some(FileStep { path, from, to }) = action.file.clone() {
        return Some(Act::File { path, from, to });
    }
    let CommandStep { run, undo, timeout } = action.command.as_ref()?;
    let endpoint = endpoint.unwrap_or_default();
    let filled = |line: &[String]| -> Vec<String> {
        line.iter().map(|it| it.replace("{target}", name).replace("{endpoint}", &endpoint)).collect()
    };
    Some(Act::Command { run: filled(run), undo: filled(undo), timeout: timeout.0 })
}

fn fault(step: ProcessStep) -> ProcessFault {
    match step {
        ProcessStep::Stop => ProcessFault::Stop,
        ProcessStep::Kill { cold_start } => ProcessFault::Kill { cold_start: cold_start.0 },
        ProcessStep::CpuQuota { share, period } => ProcessFault::Quota { share, period: period.0 },
        ProcessStep::MemoryCap { bytes } => ProcessFault::MemoryCap { bytes: bytes.0 },
        ProcessStep::Slow { share } => ProcessFault::Slow { share },
        ProcessStep::Fail { share } => ProcessFault::Fail { share },
        ProcessStep::Delay { by } => ProcessFault::Delay { by: by.0 },
        ProcessStep::Clock(ClockStep::Ahead(by)) => ProcessFault::Clock(ClockError::Ahead(by.0)),
        ProcessStep::Clock(ClockStep::Behind(by)) => ProcessFault::Clock(ClockError::Behind(by.0)),
    }
}

impl Act {
    /// Whether it outlives this process, so that somebody has to take it back.
    pub(super) fn outlives_us(&self) -> bool {
        !matches!(self, Self::Process { .. })
    }

    /// # Errors
    /// Why it is not sure that the fault is there.
    pub(super) fn begin(&self, reins: Reins<'_>) -> Result<(), String> {
        match self {
            Self::Rule(rule) => add(rule, reins.admin),
            Self::Stop { pid_file } => signal(pid_file, Signal::STOP),
            Self::Process { name, fault } => {
                rig(reins)?.inject(name, *fault).map_err(|error| error.to_string())
            }
            Self::File { path, from, to } => replace(path, from, to),
            Self::Command { run, timeout, .. } => succeeds(run, *timeout),
        }
    }

    /// Takes it back, with a few attempts, and looks whether it is gone.
    pub(super) fn end(&self, reins: Reins<'_>) -> Ended {
        let mut ended = Ended::default();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            let tried = match self {
                Self::Rule(rule) => remove(rule, reins.admin, &mut ended.hits),
                Self::Stop { pid_file } => signal(pid_file, Signal::CONT),
                Self::Process { name, fault } => rig(reins).and_then(|rig| lift(rig, name, *fault)),
                Self::File { path, from, to } => restore(path, from, to),
                Self::Command { undo, timeout, .. } => succeeds(undo, *timeout),
            };
            ended.problem = tried.err();
            if ended.problem.is_none() {
                break;
            }
        }
        ended
    }

    /// In words; of which target is said elsewhere.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Rule(rule) => {
                let at = rule.service.iter().map(|name| format!(" at {name}"));
                let on = rule.route.iter().map(|name| format!(" of the route {name}"));
                let places: String = at.chain(on).collect();
                let probes = if rule.probes { " and health probes" } else { "" };
                format!("{} for {} % of the attempts{places}{probes}", rule.fault.name(), rule.percent)
            }
            Self::Stop { .. } => "process stands still".to_owned(),
            Self::Process { fault, .. } => in_words(*fault),
            Self::File { path, to, .. } => {
                let words: Vec<&str> = to.split_whitespace().collect();
                format!("{} says `{}`", path.display(), words.join(" "))
            }
            Self::Command { run, .. } => format!("command {}", run.join(" ")),
        }
    }
}

fn in_words(fault: ProcessFault) -> String {
    let percent = |share: f64| format!("{} %", 100.0 * share);
    match fault {
        ProcessFault::Kill { cold_start } if cold_start.is_zero() => "process is killed".to_owned(),
        ProcessFault::Kill { cold_start } => {
            format!("process is killed, and takes {} s to start", cold_start.as_secs_f64())
        }
        ProcessFault::Stop => "process stands still".to_owned(),
        ProcessFault::Quota { share, .. } => format!("process has {} of a core", percent(share)),
        ProcessFault::MemoryCap { bytes } => format!("process has {bytes} bytes of address space"),
        ProcessFault::Slow { share } => format!("process works at {} of its speed", percent(share)),
        ProcessFault::Fail { share } => format!("process fails {} of its requests", percent(share)),
        ProcessFault::Delay { by } => format!("messages take {} s longer", by.as_secs_f64()),
        ProcessFault::Clock(ClockError::Ahead(by)) => format!("clock is {} s ahead", by.as_secs_f64()),
        ProcessFault::Clock(ClockError::Behind(by)) => format!("clock is {} s behind", by.as_secs_f64()),
    }
}

fn rig(reins: Reins<'_>) -> Result<&System, String> {
    reins.rig.ok_or_else(|| "there is no rig".to_owned())
}

/// The rig waits until the process is as it was.
fn lift(rig: &System, name: &str, fault: ProcessFault) -> Result<(), String> {
    let lifted = match fault {
        // A limit cannot be raised again without privileges, but a new process has none.
        ProcessFault::MemoryCap { .. } if name != GATEWAY => {
            let kill = ProcessFault::Kill { cold_start: Duration::ZERO };
            rig.inject(name, kill).and_then(|()| rig.lift(name, kill))
        }
        fault => rig.lift(name, fault),
    };
    lifted.map_err(|error| error.to_string())
}

fn signal(pid_file: &Path, signal: Signal) -> Result<(), String> {
    let shown = pid_file.display();
    let text = fs::read_to_string(pid_file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    // One is init; nobody means it.
    let pid = text.trim().parse().ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| format!("{shown} does not hold the number of a process"))?;
    kill_process(pid, signal).map_err(|error| format!("the process of {shown}: {error}"))
}

fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if fs::metadata(path).map_err(cannot)?.len() > FILE_MAX {
        return Err(format!("{} is larger than 16 MiB", path.display()));
    }
    fs::read_to_string(path).map_err(cannot)
}

/// All of the file, or what was there before.
fn replace(path: &Path, from: &str, to: &str) -> Result<(), String> {
    let text = read(path)?;
    if text.matches(from).count() != 1 {
        return Err(format!("{} does not say `{from}` exactly once", path.display()));
    }
    if text.contains(to) && !from.contains(to) {
        return Err(format!("{} says `{to}` already", path.display()));
    }
    let draft = path.with_extension("gameday");
    let permissions = fs::metadata(path).map(|meta| meta.permissions());
    let written = fs::write(&draft, text.replacen(from, to, 1))
        .and(permissions)
        .and_then(|permissions| fs::set_permissions(&draft, permissions))
        .and_then(|()| fs::rename(&draft, path));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn restore(path: &Path, from: &str, to: &str) -> Result<(), String> {
    let text = read(path)?;
    // It was never changed, or has been put back.
    if text.matches(from).count() == 1 && !text.contains(to) {
        return Ok(());
    }
    replace(path, to, from)
}

fn succeeds(run: &[String], timeout: Duration) -> Result<(), String> {
    match command::run(run, timeout)? {
        0 => Ok(()),
        code => Err(format!("{} ended with exit code {code}", run.join(" "))),
    }
}

/// The endpoint of a target as the gateway writes it.
pub(super) fn target_endpoint(spec: &GameDaySpec, target: &str) -> Option<String> {
    let endpoint = spec.system.targets.get(target)?.endpoint.as_deref()?;
    endpoint_name(endpoint).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_file_is_replaced_and_put_back() {
        let path = std::env::temp_dir().join(format!("headgate-gameday-{}", std::process::id()));
        let text = || fs::read_to_string(&path).unwrap();
        fs::write(&path, "fault = \"none\"\nttl = 1\n").unwrap();
        let act = ("\"none\"", "\"servfail\"");
        replace(&path, act.0, act.1).unwrap();
        assert_eq!(text(), "fault = \"servfail\"\nttl = 1\n");
        assert!(replace(&path, act.0, act.1).is_err(), "twice would be two faults");
        restore(&path, act.0, act.1).unwrap();
        restore(&path, act.0, act.1).unwrap();
        assert_eq!(text(), "fault = \"none\"\nttl = 1\n");
        fs::write(&path, "a a").unwrap();
        assert!(replace(&path, "a", "b").unwrap_err().contains("exactly once"));
        fs::remove_file(&path).unwrap();
        assert!(restore(&path, "a", "b").unwrap_err().contains("cannot read"));
    }
}
