//! `cargo xtask conform`: test suites that others wrote, run against Headgate as a process, and against other proxies
//! for comparison.

mod cache;
mod proxy;
mod score;
mod suite;

use crate::Outcome;
use std::process::{Command, Stdio};

const HELP: &str = "\
usage: cargo xtask conform cache [OPTIONS]

Runs the public `http-cache-tests` (npm) through a proxy and prints what fails.

  --proxy NAME      headgate (default), nginx, haproxy or varnish
  --headgate PATH   test this binary instead of building one
  --id ID           one check, with every message that the suite saw";

/// The suites as a step of `cargo xtask test`. Where npm is missing one line says so, and they are left out.
pub(crate) fn in_tests() -> Outcome {
    let npm = Command::new("npm").arg("--version").stdin(Stdio::null()).output();
    if npm.is_ok_and(|output| output.status.success()) {
        return cache::run(&[]).or_else(|why| {
            // Its checks wait for whole seconds of freshness to pass; a busy machine can miss one of them.
            eprintln!("   {why}; once more");
            cache::run(&[])
        });
    }
    eprintln!("   without the public cache suite: npm is missing; Debian has it as `npm`");
    Ok(())
}

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
