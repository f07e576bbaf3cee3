//! `cargo xtask bench prefetch`: what fetching ahead gains in real gateways: hits, requests at the service, waits. The
//! measuring is done by an example of the lab crate, built in release.

use super::machine;
use super::options::Options;
use super::stage::build;
use crate::Outcome;
use std::process::{Command, Stdio};

/// Takes `--rounds N`, the number of seeds, each about five minutes; `--headgate PATH` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("prefetch", arguments)?;
    let headgate = match &options.headgate {
        Some(path) => path.clone(),
        None => build("headgate")?,
    };
    let output = Command::new("cargo")
        .args([
            "run",
            "--release",
            "--quiet",
            "--package",
            "headgate-lab",
            "--example",
            "prefetch_bench",
            "--",
        ])
        .arg(&headgate)
        .arg(options.rounds.to_string())
        .current_dir(crate::root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("prefetch_bench: {}", output.status));
    }
    let mut text = vec![machine::machine()];
    text.extend(machine::commit().map(|commit| format!("commit: {commit}")));
    text.push(String::new());
    text.push(String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.join("\n");
    println!("{text}");
    if options.write {
        machine::store("prefetch", "Fetching ahead in real gateways", &options.command, &text)?;
    }
    Ok(())
}
