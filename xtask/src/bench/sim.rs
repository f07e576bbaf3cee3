//! `cargo xtask bench sim`: events per second, memory and accuracy of the lab's simulator. The measuring is done
//! by an example of the lab crate, built in release.

use super::example::{measured, report};
use super::options::Options;
use crate::Outcome;

/// Takes `--rounds N` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("sim", arguments)?;
    let said = measured("sim_bench", "release", &[&options.rounds.to_string()])?;
    report(&options, "sim", "Simulator", &[said])
}
