//! `headgate load`: from flags to a plan, from its result to text, JSON and a report. How load is made and
//! measured is the lab's own matter.

mod args;
mod compact;

pub(crate) use args::LoadArgs;

use crate::exit::Exit;
use crate::interrupt::{Second, stop_on_signal};
use crate::lab::machine;
use crate::say::{Failure, say};
use headgate_lab::load::{
    self, Expectation, LoadError, Moment, Plan, Progress, RequestSpec, Summary, Target, Trust,
};
use headgate_lab::workload::{SpecError, Workload, WorkloadSpec};
use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// # Errors
/// When the run cannot begin, or a result cannot be written.
pub(crate) fn run(args: &LoadArgs) -> Result<Exit, Failure> {
    if args.schema {
        say(&format!("{:#}", Summary::json_schema()))?;
        return Ok(Exit::Done);
    }
    let expectations: Vec<Expectation> =
        args.expect.iter().map(|text| Expectation::parse(text)).collect::<Result<_, _>>()?;
    let plan = plan(args)?;
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signal(&stop, Second::EndsProcess)?;
    let mut display = Display::new(args.quiet);
    let mut summary = load::run(&plan, &stop, &mut |moment| display.show(moment))?;
    display.end();
    let met = summary.judge(&expectations);
    if let Some(path) = &args.html {
        write(path, &summary.report(&environment()).html())?;
    }
    match &args.json {
        Some(path) if path.as_os_str() == "-" => say(&summary.json()?)?,
        Some(path) => {
            write(path, &summary.json()?)?;
            say(summary.text().trim_end())?;
        }
        None => say(summary.text().trim_end())?,
    }
    Ok(if met { Exit::Done } else { Exit::Incomplete })
}

fn plan(args: &LoadArgs) -> Result<Plan, Failure> {
    let target = Target::parse(args.url.as_deref().unwrap_or_default())?;
    let (spec, beside) = match &args.workload {
        Some(file) => (read_workload(file)?, file.parent()),
        None => (args.spec(), None),
    };
    let files = &mut |name: &str| {
        let path = beside.unwrap_or(Path::new("")).join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let workload = Workload::new(&spec, args.seed, files).map_err(|error| match &args.workload {
        Some(file) => format!("{}: {error}", file.display()).into(),
        None => flagged(error),
    })?;
    let mut plan = Plan::new(target, workload, args.seed);
    let writes = args.body.is_some() || args.body_size.is_some();
    let (method, write_method) =
        if writes { (None, args.method.clone()) } else { (args.method.clone(), None) };
    plan.requests = RequestSpec {
        method,
        write_method,
        headers: args.headers.clone(),
        body: args.body()?,
        close: args.close,
    };
    plan.http2 = args.http2;
    plan.trust = match &args.ca {
        _ if args.insecure => Trust::Anybody,
        None => Trust::Public,
        Some(file) => Trust::Authorities(
            fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?,
        ),
    };
    plan.connections = args.connections;
    plan.streams = args.streams;
    plan.timeout = args.timeout;
    plan.threads = args.threads;
    Ok(plan)
}

fn read_workload(file: &Path) -> Result<WorkloadSpec, Failure> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?)
}

/// A mistake in a workload that was written as flags.
fn flagged(error: SpecError) -> Failure {
    LoadError::from(error).into()
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

pub(crate) fn environment() -> Vec<(String, String)> {
    let command: Vec<String> = std::env::args().collect();
    [
        ("headgate", env!("CARGO_PKG_VERSION").to_owned()),
        ("machine", machine()),
        ("command", command.join(" ")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The course of the run on standard error: one line that is drawn over on a terminal, else a line per second.
pub(crate) struct Display {
    progress: Progress,
    quiet: bool,
    terminal: bool,
}

impl Display {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { progress: Progress::default(), quiet, terminal: stderr().is_terminal() }
    }

    pub(crate) fn show(&mut self, moment: &Moment) {
        self.progress.take(moment);
        // Nobody is left to be told when standard error is gone.
        let _ = match (self.quiet, self.terminal) {
            (true, _) => Ok(()),
            (_, true) => write!(stderr(), "\r\x1b[K{}", self.progress.live(moment, columns())),
            (_, false) => writeln!(stderr(), "{}", self.progress.plain(moment)),
        };
    }

    /// A line of its own.
    pub(crate) fn say(&self, text: &str) {
        // Nobody is left to be told when standard error is gone.
        let _ = writeln!(stderr(), "{text}");
    }

    pub(crate) fn end(&self) {
        if self.terminal && !self.quiet {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// Of the terminal, less one, which some terminals wrap at.
fn columns() -> usize {
    rustix::termios::tcgetwinsize(stderr()).map_or(79, |size| usize::from(size.ws_col.max(20)) - 1)
}
