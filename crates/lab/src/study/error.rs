//! What is wrong with a study file: where, what, and what to write instead.

use crate::workload::SpecError;

/// A mistake in a study file. It is the author's; nothing has been run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StudyError {
    /// Not TOML, an unknown key or a value of the wrong form. The text has line and column.
    #[error("{0}")]
    Form(String),
    /// A value that does not make sense.
    #[error("{0}")]
    Value(SpecError),
    /// The levels of a cell do not make a system or a workload that can be run.
    #[error("with {cell}: {problem}")]
    Cell {
        /// `profile=heuristic, users=50`.
        cell: String,
        problem: String,
    },
}

impl StudyError {
    pub(super) fn value(field: impl Into<String>, problem: impl Into<String>, remedy: &'static str) -> Self {
        Self::Value(SpecError::new(field, problem, remedy))
    }
}
