//! `cargo xtask bench prefetch`: what fetching ahead gains in real gateways: hits, requests at the service, waits. The
//! measuring is done by an example of the lab crate, built in release.

use super::example::{measured, report};
use super::options::Options;
use super::stage::build;
use crate::Outcome;

/// Takes `--rounds N`, the number of seeds, each about five minutes; `--headgate PATH` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("prefetch", arguments)?;
    let headgate = match &options.headgate {
        Some(path) => path.clone(),
        None => build("headgate")?,
    };
    let (headgate, seeds) = (headgate.display().to_string(), options.rounds.to_string());
    let said = measured("prefetch_bench", "release", &[&headgate, &seeds])?;
    report(&options, "prefetch", "Fetching ahead in real gateways", &[said])
}
