//! What `cargo xtask bench prefetch` runs: the generated API, and a trace of a web server if there is one, against real
//! gateways, one without fetching ahead and others with it, side by side in front of services of their own. Hits,
//! requests at the service, waits.

mod gateway;
mod load;
mod origin;
mod player;

use gateway::Gateway;
use headgate_lab::workload::api::Client;
use headgate_stats::interval::mean_interval;
use load::{Days, Load};
use origin::Origin;
use player::{Played, play};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Times run faster by so much: those of users, of the service, and those that the gateway is told.
const SPEED: u64 = 8;
/// Of the distinct bytes, for the cache.
const SIZE: f64 = 0.25;

const USAGE: &str = "usage: prefetch_bench HEADGATE SEEDS screens|clicks|web07 [TRACE]";

/// How a gateway is set.
struct Mode {
    name: &'static str,
    /// Lines of `[cache.prefetch]`.
    settings: &'static str,
}

const API_MODES: [Mode; 4] = [
    Mode { name: "off", settings: "" },
    Mode { name: "shadow", settings: "mode = \"shadow\"\nsession = \"header:x-user\"\n" },
    Mode { name: "on", settings: "mode = \"on\"\nsession = \"header:x-user\"\n" },
    Mode {
        name: "on, answers read",
        settings: "mode = \"on\"\nsession = \"header:x-user\"\nread_answers = true\n",
    },
];
/// Who asked is not in the trace.
const WEB_MODES: [Mode; 3] = [
    Mode { name: "off", settings: "" },
    Mode { name: "shadow", settings: "mode = \"shadow\"\n" },
    Mode { name: "on", settings: "mode = \"on\"\n" },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.as_slice() {
        [binary, seeds, row, trace @ ..] => run(binary, seeds, row, trace),
        _ => Err(USAGE.to_owned()),
    };
    if let Err(error) = done {
        note(&error);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What one mode came to with one seed.
struct Row {
    stage: String,
    played: Played,
    at_origin: u64,
}

fn run(binary: &str, seeds: &str, row: &str, trace: &[String]) -> Result<(), String> {
    let seeds: u64 = seeds.parse().map_err(|_| "SEEDS is a number")?;
    let (load, modes) = match (row, trace) {
        ("screens", []) => (Load::api(Client::Screens), API_MODES.as_slice()),
        ("clicks", []) => (Load::api(Client::Clicks), API_MODES.as_slice()),
        ("web07", [path]) => (Load::web(Path::new(path), SPEED)?, WEB_MODES.as_slice()),
        _ => return Err(USAGE.to_owned()),
    };
    compare(Path::new(binary), &load, modes, seeds)
}

fn compare(binary: &Path, load: &Load, modes: &[Mode], seeds: u64) -> Result<(), String> {
    let mut rows: BTreeMap<(usize, u64), Row> = BTreeMap::new();
    for seed in 1..=seeds {
        let days = load.days(seed)?;
        let bytes: BTreeMap<&str, u64> = days
            .all()
            .filter(|call| call.is_safe && call.is_stored)
            .map(|call| (call.path.as_str(), call.bytes))
            .collect();
        let memory = (bytes.values().sum::<u64>() as f64 * SIZE) as u64;
        let results: Vec<Result<Row, String>> = std::thread::scope(|scope| {
            let days = &days;
            let runs: Vec<_> =
                modes.iter().map(|mode| scope.spawn(move || one(binary, mode, memory, days))).collect();
            runs.into_iter()
                .map(|run| run.join().unwrap_or_else(|_| Err("a run panicked".to_owned())))
                .collect()
        });
        for (mode, row) in results.into_iter().enumerate() {
            rows.insert((mode, seed), row?);
        }
        note(&format!("{}: seed {seed} of {seeds}", load.title));
    }
    tell(load, modes, &rows, seeds);
    Ok(())
}

/// One gateway through both days.
fn one(binary: &Path, mode: &Mode, memory: u64, days: &Days) -> Result<Row, String> {
    let origin = Origin::start(days.all(), SPEED)?;
    let gateway = Gateway::start(binary, origin.address, mode, memory, SPEED)?;
    play(&days.before, gateway.address, SPEED, 0)?;
    let (stage, at_origin) = (gateway.stage()?, origin.requests());
    let played = play(&days.measured, gateway.address, SPEED, 1 << 32)?;
    Ok(Row { stage, played, at_origin: origin.requests() - at_origin })
}

fn tell(load: &Load, modes: &[Mode], rows: &BTreeMap<(usize, u64), Row>, seeds: u64) {
    let Load { title, parts, .. } = load;
    say(&format!("**{title}**, {SPEED} times as fast; s3fifo, a cache of {SIZE} of the distinct bytes;"));
    say(&format!("{parts}; means with 95 % intervals over {seeds} runs\n"));
    say(
        "| mode | stage when measured | hit ratio % | hits gained % of misses | requests at the service | mean wait ms | p50 ms | p99 ms |",
    );
    say("|---|---|---:|---:|---:|---:|---:|---:|");
    for (mode, Mode { name, .. }) in modes.iter().enumerate() {
        let column = |value: &dyn Fn(&Row, &Row) -> f64| {
            let of = |seed| Some(value(rows.get(&(mode, seed))?, rows.get(&(0, seed))?));
            spread(&(1..=seeds).filter_map(of).collect::<Vec<f64>>())
        };
        let ratio = |row: &Row| row.played.hits as f64 / row.played.asked.max(1) as f64;
        let stages: Vec<&str> =
            (1..=seeds).filter_map(|seed| Some(rows.get(&(mode, seed))?.stage.as_str())).collect();
        say(&format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} |",
            stages.join(", "),
            column(&|row, _| 100.0 * ratio(row)),
            column(&|row, off| 100.0 * (ratio(row) - ratio(off)) / (1.0 - ratio(off)).max(1e-9)),
            column(&|row, off| row.at_origin as f64 / off.at_origin.max(1) as f64),
            column(&|row, _| row.played.mean_us() / 1e3),
            column(&|row, _| row.played.quantile_us(0.5) / 1e3),
            column(&|row, _| row.played.quantile_us(0.99) / 1e3),
        ));
    }
}

/// A line for whoever reads the table.
fn say(text: &str) {
    // A reader that went away is not a failure.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line for whoever waits.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn spread(values: &[f64]) -> String {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    match mean_interval(values, 0.95) {
        Ok(interval) => format!("{mean:.3} ± {:.3}", (interval.high - interval.low) / 2.0),
        Err(_) => format!("{mean:.3}"),
    }
}
