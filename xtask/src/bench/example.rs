//! Measurements that an example of the lab crate makes: how it is run, and what becomes of what it says.

use super::machine;
use super::options::Options;
use crate::Outcome;
use std::process::{Command, Stdio};

/// What the example says when it is run with `words`, built under `profile`.
pub(crate) fn measured(example: &str, profile: &str, words: &[&str]) -> Outcome<String> {
    let output = Command::new("cargo")
        .args([
            "run",
            "--profile",
            profile,
            "--quiet",
            "--package",
            "headgate-lab",
            "--example",
            example,
            "--",
        ])
        .args(words)
        .current_dir(crate::root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("{example} {}: {}", words.join(" "), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Prints the parts under a line about machine and commit, and stores them as `name` when asked to.
pub(crate) fn report(options: &Options, name: &str, title: &str, parts: &[String]) -> Outcome {
    let mut text = vec![machine::machine()];
    text.extend(machine::commit().map(|commit| format!("commit: {commit}")));
    text.push(String::new());
    text.extend_from_slice(parts);
    let text = text.join("\n");
    println!("{text}");
    if options.write {
        machine::store(name, title, &options.command, &text)?;
    }
    Ok(())
}
