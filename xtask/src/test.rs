//! `cargo xtask test`: what CI runs and nothing else. Every step runs, also after one that failed, so that
//! one run shows all there is to mend.

use crate::Outcome;
use crate::bench::machine::require;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// Runs all steps; fails when any did.
pub(crate) fn run() -> Outcome {
    let start = Instant::now();
    let mut failed = Vec::new();
    let mut tests = Counts::default();
    let mut step = |name: &str, (counts, outcome): (Counts, Outcome)| {
        tests.passed += counts.passed;
        tests.failed += counts.failed;
        if let Err(why) = outcome {
            eprintln!("{name}: {why}");
            failed.push(name.to_owned());
        }
    };
    step("fmt", cargo(&["fmt", "--all", "--check"]));
    step("tidy", (Counts::default(), crate::tidy::run()));
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    step("clippy", cargo(&clippy));
    install();
    crate::interop::prepare();
    step("tests", workspace_tests());
    step("doc tests", cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]));
    eprintln!("== conform cache");
    step("conform cache", (Counts::default(), crate::conform::in_tests()));
    if crate::root().join("fuzz/Cargo.toml").exists() {
        step("fuzz", fuzz_smoke());
    }
    let seconds = start.elapsed().as_secs();
    println!("\n{} passed, {} failed in {seconds} s", tests.passed, tests.failed);
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("failed: {}", failed.join(", ")))
}

/// Programs that some tests start: installed where that is allowed, else these tests are left out.
fn install() {
    let needed = [("redis-server", "redis-server", "Redis"), ("faketime", "faketime", "clocks")];
    for (program, package, tests) in needed {
        if let Err(missing) = require(program, package) {
            eprintln!("   without tests of {tests}: {missing}");
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

/// With `cargo nextest` where it is installed: it runs the test programs side by side.
fn workspace_tests() -> (Counts, Outcome) {
    let nextest = Command::new("cargo").args(["nextest", "--version"]).output();
    if nextest.is_ok_and(|output| output.status.success()) {
        cargo(&["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "fail"])
    } else {
        cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"])
    }
}

/// The fuzz crate's own tests: every target over its seeds, without a fuzzing engine. It shares the
/// workspace's target folder, so that what is built already is used again.
fn fuzz_smoke() -> (Counts, Outcome) {
    let mut arguments = vec!["test", "--manifest-path", "fuzz/Cargo.toml", "--no-fail-fast"];
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        arguments.extend(["--target-dir", "target"]);
    }
    cargo(&arguments)
}

/// Runs cargo, shows its output when it fails, and counts the tests that it reports.
fn cargo(arguments: &[&str]) -> (Counts, Outcome) {
    eprintln!("== cargo {}", arguments.join(" "));
    let output =
        Command::new("cargo").args(arguments).current_dir(crate::root()).stdin(Stdio::null()).output();
    let Output { status, stdout, stderr } = match output {
        Ok(output) => output,
        Err(error) => return (Counts::default(), Err(format!("cannot start cargo: {error}"))),
    };
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let counts = count(&text);
    if counts != Counts::default() {
        eprintln!("   {} passed, {} failed", counts.passed, counts.failed);
    }
    if status.success() {
        return (counts, Ok(()));
    }
    eprintln!("{text}");
    (counts, Err(format!("cargo ended with {status}")))
}

/// Adds up `test result: ok. 5 passed; 0 failed; ...` of cargo test and
/// `Summary [0.1s] 5 tests run: 4 passed, 1 failed, ...` of nextest.
fn count(text: &str) -> Counts {
    let mut counts = Counts::default();
    for line in text.lines().filter(|line| line.contains("test result:") || line.contains("tests run:")) {
        let words: Vec<&str> = line.split([' ', ',', ';', ':']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else { continue };
            match pair[1] {
                "passed" => counts.passed += number,
                "failed" => counts.failed += number,
                _ => {}
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{Counts, count};

    #[test]
    fn both_runners_are_counted() {
        let text = "\
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Summary [   0.004s] 7 tests run: 6 passed (1 slow), 1 failed, 0 skipped
";
        assert_eq!(count(text), Counts { passed: 12, failed: 3 });
    }
}
