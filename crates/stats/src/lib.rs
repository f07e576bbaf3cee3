//! Statistics that a reviewer would accept: what samples look like, whether groups differ and which, how one
//! measure follows another, and tests that may be looked at while data come in. Pure: no I/O, no clock, dice as
//! arguments. Every function names what is wrong with its input instead of returning NaN.

pub mod anova;
pub mod bootstrap;
pub mod correlation;
pub mod descriptive;
pub mod dist;
pub mod interval;
pub mod outlier;
pub mod ranks;
pub mod regression;
pub mod sequential;

mod check;
mod dd;
mod error;
mod moments;
mod special;

pub use error::{Result, StatsError};
pub use interval::Interval;
