//! `cargo xtask bench predict`: accuracy of next-request prediction on public sequences, and what fetching ahead gains.
//! The measuring is done by an example of the lab crate, built in release. What is not there is left out and said.

use super::example::{self, report};
use super::options::Options;
use crate::Outcome;
use std::path::Path;

/// Folders of the sequences (FIFA.dat ...) and of the cache traces (web07.trace.xz).
const SEQUENCES: &str = "HEADGATE_SEQUENCES";
const TRACES: &str = "HEADGATE_TRACES";

/// Takes `--rounds N`, the number of seeds, and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("predict", arguments)?;
    let seeds = options.rounds.to_string();
    let measured = |words: &[&str]| example::measured("predict_bench", "release", words);
    let mut text = Vec::new();
    match std::env::var(SEQUENCES) {
        Ok(folder) => text.push(measured(&["sequences", &folder, &seeds])?),
        Err(_) => {
            text.push(format!("sequences skipped: set {SEQUENCES} to the folder of FIFA.dat and others"))
        }
    }
    let web = web07().map_err(|why| text.push(why)).ok();
    let words: Vec<&str> = ["prefetch", &seeds].into_iter().chain(web.as_deref()).collect();
    text.push(measured(&words)?);
    report(&options, "predict", "Prediction and fetching ahead", &text)
}

/// Where that trace is, or why it is left out.
pub(super) fn web07() -> Result<String, String> {
    let path = std::env::var(TRACES).ok().map(|folder| Path::new(&folder).join("web07.trace.xz"));
    let path = path.filter(|path| path.exists()).map(|path| path.display().to_string());
    path.ok_or_else(|| format!("web07 skipped: set {TRACES} to the folder of web07.trace.xz"))
}
