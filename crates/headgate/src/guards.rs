//! `headgate guard`: where the learned policies of a running Headgate stand, and an operator's word about one. And what the
//! admin listener answers to that.

use crate::admin_client::{ask, ask_with};
use crate::say::{Failure, say};
use headgate_gateway::guard_desk::Standing;
use headgate_gateway::worker::Shared;
use headgate_model::decision::Figure;
use headgate_observe::log::{self, Level};
use headgate_policy::guard::{Mode, Stage};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// What `GET /guard` answers.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    guards: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    policy: String,
    subject: String,
    /// What decides where the learned policy does not.
    baseline: String,
    stage: String,
    /// Seconds until it may try again.
    paused_s: Option<u64>,
    /// Of both policies since the last change of stage.
    evidence: Vec<Figure>,
}

/// What `POST /guard` takes: exactly one of `mode` and `share_percent`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<PlainMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    share_percent: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlainMode {
    Off,
    Shadow,
    On,
}

/// Keeps where the guards stand, as far as it outlives them, where the configuration in force says; to be called before
/// there are guards, and after each reload. What cannot be read is told in the log, and the guards begin anew.
pub(crate) fn keep(shared: &Shared) {
    let config = &shared.snapshot().config;
    let folder = config.state.dir.as_deref().map(Path::new);
    if let Err(error) = shared.guards.book.keep_in(folder) {
        let message = "guards.json in [state] dir is not usable: guards that begin now begin anew; it may be deleted, \
                       and the folder has to be writable";
        let folder = config.state.dir.as_deref().unwrap_or_default();
        log::event(Level::Error, message, &[("dir", &folder), ("error", &error)]);
    }
}

/// Keeps nothing any more: from here on that is a successor's affair.
pub(crate) fn let_go(shared: &Shared) {
    // No folder, no error.
    let _ = shared.guards.book.keep_in(None);
}

/// All guards of a running Headgate, as JSON.
pub(crate) fn listed(shared: &Shared) -> String {
    let row = |standing: Standing| Row {
        policy: standing.names.policy.to_owned(),
        subject: standing.names.subject.to_owned(),
        baseline: standing.names.baseline.to_owned(),
        stage: standing.stage.to_string(),
        paused_s: match standing.stage {
            Stage::Paused { until } => Some(until.since(shared.now()).as_secs()),
            _ => None,
        },
        evidence: standing.evidence,
    };
    let answer = Answer { guards: shared.guards.list().into_iter().map(row).collect() };
    // Names and finite numbers have a form in JSON.
    serde_json::to_string(&answer).unwrap_or_default()
}

/// Does what an operator says.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn set(shared: &Shared, text: &[u8]) -> Result<String, String> {
    let word: Word =
        serde_json::from_slice(text).map_err(|error| format!("not the word for a guard in JSON: {error}"))?;
    let mode = match (word.mode, word.share_percent) {
        (Some(PlainMode::Off), None) => Mode::Off,
        (Some(PlainMode::Shadow), None) => Mode::Shadow,
        (Some(PlainMode::On), None) => Mode::On,
        (None, Some(percent)) if percent > 0.0 && percent < 100.0 => Mode::Share(percent / 100.0),
        (None, Some(_)) => return Err("share_percent is above 0 and below 100".to_owned()),
        _ => return Err("exactly one of mode and share_percent is needed".to_owned()),
    };
    if shared.guards.order(&word.policy, mode) {
        return Ok(format!("{}: told; the journal has the change", word.policy));
    }
    let known: Vec<&str> = shared.guards.list().iter().map(|standing| standing.names.policy).collect();
    let known = if known.is_empty() { "none is at work".to_owned() } else { known.join(", ") };
    Err(format!("there is no guard of {}; there are: {known}", word.policy))
}

/// Prints where the guards stand.
///
/// # Errors
/// When nobody answers at `admin`.
pub(crate) fn list(admin: &str, json: bool) -> Result<(), Failure> {
    let answer = ask(admin, "GET", "/guard", PATIENCE)?;
    let text = answer.body.trim_end();
    match answer.status {
        200 if json => say(text),
        200 => say(table(&serde_json::from_str(text)?).trim_end()),
        status => Err(format!("{admin} answered {status}: {text}").into()),
    }
}

/// Has a guard enter a mode: `off`, `shadow`, `on`, or a share like `20%`.
///
/// # Errors
/// When nobody answers at `admin`, or there is no such guard or mode.
pub(crate) fn tell(admin: &str, policy: String, mode: &str) -> Result<(), Failure> {
    let answer = ask_with(admin, "POST", "/guard", &serde_json::to_string(&word(policy, mode)?)?, PATIENCE)?;
    let text = answer.body.trim_end();
    match answer.status {
        200 => say(text),
        422 => Err(text.into()),
        status => Err(format!("{admin} answered {status}: {text}").into()),
    }
}

fn word(policy: String, mode: &str) -> Result<Word, String> {
    let plain = |mode| Ok(Word { policy: policy.clone(), mode: Some(mode), share_percent: None });
    match mode {
        "off" => plain(PlainMode::Off),
        "shadow" => plain(PlainMode::Shadow),
        "on" => plain(PlainMode::On),
        share => match share.strip_suffix('%').and_then(|number| number.trim().parse().ok()) {
            Some(percent) => Ok(Word { policy, mode: None, share_percent: Some(percent) }),
            None => Err(format!("`{share}` is none of: off, shadow, on, a share like 20%")),
        },
    }
}

fn table(answer: &Answer) -> String {
    if answer.guards.is_empty() {
        return "no learned policy is at work".to_owned();
    }
    let mut text = String::new();
    for guard in &answer.guards {
        let left = guard.paused_s.map_or(String::new(), |left| format!(" for {left} s more"));
        let Row { policy, subject, baseline, stage, evidence, .. } = guard;
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{policy} ({subject}): {stage}{left}, against {baseline}");
        for Figure { name, value, unit } in evidence {
            let _ = writeln!(text, "  {name:<28} {value:.4} {unit}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_as_people_write_them() {
        let word = |mode| word("prefetch".to_owned(), mode);
        assert_eq!(word("on").unwrap().mode, Some(PlainMode::On));
        assert_eq!(word("12.5%").unwrap().share_percent, Some(12.5));
        assert!(word("full").unwrap_err().contains("20%"));
    }

    #[test]
    fn where_guards_stand_is_told_in_words() {
        let row = Row {
            policy: "evict.adaptive".to_owned(),
            subject: "cache".to_owned(),
            baseline: "s3fifo".to_owned(),
            stage: "paused".to_owned(),
            paused_s: Some(40),
            evidence: vec![Figure::new("windows", 12.0, "")],
        };
        let text = table(&Answer { guards: vec![row] });
        assert!(text.starts_with("evict.adaptive (cache): paused for 40 s more, against s3fifo\n"), "{text}");
        assert!(text.contains("windows") && text.contains("12.0000"), "{text}");
        assert_eq!(table(&Answer { guards: Vec::new() }), "no learned policy is at work");
    }
}
