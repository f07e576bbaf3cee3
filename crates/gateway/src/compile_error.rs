//! Why a configuration cannot be brought into force, although it reads well: a file that is missing, a
//! key that does not fit its certificate.

/// What a configuration that passed validation still cannot be compiled for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct CompileError {
    pub place: String,
    pub message: String,
}
