//! `cargo xtask bench adaptive`: the self-tuning eviction policy beside the plain ones on drawn traces that nothing in it
//! was chosen on, but the price of a move and the long memory at scale. Played by an example of the lab crate; what comes out does not depend on the machine.

use super::example::{measured, report};
use super::options::Options;
use crate::Outcome;

/// Takes `--rounds N`, the number of seeds; `--rows small,large`: caches that are watched whole, a minute or two for each seed,
/// and such as are watched by a sample, ten; and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("adaptive", arguments)?;
    let seeds = options.rounds.to_string();
    let play = |row: &String| measured("adaptive_bench", "release", &[&seeds, row]);
    let said = options.rows.iter().map(play).collect::<Outcome<Vec<String>>>()?;
    report(&options, "adaptive-drawn", "The self-tuning eviction policy on drawn traces", &said)
}
