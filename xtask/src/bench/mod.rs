//! The benches: how each claim about speed, memory and reloads is measured, and against whom.

mod configs;
mod instructions;
mod load;
mod machine;
mod options;
mod paced;
mod peers;
mod probe;
mod process;
mod relay;
mod reload;
mod report;
mod rows;
mod soak;
mod stage;
mod websocket;

use crate::Outcome;
use options::Options;

pub(crate) use instructions::run as instructions;
pub(crate) use load::paced_command as paced;
pub(crate) use relay::run as relay;
pub(crate) use reload::run as reload;
pub(crate) use soak::run as soak;
pub(crate) use websocket::echo;

/// `cargo xtask bench proxy`.
pub(crate) fn proxy(arguments: &[&str]) -> Outcome {
    if arguments.contains(&"--help") {
        println!("{}", options::HELP);
        return Ok(());
    }
    let options = Options::parse("proxy", arguments)?;
    rows::run(&options)
}
