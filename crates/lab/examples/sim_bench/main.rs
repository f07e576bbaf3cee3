//! What `cargo xtask bench sim` runs: speed and memory of the simulator, its event queue beside others, and
//! its means beside the closed forms of queueing theory.

#![allow(clippy::print_stdout, reason = "a bench speaks to the terminal")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench may stop where it finds the unexpected")]

mod closed_forms;
mod queues;

use headgate_lab::sim::{Results, Sim, SystemSpec};
use headgate_lab::workload::{RateTrace, Workload, WorkloadSpec, no_files};
use headgate_model::dice::Dice;
use std::fmt::Write as _;
use std::time::Instant;

const THREE_TIER: &str = include_str!("three_tier.toml");
const HOUR_S: u32 = 3_600;

fn main() {
    let rounds: usize =
        std::env::args().nth(1).map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    println!("{}\n", speed(rounds));
    println!("{}\n", queues::table(rounds));
    println!("{}", closed_forms::table());
}

/// An hour of requests, by the second: a day's curve in an hour, with noise. The mean is `mean`.
fn hour(mean: f64) -> WorkloadSpec {
    let mut dice = Dice::new(1);
    let rate = |second| {
        let day = (f64::from(second) / f64::from(HOUR_S) * std::f64::consts::TAU).sin();
        mean * (1.0 + 0.35 * day) * (0.9 + 0.2 * dice.unit())
    };
    let rates = (0..HOUR_S).map(rate).collect();
    let mut spec = WorkloadSpec::poisson(Vec::new());
    spec.open = spec.open.map(|open| {
        let trace = RateTrace { rates, ..RateTrace::default() };
        headgate_lab::workload::OpenSpec { trace: Some(trace), ..open }
    });
    spec
}

/// One run: what it showed in one number, how much it handled, and how long it took.
struct Timed {
    digest: u64,
    offered: u64,
    events: u64,
    calls_most: usize,
    seconds: f64,
    cpu_seconds: f64,
}

fn timed(system: &SystemSpec, workload: &WorkloadSpec) -> Timed {
    let workload = Workload::new(workload, 1, &mut no_files()).unwrap();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let results = Sim::new(system, workload, 1).unwrap().run();
    let (seconds, cpu_seconds) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let digest = results.digest();
    let Results { offered, events, calls_most, .. } = results;
    Timed { digest, offered, events, calls_most, seconds, cpu_seconds }
}

fn speed(rounds: usize) -> String {
    let mut text = String::from(
        "Three tiers, ten services, one core. An event is what is taken from the queue or from the timers: a request\n\
         planned, a message that reaches a replica or comes back, a piece of work that ends, a deadline, a tick.\n\
         Medians of the rounds with extremes; generating the requests is within.\n\n\
         | load | policy | requests | events | M events/s | M events/s of CPU time | seconds | real time x | calls at once | peak RSS MiB |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let loads = [("an hour, 250/s", 250.0), ("an hour, 1000/s", 1_000.0), ("an hour, 1500/s", 1_500.0)];
    for (name, rate) in loads {
        for balance in ["p2c", "round_robin", "peak_ewma"] {
            if balance != "p2c" && rate != 250.0 {
                continue;
            }
            let system = THREE_TIER.replace("\"p2c\"", &format!("\"{balance}\""));
            let system: SystemSpec = toml::from_str(&system).unwrap();
            let runs: Vec<Timed> = (0..rounds).map(|_| timed(&system, &hour(rate))).collect();
            let Timed { digest, offered, events, calls_most, .. } = runs[0];
            assert!(runs.iter().all(|run| run.digest == digest), "every round gives the same");
            let seconds = spread(runs.iter().map(|run| run.seconds));
            let speeds = spread(runs.iter().map(|run| events as f64 / run.seconds / 1e6));
            let by_cpu = spread(runs.iter().map(|run| events as f64 / run.cpu_seconds / 1e6));
            let times = f64::from(HOUR_S) / seconds.1;
            writeln!(
                text,
                "| {name} | {balance} | {offered} | {events} | {} | {} | {} | {times:.0} | {calls_most} | {:.1} |",
                show(speeds, 1),
                show(by_cpu, 1),
                show(seconds, 2),
                peak_rss_mib(),
            )
            .unwrap();
        }
    }
    text
}

/// Least, median and most.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

fn show((least, median, most): (f64, f64, f64), digits: usize) -> String {
    format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
}

/// Time that this process has spent on a core.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).map_or(f64::NAN, |ns| ns / 1e9)
}

fn peak_rss_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
