//! The options that the benches share: parsed once, printed back as the command that repeats the run.

use super::peers::Kind;
use crate::Outcome;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
usage: cargo xtask bench proxy|cache|instructions|load|reload|soak|sim|disk|evict|adaptive|predict|prefetch|guard [OPTIONS]

  --rounds N              interleaved rounds (5)
  --seconds S             seconds of each measurement (3)
  --connections A,B,...   for the small row (8,64,256)
  --only NAME,...         of headgate, nginx, haproxy, relay, varnish, answerer (proxy: the first four; cache: all
                          but relay; else headgate)
  --rows NAME,...         of small, 64k, 1m, post, paced, idle, tls, handshakes, h2, routes (all); of `cache`:
                          small, 64k, 1m, h2, zipf, memory; of `prefetch`: screens, clicks, web07;
                          of `adaptive`: small, large
  --headgate PATH         measure this binary instead of building one
  --idle N                connections of the idle row (10000)
  --routes N              routes of the routes row (5000)
  --minutes N             length of the soak (10)
  --write                 store the table under docs/results/

Rounds, seconds, connections and rows are for `proxy` and `cache`, idle and routes for `proxy`; `sim` and `disk` take rounds,
`adaptive`, `predict` and `prefetch` as the number of seeds, `guard` rounds of 200 runs. `instructions cached` is about hits of a cache.";

/// Every row of `bench proxy`, in the order of the report.
const ROWS: [&str; 10] = ["small", "64k", "1m", "post", "paced", "idle", "tls", "handshakes", "h2", "routes"];
/// Those of `bench cache`.
const CACHE_ROWS: [&str; 6] = ["small", "64k", "1m", "h2", "zipf", "memory"];
/// Those of `bench prefetch`.
const PREFETCH_ROWS: [&str; 3] = ["screens", "clicks", "web07"];
/// Those of `bench adaptive`.
const ADAPTIVE_ROWS: [&str; 2] = ["small", "large"];

/// What to measure and how long.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) connections: Vec<usize>,
    pub(crate) only: Vec<Kind>,
    pub(crate) rows: Vec<String>,
    pub(crate) headgate: Option<PathBuf>,
    pub(crate) idle: usize,
    pub(crate) routes: usize,
    pub(crate) minutes: u64,
    pub(crate) write: bool,
    /// The command line as it was typed.
    pub(crate) command: String,
}

impl Options {
    pub(crate) fn parse(bench: &str, arguments: &[&str]) -> Outcome<Self> {
        let all_rows = match bench {
            "cache" => CACHE_ROWS.as_slice(),
            "prefetch" => &PREFETCH_ROWS,
            "adaptive" => &ADAPTIVE_ROWS,
            _ => &ROWS,
        };
        let row = |name: &str| match all_rows.contains(&name) {
            true => Ok(name.to_owned()),
            false => Err(format!("no row `{name}`; there are {}", all_rows.join(", "))),
        };
        let mut options = Self {
            rounds: 5,
            seconds: 3,
            connections: vec![8, 64, 256],
            // Only the comparisons are about all of them.
            only: match bench {
                "proxy" => Kind::PROXIES.to_vec(),
                "cache" => Kind::CACHES.to_vec(),
                _ => vec![Kind::Headgate],
            },
            rows: all_rows.iter().map(|&name| name.to_owned()).collect(),
            headgate: None,
            idle: 10_000,
            routes: 5_000,
            minutes: 10,
            write: false,
            command: ["cargo xtask bench", bench, &arguments.join(" ")].join(" ").trim_end().to_owned(),
        };
        let mut arguments = arguments.iter();
        while let Some(&name) = arguments.next() {
            if name == "--write" {
                options.write = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| HELP.to_owned())?;
            match name {
                "--rounds" => options.rounds = number(name, value)?,
                "--seconds" => options.seconds = number(name, value)?,
                "--idle" => options.idle = number(name, value)?,
                "--routes" => options.routes = number(name, value)?,
                "--minutes" => options.minutes = number(name, value)?,
                "--headgate" => options.headgate = Some(PathBuf::from(value)),
                "--connections" => {
                    options.connections =
                        value.split(',').map(|item| number(name, item)).collect::<Outcome<_>>()?;
                }
                "--only" => options.only = value.split(',').map(Kind::parse).collect::<Outcome<_>>()?,
                "--rows" => options.rows = value.split(',').map(row).collect::<Outcome<_>>()?,
                _ => return Err(format!("unknown option {name}\n{HELP}")),
            }
        }
        if options.rounds == 0 || options.seconds == 0 || options.connections.contains(&0) {
            return Err("rounds, seconds and connections start at 1".to_owned());
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, row: &str) -> bool {
        self.rows.iter().any(|wanted| wanted == row)
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Outcome<T> {
    value.parse().map_err(|_| format!("{name} takes a number, not `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        for wrong in [["--rows", "smal"], ["--only", "ngnix"], ["--rounds", "x"], ["--round", "1"]] {
            assert!(Options::parse("proxy", &wrong).is_err(), "{wrong:?}");
        }
        assert!(Options::parse("cache", &["--rows", "routes"]).is_err());
        let options = Options::parse("proxy", &["--rows", "small,h2", "--connections", "1,2"]).unwrap();
        assert!(options.wants("h2") && !options.wants("tls"));
        assert_eq!(options.connections, [1, 2]);
    }
}
