//! What `cargo xtask bench adaptive` runs: the self-tuning eviction policy beside the plain ones on drawn traces that nothing
//! in it was chosen on, but the price of a move and the long memory at scale. Arguments: the number of seeds, and `small` or `large`.
//! ARC, 2Q and SLRU are not ours and not here.

mod traces;

use headgate_model::dice::Dice;
use headgate_policy::evict::adaptive::{Adaptive, Goal};
use headgate_policy::evict::{Evict, Kind};
use headgate_stats::interval::mean_interval;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use traces::{PATTERNS, Pattern};

/// Of the distinct keys.
const SIZES: [f64; 4] = [0.01, 0.05, 0.10, 0.25];
const PLAIN: [Kind; 6] = [Kind::Lru, Kind::Sieve, Kind::S3Fifo, Kind::TinyLfu, Kind::Gdsf, Kind::Lirs];
/// Points that it may be below the best.
const MARGIN: f64 = 0.3;

/// Requests and keys of the large traces, and the objects from which on a cache is watched by a sample.
const LARGE: u64 = 20;
const SAMPLED_FROM: u64 = 8_193;

/// One size of one trace.
struct Cell {
    /// In objects.
    capacity: u64,
    /// Hit ratios in per cent, of the plain policies and of ours.
    plain: [f64; PLAIN.len()],
    ours: Vec<f64>,
}

/// A way to play the self-tuning policy.
struct Way {
    name: &'static str,
    build: fn(u64) -> Adaptive,
}

/// As replay plays it, which watches these caches whole; and as a gateway's sample of a large cache decides and moves.
const WAYS: [Way; 2] = [
    Way { name: "adaptive", build: |capacity| Adaptive::new(capacity, Goal::Objects) },
    Way { name: "at scale", build: |capacity| Adaptive::at_scale(capacity, Goal::Objects, None) },
];

#[allow(clippy::print_stdout, reason = "it is a command")]
fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|seeds| seeds.parse().ok()).unwrap_or(5);
    let is_large = std::env::args().any(|word| word == "large");
    // A large cache moves at scale anyway.
    let (scale, ways, least) = if is_large { (LARGE, &WAYS[..1], SAMPLED_FROM) } else { (1, &WAYS[..], 1) };
    println!(
        "Object hits in %, means with 95 % intervals over {seeds} seeds. The best is that of {}",
        PLAIN.map(Kind::name).join(", ")
    );
    println!("in each cell, by its mean.");
    if is_large {
        println!(
            "{LARGE} times the requests and keys; caches of {least} objects or more, which are watched by a sample.\n"
        );
    } else {
        println!("`at scale` moves as a large cache does, which cannot imitate its shadows.\n");
    }
    let heads: String = ways.iter().map(|way| format!(" {} | difference |", way.name)).collect();
    println!("| traffic | size % | best of the six | which |{heads}");
    println!("|---|---:|---:|---|{}", "---:|---:|".repeat(ways.len()));
    let cells = drawn(seeds, scale, ways);
    let mut totals: Vec<Total> = ways.iter().map(|_| Total::default()).collect();
    // By plain policy, what it is below the best of each cell.
    let mut behind: [Vec<f64>; PLAIN.len()] = Default::default();
    for (pattern, by_seed) in PATTERNS.iter().zip(&cells) {
        for (at, size) in SIZES.iter().enumerate() {
            let of_size: Vec<&Cell> = by_seed.iter().map(|cells| &cells[at]).collect();
            if of_size.iter().any(|cell| cell.capacity < least) {
                continue;
            }
            println!("{}", row(pattern, *size, &of_size, &mut totals));
            let best = mean_of(&of_size, winner(&of_size));
            behind.iter_mut().enumerate().for_each(|(at, one)| one.push(mean_of(&of_size, at) - best));
        }
    }
    println!();
    for (way, total) in ways.iter().zip(&totals) {
        println!("{}: {}", way.name, total.said());
    }
    for (at, kind) in PLAIN.iter().enumerate() {
        println!("{} alone: {:+.2}", kind.name(), mean(&behind[at]));
    }
}

/// By pattern and seed.
fn drawn(seeds: u64, scale: u64, ways: &[Way]) -> Vec<Vec<[Cell; SIZES.len()]>> {
    let jobs: Vec<(usize, u64)> =
        (0..PATTERNS.len()).flat_map(|pattern| (1..=seeds).map(move |seed| (pattern, seed))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(&(pattern, seed)) = jobs.get(next.fetch_add(1, Relaxed)) {
            let trace = (PATTERNS[pattern].draw)(&mut Dice::new(seed), scale);
            let distinct = trace.iter().collect::<HashSet<_>>().len();
            let cells = SIZES.map(|size| cell(&trace, (distinct as f64 * size) as u64, ways));
            if let Ok(mut done) = done.lock() {
                done.push(((pattern, seed), cells));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(job, _)| *job);
    let mut by_pattern: Vec<Vec<_>> = PATTERNS.iter().map(|_| Vec::new()).collect();
    done.into_iter().for_each(|((pattern, _), cells)| by_pattern[pattern].push(cells));
    by_pattern
}

fn cell(trace: &[u64], capacity: u64, ways: &[Way]) -> Cell {
    Cell {
        capacity,
        plain: PLAIN.map(|kind| hits(trace, kind.build(capacity))),
        ours: ways.iter().map(|way| hits(trace, Box::new((way.build)(capacity)))).collect(),
    }
}

fn hits(trace: &[u64], mut policy: Box<dyn Evict + Send>) -> f64 {
    let (mut hits, mut gone) = (0u64, Vec::new());
    for &key in trace {
        if policy.hit(key) {
            hits += 1;
        } else {
            policy.admit(key, 1, 1.0, &mut gone);
            gone.clear();
        }
    }
    100.0 * hits as f64 / trace.len() as f64
}

fn mean_of(cells: &[&Cell], policy: usize) -> f64 {
    mean(&cells.iter().map(|cell| cell.plain[policy]).collect::<Vec<f64>>())
}

/// The best in the mean over the seeds.
fn winner(cells: &[&Cell]) -> usize {
    let better = |one: &usize, other: &usize| mean_of(cells, *one).total_cmp(&mean_of(cells, *other));
    (0..PLAIN.len()).max_by(better).unwrap_or(0)
}

fn row(pattern: &Pattern, size: f64, cells: &[&Cell], totals: &mut [Total]) -> String {
    let winner = winner(cells);
    let best = mean_of(cells, winner);
    let mut row =
        format!("| {} | {:.0} | {best:.2} | {} |", pattern.name, 100.0 * size, PLAIN[winner].name());
    for (way, total) in totals.iter_mut().enumerate() {
        let hits: Vec<f64> = cells.iter().map(|cell| cell.ours[way]).collect();
        let differences: Vec<f64> = cells.iter().map(|cell| cell.ours[way] - cell.plain[winner]).collect();
        total.add(mean(&differences));
        let mark = if mean(&differences) < -MARGIN { " lost" } else { "" };
        row.push_str(&format!(" {:.2} | {}{mark} |", mean(&hits), spread(&differences)));
    }
    row
}

/// Of all cells.
#[derive(Default)]
struct Total {
    sum: f64,
    cells: usize,
    lost: usize,
}

impl Total {
    fn add(&mut self, difference: f64) {
        self.sum += difference;
        self.cells += 1;
        self.lost += usize::from(difference < -MARGIN);
    }

    fn said(&self) -> String {
        let mean = self.sum / self.cells.max(1) as f64;
        format!(
            "{mean:+.2} points in the mean, {} of {} cells lost by more than {MARGIN}.",
            self.lost, self.cells
        )
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn spread(values: &[f64]) -> String {
    match mean_interval(values, 0.95) {
        Ok(interval) => format!("{:+.2} ± {:.2}", mean(values), (interval.high - interval.low) / 2.0),
        Err(_) => format!("{:+.2}", mean(values)),
    }
}
