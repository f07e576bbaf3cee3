//! The `headgate` command.

mod cli;
mod demo;
mod explain;
mod import;
mod run;
mod server;
mod service;
mod supervisor;
mod upgrade;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
