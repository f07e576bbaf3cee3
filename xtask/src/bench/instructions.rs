//! `cargo xtask bench instructions`: user-space instructions per request under callgrind. Two runs that
//! differ only in the number of requests are subtracted, so that start-up cancels out. The count is
//! repeatable where time is not, but it knows nothing of the kernel or of cache misses.

use super::caches::{small_body, small_path};
use super::machine::require;
use super::options::Options;
use super::peers::{Kind, Setup};
use super::probe;
use super::report::table;
use super::stage::Stage;
use crate::Outcome;
use std::collections::BTreeMap;
use std::process::Command;

const FEW: usize = 2_000;
const MANY: usize = 12_000;
/// Functions that are listed.
const LISTED: usize = 25;

/// Instructions by function.
type Costs = BTreeMap<String, u64>;

/// Takes `--only NAME,...` and `--headgate PATH` of the proxy bench; without `--only`, Headgate alone. After the
/// word `cached` it is about hits of a cache.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (setup, arguments) = match arguments {
        ["cached", rest @ ..] => (Setup::Cache { mib: 64, tls: false }, rest),
        _ => (Setup::Plain, arguments),
    };
    let options = Options::parse("instructions", arguments)?;
    require("valgrind", "valgrind")?;
    let mut stage = Stage::set(&options)?;
    for &kind in &options.only {
        let few = count(&mut stage, kind, setup, FEW)?;
        let many = count(&mut stage, kind, setup, MANY)?;
        print(kind, &few, &many);
    }
    Ok(())
}

fn count(stage: &mut Stage, kind: Kind, setup: Setup, requests: usize) -> Outcome<Costs> {
    let file = stage.script(&format!("callgrind.{}.{requests}", kind.name()));
    stage.programs.under = ["valgrind", "--tool=callgrind"].map(str::to_owned).to_vec();
    stage.programs.under.push(format!("--callgrind-out-file={}", file.display()));
    let mut peer = stage.start_peer(kind, setup)?;
    match setup {
        Setup::Cache { .. } => {
            let paths = std::iter::repeat_n(small_path(0), requests);
            probe::fetch(peer.address, paths, small_body)?;
        }
        _ => probe::repeat(peer.address, requests)?,
    }
    peer.process.stop()?;
    let output = Command::new("callgrind_annotate")
        .args(["--threshold=100", "--show-percs=no", "--auto=no"])
        .arg(&file)
        .output()
        .map_err(|error| format!("callgrind_annotate: {error}"))?;
    let costs = parse(&String::from_utf8_lossy(&output.stdout));
    if costs.is_empty() {
        return Err(format!("callgrind counted nothing: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(costs)
}

/// The lines `1,234  file:function [object]` of callgrind_annotate; recursion levels are added up.
fn parse(text: &str) -> Costs {
    let mut costs = Costs::new();
    for line in text.lines() {
        let Some((cost, place)) = line.trim_start().split_once("  ") else { continue };
        let Ok(cost) = cost.replace(',', "").parse::<u64>() else { continue };
        let place = place.trim_start().split(" [").next().unwrap_or_default();
        let function = place.split_once(':').map_or(place, |(_, function)| function);
        let function = match function.rsplit_once('\'') {
            Some((name, level)) if level.parse::<u32>().is_ok() => name,
            _ => function,
        };
        if function != "PROGRAM TOTALS" {
            *costs.entry(function.to_owned()).or_default() += cost;
        }
    }
    costs
}

fn print(kind: Kind, few: &Costs, many: &Costs) {
    let per_request = |function: &String| {
        let more = many.get(function).copied().unwrap_or(0) as f64;
        (more - few.get(function).copied().unwrap_or(0) as f64) / (MANY - FEW) as f64
    };
    let mut functions: Vec<(f64, &String)> =
        many.keys().map(|function| (per_request(function), function)).collect();
    functions.sort_by(|one, other| other.0.total_cmp(&one.0));
    let total: f64 = functions.iter().map(|(cost, _)| cost).sum();
    println!("{}: {total:.0} user-space instructions per request (1 connection)\n", kind.name());
    let mut lines = vec![["function", "instructions", "%"].map(str::to_owned).to_vec()];
    for (cost, function) in functions.iter().take(LISTED).filter(|(cost, _)| *cost > 0.0) {
        let name: String = function.chars().take(90).collect();
        lines.push(vec![name, format!("{cost:.0}"), format!("{:.1}", 100.0 * cost / total)]);
    }
    println!("{}", table(&lines));
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn costs_are_read_by_function() {
        let text = "\
--------------------
Ir
1,534,000  PROGRAM TOTALS
--------------------
Ir       file:function
1,200,000  ???:epoll_wait [/lib/libc.so.6]
  300,000  src/codec.rs:headgate_net::h1::parse [/bin/headgate]
   34,000  src/codec.rs:headgate_net::h1::parse'2 [/bin/headgate]
";
        let costs = parse(text);
        assert_eq!(costs.len(), 2);
        assert_eq!(costs["headgate_net::h1::parse"], 334_000);
    }
}
