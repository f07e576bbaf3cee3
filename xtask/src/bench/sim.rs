//! `cargo xtask bench sim`: events per second, memory and accuracy of the lab's simulator. The measuring is done
//! by an example of the lab crate, built in release.

use super::machine;
use super::options::Options;
use crate::Outcome;
use std::process::{Command, Stdio};

/// Takes `--rounds N` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("sim", arguments)?;
    let output = Command::new("cargo")
        .args(["run", "--release", "--quiet", "--package", "headgate-lab", "--example", "sim_bench", "--"])
        .arg(options.rounds.to_string())
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
        machine::store("sim", "Simulator", &options.command, &text)?;
    }
    Ok(())
}
