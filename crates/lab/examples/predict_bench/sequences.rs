//! Accuracy tables: each predictor alone, the mixture, the mixture without one of its parts, and the limit.

use super::{Spread, say};
use headgate_lab::predict::Learned;
use headgate_lab::predict::baseline::Tables;
use headgate_lab::predict::score::{Predicts, Score, play};
use headgate_lab::predict::sequences::{self, Sessions};
use headgate_learn::sequence::predictor::{Predictor, Settings};
use headgate_learn::sequence::slate::{EXPERTS, Expert};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

type Parse = fn(&str) -> Sessions;

/// File, its parser, and whether page order means something.
const SETS: [(&str, Parse); 3] = [
    ("FIFA.dat", sequences::lines),
    ("anonymous-msweb.data", sequences::visits),
    ("apache_logs", sequences::access),
];

/// One line of a table.
#[derive(Clone)]
enum Row {
    Plain(&'static str, Tables),
    Learned(&'static str, Settings),
}

pub(crate) fn run(folder: &str, seeds: &str, share: Option<&str>) -> Result<(), String> {
    let seeds: u64 = seeds.parse().map_err(|_| "SEEDS is a number")?;
    let share: f64 = share.map_or(Ok(1.0), str::parse).map_err(|_| "SHARE is a number from 0 to 1")?;
    for (file, parse) in SETS {
        let Ok(text) = std::fs::read_to_string(Path::new(folder).join(file)) else {
            say(&format!("{file}: not there, skipped\n"));
            continue;
        };
        let mut sessions = parse(&text);
        sessions.truncate((sessions.len() as f64 * share) as usize);
        table(file, &sessions, seeds);
    }
    Ok(())
}

fn table(file: &str, sessions: &Sessions, seeds: u64) {
    let events: usize = sessions.iter().map(Vec::len).sum();
    say(&format!("**{file}**: {} sessions, {events} requests\n", sessions.len()));
    let rows = rows();
    let jobs: Vec<(usize, u64)> = (0..rows.len())
        .flat_map(|row| (1..=if is_seeded(&rows[row]) { seeds } else { 1 }).map(move |seed| (row, seed)))
        .collect();
    // The slow ones first, so that no thread is left alone with one at the end.
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|job| !is_seeded(&rows[jobs[*job].0]));
    let (taken, results) = (AtomicUsize::new(0), Mutex::new(vec![None; jobs.len()]));
    let work = || {
        while let Some(job) = order.get(taken.fetch_add(1, Ordering::Relaxed)) {
            let (row, seed) = jobs[*job];
            let began = Instant::now();
            let (score, trust) = measure(&rows[row], seed, sessions);
            let took_us = began.elapsed().as_secs_f64() * 1e6 / events.max(1) as f64;
            if let Ok(mut results) = results.lock() {
                results[*job] = Some((score, took_us, trust));
            }
        }
    };
    std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(work)));
    });
    let results = results.into_inner().unwrap_or_default();
    say("| predictor | predictions | top-1 % | top-3 % | top-5 % | named % | us per request |");
    say("|---|---:|---:|---:|---:|---:|---:|");
    for (number, row) in rows.iter().enumerate() {
        let of_row = jobs.iter().zip(&results).filter(|((row, _), _)| *row == number);
        let measured: Vec<&(Score, f64, String)> = of_row.filter_map(|(_, result)| result.as_ref()).collect();
        let column = |value: &dyn Fn(&Score) -> f64| {
            Spread(&measured.iter().map(|(score, _, _)| 100.0 * value(score)).collect::<Vec<_>>()).to_string()
        };
        let Some((first, _, trust)) = measured.first() else { continue };
        let mean_us = measured.iter().map(|(_, took_us, _)| took_us).sum::<f64>() / measured.len() as f64;
        say(&format!(
            "| {} | {} | {} | {} | {} | {} | {mean_us:.1} |",
            name(row),
            first.predictions,
            column(&|score| score.top(1)),
            column(&|score| score.top(3)),
            column(&|score| score.top(5)),
            column(&|score| score.named()),
        ));
        if !trust.is_empty() && name(row) == "mixture" {
            say(&format!("<!-- {trust} -->"));
        }
    }
    say("");
}

fn measure(row: &Row, seed: u64, sessions: &Sessions) -> (Score, String) {
    match row {
        Row::Plain(_, tables) => (play(&mut tables.clone(), sessions), String::new()),
        Row::Learned(_, settings) => {
            let mut settings = settings.clone();
            settings.lstm.seed = seed;
            let mut learned = Learned::new(Predictor::new(&settings));
            learned.begin();
            let score = play(&mut learned, sessions);
            let (weights, exponents) = learned.predictor().trust();
            (score, format!("weights {weights:.3?}, exponents {exponents:.3?}"))
        }
    }
}

fn name(row: &Row) -> &'static str {
    match row {
        Row::Plain(name, _) | Row::Learned(name, _) => name,
    }
}

fn is_seeded(row: &Row) -> bool {
    matches!(row, Row::Learned(_, settings) if settings.experts[Expert::Lstm as usize])
}

fn rows() -> Vec<Row> {
    use Expert::{Association, Lstm, Order1, Order2, Order3, Popularity};
    let only = |experts: &[Expert]| {
        let mut settings = Settings { experts: [false; EXPERTS], pooled: false, ..Settings::default() };
        experts.iter().for_each(|expert| settings.experts[*expert as usize] = true);
        settings
    };
    let all = [Order1, Order2, Order3, Association, Popularity, Lstm];
    let mixture = |without: &[Expert]| {
        let experts: Vec<Expert> = all.into_iter().filter(|expert| !without.contains(expert)).collect();
        Settings { pooled: true, ..only(&experts) }
    };
    let tables = |without: &[Expert]| mixture(&[without, &[Lstm]].concat());
    vec![
        Row::Plain("plain order-1", Tables::order(1)),
        Row::Plain("plain order-2", Tables::order(2)),
        Row::Plain("plain back-off 3 to 1", Tables::back_off(1)),
        Row::Plain("plain back-off 3 to 1, a context seen twice", Tables::back_off(2)),
        Row::Plain("plain order-1, only new keys", Tables::order(1).only_new()),
        Row::Plain("plain back-off, only new keys", Tables::back_off(2).only_new()),
        Row::Learned("order-1", only(&[Order1])),
        Row::Learned("order-2", only(&[Order2])),
        Row::Learned("order-3", only(&[Order3])),
        Row::Learned("association", only(&[Association])),
        Row::Learned("popularity", only(&[Popularity])),
        Row::Learned("lstm", only(&[Lstm])),
        Row::Learned("mixture", mixture(&[])),
        Row::Learned("mixture without lstm (tables)", tables(&[])),
        Row::Learned("tables without association", tables(&[Association])),
        Row::Learned("tables without orders 2 and 3", tables(&[Order2, Order3])),
        Row::Learned("tables without pooling", Settings { pooled: false, ..tables(&[]) }),
        Row::Learned("tables without revisits", Settings { revisits: false, ..tables(&[]) }),
    ]
}
