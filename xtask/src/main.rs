//! The developer's one command: `cargo xtask test | tidy | conform | bench`. No part of the product.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its users read it at a terminal")]

mod bench;
mod conform;
mod interop;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask COMMAND

  test                  everything that CI runs, to the end, with a summary
  tidy                  house rules: crate arrows, purity, shape of files, packages
  conform cache         the public suite of HTTP caches, through Headgate or another proxy
  bench proxy           Headgate beside NGINX, HAProxy and a byte relay (`cargo xtask bench --help`)
  bench cache           hits, a mixed load and memory beside NGINX, HAProxy and Varnish as caches
  bench instructions    user-space instructions per request, with the functions that spend them
  bench load            `headgate load` beside wrk, and oha and k6 where they are installed
  bench reload          failed requests and closed WebSockets during reloads and a binary upgrade
  bench soak            minutes of slow, aborting and resetting clients and killed endpoints
  bench disk            the disk tier beside foyer's
  bench sim             events per second, memory and accuracy of the lab's simulator
  bench evict           eviction policies of `headgate replay` beside libcachesim on public traces
  bench adaptive        self-tuning eviction beside the plain policies on drawn traces
  bench predict         accuracy of next-request prediction, and what fetching ahead gains
  bench prefetch        what fetching ahead gains in real gateways

used by the above as processes of their own:
  relay LISTEN TO       byte relay that parses nothing, the floor of any proxy
  answerer LISTEN TO    gives everybody what the origin said once, the floor of any cache
  echo LISTEN           WebSocket echo server
  paced                 constant-rate HTTP/1 generator (`cargo xtask paced --help`)";

/// What stopped a command, as a message for the terminal.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The folder of the repository.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// Where cargo builds; relative to where cargo runs, as cargo itself takes it.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::run(),
        ["tidy"] => tidy::run(),
        ["conform", rest @ ..] => conform::run(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["echo", listen] => bench::echo(listen),
        ["relay", listen, to] => bench::relay(listen, to),
        ["answerer", listen, origin] => bench::answerer(listen, origin),
        ["paced", rest @ ..] => bench::paced(rest),
        _ => Err(HELP.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
