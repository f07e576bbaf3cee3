//! `cargo xtask bench guard`: A/A runs and planted regressions, as tables. The argument is the number of runs.

#![allow(clippy::expect_used, reason = "a failure ends the measurement, with its reason")]

use headgate_lab::guard_trial::{Ended, Scenario, equals, planted};
use headgate_policy::guard::Settings;
use headgate_stats::interval::proportion_interval;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Windows of one A/A run, and after a regression: an hour of the default window.
const WINDOWS: u32 = 360;
/// Seeds below it were looked at when the guard's constants were chosen.
const FIRST_SEED: u64 = 1_000_000;

#[allow(clippy::print_stdout, reason = "it is a command")]
fn main() {
    let runs: u64 = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(1_000);
    println!("As the guard reads pairs:\n");
    tables(0, runs);
    let spared = Settings::SPARED;
    println!("\nAs it reads two arms, without the best {spared} windows in a row:\n");
    tables(spared, runs);
}

#[allow(clippy::print_stdout, reason = "it is a command")]
fn tables(spared: u32, runs: u64) {
    println!(
        "Equals (A/A), {runs} seeded runs of {WINDOWS} windows each, alpha 5 %. In brackets: 95 % interval.\n"
    );
    println!("| evidence | taken back as worse, % | promoted as better, % |\n|---|---|---|");
    let rows = parallel(Scenario::ALL.len(), |at| equals_row(Scenario::ALL[at], spared, runs));
    rows.iter().for_each(|row| println!("{row}"));
    println!(
        "\nPlanted: better by half of the size for 200 windows, then worse by it for {WINDOWS} windows; {runs} runs. \
         Time to catch from the turn on, at 10 s per window.\n"
    );
    println!(
        "| evidence | worse by | caught, % | before the turn, % | median, windows | 90 %, windows | median, min |"
    );
    println!("|---|---|---|---|---|---|---|");
    let rows =
        parallel(Scenario::ALL.len() * 4, |at| planted_row(Scenario::ALL[at / 4], spared, at % 4, runs));
    rows.iter().for_each(|row| println!("{row}"));
}

fn equals_row(scenario: Scenario, spared: u32, runs: u64) -> String {
    let (mut worse, mut better) = (0, 0);
    for seed in 0..runs {
        let found =
            equals(scenario, spared, FIRST_SEED + seed, WINDOWS).expect("the scenario's own settings");
        worse += found.worse;
        better += found.better;
    }
    let share = |found: u64| {
        let interval = proportion_interval(found, runs, 0.95).expect("at least one run");
        let percent = 100.0 * found as f64 / runs as f64;
        format!("{percent:.1} ({:.1} to {:.1})", 100.0 * interval.low, 100.0 * interval.high)
    };
    format!("| {} | {} | {} |", scenario.name(), share(worse), share(better))
}

fn planted_row(scenario: Scenario, spared: u32, effect: usize, runs: u64) -> String {
    let (unit, sizes) = scenario.effects();
    let size = sizes[effect];
    let (mut after, mut early) = (Vec::new(), 0);
    for seed in 0..runs {
        match planted(scenario, spared, size, FIRST_SEED + seed, WINDOWS)
            .expect("the scenario's own settings")
        {
            Ended::Caught(windows) => after.push(windows),
            Ended::Early => early += 1,
            Ended::Missed => {}
        }
    }
    after.sort_unstable();
    // Over all runs that were still on at the turn: one that was missed took longer than any.
    let turned = runs as usize - early;
    let at = |share: f64| after.get((share * turned as f64) as usize).copied();
    let or_never = |windows: Option<u32>| windows.map_or("-".to_owned(), |windows| windows.to_string());
    let minutes = at(0.5).map_or("-".to_owned(), |windows| format!("{:.1}", f64::from(windows) / 6.0));
    format!(
        "| {} | {size} {unit} | {:.1} | {:.1} | {} | {} | {minutes} |",
        scenario.name(),
        100.0 * after.len() as f64 / turned.max(1) as f64,
        100.0 * early as f64 / runs as f64,
        or_never(at(0.5)),
        or_never(at(0.9)),
    )
}

/// The results for 0 to `count` in order, made by all cores.
fn parallel(count: usize, make: impl Fn(usize) -> String + Sync) -> Vec<String> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(vec![String::new(); count]));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(at) = Some(next.fetch_add(1, Relaxed)).filter(|at| *at < count) {
                    let row = make(at);
                    rows.lock().expect("no thread panics with it")[at] = row;
                }
            });
        }
    });
    rows.into_inner().expect("no thread panicked")
}
