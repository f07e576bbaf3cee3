//! Learners that know nothing of gateways: numbers in, numbers out. Time and dice are arguments; the same calls
//! give the same result on every machine.
//!
//! - [`sequence`]: what comes next in a sequence of keys.

pub mod calibrate;
mod directory;
pub mod lstm;
pub mod mixture;
pub mod pool;
pub mod sequence;
