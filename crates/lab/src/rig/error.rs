//! Why the rig cannot do what it was asked for: which process, what happened, and what it said last.

use crate::workload::SpecError;
use std::io;
use std::process::ExitStatus;

/// Why there is no system, or no longer one.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// The description asks for what processes cannot show.
    #[error("the rig cannot run this: {0}")]
    Spec(#[from] SpecError),
    #[error("{what}")]
    System { what: String, source: io::Error },
    /// A process ended that was not asked to.
    #[error("the process {name} ended by itself ({status}); its last lines:\n{}", indented(.last))]
    Died { name: String, status: ExitStatus, last: Vec<String> },
    #[error("the process {name} did not {what} within {seconds} s; its last lines:\n{}", indented(.last))]
    Silent { name: String, what: &'static str, seconds: u64, last: Vec<String> },
    #[error("the process {name} refused `{command}`: {answer}")]
    Refused { name: String, command: String, answer: String },
    #[error("there is no process {name}; there are: {known}")]
    Unknown { name: String, known: String },
    #[error("the process {name} is not running")]
    Down { name: String },
    #[error("{fault} means nothing to the process {name}: {why}")]
    Meaningless { name: String, fault: &'static str, why: &'static str },
    #[error("the admin listener at {address} did not answer: {why}")]
    Admin { address: String, why: String },
    #[error("the chaos rule for {name}: {why}")]
    Rule { name: String, why: String },
    #[error("the load on the system failed")]
    Load(#[from] crate::load::LoadError),
    #[error("interrupted; the same command goes on where this one stopped")]
    Interrupted,
}

impl RigError {
    pub(super) fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { what: what.into(), source: source.into() }
    }
}

fn indented(lines: &[String]) -> String {
    if lines.is_empty() {
        return "  (none)".to_owned();
    }
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
