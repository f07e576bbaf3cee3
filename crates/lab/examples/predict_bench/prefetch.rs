//! What fetching ahead gains at equal cache size: the generated API over seeds, and the web trace without sessions.

use super::{Spread, say};
use headgate_lab::replay::prefetch::{Namer, Outcome, Rules, play};
use headgate_lab::workload::api::{self, Call, Client, Prospect, Shows};
use headgate_learn::sequence::predictor::Settings;
use headgate_learn::sequence::slate::{EXPERTS, Expert};
use headgate_policy::evict::Kind;
use headgate_policy::prefetch::budget::Shares;
use headgate_policy::prefetch::foresight::Limits;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Shares of the distinct bytes.
const SIZES: [f64; 2] = [0.05, 0.25];
/// Walks after each call that estimate what may come.
const WALKS: u32 = 200;

/// One row's namer by seed.
type Make = Box<dyn Fn(u64) -> Namer + Sync>;

pub(crate) fn run(seeds: &str, web: Option<&str>) -> Result<(), String> {
    let seeds: u64 = seeds.parse().map_err(|_| "SEEDS is a number")?;
    for (client, title) in
        [(Client::Screens, "an app's screens"), (Client::Clicks, "one call for each click")]
    {
        let drawn = (1..=seeds).map(|seed| api::calls_with_prospects(client, seed, WALKS));
        let (drawn, prospects): (Vec<_>, Vec<_>) = drawn.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let prospects: Vec<Arc<[_]>> = prospects.into_iter().map(Arc::from).collect();
        let rows = || rows(&prospects);
        say(&format!("**Generated API: {title}**, s3fifo; means with 95 % intervals over seeds from 1\n"));
        table(&drawn, &rows(), Shares::default());
        say("Unused fetches may be 9 % of the origin's requests instead of 5 %:\n");
        let some: Vec<_> =
            rows().into_iter().enumerate().filter(|(at, _)| [0, 4, 5, 7].contains(at)).collect();
        let some: Vec<_> = some.into_iter().map(|(_, row)| row).collect();
        table(&drawn, &some, Shares { share: 0.09, limit: 0.09 });
    }
    if let Some(web) = web {
        let calls = web_calls(Path::new(web))?;
        say("**web07**, no sessions: one stream of keys; s3fifo\n");
        table(&[calls], &web_rows(), Shares::default());
    }
    Ok(())
}

fn learned(experts: &[Expert], has_routes: bool) -> Make {
    with(experts, Limits { has_routes, ..Limits::default() })
}

fn with(experts: &[Expert], limits: Limits) -> Make {
    let mut keys = Settings { experts: [false; EXPERTS], pooled: experts.len() > 1, ..Settings::default() };
    experts.iter().for_each(|expert| keys.experts[*expert as usize] = true);
    let has_keys = !experts.is_empty();
    Box::new(move |seed| {
        let mut keys = keys.clone();
        keys.lstm.seed = seed;
        Namer::Learned(Box::new(Limits { has_keys, keys, ..limits.clone() }))
    })
}

fn rows(prospects: &[Arc<[Vec<Prospect>]>]) -> Vec<(&'static str, Make)> {
    let prospects = prospects.to_vec();
    use Expert::{Association, Caller, Lstm, Order1, Order2, Order3, Popularity};
    let tables = [Order1, Order2, Order3, Association, Popularity, Caller];
    let all = [Order1, Order2, Order3, Association, Popularity, Caller, Lstm];
    vec![
        ("no fetching ahead", Box::new(|_| Namer::Nobody)),
        ("popularity", Box::new(|_| Namer::Popularity)),
        ("order-1", learned(&[Order1], false)),
        ("tables", learned(&tables, false)),
        ("routes", learned(&[], true)),
        ("routes + tables", learned(&tables, true)),
        ("routes + tables + lstm", learned(&all, true)),
        ("who knows the law", Box::new(move |seed| Namer::Law(Arc::clone(&prospects[seed as usize - 1])))),
        ("oracle: next request", Box::new(|_| Namer::Oracle)),
    ]
}

fn web_rows() -> Vec<(&'static str, Make)> {
    use Expert::{Association, Order1, Order2, Order3, Popularity};
    let stream = |experts: &[Expert]| with(experts, Limits { has_routes: false, ..Limits::of_one_stream() });
    vec![
        ("no fetching ahead", Box::new(|_| Namer::Nobody)),
        ("popularity", Box::new(|_| Namer::Popularity)),
        ("order-1", stream(&[Order1])),
        ("association", stream(&[Association])),
        ("tables", stream(&[Order1, Order2, Order3, Association, Popularity])),
        ("oracle: next request", Box::new(|_| Namer::Oracle)),
    ]
}

/// Keys a second apart, so that every answer is there before the next request.
fn web_calls(path: &Path) -> Result<Vec<Call>, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut bytes = Vec::new();
    let mut reader = lzma_rust2::XzReader::new(file, true);
    std::io::Read::read_to_end(&mut reader, &mut bytes)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let (keys, _) = bytes.as_chunks::<4>();
    let call = |(at, key): (u64, &[u8; 4])| Call {
        at_ns: at * 1_000_000_000,
        session: 0,
        path: format!("/{}", u32::from_be_bytes(*key)),
        is_safe: true,
        is_stored: true,
        bytes: 1,
        latency_us: 50_000.0,
        shows: Shows::Nothing,
    };
    Ok((0..).zip(keys).map(call).collect())
}

fn table(drawn: &[Vec<Call>], rows: &[(&'static str, Make)], shares: Shares) {
    let calls: Vec<f64> = drawn.iter().map(|calls| calls.len() as f64).collect();
    let distinct: Vec<u64> = drawn.iter().map(|calls| distinct_bytes(calls)).collect();
    say(&format!("{} calls, {} MB of distinct answers\n", Spread(&calls), distinct[0] as f64 / 1e6));
    let jobs: Vec<(usize, usize, usize)> = (0..rows.len())
        .flat_map(|row| {
            (0..SIZES.len()).flat_map(move |size| (0..drawn.len()).map(move |seed| (row, size, seed)))
        })
        .collect();
    let (taken, results) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some(&(row, size, seed)) = jobs.get(taken.fetch_add(1, Ordering::Relaxed)) {
            let capacity_bytes = ((distinct[seed] as f64 * SIZES[size]) as u64).max(1);
            let rules = Rules { shares, ..Rules::new(Kind::S3Fifo, capacity_bytes) };
            let began = Instant::now();
            let outcome = play(&drawn[seed], &rows[row].1(seed as u64 + 1), &rules);
            let took_us = began.elapsed().as_secs_f64() * 1e6 / drawn[seed].len().max(1) as f64;
            if let Ok(mut results) = results.lock() {
                results.insert((row, size, seed), (outcome, took_us));
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let results = results.into_inner().unwrap_or_default();
    say(
        "| cache | namer | hit ratio % | coverage % | in time % | amplification | precision % | late % | mean wait ms | us per call |",
    );
    say("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (size, share) in SIZES.iter().enumerate() {
        for (row, (name, _)) in rows.iter().enumerate() {
            let column = |value: &dyn Fn(&Outcome, &Outcome) -> f64| {
                let of = |seed| {
                    let (outcome, _): (Outcome, f64) =
                        results.get(&(row, size, seed)).copied().unwrap_or_default();
                    let baseline = results.get(&(0, size, seed)).map_or(outcome, |(baseline, _)| *baseline);
                    value(&outcome, &baseline)
                };
                (0..drawn.len()).map(of).collect::<Vec<f64>>()
            };
            let cost: Vec<f64> = (0..drawn.len())
                .filter_map(|seed| results.get(&(row, size, seed)))
                .map(|(_, us)| *us)
                .collect();
            let per = |part: f64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * part / whole as f64 };
            say(&format!(
                "| {:.0} % | {name} | {} | {} | {} | {} | {} | {} | {} | {:.0} |",
                100.0 * share,
                Spread(&column(&|one, _| per(one.hits as f64, one.requests))),
                Spread(&column(&|one, base| per(base.demanded as f64 - one.demanded as f64, base.demanded))),
                Spread(&column(&|one, base| per(one.hits as f64 - base.hits as f64, base.demanded))),
                Spread(&column(
                    &|one, base| (one.demanded + one.fetched) as f64 / base.demanded.max(1) as f64
                )),
                Spread(&column(&|one, _| per(one.used as f64, one.fetched))),
                Spread(&column(&|one, _| per(one.late as f64, one.used))),
                Spread(&column(&|one, _| one.waited_us / 1e3 / one.requests.max(1) as f64)),
                cost.iter().sum::<f64>() / cost.len().max(1) as f64,
            ));
        }
    }
    say("");
}

fn distinct_bytes(calls: &[Call]) -> u64 {
    let stored = calls.iter().filter(|call| call.is_safe && call.is_stored);
    stored.map(|call| (&call.path, call.bytes)).collect::<BTreeMap<_, _>>().values().sum()
}
