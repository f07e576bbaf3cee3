//! `cargo xtask bench prefetch`: what fetching ahead gains in real gateways: hits, requests at the service, waits. The
//! measuring is done by an example of the lab crate, built in release.

use super::example::{measured, report};
use super::options::Options;
use super::predict::web07;
use super::stage::build;
use crate::Outcome;

/// Takes `--rounds N`, the number of seeds, each about five minutes of either API and two of the trace; `--rows NAME,...`,
/// `--headgate PATH` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("prefetch", arguments)?;
    let headgate = match &options.headgate {
        Some(path) => path.clone(),
        None => build("headgate")?,
    };
    let (headgate, seeds) = (headgate.display().to_string(), options.rounds.to_string());
    let mut text = Vec::new();
    for row in &options.rows {
        let trace = match row.as_str() {
            "web07" => web07().map(Some),
            _ => Ok(None),
        };
        match trace {
            Ok(trace) => {
                let words = [headgate.as_str(), &seeds, row].into_iter().chain(trace.as_deref());
                text.push(measured("prefetch_bench", "release", &words.collect::<Vec<_>>())?);
            }
            Err(why) => text.push(why),
        }
    }
    report(&options, "prefetch", "Fetching ahead in real gateways", &text)
}
