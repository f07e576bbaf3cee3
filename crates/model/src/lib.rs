//! The nouns that two or more crates exchange: the configuration spec, units, endpoints, faults.
//! No I/O, no clock, no threads, no global randomness; everything here is a plain value.

pub mod address;
pub mod chaos;
pub mod decision;
pub mod dice;
pub mod discover;
pub mod fault;
pub mod grammar;
pub mod load;
pub mod pattern;
pub mod schema;
pub mod signal;
pub mod spec;
pub mod state;
pub mod template;
pub mod toxic;
pub mod units;

mod env;
mod lint;
mod locate;
mod place;
mod source;
mod strict;
mod structure;
mod suggest;
mod validate;

pub use lint::warnings;
pub use load::load;
pub use locate::locate;
pub use source::ConfigError;
pub use strict::StrictFile;
pub use suggest::nearest;
