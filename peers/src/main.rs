//! One run of a disk tier, ours or foyer's, over the same objects: stores them, reads them back by a Zipf law, starts
//! again, and works in a quarter of the room. Prints `name value` lines; `cargo xtask bench disk` runs it in turns.
//!
//! usage: headgate-peers headgate|foyer FOLDER SEED

mod foyer_tier;
mod headgate_tier;
mod tier;

use headgate_model::dice::Dice;
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::time::{Duration, Instant};
use tier::{Tier, bytes_of};

const OBJECTS: u64 = 20_000;
const READS: u64 = 60_000;
const IN_FLIGHT: u64 = 16;
const ZIPF: f64 = 0.9;
/// Room for all of them, and for about a quarter, in bytes.
const AMPLE: u64 = 1 << 30;
const TIGHT: u64 = 80 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, folder, seed] = &arguments[..] else {
        eprintln!("usage: headgate-peers headgate|foyer FOLDER SEED");
        std::process::exit(2);
    };
    let Ok(seed) = seed.parse() else {
        eprintln!("{seed}: no number");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("runtime: {error}");
            std::process::exit(1);
        }
    };
    let folder = Path::new(folder);
    match kind.as_str() {
        "headgate" => runtime.block_on(run::<headgate_tier::Headgate>(folder, seed)),
        "foyer" => runtime.block_on(run::<foyer_tier::Foyer>(folder, seed)),
        other => {
            eprintln!("{other}: neither headgate nor foyer");
            std::process::exit(2);
        }
    }
}

async fn run<T: Tier>(folder: &Path, seed: u64) {
    let (ample, tight) = (folder.join("ample"), folder.join("tight"));
    let tier = T::open(&ample, AMPLE).await;
    store(&tier).await;
    read(&tier, seed).await;
    tier.close().await;
    let started = Instant::now();
    let tier = T::open(&ample, AMPLE).await;
    println!("restart_ms {:.1}", started.elapsed().as_secs_f64() * 1e3);
    let mut found = 0;
    for id in (0..OBJECTS).step_by(10) {
        found += u64::from(is_right(id, tier.get(id).await));
    }
    println!("restart_found_percent {:.2}", found as f64 * 1_000.0 / OBJECTS as f64);
    tier.close().await;
    let tier = T::open(&tight, TIGHT).await;
    crowd(&tier, seed).await;
    tier.close().await;
}

/// Stores every object and waits until the files have them.
async fn store<T: Tier>(tier: &T) {
    let (started, before) = (Instant::now(), cpu());
    for id in 0..OBJECTS {
        tier.put(id, bytes_of(id));
        if id % 500 == 499 {
            tier.written().await;
        }
    }
    tier.written().await;
    println!("store_us_per_object {:.2}", started.elapsed().as_secs_f64() * 1e6 / OBJECTS as f64);
    println!("store_cpu_us_per_object {:.2}", (cpu() - before).as_secs_f64() * 1e6 / OBJECTS as f64);
}

/// Reads by the law of popularity, several at a time.
async fn read<T: Tier>(tier: &T, seed: u64) {
    let (started, before) = (Instant::now(), cpu());
    let law = law();
    let mut readers = Vec::new();
    for reader in 0..IN_FLIGHT {
        let (tier, law) = (tier.clone(), law.clone());
        readers.push(tokio::spawn(async move {
            let mut dice = Dice::new(seed * 1_000 + reader);
            let mut took = Vec::new();
            let mut right = 0;
            for _ in 0..READS / IN_FLIGHT {
                let id = draw(&law, &mut dice);
                let asked = Instant::now();
                let got = tier.get(id).await;
                took.push(asked.elapsed());
                right += u64::from(is_right(id, got));
            }
            (right, took)
        }));
    }
    let (mut right, mut took) = (0, Vec::new());
    for reader in readers {
        let Ok((one, times)) = reader.await else { panic!("a reader has failed") };
        right += one;
        took.extend(times);
    }
    took.sort_unstable();
    let at = |share: f64| took[(took.len() as f64 * share) as usize].as_secs_f64() * 1e6;
    println!("read_us_per_object {:.2}", started.elapsed().as_secs_f64() * 1e6 / READS as f64);
    println!("read_cpu_us_per_object {:.2}", (cpu() - before).as_secs_f64() * 1e6 / READS as f64);
    println!("read_p50_us {:.1}", at(0.5));
    println!("read_p99_us {:.1}", at(0.99));
    println!("read_found_percent {:.2}", right as f64 * 100.0 / READS as f64);
    println!("resident_mib {:.1}", resident_mib());
}

/// In less room than is needed: what is not there is put.
async fn crowd<T: Tier>(tier: &T, seed: u64) {
    let law = law();
    let mut dice = Dice::new(seed);
    let (mut right, mut put) = (0, 0);
    let written = written_bytes();
    for number in 0..READS {
        let id = draw(&law, &mut dice);
        if is_right(id, tier.get(id).await) {
            right += 1;
        } else {
            let bytes = bytes_of(id);
            put += bytes.len() as u64;
            tier.put(id, bytes);
        }
        // As the service would take its time.
        if number % 50 == 49 {
            tier.written().await;
        }
    }
    println!("crowd_hit_percent {:.2}", right as f64 * 100.0 / READS as f64);
    println!("crowd_bytes_written_per_byte {:.2}", (written_bytes() - written) as f64 / put as f64);
}

/// Whether the object was there. Other bytes than its own end the run.
fn is_right(id: u64, got: Option<bytes::Bytes>) -> bool {
    got.is_some_and(|got| {
        assert!(got == bytes_of(id), "object {id} is not what was stored");
        true
    })
}

/// Sums of 1/rank^s.
fn law() -> std::sync::Arc<[f64]> {
    let mut sum = 0.0;
    (1..=OBJECTS)
        .map(|rank| {
            sum += (rank as f64).powf(-ZIPF);
            sum
        })
        .collect()
}

fn draw(law: &[f64], dice: &mut Dice) -> u64 {
    let at = dice.unit() * law[law.len() - 1];
    // Popular ones are spread over the order of storing.
    let rank = law.partition_point(|&sum| sum < at) as u64;
    rank * 7_919 % OBJECTS
}

/// CPU time of all threads.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

fn field(file: &str, name: &str) -> f64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

/// Bytes that were handed to the kernel to write.
fn written_bytes() -> u64 {
    field("/proc/self/io", "wchar:") as u64
}

fn resident_mib() -> f64 {
    field("/proc/self/status", "VmRSS:") / 1024.0
}
