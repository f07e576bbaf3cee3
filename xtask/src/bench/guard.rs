//! `cargo xtask bench guard`: false alarms of the guard between equals, and how soon planted regressions are caught.
//! The runs are made by an example of the lab crate; what comes out does not depend on how it is built.

use super::example::{measured, report};
use super::options::Options;
use crate::Outcome;

/// Seeded runs of each cell for each of the rounds that were asked for.
const RUNS_PER_ROUND: usize = 200;

/// Takes `--rounds N` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("guard", arguments)?;
    let runs = (options.rounds * RUNS_PER_ROUND).to_string();
    let said = measured("guard_bench", "quick", &[&runs])?;
    report(&options, "guard", "Guard", &[said])
}
