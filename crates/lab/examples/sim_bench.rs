//! What `cargo xtask bench sim` runs: events per second and memory of the simulator.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench speaks to the terminal and may stop"
)]

use headgate_lab::sim::{Sim, SystemSpec};
use headgate_lab::workload::{Workload, WorkloadSpec, no_files};
use std::time::Instant;

fn main() {
    let rate: f64 = std::env::args().nth(1).map_or(250.0, |x| x.parse().unwrap());
    let seconds: u64 = std::env::args().nth(2).map_or(3600, |x| x.parse().unwrap());
    let system: SystemSpec = toml_text();
    let mut w = WorkloadSpec::poisson(vec![headgate_lab::workload::Phase::steady(
        "",
        std::time::Duration::from_secs(seconds),
        rate,
    )]);
    w.keys = headgate_lab::workload::PopularitySpec::Zipf { keys: 10000, exponent: 0.99, drift: None };
    for _ in 0..3 {
        let workload = Workload::new(&w, 1, &mut no_files()).unwrap();
        let start = Instant::now();
        let mut sim = Sim::new(&system, workload, 1).unwrap();
        let r = sim.run();
        let t = start.elapsed().as_secs_f64();
        println!(
            "{:.3} s, {} events, {:.2} M events/s, ok {} failed {}, mean {:.3} ms p99 {:.3} most {} cpu {:?} digest {:x}",
            t,
            r.events,
            r.events as f64 / t / 1e6,
            r.ok(),
            r.failed(),
            r.latency.mean_ns() / 1e6,
            r.latency.quantile_ns(0.99) as f64 / 1e6,
            r.calls_most,
            r.cpu_and_memory(),
            r.digest()
        );
    }
}

fn toml_text() -> SystemSpec {
    toml::from_str(include_str!("three_tier.toml")).unwrap()
}
