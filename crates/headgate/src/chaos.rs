//! `headgate chaos`: shows and changes the faults that a running Headgate injects.

use crate::admin_client::{Answer, ask, ask_with};
use crate::say::{Failure, say};
use headgate_model::chaos::parse_fault;
use headgate_model::grammar::is_label;
use headgate_model::spec::{ChaosRule, Span};
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

/// A change compiles the configuration once more.
const PATIENCE: Duration = Duration::from_secs(60);

/// A rule as the command line names it.
pub(crate) struct NewRule {
    pub name: String,
    /// As it stands in a file behind `fault =`, or one level deeper.
    pub fault: String,
    pub route: Option<String>,
    pub service: Option<String>,
    pub endpoint: Option<String>,
    pub percent: f64,
    pub probes: bool,
    pub seed: Option<u64>,
    pub lasts: Option<Duration>,
}

/// # Errors
/// When nobody answers at `admin`.
pub(crate) fn list(admin: &str) -> Result<(), Failure> {
    let answer = ask(admin, "GET", "/chaos", PATIENCE)?;
    if answer.status != 200 {
        return Err(refused(admin, &answer));
    }
    say(table(&answer.body)?.trim_end())
}

/// # Errors
/// When the rule is faulty or refused, or nobody answers at `admin`.
pub(crate) fn add(admin: &str, rule: NewRule) -> Result<(), Failure> {
    let rule = ChaosRule {
        fault: parse_fault(&rule.fault).map_err(|error| format!("not a fault: {error}"))?,
        name: rule.name,
        route: rule.route,
        service: rule.service,
        endpoint: rule.endpoint,
        percent: rule.percent,
        probes: rule.probes,
        seed: rule.seed,
        lasts: rule.lasts.map(Span),
    };
    done(admin, &ask_with(admin, "POST", "/chaos", &serde_json::to_string(&rule)?, PATIENCE)?)
}

/// # Errors
/// When there is no such rule, or nobody answers at `admin`.
pub(crate) fn remove(admin: &str, name: &str) -> Result<(), Failure> {
    if !is_label(name) {
        return Err(format!("{name}: no rule has such a name").into());
    }
    done(admin, &ask(admin, "DELETE", &format!("/chaos/{name}"), PATIENCE)?)
}

/// # Errors
/// When nobody answers at `admin`.
pub(crate) fn clear(admin: &str) -> Result<(), Failure> {
    done(admin, &ask(admin, "DELETE", "/chaos", PATIENCE)?)
}

fn done(admin: &str, answer: &Answer) -> Result<(), Failure> {
    if answer.status == 200 { say(answer.body.trim_end()) } else { Err(refused(admin, answer)) }
}

fn refused(admin: &str, answer: &Answer) -> Failure {
    let text = answer.body.trim_end();
    match answer.status {
        404 | 409 | 422 => text.into(),
        status => format!("{admin} answered {status}: {text}").into(),
    }
}

/// One line for each rule.
fn table(json: &str) -> Result<String, Failure> {
    let listed: Value = serde_json::from_str(json)?;
    let rules = listed["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rules.is_empty() {
        return Ok("no rule is in force".to_owned());
    }
    let mut out =
        format!("{:<24} {:>9} {:>8} {:>6} {:>8}  what\n", "rule", "hits", "percent", "from", "ends in");
    for rule in rules {
        let text = |key: &str| rule[key].as_str().unwrap_or_default();
        let ends =
            rule["ends_in_ms"].as_u64().map_or("-".to_owned(), |ms| format!("{} s", ms.div_ceil(1_000)));
        let places = ["route", "service", "endpoint"].into_iter().filter(|key| rule[key].is_string());
        let places: String = places.map(|key| format!(" {key} {}", text(key))).collect();
        writeln!(
            out,
            "{:<24} {:>9} {:>8} {:>6} {ends:>8}  {}{places}",
            text("name"),
            rule["hits"].as_u64().unwrap_or_default(),
            rule["percent"].as_f64().unwrap_or_default(),
            text("from"),
            rule["fault"]
        )?;
    }
    Ok(out)
}
