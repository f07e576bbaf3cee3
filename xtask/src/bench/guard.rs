//! `cargo xtask bench guard`: false alarms of the guard between equals, and how soon planted regressions are caught.
//! The runs are made by an example of the lab crate; what comes out does not depend on how it is built.

use super::machine;
use super::options::Options;
use crate::Outcome;
use std::process::{Command, Stdio};

/// Seeded runs of each cell for each of the rounds that were asked for.
const RUNS_PER_ROUND: usize = 200;

/// Takes `--rounds N` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("guard", arguments)?;
    let output = Command::new("cargo")
        .args([
            "run",
            "--profile",
            "quick",
            "--quiet",
            "--package",
            "headgate-lab",
            "--example",
            "guard_bench",
            "--",
        ])
        .arg((options.rounds * RUNS_PER_ROUND).to_string())
        .current_dir(crate::root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("the bench ended with {}", output.status));
    }
    let mut text = vec![machine::machine()];
    text.extend(machine::commit().map(|commit| format!("commit: {commit}")));
    text.push(String::new());
    text.push(String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.join("\n");
    println!("{text}");
    if options.write {
        machine::store("guard", "Guard", &options.command, &text)?;
    }
    Ok(())
}
