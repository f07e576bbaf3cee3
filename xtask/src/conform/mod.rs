//! `cargo xtask conform`: test suites that others wrote, run against Headgate as a process, and against other proxies
//! for comparison.

mod cache;
mod proxy;
mod score;
mod suite;

use crate::Outcome;

const HELP: &str = "\
usage: cargo xtask conform cache [OPTIONS]

Runs the public `http-cache-tests` (npm) through a proxy and prints what fails.

  --proxy NAME      headgate (default), nginx, haproxy or varnish
  --headgate PATH   test this binary instead of building one
  --id ID           one check, with every message that the suite saw";

/// `cargo xtask conform NAME [OPTIONS]`.
pub(crate) fn run(words: &[&str]) -> Outcome {
    match words {
        ["cache", rest @ ..] if !rest.contains(&"--help") => cache::run(rest),
        [.., "--help"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => Err(HELP.to_owned()),
    }
}
