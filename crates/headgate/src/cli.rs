//! The command line: what can be asked, and nothing of how it is done.

use crate::admin_client::ADMIN;
use crate::chaos::NewRule;
use crate::exit::Exit;
use crate::file::Overrides;
use crate::gameday::GameDayOptions;
use crate::import::Format;
use crate::load::{self, LoadArgs};
use crate::purge::PurgeAsk;
use crate::replay::{self, ReplayArgs};
use crate::run::{self, RunFlags};
use crate::say::Failure;
use crate::service::ServiceOptions;
use crate::top::{self, TopOptions};
use crate::why::{self, WhyOptions};
use crate::{chaos, curve, demo, dns, explain, fit, flag, gameday, guards, import, lab, purge, reload, say};
use clap::{ArgGroup, Args, Parser, Subcommand};
use headgate_lab::rig::ReplicaSpec;
use headgate_lab::workload::Distribution;
use headgate_model::spec::{BalancePolicy, Span, parse_duration};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Below the list of commands.
const EXAMPLES: &str = "\
Examples:
  headgate run --to :3000                        everything at 127.0.0.1:8080 to port 3000
  headgate run headgate.toml                     what the file says
  headgate explain headgate.toml 'GET https://shop.example/api'
  headgate import nginx /etc/nginx/nginx.conf > headgate.toml

Exit codes: 0 done; 1 failed; 2 wrong command line; 3 no route matches (explain), something was lost (import),
an expectation was not met (load) or a hypothesis did not hold (lab gameday); 4 something that restricts access was lost
(import); 5 a game day did not run to its end";

/// Below the flags of `headgate lab gameday`.
const GAME_DAY: &str = "\
Exit codes: 0 the hypothesis held; 1 the file is faulty or the system does not answer; 3 the hypothesis did not
hold; 5 not begun for lack of a steady state, aborted or interrupted. All faults are taken back in every case.";

#[derive(Parser)]
#[command(name = "headgate", version, about = "A gateway and load balancer in one binary", after_help = EXAMPLES)]
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
    /// Say which listener, route, service and policies a request would meet, and why.
    Explain {
        /// The configuration file.
        file: PathBuf,
        /// For example 'GET https://shop.example/path'.
        request: String,
        /// A request header, `name: value`; may be repeated.
        #[arg(short = 'H', long = "header", value_name = "LINE")]
        headers: Vec<String>,
    },
    /// Translate the configuration of another gateway; what cannot be translated is listed.
    Import {
        /// Which gateway the file is of.
        format: Format,
        /// Its configuration file.
        file: PathBuf,
    },
    /// Start three small services and the gateway in front of them.
    Demo {
        /// Where the gateway listens.
        #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = flag::bind)]
        listen: String,
        /// Where metrics are served.
        #[arg(long, default_value = ADMIN, value_name = "ADDRESS", value_parser = flag::bind)]
        admin: String,
    },
    /// Run a small HTTP service with a chosen behaviour, for demos and studies.
    Service(Box<Service>),
    /// Watch a running Headgate in the terminal.
    Top {
        /// Its admin address.
        #[arg(long, default_value = ADMIN, value_name = "ADDRESS")]
        admin: String,
        /// Print one look as plain text and end.
        #[arg(long)]
        once: bool,
    },
    /// Say what a running Headgate decided, and on what evidence.
    Why {
        /// A policy (`outlier`, `evict.adaptive`) or a part of what it is about (`10.0.0.1:80`). Default: everything.
        #[arg(value_name = "POLICY|SUBJECT", default_value = "", hide_default_value = true)]
        about: String,
        /// Only what is not older, for example `1h`.
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        since: Option<Duration>,
        /// The newest so many.
        #[arg(long, default_value_t = 100, value_name = "NUMBER")]
        limit: usize,
        /// As JSON, on one line.
        #[arg(long)]
        json: bool,
        /// Its admin address.
        #[arg(long, default_value = ADMIN, value_name = "ADDRESS")]
        admin: String,
        /// Read the folder of `[state] dir` instead; nobody has to run.
        #[arg(long, value_name = "FOLDER", conflicts_with = "admin")]
        dir: Option<PathBuf>,
    },
    /// Tell a running Headgate to read its configuration file again.
    Reload {
        /// Its admin address.
        #[arg(long, default_value = ADMIN, value_name = "ADDRESS")]
        admin: String,
    },
    /// Send requests by a plan, and say how they were answered: a load generator.
    Load(Box<LoadArgs>),
    /// Say what a cache would have saved, from access logs and traces of the past.
    Replay(Box<ReplayArgs>),
    /// Put a question to the simulator or to real processes (studies), or to a running system (game days).
    #[command(subcommand)]
    Lab(Lab),
    /// Say what more memory would buy the cache of a running Headgate, and less would cost it.
    Cache {
        /// As JSON, on one line.
        #[arg(long)]
        json: bool,
        /// Its admin address.
        #[arg(long, default_value = ADMIN, value_name = "ADDRESS")]
        admin: String,
    },
    /// Say where the learned policies of a running Headgate stand, or have one enter a mode.
    Guard {
        /// A learned policy: `evict.adaptive`, `prefetch`. Without it all are listed.
        #[arg(requires = "mode")]
        policy: Option<String>,
        /// `off`, `shadow`, `on`, or a share like `20%`. It goes no further on evidence alone.
        mode: Option<String>,
        /// As JSON, on one line.
        #[arg(long, conflicts_with = "policy")]
        json: bool,
        /// Its admin address.
        #[arg(long, default_value = ADMIN, value_name = "ADDRESS")]
        admin: String,
    },
    /// Take responses out of the cache of a running Headgate.
    #[command(group = ArgGroup::new("purged").required(true).args(["url", "prefix", "tag", "everything"]))]
    Purge {
        /// One URL, in all its variants: `shop.example/items/7`; with a scheme for that scheme only.
        url: Option<String>,
        /// All URLs that begin so, from the host on.
        #[arg(long, value_name = "URL")]
        prefix: Option<String>,
        /// What bears this tag in `Surrogate-Key` or `Cache-Tag`.
        #[arg(long)]
        tag: Option<String>,
        /// All that is stored.
        #[arg(long)]
        everything: bool,
        /// Only make it stale: it is asked for again, and serves while the service fails.
        #[arg(long)]
        soft: bool,
        /// The admin listener to ask.
        #[arg(long, default_value = ADMIN, value_name = "ADDRESS")]
        admin: String,
    },
    /// Show or change the faults that a running Headgate injects.
    Chaos {
        #[command(subcommand)]
        ask: Chaos,
        /// Its admin address.
        #[arg(long, default_value = ADMIN, value_name = "ADDRESS", global = true)]
        admin: String,
    },
    /// Print the JSON Schema of the configuration file.
    Schema,
}

#[derive(Subcommand)]
enum Lab {
    /// Make the runs of a study. Interrupted, the same command goes on where it stopped.
    Run {
        /// The study file.
        file: PathBuf,
        /// Where results are kept. Default: lab-results/ and the study's name.
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Runs at once in the simulator, 1 to 1024. Default: one per core.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
        threads: Option<u16>,
        /// In the simulator, in virtual time: the default.
        #[arg(long, conflicts_with = "rig")]
        sim: bool,
        /// With this program as gateway and services: real processes on loopback, in real time, one run at a time.
        #[arg(long, conflicts_with = "threads")]
        rig: bool,
    },
    /// Make the report of a folder of results once more.
    Report {
        /// The folder.
        folder: PathBuf,
    },
    /// Break a running system on purpose, as a file says: hypothesis, faults, a cap and conditions to abort.
    #[command(after_help = GAME_DAY)]
    Gameday {
        /// The game day file.
        file: PathBuf,
        /// Check the file and print the schedule, and do nothing.
        #[arg(long)]
        dry_run: bool,
        /// In place of the seed of the file.
        #[arg(long, value_name = "NUMBER")]
        seed: Option<u64>,
        /// Where report.json and report.html are put. Default: lab-results/ and the name of the game day.
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Show no progress.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Describe services for a study from spans of real requests: Jaeger, Zipkin, CSV; compressed or not.
    Fit {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// A DNS server with the names of a file, whose answers can be made wrong.
    Dns {
        /// The file of names; read again when it changes.
        file: PathBuf,
    },
    /// What a game day starts beside itself.
    #[command(hide = true)]
    GamedayGuard,
    /// Print what differs between two folders of results.
    Compare {
        /// The folder that is the yardstick.
        first: PathBuf,
        /// The folder that is held against it.
        second: PathBuf,
    },
}

#[derive(Subcommand)]
enum Chaos {
    /// The rules in force and how often each hit.
    List,
    /// Inject a fault, until it is removed or its time is over.
    Add {
        /// Name of the rule.
        name: String,
        /// As in a file: `stall`, 'delay.constant = "300ms"', 'abort = { status = 503 }'.
        fault: String,
        /// Only for this route.
        #[arg(long)]
        route: Option<String>,
        /// Only for this service.
        #[arg(long)]
        service: Option<String>,
        /// Only for this endpoint.
        #[arg(long, value_name = "ADDRESS")]
        endpoint: Option<String>,
        /// Share of the attempts that are hit.
        #[arg(long, default_value_t = 100.0)]
        percent: f64,
        /// Hit health probes of the endpoint too.
        #[arg(long)]
        probes: bool,
        /// Of dice of the rule's own: the same seed, the same attempts hit.
        #[arg(long, value_name = "NUMBER")]
        seed: Option<u64>,
        /// How long, for example `60s`. Default: until it is removed.
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        r#for: Option<Duration>,
    },
    /// Remove one rule.
    Remove {
        /// Name of the rule.
        name: String,
    },
    /// Remove all rules.
    Clear,
}

#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true).args(["file", "to"]))]
struct Run {
    /// The configuration file. Without one, --to is needed.
    #[arg(conflicts_with_all = ["to", "listen", "http2", "from", "cache", "balance"])]
    file: Option<PathBuf>,
    /// Endpoints to send everything to: `:3000`, `10.0.0.1:80,10.0.0.2:80`.
    #[arg(long, value_delimiter = ',', value_name = "ENDPOINT", value_parser = flag::endpoint)]
    to: Vec<String>,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = flag::bind)]
    listen: String,
    /// Serve only this host.
    #[arg(long, requires = "to", value_name = "HOST", value_parser = flag::host)]
    from: Option<String>,
    /// Accept HTTP/2 with prior knowledge, beside HTTP/1.
    #[arg(long)]
    http2: bool,
    /// Cache responses, as RFC 9111 says for a shared cache.
    #[arg(long, requires = "to")]
    cache: bool,
    /// Balancing policy, for example `round_robin` or `p2c`.
    #[arg(long, requires = "to", value_name = "POLICY", value_parser = flag::policy)]
    balance: Option<BalancePolicy>,
    /// Worker threads, 1 to 1024. Default: one per core.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Where metrics, health and control are served, for example `127.0.0.1:9090`.
    #[arg(long, value_name = "ADDRESS", value_parser = flag::bind)]
    admin: Option<String>,
    /// Write an access log to standard output: json, common, combined or a format string.
    #[arg(long, value_name = "FORMAT")]
    access_log: Option<String>,
    /// Stop when standard input ends.
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// The options of `headgate service`; see [`ServiceOptions`].
#[derive(Args)]
struct Service {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS", value_parser = flag::socket)]
    listen: SocketAddr,
    /// Sent as `x-served-by` and in the body.
    #[arg(long, default_value = "service")]
    name: String,
    /// Virtual cores that requests in work share evenly, each using one at most. Default: one for each.
    #[arg(long, value_name = "NUMBER")]
    cores: Option<f64>,
    /// How its own work for a request is spread, in place of --mean and --variation: 'exponential = { mean = "5ms" }'.
    #[arg(long, value_name = "DISTRIBUTION", value_parser = flag::distribution)]
    work: Option<Distribution<Span<0>>>,
    /// Mean time of its own work for a request.
    #[arg(long, default_value = "5ms", value_parser = parse_duration)]
    mean: Duration,
    /// Standard deviation of that time over its mean; zero: constant.
    #[arg(long, default_value_t = 0.0)]
    variation: f64,
    /// Mean bytes of the body.
    #[arg(long, default_value_t = 512)]
    payload: usize,
    /// Bodies are uniform within this share of the mean around it.
    #[arg(long, default_value_t = 0.0)]
    payload_jitter: f64,
    /// Requests worked on at once.
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Requests that may wait; beyond it 503.
    #[arg(long, default_value_t = 10_000)]
    queue: usize,
    /// URLs of the services that each request calls.
    #[arg(long, value_delimiter = ',')]
    calls: Vec<String>,
    /// Call them at the same time instead of one after the other.
    #[arg(long)]
    parallel: bool,
    /// Share of requests answered 500.
    #[arg(long, default_value_t = 0.0)]
    error_rate: f64,
    /// Of the dice for times, sizes and errors.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// From its start until it listens.
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    cold_start: Duration,
    /// Rise from a tenth of the speed to all of it in this time.
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    ramp: Duration,
    /// Be this replica of a study: a JSON file as the rig writes it.
    #[arg(long, value_name = "FILE", value_parser = flag::replica)]
    replica: Option<ReplicaSpec>,
    /// Obey the lines of standard input, and stop when it ends.
    #[arg(long, hide = true)]
    with_parent: bool,
}

impl From<Service> for ServiceOptions {
    fn from(args: Service) -> Self {
        Self {
            listen: args.listen,
            name: args.name,
            cores: args.cores,
            work: args.work,
            mean: args.mean,
            variation: args.variation,
            payload: args.payload,
            payload_jitter: args.payload_jitter,
            concurrency: args.concurrency,
            queue: args.queue,
            downstream: args.calls,
            parallel: args.parallel,
            error_rate: args.error_rate,
            seed: args.seed,
            cold_start: args.cold_start,
            ramp: args.ramp,
            replica: args.replica,
            with_parent: args.with_parent,
        }
    }
}

pub(crate) fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(run) => {
            let flags = RunFlags {
                to: run.to,
                with_parent: run.with_parent,
                listen: run.listen,
                from: run.from,
                http2: run.http2,
                cache: run.cache,
                balance: run.balance,
                overrides: Overrides {
                    workers: run.workers.map(usize::from),
                    admin: run.admin,
                    access_log: run.access_log,
                },
            };
            run::run(run.file, &flags)
        }
        Command::Check { file } => run::check(&file),
        Command::Explain { file, request, headers } => {
            return ended(explain::explain(&file, &request, &headers));
        }
        Command::Import { format, file } => return ended(import::import(format, &file)),
        Command::Demo { listen, admin } => demo::demo(&listen, &admin),
        Command::Service(service) => run::service((*service).into()),
        Command::Top { admin, once } => top::run(&TopOptions { admin, once }),
        Command::Why { about, since, limit, json, admin, dir } => {
            why::run(&WhyOptions { about, since, limit, json, admin, dir })
        }
        Command::Reload { admin } => reload::run(&admin),
        Command::Cache { json, admin } => curve::run(&admin, json),
        Command::Guard { policy: Some(policy), mode: Some(mode), admin, .. } => {
            guards::tell(&admin, policy, &mode)
        }
        Command::Guard { json, admin, .. } => guards::list(&admin, json),
        Command::Lab(Lab::Run { file, out, threads, sim: _, rig }) => {
            lab::run(&lab::RunOptions { file, out, threads: threads.map(usize::from), rig })
        }
        Command::Lab(Lab::Report { folder }) => lab::report(&folder),
        Command::Lab(Lab::Gameday { file, dry_run, seed, out, quiet }) => {
            return ended(gameday::run(&GameDayOptions { file, seed, dry_run, out, quiet }));
        }
        Command::Lab(Lab::Fit { files }) => fit::run(&files),
        Command::Lab(Lab::Dns { file }) => dns::run(&file),
        Command::Lab(Lab::GamedayGuard) => gameday::guard(),
        Command::Lab(Lab::Compare { first, second }) => lab::compare(&first, &second),
        Command::Chaos { ask, admin } => change_chaos(ask, &admin),
        Command::Purge { url, prefix, tag, everything, soft, admin } => {
            purge::purge(&admin, &PurgeAsk { url, prefix, tag, everything, soft })
        }
        Command::Load(args) => return ended(load::run(&args)),
        Command::Replay(args) => replay::run(&args),
        Command::Schema => run::schema(),
    };
    ended(result.map(|()| Exit::Done))
}

fn change_chaos(ask: Chaos, admin: &str) -> Result<(), Failure> {
    match ask {
        Chaos::List => chaos::list(admin),
        Chaos::Add { name, fault, route, service, endpoint, percent, probes, seed, r#for: lasts } => {
            let rule = NewRule { name, fault, route, service, endpoint, percent, probes, seed, lasts };
            chaos::add(admin, rule)
        }
        Chaos::Remove { name } => chaos::remove(admin, &name),
        Chaos::Clear => chaos::clear(admin),
    }
}

/// The exit code; what went wrong is said first.
fn ended(result: Result<Exit, Failure>) -> ExitCode {
    result
        .unwrap_or_else(|error| {
            if !say::is_unread(&error) {
                say::complain(&error);
            }
            Exit::Failed
        })
        .into()
}
