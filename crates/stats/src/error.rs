//! Why a figure cannot be given. Every function of this crate answers with one of these instead of NaN.

use thiserror::Error;

/// What is wrong with the data or a parameter, and where.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum StatsError {
    #[error("{what} has {have} values, needs at least {need}: measure more")]
    TooFew { what: String, have: usize, need: usize },
    #[error("{what} has {have} values, takes at most {limit}: {remedy}")]
    TooMany { what: String, have: usize, limit: usize, remedy: &'static str },
    #[error("{what}: value {index} is {value}: remove it or find out why it is not a finite number")]
    NotFinite { what: String, index: usize, value: f64 },
    #[error("{what}: all values are equal, so there is no variation to judge by")]
    NoVariation { what: String },
    #[error("{what}: {left} values stand against {right}: they have to be pairs")]
    NotPairs { what: &'static str, left: usize, right: usize },
    #[error("{name} is {value}, has to be {need}")]
    Parameter { name: &'static str, value: f64, need: &'static str },
    #[error("{what}: value {index} is {value}, has to be {need}")]
    Value { what: &'static str, index: usize, value: f64, need: &'static str },
    #[error("column {column} of the design follows from those before it (rank deficient): leave it out")]
    RankDeficient { column: usize },
    #[error("{what} is beyond the range of a double: measure in another unit")]
    OutOfRange { what: &'static str },
}

pub type Result<T> = std::result::Result<T, StatsError>;
