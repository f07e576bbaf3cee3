//! What a fault does to the system, and how it is taken back and that verified. When is decided elsewhere.

use super::ask::ask;
use super::command;
use super::endpoint_name;
use super::probe::ADMIN_PATIENCE;
use super::schedule::Planned;
use super::spec::{CommandStep, GameDaySpec};
use crate::load::Target;
use crate::workload::Streams;
use headgate_model::spec::{ChaosRule, Span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// By so much a chaos rule outlives its fault, should nobody be left to remove it.
pub(super) const OUTLIVES: Duration = Duration::from_secs(2);
/// Names of rules of game days begin with it.
pub(super) const PREFIX: &str = "gameday-";
/// Seeds stay within the numbers that every JSON reader keeps whole.
const SEED_BITS: u64 = (1 << 53) - 1;
/// Attempts to take a fault back.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// One thing that is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Act {
    /// A chaos rule of the gateway.
    Rule(Box<ChaosRule>),
    Command {
        run: Vec<String>,
        undo: Vec<String>,
        timeout: Duration,
    },
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
    let action = &spec.method[planned.action];
    let endpoint = |target: &String| spec.system.targets.get(target).and_then(|it| it.endpoint.clone());
    let mut aims: Vec<(String, Option<String>)> =
        planned.targets.iter().map(|target| (target.clone(), endpoint(target))).collect();
    if aims.is_empty() {
        aims.push((String::new(), None));
    }
    let streams = Streams::new(seed).within(&planned.name, 0);
    let act = |(number, (target, endpoint)): (usize, (String, Option<String>))| {
        if let Some(chaos) = &action.chaos {
            return Some(Act::Rule(Box::new(ChaosRule {
                name: format!("{PREFIX}{}-{}", planned.name, number + 1),
                route: chaos.route.clone(),
                service: chaos.service.clone(),
                endpoint,
                percent: chaos.percent,
                fault: chaos.fault.clone(),
                lasts: Some(Span(planned.ends.saturating_sub(planned.begins) + OUTLIVES)),
                seed: Some(streams.dice("rule", number as u64).bits() & SEED_BITS),
                probes: chaos.probes,
            })));
        }
        let CommandStep { run, undo, timeout } = action.command.as_ref()?;
        let endpoint = endpoint.unwrap_or_default();
        let filled = |line: &[String]| -> Vec<String> {
            line.iter().map(|it| it.replace("{target}", &target).replace("{endpoint}", &endpoint)).collect()
        };
        Some(Act::Command { run: filled(run), undo: filled(undo), timeout: timeout.0 })
    };
    aims.into_iter().enumerate().filter_map(act).collect()
}

impl Act {
    /// # Errors
    /// Why it is not sure that the fault is there.
    pub(super) fn begin(&self, admin: &Target) -> Result<(), String> {
        match self {
            Self::Rule(rule) => {
                let body = serde_json::to_string(rule).map_err(|error| error.to_string())?;
                let reply = ask(admin, "POST", "/chaos", &body, ADMIN_PATIENCE);
                let reply = reply.map_err(|error| format!("the admin listener: {error}"))?;
                match reply.status {
                    200 => Ok(()),
                    status => {
                        Err(format!("the gateway refused the rule ({status}): {}", reply.text().trim()))
                    }
                }
            }
            Self::Command { run, timeout, .. } => succeeds(run, *timeout),
        }
    }

    /// Takes it back, with a few attempts, and looks whether it is gone.
    pub(super) fn end(&self, admin: &Target) -> Ended {
        let mut ended = Ended::default();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            let tried = match self {
                Self::Rule(rule) => remove(rule, admin, &mut ended.hits),
                Self::Command { undo, timeout, .. } => succeeds(undo, *timeout),
            };
            ended.problem = tried.err();
            if ended.problem.is_none() {
                break;
            }
        }
        ended
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Rule(rule) => {
                let of = rule.endpoint.iter().chain(&rule.service).chain(&rule.route).next();
                let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
                format!("{} for {} % of the attempts{of}", rule.fault.name(), rule.percent)
            }
            Self::Command { run, .. } => format!("command {}", run.join(" ")),
        }
    }
}

fn succeeds(run: &[String], timeout: Duration) -> Result<(), String> {
    match command::run(run, timeout)? {
        0 => Ok(()),
        code => Err(format!("{} ended with exit code {code}", run.join(" "))),
    }
}

/// Removes a rule, unless its time was over first, and looks whether it is gone.
fn remove(rule: &ChaosRule, admin: &Target, hits: &mut Option<u64>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("the admin listener: {error}");
    if let Some(found) = listed(admin, &rule.name).map_err(failed)? {
        *hits = Some(found.max(hits.unwrap_or(0)));
    }
    let path = format!("/chaos/{}", rule.name);
    let reply = ask(admin, "DELETE", &path, "", ADMIN_PATIENCE).map_err(failed)?;
    if !matches!(reply.status, 200 | 404) {
        return Err(format!("the rule was not removed ({}): {}", reply.status, reply.text().trim()));
    }
    match listed(admin, &rule.name).map_err(failed)? {
        None => Ok(()),
        Some(_) => Err("the rule is still in force after it was removed".to_owned()),
    }
}

/// Hits of the rule of this name; `None` when it is not in force.
pub(super) fn listed(admin: &Target, name: &str) -> std::io::Result<Option<u64>> {
    let reply = ask(admin, "GET", "/chaos", "", ADMIN_PATIENCE)?;
    let odd = || std::io::Error::other(format!("GET /chaos was answered {}", reply.status));
    let listed: serde_json::Value = serde_json::from_slice(&reply.body).map_err(|_| odd())?;
    let rules = listed["rules"].as_array().ok_or_else(odd)?;
    let rule = rules.iter().find(|rule| rule["name"] == name);
    Ok(rule.map(|rule| rule["hits"].as_u64().unwrap_or_default()))
}

/// The endpoint of a target as the gateway writes it.
pub(super) fn target_endpoint(spec: &GameDaySpec, target: &str) -> Option<String> {
    let endpoint = spec.system.targets.get(target)?.endpoint.as_deref()?;
    endpoint_name(endpoint).ok()
}
