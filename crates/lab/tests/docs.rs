//! The examples of docs/lab.md are a workload and a system that work together.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use headgate_lab::sim::{Sim, SystemSpec};
use headgate_lab::workload::{Workload, WorkloadSpec, no_files};

/// Blocks that are indented by four blanks.
fn examples(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(code) => *blocks.last_mut().unwrap() += &format!("{code}\n"),
            // An empty line may stand within an example.
            None if line.is_empty() => {}
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[test]
fn the_examples_run() {
    let examples = examples(include_str!("../../../docs/lab.md"));
    let [workload, system] = examples.as_slice() else { panic!("two examples: {examples:?}") };
    let workload: WorkloadSpec = toml::from_str(workload).expect(workload);
    let system: SystemSpec = toml::from_str(system).expect(system);
    let workload = Workload::new(&workload, 1, &mut no_files()).unwrap();
    let results = Sim::new(&system, workload, 1).unwrap().run();
    assert!(results.offered > 70_000, "{}", results.offered);
    assert!(results.success_share() > 0.99, "{:?}", results.ends);
}
