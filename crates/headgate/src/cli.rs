//! The command line: what can be asked, and nothing of how it is done.

use crate::run::{self, RunFlags};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "headgate", version, about = "A gateway, load balancer and cache that learns. See docs/ for the manual.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Carry traffic: from a file, or from flags alone.
    Run(Run),
    /// Check a configuration file and say what is wrong with it.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration file.
    Schema,
}

#[derive(Args)]
struct Run {
    /// The configuration file. Without one, --to is needed.
    #[arg(conflicts_with_all = ["to", "listen", "http2"], required_unless_present = "to")]
    file: Option<PathBuf>,
    /// Endpoints to send everything to: `:3000`, `10.0.0.1:80,10.0.0.2:80`.
    #[arg(long, value_delimiter = ',')]
    to: Vec<String>,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Serve only this host.
    #[arg(long, requires = "to")]
    from: Option<String>,
    /// Accept HTTP/2 with prior knowledge, beside HTTP/1.
    #[arg(long)]
    http2: bool,
    /// Balancing policy, for example `round_robin` or `p2c`.
    #[arg(long, requires = "to")]
    balance: Option<String>,
    /// Worker threads. Default: one per core.
    #[arg(long)]
    workers: Option<usize>,
    /// Where metrics, health and control are served, for example `127.0.0.1:9090`.
    #[arg(long)]
    admin: Option<String>,
}

pub(crate) fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(run) => {
            let flags = RunFlags {
                to: run.to,
                listen: run.listen,
                from: run.from,
                http2: run.http2,
                balance: run.balance,
                workers: run.workers,
                admin: run.admin,
            };
            run::run(run.file, &flags)
        }
        Command::Check { file } => run::check(&file),
        Command::Schema => run::schema(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::complain(&error);
            ExitCode::FAILURE
        }
    }
}
