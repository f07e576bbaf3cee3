//! Learners that know nothing of gateways: numbers in, numbers out. Time and dice are arguments; the same calls
//! give the same result on every machine.
//!
//! - [`sequence`]: what comes next in a sequence of keys: tables, a network, and their mixture.
//! - [`routes`]: the templates of an API and which request leads to which.
//! - [`lstm`]: a small recurrent network that learns while it is used.
//! - [`mixture`], [`pool`]: experts weighed by what they were worth, added and multiplied.
//! - [`calibrate`]: scores into honest probabilities.
//! - [`season`]: what is asked for at which time of the day.
//! - [`directory`]: who has one of a fixed number of rows.

pub mod calibrate;
pub mod directory;
pub mod lstm;
pub mod mixture;
pub mod pool;
pub mod routes;
pub mod season;
pub mod sequence;
