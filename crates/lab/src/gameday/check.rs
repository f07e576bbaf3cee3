//! What is wrong with a game day that its types cannot say, each mistake at its place in the file.

use super::radius::{Fleet, Footprint};
use super::schedule::Planned;
use super::spec::{ActionSpec, GameDaySpec, MetricProbe, ProcessStep, Stage};
use super::{endpoint_name, reaches};
use crate::load::{Expectation, Target};
use crate::rig::GATEWAY;
use headgate_model::chaos::{MOST_RULES, mistakes};
use headgate_model::spec::{ChaosRule, Config};
use headgate_model::{ConfigError, StrictFile, grammar, nearest};
use std::collections::BTreeSet;
use std::time::Duration;

/// The whole method; a longer one is a study, not a game day.
const LENGTH_MAX: Duration = Duration::from_secs(4 * 3_600);
const PROBES_MAX: usize = 32;
const ACTIONS_MAX: usize = 100;
const TIMES_MAX: u32 = 100;
const ABORTS_MAX: usize = 32;
/// Over all actions and times.
const FAULTS_MAX: usize = 1_000;

/// Mistakes, collected.
pub(super) struct Mistakes<'f> {
    file: &'f StrictFile,
    pub(super) found: Vec<ConfigError>,
}

impl<'f> Mistakes<'f> {
    pub(super) fn new(file: &'f StrictFile) -> Self {
        Self { file, found: Vec::new() }
    }

    pub(super) fn add(&mut self, at: &[&str], message: impl Into<String>, help: &str) {
        let help = (!help.is_empty()).then(|| help.to_owned());
        self.found.push(self.file.error_at(at, message, help));
    }

    fn check(&mut self, holds: bool, at: &[&str], message: &str, help: &str) {
        if !holds {
            self.add(at, message, help);
        }
    }

    fn unknown<'n>(&mut self, at: &[&str], name: &str, kind: &str, known: impl Iterator<Item = &'n String>) {
        let known: Vec<&str> = known.map(String::as_str).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("there is no {kind} at all"),
            None => format!("the {kind}s are {}", known.join(", ")),
        };
        self.add(at, format!("there is no {kind} `{name}`"), &help);
    }
}

/// Everything but the schedule.
pub(super) fn check(spec: &GameDaySpec, mistakes: &mut Mistakes<'_>) {
    const LABEL: &str = "write 1 to 64 letters, digits, `-`, `_` and `.`";
    mistakes.check(grammar::is_label(&spec.name), &["name"], "not a name", LABEL);
    mistakes.check(!spec.hypothesis.trim().is_empty(), &["hypothesis"], "is empty", "say what is believed");
    addresses(spec, mistakes);
    let percent = |percent: f64| (0.0..=100.0).contains(&percent);
    let radius = &spec.blast_radius;
    let at = |key| ["blast_radius", key];
    const PERCENT: &str = "write a percentage from 0 to 100";
    mistakes.check(percent(radius.requests_percent), &at("requests_percent"), "out of range", PERCENT);
    mistakes.check(percent(radius.endpoints_percent), &at("endpoints_percent"), "out of range", PERCENT);
    let promise = spec.slo.success_percent;
    const PROMISE: &str = "write a percentage below 100, like 99.9";
    mistakes.check(percent(promise) && promise < 100.0, &["slo", "success_percent"], "out of range", PROMISE);
    let stages = &spec.stages;
    for (key, length) in [("warm_up", stages.warm_up.0), ("during", stages.during.0)] {
        mistakes.check(length <= LENGTH_MAX, &["stages", key], "longer than 4 hours", "write less");
    }
    for (key, length) in [("before", stages.before.0), ("after", stages.after.0)] {
        let at = ["stages", key];
        const LENGTH: &str = "write from 1s to 4h";
        let fits = (Duration::from_secs(1)..=LENGTH_MAX).contains(&length);
        mistakes.check(fits, &at, "too short or too long", LENGTH);
    }
    names(spec, mistakes);
    for (index, _) in spec.probes.iter().enumerate() {
        probe(spec, index, mistakes);
    }
    for (index, action) in spec.method.iter().enumerate() {
        self::action(spec, action, &index.to_string(), mistakes);
    }
    aborts(spec, mistakes);
}

fn addresses(spec: &GameDaySpec, mistakes: &mut Mistakes<'_>) {
    let (load, one) = (&spec.load, "write either `rate` (an open model) or `users` (a closed one)");
    mistakes.check(load.rate.is_some() != load.users.is_some(), &["load"], "both models, or neither", one);
    mistakes.check(load.think.is_none() || load.users.is_some(), &["load", "think"], "only users think", one);
    if spec.system.rig.is_some() {
        // Its addresses and targets are filled in.
        return;
    }
    for (key, url) in [("gateway", &spec.system.gateway), ("admin", &spec.system.admin)] {
        match Target::parse(url) {
            Err(error) => mistakes.add(&["system", key], error.to_string(), ""),
            Ok(target) if target.tls && key == "admin" => {
                mistakes.add(&["system", key], "the admin listener speaks no TLS", "write http://");
            }
            Ok(_) => {}
        }
    }
    for (name, target) in &spec.system.targets {
        let at = ["system", "target", name];
        if let Some(Err(error)) = target.endpoint.as_deref().map(endpoint_name) {
            mistakes.add(&[at[0], at[1], at[2], "endpoint"], error, "");
        }
        let is_something = target.endpoint.is_some() || target.pid_file.is_some();
        mistakes.check(is_something, &at, "nothing to aim at", "write `endpoint`, `pid_file` or both");
    }
}

/// No two things of a kind share a name, and there are not too many.
fn names(spec: &GameDaySpec, mistakes: &mut Mistakes<'_>) {
    let probes = spec.probes.iter().map(|probe| probe.name.as_str()).collect();
    let actions = spec.method.iter().map(|action| action.name.as_str()).collect();
    let lists: [(&str, Vec<&str>, usize); 2] =
        [("probe", probes, PROBES_MAX), ("method", actions, ACTIONS_MAX)];
    for (list, names, most) in lists {
        let mut seen = BTreeSet::new();
        mistakes.check(!names.is_empty(), &[list], "is empty", "a game day needs at least one");
        mistakes.check(names.len() <= most, &[list], "too many", "split the game day");
        for (index, name) in names.into_iter().enumerate() {
            let at = [list, &index.to_string(), "name"];
            let label = !name.is_empty() && !grammar::has_control(name) && name.len() <= 100;
            mistakes.check(label, &at, "not a name", "write 1 to 100 characters");
            mistakes.check(seen.insert(name), &at, "is there twice", "give each a name of its own");
        }
    }
}

fn probe(spec: &GameDaySpec, index: usize, mistakes: &mut Mistakes<'_>) {
    let (probe, number) = (&spec.probes[index], index.to_string());
    let at = |key: &'static str| ["probe", number.as_str(), key];
    let kinds = [probe.load.is_some(), probe.http.is_some(), probe.metric.is_some(), probe.command.is_some()];
    const ONE: &str = "write one of `load`, `http`, `metric` and `command`";
    let count = kinds.iter().filter(|is| **is).count();
    mistakes.check(count == 1, &at("name")[..2], "not exactly one kind of probe", ONE);
    if let Some(Err(error)) = probe.load.as_deref().map(Expectation::parse) {
        mistakes.add(&at("load"), error.to_string(), "");
    }
    if let Some(http) = &probe.http {
        let url = ["probe", &number, "http", "url"];
        let own = http.url.starts_with('/') || http.url.starts_with("admin:/");
        match Target::parse(&http.url) {
            _ if own && spec.system.gateway.starts_with("https:") && http.url.starts_with('/') => {
                mistakes.add(&url, "probes speak no TLS", "use a command for https");
            }
            Ok(target) if !own && target.tls => {
                mistakes.add(&url, "probes speak no TLS", "use a command for https")
            }
            Err(error) if !own => mistakes.add(&url, error.to_string(), ""),
            _ => {}
        }
    }
    if let Some(metric) = &probe.metric {
        self::metric(metric, &["probe", &number, "metric"], mistakes);
    }
    if let Some(command) = &probe.command {
        let run = ["probe", &number, "command", "run"];
        mistakes.check(!command.run.is_empty(), &run, "is empty", "write the program and its arguments");
    }
    mistakes.check(!probe.when.is_empty(), &at("when"), "is empty", "leave it out for every stage");
    const OFTEN: &str = "write at least 100ms";
    mistakes.check(probe.every.0 >= Duration::from_millis(100), &at("every"), "too often", OFTEN);
    let tolerable = (0.0..=100.0).contains(&probe.tolerate_percent);
    mistakes.check(tolerable, &at("tolerate_percent"), "out of range", "write 0 to 100");
}

fn metric(metric: &MetricProbe, at: &[&str], mistakes: &mut Mistakes<'_>) {
    let bounded = metric.at_least.is_some() || metric.at_most.is_some();
    mistakes.check(bounded, at, "no bound", "write `at_least`, `at_most` or both");
    mistakes.check(!metric.name.is_empty(), at, "no name", "write a name of docs/metrics.md");
}

fn action(spec: &GameDaySpec, action: &ActionSpec, number: &str, mistakes: &mut Mistakes<'_>) {
    let at = |key: &'static str| ["method", number, key];
    mistakes.check(
        grammar::is_label(&action.name),
        &at("name"),
        "not a name for a rule",
        "write letters, digits, `-`, `_`, `.`",
    );
    let times = [action.at.is_some(), action.between.is_some()].iter().filter(|is| **is).count();
    mistakes.check(times == 1, &at("name")[..2], "no time, or two", "write either `at` or `between`");
    if let Some([from, to]) = action.between {
        mistakes.check(from <= to, &at("between"), "ends before it begins", "write the earlier time first");
    }
    mistakes.check(!action.lasts.0.is_zero(), &at("lasts"), "is zero", "write how long, like \"30s\"");
    let repeats = (1..=TIMES_MAX).contains(&action.times);
    mistakes.check(repeats, &at("times"), "out of range", "write 1 to 100");
    let again = action.times == 1 || action.between.is_some();
    mistakes.check(
        again,
        &at("times"),
        "always the same time",
        "write `between`, from which times are drawn",
    );
    for (index, name) in action.targets.iter().enumerate() {
        if !spec.system.targets.contains_key(name) {
            let at = ["method", number, "targets", &index.to_string()];
            mistakes.unknown(&at, name, "target", spec.system.targets.keys());
        }
    }
    let (pick, most) = (action.pick.unwrap_or(1), action.targets.len().max(1));
    let help = "write a number from 1 to that of the targets";
    mistakes.check((1..=most).contains(&pick), &at("pick"), "out of range", help);
    const ONE: &str = "write one of `chaos`, `process`, `file` and `command`";
    let kinds =
        [action.chaos.is_some(), action.process.is_some(), action.file.is_some(), action.command.is_some()];
    mistakes.check(
        kinds.iter().filter(|is| **is).count() == 1,
        &at("name")[..2],
        "not exactly one kind of fault",
        ONE,
    );
    if let Some(command) = &action.command {
        for (key, run) in [("run", &command.run), ("undo", &command.undo)] {
            let at = ["method", number, "command", key];
            mistakes.check(!run.is_empty(), &at, "is empty", "write the program and its arguments");
        }
    }
    if let Some(process) = action.process {
        self::process(spec, action, process, number, mistakes);
    }
    if let Some(file) = &action.file {
        let at = ["method", number, "file", "from"];
        let differ = !file.from.is_empty() && !file.to.is_empty() && file.from != file.to;
        mistakes.check(
            differ,
            &at,
            "nothing would change",
            "write two different texts, neither of them empty",
        );
    }
    chaos_rule(spec, action, number, mistakes);
}

/// A process fault can be done to its targets.
fn process(
    spec: &GameDaySpec,
    action: &ActionSpec,
    process: ProcessStep,
    number: &str,
    mistakes: &mut Mistakes<'_>,
) {
    let at = ["method", number, "process"];
    mistakes.check(!action.targets.is_empty(), &at, "nobody to do it to", "write `targets`");
    let share = match process {
        ProcessStep::CpuQuota { share, .. } | ProcessStep::Slow { share } | ProcessStep::Fail { share } => {
            share
        }
        _ => 0.5,
    };
    mistakes.check((0.0..=1.0).contains(&share), &at, "out of range", "write a share from 0 to 1");
    for name in &action.targets {
        let Some(target) = spec.system.targets.get(name) else { continue };
        let running = spec.system.rig.is_none();
        if running && !matches!(process, ProcessStep::Stop) {
            mistakes.add(&at, "only a process of the rig can be harmed so", "use `stop`, or a command");
            return;
        }
        if running && target.pid_file.is_none() {
            mistakes.add(
                &at,
                format!("the process of {name} is not known"),
                "write `pid_file` for this target",
            );
        }
    }
    let gateway = action.targets.iter().any(|name| name == GATEWAY);
    let allowed = matches!(process, ProcessStep::Stop | ProcessStep::CpuQuota { .. } | ProcessStep::Clock(_));
    let help = "use `stop`, `cpu_quota` or `clock`";
    mistakes.check(!gateway || allowed, &at, "means nothing to the gateway", help);
}

fn chaos_rule(spec: &GameDaySpec, action: &ActionSpec, number: &str, mistakes: &mut Mistakes<'_>) {
    if let Some(chaos) = &action.chaos {
        let rule = ChaosRule {
            name: action.name.clone(),
            route: None,
            service: None,
            endpoint: None,
            percent: chaos.percent,
            fault: chaos.fault.clone(),
            probes: chaos.probes,
            seed: None,
            lasts: None,
        };
        for mistake in self::mistakes(&rule, &Config::default()).iter().filter(|it| it.at != ["name"]) {
            let at: Vec<&str> =
                ["method", number, "chaos"].into_iter().chain(mistake.at.iter().copied()).collect();
            mistakes.add(&at, mistake.message.clone(), mistake.help.as_deref().unwrap_or_default());
        }
        for (index, name) in action.targets.iter().enumerate() {
            let known = spec.system.targets.get(name);
            if known.is_some_and(|target| target.endpoint.is_none()) {
                let at = ["method", number, "targets", &index.to_string()];
                mistakes.add(&at, "a chaos rule needs an endpoint", "write `endpoint` for this target");
            }
        }
    }
}

fn aborts(spec: &GameDaySpec, mistakes: &mut Mistakes<'_>) {
    let count = spec.aborts.len();
    const NEEDED: &str = "say when all faults are taken back at once, like load = \"errors>50%\"";
    mistakes.check((1..=ABORTS_MAX).contains(&count), &["abort"], "not 1 to 32 conditions", NEEDED);
    for (index, abort) in spec.aborts.iter().enumerate() {
        let number = index.to_string();
        let at = |key: &'static str| ["abort", number.as_str(), key];
        let kinds =
            [abort.load.is_some(), abort.burn_rate.is_some(), abort.metric.is_some(), abort.probe.is_some()];
        const ONE: &str = "write one of `load`, `burn_rate`, `metric` and `probe`";
        let count = kinds.iter().filter(|is| **is).count();
        mistakes.check(count == 1, &at("load")[..2], "not exactly one kind of condition", ONE);
        match abort.load.as_deref().map(Expectation::parse) {
            Some(Err(error)) => mistakes.add(&at("load"), error.to_string(), ""),
            Some(Ok(known)) if !known.is_per_second() => {
                mistakes.add(&at("load"), "not known each second", "write errors, p50, p99 or rate");
            }
            _ => {}
        }
        let positive = abort.burn_rate.is_none_or(|rate| rate > 0.0);
        mistakes.check(positive, &at("burn_rate"), "out of range", "write a number above 0, like 14.4");
        if let Some(metric) = &abort.metric {
            self::metric(metric, &at("metric"), mistakes);
        }
        if let Some(name) = &abort.probe {
            let named = spec.probes.iter().find(|probe| probe.name == *name);
            match named {
                None => mistakes.unknown(&at("probe"), name, "probe", spec.probes.iter().map(|it| &it.name)),
                Some(probe) if probe.load.is_some() || !probe.when.contains(&Stage::During) => {
                    let help = "name one that is asked during the method; for the load write `load`";
                    mistakes.add(&at("probe"), "is not asked while faults are there", help);
                }
                Some(_) => {}
            }
        }
    }
}

/// That the drawn plan is short enough and within the cap at every moment.
pub(super) fn check_plan(spec: &GameDaySpec, plan: &[Planned], fleet: &Fleet, mistakes: &mut Mistakes<'_>) {
    if plan.len() > FAULTS_MAX {
        mistakes.add(&["method"], format!("more than {FAULTS_MAX} faults"), "draw them less often");
        return;
    }
    for planned in plan {
        let number = planned.action.to_string();
        if planned.ends > LENGTH_MAX {
            mistakes.add(&["method", &number], "ends later than 4 hours", "split the game day");
        }
        let together: Vec<&Planned> = at_once(plan, planned.begins);
        let reaches: Vec<_> = together.iter().flat_map(|one| reaches(spec, one)).collect();
        if let Some(beyond) = Footprint::of(&reaches, fleet).beyond(&spec.blast_radius) {
            let names: Vec<&str> = together.iter().map(|one| one.name.as_str()).collect();
            let message = format!(
                "the blast radius: at {:.1} s, with {}, {beyond}",
                planned.begins.as_secs_f64(),
                names.join(" and ")
            );
            mistakes.add(&["method", &number], message, "aim at less, or raise the cap in [blast_radius]");
            return;
        }
        if reaches.len() > MOST_RULES {
            mistakes.add(
                &["method", &number],
                format!("more than {MOST_RULES} faults at once"),
                "aim at less",
            );
            return;
        }
    }
}

/// What is in force at this moment.
pub(super) fn at_once(plan: &[Planned], now: Duration) -> Vec<&Planned> {
    plan.iter().filter(|one| one.begins <= now && now < one.ends).collect()
}

/// The most that the plan affects at any moment.
pub(super) fn footprint(spec: &GameDaySpec, plan: &[Planned], fleet: &Fleet) -> Footprint {
    let moments = plan.iter().map(|planned| {
        let together = at_once(plan, planned.begins);
        let reaches: Vec<_> = together.into_iter().flat_map(|one| reaches(spec, one)).collect();
        Footprint::of(&reaches, fleet)
    });
    moments.fold(Footprint::default(), Footprint::larger)
}
