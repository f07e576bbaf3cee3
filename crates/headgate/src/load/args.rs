//! The flags of `headgate load`, and the workload that they stand for.

use super::compact::{Levels, header, keys, length, levels, sizes, times};
use crate::say::Failure;
use clap::{ArgGroup, Args, ValueEnum};
use headgate_lab::workload::{
    ClosedSpec, Distribution, OpenSpec, Per, Phase, PopularitySpec, RateTrace, Spacing, StepSpec,
    WorkloadSpec,
};
use headgate_model::spec::{Bytes, Span, parse_duration};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Below the list of flags.
const EXAMPLES: &str = "\
Examples:
  headgate load :3000 --users 64                                   as fast as 64 users are answered
  headgate load :3000/item/{key} --rate 2000 --keys zipf:10000     2000 a second, whatever the answers
  headgate load https://shop.example --users 500 --think exponential:1s --ramp 30s --duration 5m
  headgate load :3000 --rate 100:30s,100-1000:2m --expect 'p99<50ms' --expect 'errors<0.1%' --html load.html
  headgate load :3000 --workload journeys.toml --json -

Placeholders in the URL and in the paths of a workload file: {key}, {tenant}, {session}, {bytes}.
Latency is counted from the time at which a request was planned, and beside it from when it was sent.
Exit codes: 0 done; 1 the run could not begin; 2 wrong command line; 3 an expectation was not met";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("model").required(true).args(["rate", "users", "trace", "workload", "schema"]))]
pub(crate) struct LoadArgs {
    /// What to ask for: `http://127.0.0.1:3000/item/{key}`, `https://...`, `:3000`.
    #[arg(required_unless_present = "schema")]
    pub(super) url: Option<String>,

    /// Open model: requests per second that wait for no answer; `1000`, or phases `100:30s,100-500:1m`.
    #[arg(long, value_name = "LEVELS", value_parser = levels, help_heading = "Model")]
    rate: Option<Levels>,
    /// Closed model: users who wait for their answers; `64`, or phases `50:30s,50-500:1m`.
    #[arg(long, value_name = "LEVELS", value_parser = levels, help_heading = "Model")]
    users: Option<Levels>,
    /// Open model with recorded rates: a file with one number per line.
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    trace: Option<String>,
    /// A workload file: phases, journeys, keys, sizes, tenants.
    #[arg(long, value_name = "FILE", help_heading = "Model", conflicts_with_all = [
        "duration", "warm_up", "ramp", "pace", "per", "think", "keys", "writes", "body_size",
    ])]
    pub(super) workload: Option<PathBuf>,
    /// How long a single level is measured.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = length, help_heading = "Model")]
    duration: Duration,
    /// How long before that the same load is not counted.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = parse_duration, help_heading = "Model")]
    warm_up: Duration,
    /// How long before that the load rises from zero, not counted either.
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = parse_duration, help_heading = "Model")]
    ramp: Duration,
    /// Spacing of arrivals.
    #[arg(long, value_enum, default_value = "poisson", conflicts_with = "users", help_heading = "Model")]
    pace: Pace,
    /// What the numbers of a trace count.
    #[arg(long, value_enum, default_value = "second", requires = "trace", help_heading = "Model")]
    per: PerArg,
    /// Think time of a user between answer and next request: `100ms`, `exponential:1s`, `lognormal:1s:1.5`.
    #[arg(long, default_value = "0s", value_name = "TIMES", value_parser = times, requires = "users", help_heading = "Model")]
    think: Distribution<Span<0>>,
    /// Of all random draws.
    #[arg(long, default_value_t = 1, help_heading = "Model")]
    pub(super) seed: u64,

    /// Keys for `{key}` by popularity: `uniform:1000`, `zipf:10000:0.99`, `hot:1000:10:0.9`, `trace:FILE`.
    #[arg(long, value_name = "KEYS", value_parser = keys, help_heading = "Requests")]
    keys: Option<PopularitySpec>,
    /// Default: GET, with a body POST.
    #[arg(short = 'X', long, help_heading = "Requests")]
    pub(super) method: Option<String>,
    /// A field of every request, `name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "LINE", value_parser = header, help_heading = "Requests")]
    pub(super) headers: Vec<(String, String)>,
    /// The body: text, or `@FILE`.
    #[arg(long, value_name = "TEXT", conflicts_with = "body_size", help_heading = "Requests")]
    pub(super) body: Option<String>,
    /// Sizes of made-up bodies: `1KiB`, `uniform:100B:2KiB`, `pareto:1.2:1KiB:1MiB`.
    #[arg(long, value_name = "SIZES", value_parser = sizes, help_heading = "Requests")]
    pub(super) body_size: Option<Distribution<Bytes<0>>>,
    /// Share of the requests that have the body; the others are GET.
    #[arg(long, default_value_t = 1.0, value_name = "SHARE", help_heading = "Requests")]
    writes: f64,
    /// For each answer, and for a free connection.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = length, help_heading = "Requests")]
    pub(super) timeout: Duration,

    /// Connections in all. Default: one per user; at a rate 64.
    #[arg(long, value_name = "NUMBER", help_heading = "Connections")]
    pub(super) connections: Option<usize>,
    /// Speak HTTP/2, with prior knowledge or by ALPN.
    #[arg(long, help_heading = "Connections")]
    pub(super) http2: bool,
    /// Requests at once on one HTTP/2 connection.
    #[arg(
        long,
        default_value_t = 100,
        value_name = "NUMBER",
        requires = "http2",
        help_heading = "Connections"
    )]
    pub(super) streams: usize,
    /// A new connection for each request.
    #[arg(long, help_heading = "Connections")]
    pub(super) close: bool,
    /// Trust only the authorities in this PEM file.
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    pub(super) ca: Option<PathBuf>,
    /// Trust whoever answers.
    #[arg(long, conflicts_with = "ca", help_heading = "Connections")]
    pub(super) insecure: bool,
    /// Generator threads.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", help_heading = "Connections")]
    pub(super) threads: usize,

    /// What must hold at the end, like `p99<50ms`, `errors<0.1%`, `rate>=1000`; may be repeated.
    #[arg(long, value_name = "CONDITION", help_heading = "Results")]
    pub(super) expect: Vec<String>,
    /// Write the result as JSON; `-` writes it to standard output instead of the text.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(super) json: Option<PathBuf>,
    /// Write a report: one HTML file that needs no network.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(super) html: Option<PathBuf>,
    /// Say nothing while it runs.
    #[arg(short, long, help_heading = "Results")]
    pub(super) quiet: bool,
    /// Print the JSON Schema of the result and end.
    #[arg(long, help_heading = "Results", exclusive = true)]
    pub(super) schema: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Pace {
    /// Independent arrivals.
    Poisson,
    /// Equal gaps.
    Constant,
}

#[derive(Clone, Copy, ValueEnum)]
enum PerArg {
    Second,
    Minute,
}

impl LoadArgs {
    /// The workload of the flags.
    pub(super) fn spec(&self) -> WorkloadSpec {
        let has_body = self.body.is_some() || self.body_size.is_some();
        let step = StepSpec {
            writes: if has_body { self.writes } else { 0.0 },
            request: self.body_size.clone().unwrap_or(Distribution::Constant(Bytes(0))),
            ..StepSpec::default()
        };
        let mut spec = WorkloadSpec {
            keys: self.keys.clone().unwrap_or_default(),
            steps: BTreeMap::from([("all".to_owned(), step)]),
            ..WorkloadSpec::default()
        };
        let spacing = match self.pace {
            Pace::Poisson => Spacing::Poisson,
            Pace::Constant => Spacing::Constant,
        };
        if let Some(users) = &self.users {
            spec.closed = Some(ClosedSpec { think: self.think.clone(), phases: self.phases(users) });
        } else if let Some(rate) = &self.rate {
            spec.open = Some(OpenSpec { spacing, phases: self.phases(rate), ..OpenSpec::default() });
        } else {
            let per = match self.per {
                PerArg::Second => Per::Second,
                PerArg::Minute => Per::Minute,
            };
            let trace =
                self.trace.clone().map(|file| RateTrace { file: Some(file), per, ..RateTrace::default() });
            spec.open = Some(OpenSpec { spacing, trace, ..OpenSpec::default() });
        }
        spec
    }

    fn phases(&self, levels: &Levels) -> Vec<Phase> {
        let level = match levels {
            Levels::Phases(phases) => return phases.clone(),
            Levels::One(level) => *level,
        };
        let mut phases = Vec::with_capacity(3);
        if !self.ramp.is_zero() {
            phases.push(Phase { from: Some(0.0), ..Phase::steady("ramp", self.ramp, level) }.warm_up());
        }
        if !self.warm_up.is_zero() {
            phases.push(Phase::steady("warm-up", self.warm_up, level).warm_up());
        }
        phases.push(Phase::steady("steady", self.duration, level));
        phases
    }

    /// The given body.
    pub(super) fn body(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(text) = &self.body else { return Ok(None) };
        match text.strip_prefix('@') {
            None => Ok(Some(text.clone().into_bytes())),
            Some(file) => {
                Ok(Some(std::fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?))
            }
        }
    }
}
