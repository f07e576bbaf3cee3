//! The benches: how each claim about speed, memory and reloads is measured, and against whom.

mod adaptive;
mod answerer;
mod cache;
mod caches;
mod configs;
mod disk;
mod evict;
mod example;
mod generators;
mod guard;
mod instructions;
mod load;
pub(crate) mod machine;
mod options;
mod paced;
mod peers;
mod predict;
mod prefetch;
mod probe;
mod process;
mod relay;
mod reload;
mod report;
mod rounds;
mod rows;
mod sim;
mod soak;
mod stage;
mod websocket;

use crate::Outcome;
use options::Options;

pub(crate) use answerer::run as answerer;
pub(crate) use load::paced_command as paced;
pub(crate) use process::{Process, free_address};
pub(crate) use relay::run as relay;
pub(crate) use websocket::echo;

/// `cargo xtask bench NAME [OPTIONS]`.
pub(crate) fn run(words: &[&str]) -> Outcome {
    if words.contains(&"--help") {
        println!("{}", options::HELP);
        return Ok(());
    }
    match words {
        ["proxy", rest @ ..] => rows::run(&Options::parse("proxy", rest)?),
        ["cache", rest @ ..] => cache::run(&Options::parse("cache", rest)?),
        ["instructions", rest @ ..] => instructions::run(rest),
        ["load", rest @ ..] => generators::run(rest),
        ["reload", rest @ ..] => reload::run(rest),
        ["soak", rest @ ..] => soak::run(rest),
        ["disk", rest @ ..] => disk::run(rest),
        ["sim", rest @ ..] => sim::run(rest),
        ["evict", rest @ ..] => evict::run(rest),
        ["adaptive", rest @ ..] => adaptive::run(rest),
        ["predict", rest @ ..] => predict::run(rest),
        ["prefetch", rest @ ..] => prefetch::run(rest),
        ["guard", rest @ ..] => guard::run(rest),
        _ => Err(options::HELP.to_owned()),
    }
}
