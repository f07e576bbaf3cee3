//! `cargo xtask bench cache`: Headgate beside NGINX, HAProxy and Varnish as caches of one origin. What a hit
//! costs, what a mixed load costs, and how much memory a stored object takes.

use super::caches::{SMALL, small_body, small_path};
use super::load::{self, Load};
use super::machine;
use super::options::Options;
use super::peers::{Kind, Peer, Setup};
use super::probe;
use super::report::{self, Metric, Row, Sample};
use super::rounds::{ready, rounds};
use super::stage::Stage;
use crate::Outcome;
use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// CPU of a hit, at most this ratio to the best peer.
const HIT_GOAL: f64 = 0.7;
/// Memory of the caches that are to keep everything.
const AMPLE_MIB: u32 = 512;
/// Objects of the mixed load and of the memory row.
const OBJECTS: usize = 100_000;
/// Memory of the mixed load's caches: a tenth of `OBJECTS` with heads and bookkeeping.
const TIGHT_MIB: u32 = 16;
/// Skew of the mixed load.
const ZIPF: f64 = 0.9;

/// Measures every wanted row, prints each as it comes, and stores the report when asked to.
pub(crate) fn run(options: &Options) -> Outcome {
    let stage = Stage::set(options)?;
    let head = machine::description(options, &stage.programs.headgate);
    println!("{}\n", head.join("\n"));
    let mut rows = Vec::new();
    let mut done = |row: Row| {
        println!("{}", row.render());
        rows.push(row);
    };
    hit_rows(options, &stage, &mut done);
    if options.wants("h2") {
        done(http2_row(options, &stage));
    }
    if options.wants("zipf") {
        done(mixed_row(&caches_only(options), &stage));
    }
    if options.wants("memory") {
        done(memory_row(&caches_only(options), &stage));
    }
    if options.write {
        let settings = "`hit %` is what the origin
did not see. Content is in memory everywhere, NGINX's in files on tmpfs. The settings of every proxy are in
`xtask/src/bench/configs.rs` and `xtask/src/bench/caches.rs`.";
        report::store(options, &head, "cache", "Caches side by side", settings, &rows)?;
    }
    Ok(())
}

/// Without the answerer, which forgets nothing.
fn caches_only(options: &Options) -> Options {
    let mut options = options.clone();
    options.only.retain(|&kind| kind != Kind::Answerer);
    options
}

fn hit_rows(options: &Options, stage: &Stage, done: &mut impl FnMut(Row)) {
    let small = small_path(0);
    let mut wanted = Vec::new();
    if options.wants("small") {
        wanted.extend(
            options.connections.iter().map(|&count| ("1 KiB", small.as_str(), small_body(&small), count)),
        );
    }
    for (row, name, path, size) in
        [("64k", "64 KiB", "/stored/64k", 64 * 1024), ("1m", "1 MiB", "/stored/1m", 1024 * 1024)]
    {
        if options.wants(row) {
            wanted.push((name, path, "x".repeat(size), 64));
        }
    }
    if wanted.is_empty() {
        return;
    }
    let mut peers = stage.start_peers(&options.only, Setup::Cache { mib: AMPLE_MIB, tls: false });
    for (size, path, body, connections) in wanted {
        let name = format!("hit of {size}, {connections} connections");
        let mut row = rounds(options, &name, &mut peers, |peer, seconds| {
            check_hit(stage, peer, path, &body)?;
            let url = format!("http://{}{path}", peer.address);
            with_hits(stage, || load::wrk(&url, connections, seconds, &stage.script("get.lua")))
        });
        if connections == 64 {
            row.goals = vec![(Metric::Cpu, HIT_GOAL)];
        }
        done(row);
    }
}

/// Asks a few times: the answers must be right to the byte, and the origin must see one request at most.
fn check_hit(stage: &Stage, peer: &Peer, path: &str, body: &str) -> Outcome {
    const TIMES: u64 = 5;
    let ask = || {
        (0..TIMES).try_for_each(|_| match probe::get(peer.address, "bench.example", path)? {
            (200, answer) if answer == body => Ok(()),
            (status, answer) => {
                Err(format!("answers {status} with {} bytes to GET {path}, not the origin's", answer.len()))
            }
        })
    };
    match origin_sees(stage, ask)?.1 {
        0 | 1 => Ok(()),
        asked => Err(format!("does not store {path}: asks the origin {asked} times for {TIMES} requests")),
    }
}

fn with_hits(stage: &Stage, load: impl FnOnce() -> Outcome<Load>) -> Outcome<Load> {
    let (load, asked) = origin_sees(stage, load)?;
    let hits = 1.0 - asked as f64 / load.completed.max(1) as f64;
    Ok(Load { hit_percent: Some(100.0 * hits.max(0.0)), ..load })
}

/// What `work` yields, and how many requests the origin had meanwhile.
fn origin_sees<T>(stage: &Stage, work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, u64)> {
    let count = || {
        let (_, text) = probe::get(stage.origin, "bench.example", "/count")?;
        // "server accepts handled requests", then the three numbers.
        let line = text.lines().nth(2).unwrap_or_default();
        let count = line.split_whitespace().nth(2).and_then(|word| word.parse::<u64>().ok());
        count.ok_or_else(|| format!("the origin does not count: {text}"))
    };
    let before = count()?;
    let result = work()?;
    // The second look counts itself.
    Ok((result, count()?.saturating_sub(before + 1)))
}

fn http2_row(options: &Options, stage: &Stage) -> Row {
    let mut peers = stage.start_peers(&options.only, Setup::Cache { mib: AMPLE_MIB, tls: true });
    let name = "hit of 1 KiB, HTTP/2 over TLS, 8 connections of 32 streams (Varnish has no TLS)";
    let mut row = rounds(options, name, &mut peers, |peer, seconds| {
        let url = format!("https://{}{}", peer.address, small_path(0));
        with_hits(stage, || load::h2load(&url, 8, 32, seconds, stage.folder()))
    });
    row.goals = vec![(Metric::Cpu, 1.0)];
    row
}

fn mixed_row(options: &Options, stage: &Stage) -> Row {
    let name = format!(
        "mixed load: {OBJECTS} objects of 1 KiB, Zipf {ZIPF}, caches of {TIGHT_MIB} MiB, 64 connections"
    );
    let mut peers = stage.start_peers(&options.only, Setup::Cache { mib: TIGHT_MIB, tls: false });
    let script = stage.script("zipf.lua");
    if let Err(error) = fs::write(&script, zipf_script()) {
        return Row::failed(&name, &options.only, &format!("{}: {error}", script.display()));
    }
    // Each round draws anew; in a round all draw the same.
    let (calls, turns) = (Cell::new(0), peers.len());
    let mut row = rounds(options, &name, &mut peers, |peer, seconds| {
        let seed = 1 + calls.get() / turns;
        calls.set(calls.get() + 1);
        let url = format!("http://{}/", peer.address);
        with_hits(stage, || load::wrk_seeded(&url, 64, seconds, &script, seed))
    });
    row.goals = vec![(Metric::Cpu, 1.0)];
    row
}

fn zipf_script() -> String {
    format!(
        r#"local cdf, sum = {{}}, 0
for i = 1, {OBJECTS} do sum = sum + 1 / i ^ {ZIPF}; cdf[i] = sum end
init = function(args) math.randomseed(tonumber(args[1])) end
request = function()
  local u, low, high = math.random() * sum, 1, {OBJECTS}
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cdf[middle] < u then low = middle + 1 else high = middle end
  end
  return string.format("GET /objects/%06d HTTP/1.1\r\nHost: bench.example\r\n\r\n", low)
end
{}"#,
        load::WRK_DONE
    )
}

/// HAProxy takes all of its memory at the start, so that its resident memory says nothing about objects. What
/// it holds of more objects than fit into this does.
const FILLED_MIB: u32 = 64;

fn memory_row(options: &Options, stage: &Stage) -> Row {
    let mut peers = stage.start_peers(&options.only, Setup::Cache { mib: AMPLE_MIB, tls: false });
    let measured = peers.iter_mut().map(|(kind, peer)| {
        let sample = match kind {
            Kind::Haproxy => share_of_full_cache(stage, *kind),
            _ => ready(peer).and_then(|peer| memory_per_object(stage, peer)),
        };
        (*kind, sample.map(|sample| vec![sample]))
    });
    Row {
        name: format!("memory per stored object of 1 KiB, beyond its content; {OBJECTS} objects (one round)"),
        peers: measured.collect(),
        goals: Vec::new(),
        relay_goal: None,
    }
}

fn memory_per_object(stage: &Stage, peer: &Peer) -> Outcome<Sample> {
    // The first objects pay for what every later one shares.
    const FIRST: usize = 1_000;
    let bytes =
        || peer.process.resident_kib() * 1024 + stored_bytes(&stage.folder().join("stored"), peer.kind);
    probe::fetch(peer.address, (OBJECTS..OBJECTS + FIRST).map(small_path), small_body)?;
    let before = bytes();
    probe::fetch(peer.address, (0..OBJECTS).map(small_path), small_body)?;
    let after = bytes();
    let sample = (0..OBJECTS).step_by(10);
    let again = sample.len();
    let ask = || probe::fetch(peer.address, sample.map(small_path), small_body);
    let ((), gone) = origin_sees(stage, ask)?;
    let per_object = after.saturating_sub(before) as f64 / OBJECTS as f64 - SMALL as f64;
    let errors = match gone {
        0 => Vec::new(),
        _ => vec![format!("{gone} of {again} objects were no longer there")],
    };
    let values = vec![(Metric::Resident, after as f64 / (1024.0 * 1024.0)), (Metric::PerObject, per_object)];
    Ok(Sample { values, errors })
}

/// Stores more than fits, then looks how many of the newest are there: memory over their number.
fn share_of_full_cache(stage: &Stage, kind: Kind) -> Outcome<Sample> {
    const STEP: usize = 100;
    let peer = stage.start_peer(kind, Setup::Cache { mib: FILLED_MIB, tls: false })?;
    probe::fetch(peer.address, (0..OBJECTS).map(small_path), small_body)?;
    // Newest first: what a miss stores anew takes the place of the oldest.
    let newest_first = || (0..OBJECTS).rev().step_by(STEP);
    let ask = || probe::fetch(peer.address, newest_first().map(small_path), small_body);
    let ((), gone) = origin_sees(stage, ask)?;
    let held = (newest_first().len() as u64).saturating_sub(gone) * STEP as u64;
    if held == 0 || gone == 0 {
        return Err(format!("{FILLED_MIB} MiB hold none or all of {OBJECTS} objects"));
    }
    let bytes = f64::from(FILLED_MIB) * 1024.0 * 1024.0;
    let resident = peer.process.resident_kib() as f64 / 1024.0;
    let per_object = bytes / held as f64 - SMALL as f64;
    let note = format!("takes its memory at the start; {FILLED_MIB} MiB hold {held} objects");
    let values = vec![(Metric::Resident, resident), (Metric::PerObject, per_object)];
    Ok(Sample { values, errors: vec![note] })
}

/// What NGINX keeps in files on tmpfs, as the file system counts it.
fn stored_bytes(folder: &Path, kind: Kind) -> u64 {
    if kind != Kind::Nginx {
        return 0;
    }
    let mut folders = vec![folder.to_owned()];
    let mut blocks = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            blocks += metadata.blocks();
        }
    }
    blocks * 512
}
