//! The `headgate` command.

mod cli;
mod run;
mod server;
mod service;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
