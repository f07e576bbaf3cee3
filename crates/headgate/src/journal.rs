//! What the binary itself tells the decision journal, and where the journal is kept. Policies and loops tell theirs.

use headgate_gateway::worker::Shared;
use headgate_model::decision::{Decision, Figure};
use headgate_model::spec::ChaosRule;
use headgate_observe::journal::Journal;
use headgate_observe::log::{self, Level};
use std::path::Path;

/// Keeps the journal where the configuration in force says. A folder that cannot be used is told in the log and
/// stops nothing: traffic does not depend on it.
pub(crate) fn keep(shared: &Shared) {
    let config = &shared.snapshot().config;
    let folder = config.state.dir.as_deref().map(Path::new);
    if let Err(error) = shared.journal.keep_in(folder) {
        let message = "the decision journal is not kept on disk: make the folder of [state] dir writable";
        log::event(
            Level::Error,
            message,
            &[("dir", &config.state.dir.as_deref().unwrap_or_default()), ("error", &error)],
        );
    }
}

/// A reload, or why there was none.
pub(crate) fn reloaded(journal: &Journal, file: &Path, decided: String, because: &str) {
    journal.record(Decision {
        policy: "config".into(),
        subject: file.display().to_string().into(),
        decided: decided.into(),
        because: because.into(),
        ..Decision::default()
    });
}

/// A chaos rule begins, or ends after so many hits.
pub(crate) fn chaos(journal: &Journal, rule: &ChaosRule, ended: Option<u64>, why: &str) {
    let decided = match ended {
        Some(_) => "ended".to_owned(),
        None => format!("begins: {} for {} % of its attempts", rule.fault.name(), rule.percent),
    };
    let evidence = ended.map(|hits| Figure::new("hits", hits as f64, "")).into_iter().collect();
    journal.record(Decision {
        policy: "chaos".into(),
        subject: rule.name.as_str().into(),
        decided: decided.into(),
        because: why.into(),
        evidence,
        ..Decision::default()
    });
}

/// A purge of the cache: `what` is its kind and its name.
pub(crate) fn purged(journal: &Journal, what: (&str, &str), done: &str, responses: Option<usize>) {
    let count = |responses| Figure::new("responses", responses as f64, "");
    journal.record(Decision {
        policy: "cache.purge".into(),
        subject: format!("{} {}", what.0, what.1).trim_end().into(),
        decided: done.into(),
        because: "an operator asked for it".into(),
        evidence: responses.map(count).into_iter().collect(),
        ..Decision::default()
    });
}
