//! The `headgate` command.

mod admin_client;
mod admin_listener;
mod aside_gauges;
mod cache_figures;
mod chaos;
mod chaos_book;
mod chaos_control;
mod cli;
mod curve;
mod demo;
mod dns;
mod exit;
mod explain;
mod file;
mod fit;
mod flag;
mod gameday;
mod guards;
mod import;
mod interrupt;
mod journal;
mod kept_sockets;
mod lab;
mod load;
mod mistakes;
mod open;
mod open_files;
mod parent;
mod purge;
mod reload;
mod replay;
mod run;
mod say;
mod server;
mod service;
mod spare_memory;
mod supervisor;
mod top;
mod upgrade;
mod why;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
