//! `cargo xtask bench evict`: hit ratios of `headgate replay` beside those of libcachesim, an independent
//! implementation, on public traces. Both decode the traces on their own. What is not there is left out and said.

use super::machine;
use super::options::Options;
use crate::Outcome;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const REFERENCE: &str = include_str!("evict.py");
/// Where the traces are, and which Python has libcachesim.
const DATA: &str = "HEADGATE_TRACES";
const PYTHON: &str = "HEADGATE_PYTHON";

/// In per cent of the distinct objects, or of their bytes.
const SIZES: &str = "1%,5%,10%,25%";
/// File and format.
const TRACES: [(&str, &str); 19] = [
    ("web07.trace.xz", "u32"),
    ("OLTP.lis.zst", "arc"),
    ("corda-vaultservice.trace.gz", "i64"),
    ("adapt_size-request.trace.xz", "sized"),
    ("cloudPhysicsIO.csv.zst", "csv"),
    ("orm-busy.trace.xz", "u32"),
    ("lirs/2_pools.trace.gz", "keys"),
    ("lirs/backf.trace.gz", "keys"),
    ("lirs/cpp.trace.gz", "keys"),
    ("lirs/cs.trace.gz", "keys"),
    ("lirs/gli.trace.gz", "keys"),
    ("lirs/loop.trace.gz", "keys"),
    ("lirs/multi1.trace.gz", "keys"),
    ("lirs/multi2.trace.gz", "keys"),
    ("lirs/multi3.trace.gz", "keys"),
    ("lirs/ps.trace.gz", "keys"),
    ("lirs/scan.trace.gz", "keys"),
    ("lirs/sprite.trace.gz", "keys"),
    ("lirs/zigzag.trace.gz", "keys"),
];
/// Policies whose difference counts; the others have freedoms that two implementations use differently.
const PLAIN: [&str; 6] = ["fifo", "lru", "lfu", "sieve", "s3fifo", "gdsf"];
const POLICIES: [&str; 9] = ["fifo", "lru", "lfu", "sieve", "s3fifo", "gdsf", "tinylfu", "lirs", "belady"];
/// What the self-tuning policy is held against: the best of these in each cell.
const RIVALS: [&str; 5] = ["lru", "sieve", "s3fifo", "gdsf", "tinylfu"];
const FOREIGN_RIVALS: [&str; 3] = ["arc", "twoq", "slru"];
/// Points that it may be below the best.
const MARGIN: f64 = 0.3;
/// Points of hit ratio.
const TOLERANCE: f64 = 0.2;

/// Takes `--headgate PATH` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("evict", arguments)?;
    let Ok(data) = std::env::var(DATA) else {
        println!("skipped: set {DATA} to the folder of the traces (web07.trace.xz, OLTP.lis.zst, lirs/ ...)");
        return Ok(());
    };
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let has_reference =
        Command::new(&python).args(["-c", "import libcachesim"]).stderr(Stdio::null()).status();
    if !has_reference.is_ok_and(|status| status.success()) {
        println!(
            "skipped: {python} has no libcachesim (pip install libcachesim==0.3.5; {PYTHON} names another)"
        );
        return Ok(());
    }
    let headgate = match &options.headgate {
        Some(path) => path.clone(),
        None => super::stage::build("headgate")?,
    };
    let mut text = vec![machine::machine()];
    text.extend(machine::commit().map(|commit| format!("commit: {commit}")));
    text.push("Hit ratio in % (difference to libcachesim 0.3.5 in points).\n".to_owned());
    let mut head = format!("| {:<28} | {:>6} |", "trace", "size");
    POLICIES.iter().for_each(|policy| put(&mut head, format_args!(" {policy:>15} |")));
    text.push(head);
    text.push(format!("|---|---|{}", "---|".repeat(POLICIES.len())));
    let (mut cells, mut beyond) = (0, Vec::new());
    let mut tuned = Tuned::default();
    for (file, format) in TRACES {
        let path = Path::new(&data).join(file);
        if !path.exists() {
            text.push(format!("| {file}: not there |"));
            continue;
        }
        for row in rows(&headgate, &python, &path, format)? {
            let mut line = format!("| {file:<28} | {:>6} |", row.capacity);
            for (policy, (own, other)) in POLICIES.iter().zip(&row.ratios) {
                let cell = other
                    .map_or_else(|| format!("{own:.2}"), |other| format!("{own:.2} ({:+.2})", own - other));
                put(&mut line, format_args!(" {cell:>15} |"));
                if let Some(other) = other.filter(|_| PLAIN.contains(policy)) {
                    cells += 1;
                    if (own - other).abs() > TOLERANCE {
                        beyond.push(format!("{policy} on {file} at {}: {:+.2}", row.capacity, own - other));
                    }
                }
            }
            println!("{line}");
            text.push(line);
            tuned.add(file, &row);
        }
    }
    text.push(format!(
        "\n{} of {cells} cells of the plain policies ({}) agree to {TOLERANCE} points.",
        cells - beyond.len(),
        PLAIN.join(", ")
    ));
    text.extend(beyond);
    text.push(tuned.table());
    let text = text.join("\n");
    println!("\n{text}");
    if options.write {
        machine::store("evict", "Eviction policies", &options.command, &text)?;
    }
    Ok(())
}

/// One size of one trace, with the hit ratios of both in the order of [`POLICIES`].
struct Row {
    capacity: u64,
    ratios: Vec<(f64, Option<f64>)>,
    adaptive: f64,
    /// By name: [`RIVALS`] of ours, [`FOREIGN_RIVALS`] of libcachesim.
    rivals: Vec<(&'static str, f64)>,
}

/// The self-tuning policy beside the best of the others, cell by cell.
#[derive(Default)]
struct Tuned {
    lines: Vec<String>,
    differences: Vec<f64>,
    /// By rival: what it is below the best, summed.
    behind: std::collections::BTreeMap<&'static str, f64>,
}

impl Tuned {
    fn add(&mut self, file: &str, row: &Row) {
        let Some((name, best)) = row.rivals.iter().copied().max_by(|one, other| one.1.total_cmp(&other.1))
        else {
            return;
        };
        let difference = row.adaptive - best;
        let mark = if difference < -MARGIN { " lost" } else { "" };
        self.lines.push(format!(
            "| {file:<28} | {:>8} | {:>8.2} | {best:>8.2} | {name:<8} | {difference:+.2}{mark} |",
            row.capacity, row.adaptive
        ));
        self.differences.push(difference);
        for (rival, ratio) in &row.rivals {
            *self.behind.entry(rival).or_default() += ratio - best;
        }
    }

    fn table(&self) -> String {
        let cells = self.differences.len().max(1) as f64;
        let mean = self.differences.iter().sum::<f64>() / cells;
        let lost = self.differences.iter().filter(|difference| **difference < -MARGIN).count();
        let mut text = format!(
            "\nThe self-tuning policy beside the best of {} and of libcachesim's {}, which differs from cell to cell.\n\n\
             | trace | size | adaptive | best of others | which | difference |\n|---|---|---|---|---|---|\n{}\n\n\
             Mean difference to the best of each cell: {mean:+.2} points; {lost} of {} cells are more than {MARGIN} \
             points below. The others, each alone, in the mean over the same cells:",
            RIVALS.join(", "),
            FOREIGN_RIVALS.join(", "),
            self.lines.join("\n"),
            self.differences.len(),
        );
        for (rival, behind) in &self.behind {
            put(&mut text, format_args!(" {rival} {:+.2};", behind / cells));
        }
        text
    }
}

fn rows(headgate: &Path, python: &str, path: &Path, format: &str) -> Outcome<Vec<Row>> {
    let own = replay(headgate, path, format)?;
    let requests = own["requests"].as_f64().ok_or("replay wrote no number of requests")?;
    let rows = own["rows"].as_array().ok_or("replay wrote no rows")?;
    let mut capacities: Vec<u64> = rows.iter().filter_map(|row| row["capacity_bytes"].as_u64()).collect();
    capacities.sort_unstable();
    capacities.dedup();
    let other = reference(python, path, format, &capacities)?;
    let hits_of = |policy: &str, place: usize| -> Option<f64> {
        let line = other.lines().find(|line| line.split(' ').next() == Some(policy))?;
        line.split(' ').nth(place + 1)?.parse().ok()
    };
    let row = |(place, capacity): (usize, &u64)| {
        let own = |policy: &str| {
            let own = rows.iter().find(|row| row["policy"] == policy && row["capacity_bytes"] == *capacity);
            100.0 * own.and_then(|row| row["hits"].as_f64()).unwrap_or(f64::NAN) / requests
        };
        let other = |policy: &str| hits_of(policy, place).map(|hits| 100.0 * hits / requests);
        let foreign = FOREIGN_RIVALS.iter().filter_map(|policy| Some((*policy, other(policy)?)));
        Row {
            capacity: *capacity,
            ratios: POLICIES.iter().map(|policy| (own(policy), other(policy))).collect(),
            adaptive: own("adaptive"),
            rivals: RIVALS.iter().map(|policy| (*policy, own(policy))).chain(foreign).collect(),
        }
    };
    Ok(capacities.iter().enumerate().map(row).collect())
}

fn replay(headgate: &Path, path: &Path, format: &str) -> Outcome<serde_json::Value> {
    let json = std::env::temp_dir().join(format!("headgate-evict-{}.json", std::process::id()));
    let output = Command::new(headgate)
        .args(["replay", "--format", format, "--sizes", SIZES, "--goal", "objects", "--json"])
        .args([&json, path])
        // Blocks of disks; their sizes are of the requests.
        .args((format == "csv").then_some("--unit"))
        .output()
        .map_err(|error| format!("cannot start {}: {error}", headgate.display()))?;
    if !output.status.success() {
        return Err(format!("replay of {}: {}", path.display(), String::from_utf8_lossy(&output.stderr)));
    }
    let text = std::fs::read_to_string(&json).map_err(|error| format!("{}: {error}", json.display()))?;
    // It lies in the folder for what is gone tomorrow.
    let _ = std::fs::remove_file(&json);
    serde_json::from_str(&text).map_err(|error| format!("replay wrote no JSON: {error}"))
}

fn reference(python: &str, path: &Path, format: &str, capacities: &[u64]) -> Outcome<String> {
    let output = Command::new(python)
        .args(["-c", REFERENCE])
        .arg(path)
        .arg(format)
        .args(capacities.iter().map(u64::to_string))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start {python}: {error}"))?;
    if !output.status.success() {
        return Err(format!("libcachesim on {}: {}", path.display(), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = out.write_fmt(text);
}
