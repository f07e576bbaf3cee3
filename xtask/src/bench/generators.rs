//! `cargo xtask bench load`: Headgate's load generator beside others on the same target, turn by turn. Target and
//! generator have a core each. `wrk` is required; `oha` and `k6` take part when they are on the PATH.

use super::load::{self, Load};
use super::machine;
use super::options::Options;
use super::paced::Plan;
use super::peers::{LOAD_CORE, PROXY_CORE, version_of};
use super::process::{CoreTime, Process, free_address, pinned};
use super::report::{spread, table};
use super::stage::Stage;
use crate::Outcome;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// Requests per second of the open rows.
const RATES: [u64; 3] = [1_000, 5_000, 20_000];
/// Connections to the target that takes its time.
const WAITING: usize = 32;
/// Connections of the open rows.
const OPEN_CONNECTIONS: usize = 64;

/// A generator under comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generator {
    Headgate,
    Wrk,
    Oha,
    K6,
    Paced,
}

/// What is asked of it.
#[derive(Clone, Copy, Debug)]
enum Row {
    /// This many connections, each as fast as it is answered.
    Closed(usize),
    /// The same on a target that takes its time: nothing is saturated, so latencies can be compared.
    Waiting(usize),
    /// This many requests per second, evenly spaced.
    Open(u64),
}

/// A column of the table.
type Figure = fn(&Sample) -> Option<f64>;

/// One measurement.
struct Sample {
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
    /// 99th percentile of how late it sent, where the generator says so.
    late_p99_us: Option<f64>,
    core_percent: f64,
}

/// Takes the options that `--help` lists; rounds, seconds, connections, headgate and write matter.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("load", arguments)?;
    let stage = Stage::set(&options)?;
    let address = free_address()?;
    let config = stage.endpoint_config(0, address)?;
    let arguments = ["-p".into(), stage.folder().to_owned(), "-c".into(), config];
    let mut target = Process::start("target", PROXY_CORE, Path::new("nginx"), &arguments, stage.folder())?;
    target.wait_listening(address)?;
    let generators = present();
    let mut text = format!("{}\ntarget: {}\n", machine::machine(), version_of(Path::new("nginx"), "-v"));
    for generator in &generators {
        text.push_str(&format!("{}: {}\n", generator.name(), generator.version(&stage)));
    }
    print!("{text}");
    let slow = free_address()?;
    let arguments = ["service", "--listen", &slow.to_string(), "--mean", "3ms", "--variation", "0.5"];
    let mut service =
        Process::start("service", PROXY_CORE, &stage.programs.headgate, &arguments, stage.folder())?;
    service.wait_listening(slow)?;
    let closed = options.connections.iter().map(|count| Row::Closed(*count));
    for row in closed.chain([Row::Waiting(WAITING)]).chain(RATES.map(Row::Open)) {
        let taking_part: Vec<Generator> =
            generators.iter().copied().filter(|generator| generator.can(row)).collect();
        let mut samples: Vec<Vec<Sample>> = taking_part.iter().map(|_| Vec::new()).collect();
        for _ in 0..options.rounds {
            for (generator, samples) in taking_part.iter().zip(&mut samples) {
                samples.push(measure(
                    *generator,
                    row,
                    if matches!(row, Row::Waiting(_)) { slow } else { address },
                    options.seconds,
                    &stage,
                )?);
            }
        }
        let report = render(row, &taking_part, &samples);
        print!("{report}");
        text.push_str(&report);
    }
    if options.write {
        machine::store("load", "Load generators", &options.command, &text)?;
    }
    Ok(())
}

fn present() -> Vec<Generator> {
    let on_path = |generator: &Generator| match generator {
        Generator::Oha | Generator::K6 => Command::new(generator.name())
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success()),
        _ => true,
    };
    [Generator::Headgate, Generator::Wrk, Generator::Oha, Generator::K6, Generator::Paced]
        .into_iter()
        .filter(on_path)
        .collect()
}

impl Generator {
    fn name(self) -> &'static str {
        match self {
            Self::Headgate => "headgate",
            Self::Wrk => "wrk",
            Self::Oha => "oha",
            Self::K6 => "k6",
            Self::Paced => "paced",
        }
    }

    fn version(self, stage: &Stage) -> String {
        match self {
            Self::Headgate => version_of(&stage.programs.headgate, "--version"),
            Self::Wrk => version_of(Path::new("wrk"), "-v"),
            Self::Oha | Self::K6 => version_of(Path::new(self.name()), "--version"),
            Self::Paced => {
                "the generator of the other benches, which plans in ticks of a millisecond".to_owned()
            }
        }
    }

    /// `wrk` has no rate, the paced generator no other model; more than some thousands a second is not for k6.
    fn can(self, row: Row) -> bool {
        match (self, row) {
            (Self::Wrk, Row::Open(_)) | (Self::Paced, Row::Closed(_) | Row::Waiting(_)) => false,
            (Self::K6, Row::Open(rate)) => rate <= 5_000,
            _ => true,
        }
    }
}

fn measure(
    generator: Generator,
    row: Row,
    target: SocketAddr,
    seconds: u64,
    stage: &Stage,
) -> Outcome<Sample> {
    let url = format!("http://{target}/");
    let core = CoreTime::of(LOAD_CORE);
    let mut sample = match (generator, row) {
        (Generator::Headgate, _) => headgate(row, &url, seconds, stage)?,
        (Generator::Wrk, Row::Closed(connections) | Row::Waiting(connections)) => {
            plain(&load::wrk(&url, connections, seconds, &stage.script("get.lua"))?)?
        }
        (Generator::Paced, Row::Open(rate)) => {
            let plan = Plan {
                to: target,
                path: "/".to_owned(),
                rate: rate as f64,
                connections: OPEN_CONNECTIONS,
                seconds: seconds as f64,
            };
            plain(&load::paced(&stage.programs.own, &plan)?)?
        }
        (Generator::Oha, _) => oha(row, &url, seconds)?,
        (Generator::K6, _) => k6(row, &url, seconds, stage)?,
        (Generator::Wrk, Row::Open(_)) | (Generator::Paced, _) => {
            return Err(format!("{} cannot do that", generator.name()));
        }
    };
    sample.core_percent = CoreTime::of(LOAD_CORE).busy_percent_since(&core);
    Ok(sample)
}

fn headgate(row: Row, url: &str, seconds: u64, stage: &Stage) -> Outcome<Sample> {
    let mut command = pinned(LOAD_CORE, &stage.programs.headgate);
    command.args(["load", url, "--quiet", "--json", "-", "--warm-up", "100ms"]);
    command.arg("--duration").arg(format!("{seconds}s"));
    match row {
        Row::Closed(connections) | Row::Waiting(connections) => {
            command.arg("--users").arg(connections.to_string())
        }
        Row::Open(rate) => command.args(["--pace", "constant", "--rate", &rate.to_string()]),
    };
    let result = json(command)?;
    let total = &result["total"];
    if total["error_share"] != 0.0 {
        return Err(format!("headgate load had errors: {}", total["failed"]));
    }
    let figure = |value: &Value| value.as_f64().ok_or_else(|| format!("a figure is missing in {total}"));
    Ok(Sample {
        per_s: figure(&total["answered_per_s"])?,
        p50_us: figure(&total["from_planned"]["p50_us"])?,
        p99_us: figure(&total["from_planned"]["p99_us"])?,
        late_p99_us: Some(figure(&result["generator"]["send_error"]["p99_us"])?),
        core_percent: 0.0,
    })
}

fn oha(row: Row, url: &str, seconds: u64) -> Outcome<Sample> {
    let mut command = pinned(LOAD_CORE, Path::new("oha"));
    command.args(["--no-tui", "--output-format", "json", "--disable-compression"]);
    command.arg("-z").arg(format!("{seconds}s"));
    match row {
        Row::Closed(connections) | Row::Waiting(connections) => {
            command.arg("-c").arg(connections.to_string())
        }
        Row::Open(rate) => command.args([
            "-c",
            &OPEN_CONNECTIONS.to_string(),
            "-q",
            &rate.to_string(),
            "--latency-correction",
        ]),
    };
    let result = json(command.arg(url))?;
    let seconds_of = |value: &Value| value.as_f64().ok_or_else(|| format!("a figure is missing in {result}"));
    Ok(Sample {
        per_s: seconds_of(&result["summary"]["requestsPerSec"])?,
        p50_us: seconds_of(&result["latencyPercentiles"]["p50"])? * 1e6,
        p99_us: seconds_of(&result["latencyPercentiles"]["p99"])? * 1e6,
        late_p99_us: None,
        core_percent: 0.0,
    })
}

fn k6(row: Row, url: &str, seconds: u64, stage: &Stage) -> Outcome<Sample> {
    let (script, summary) = (stage.script("load.js"), stage.script("k6.json"));
    let model = match row {
        Row::Closed(users) | Row::Waiting(users) => format!("executor: 'constant-vus', vus: {users}"),
        Row::Open(rate) => format!(
            "executor: 'constant-arrival-rate', rate: {rate}, timeUnit: '1s', preAllocatedVUs: {OPEN_CONNECTIONS}"
        ),
    };
    let text = format!(
        "import http from 'k6/http';\nexport const options = {{ summaryTrendStats: ['med', 'p(99)'], \
         discardResponseBodies: true, scenarios: {{ it: {{ {model}, duration: '{seconds}s' }} }} }};\n\
         export default function () {{ http.get('{url}'); }}\n"
    );
    fs::write(&script, text).map_err(|error| format!("{}: {error}", script.display()))?;
    let mut command = pinned(LOAD_CORE, Path::new("k6"));
    command.args(["run", "--quiet", "--no-usage-report", "--summary-export"]).arg(&summary).arg(&script);
    output(&mut command)?;
    let text = fs::read_to_string(&summary).map_err(|error| format!("k6 gave no summary: {error}"))?;
    let result: Value = serde_json::from_str(&text).map_err(|error| format!("k6: {error}"))?;
    let metrics = &result["metrics"];
    let figure = |value: &Value| value.as_f64().ok_or_else(|| format!("a figure is missing in {metrics}"));
    Ok(Sample {
        per_s: figure(&metrics["http_reqs"]["rate"])?,
        p50_us: figure(&metrics["http_req_duration"]["med"])? * 1e3,
        p99_us: figure(&metrics["http_req_duration"]["p(99)"])? * 1e3,
        late_p99_us: None,
        core_percent: 0.0,
    })
}

fn plain(load: &Load) -> Outcome<Sample> {
    if !load.errors.is_empty() {
        return Err(load.errors.join(", "));
    }
    Ok(Sample {
        per_s: load.completed as f64 / load.seconds,
        p50_us: load.p50_us.unwrap_or_default(),
        p99_us: load.p99_us.unwrap_or_default(),
        late_p99_us: load.late_p99_us,
        core_percent: 0.0,
    })
}

fn json(mut command: impl std::borrow::BorrowMut<Command>) -> Outcome<Value> {
    let text = output(command.borrow_mut())?;
    serde_json::from_slice(&text).map_err(|error| format!("no JSON: {error}"))
}

fn output(command: &mut Command) -> Outcome<Vec<u8>> {
    let name = format!("{:?}", command.get_args().nth(5).unwrap_or(command.get_program()));
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {}", words.lines().next_back().unwrap_or("failed")))
}

/// Medians of all rounds, and the ratio of Headgate's to each other's, round by round.
fn render(row: Row, generators: &[Generator], samples: &[Vec<Sample>]) -> String {
    let title = match row {
        Row::Closed(connections) => format!("closed, {connections} connections"),
        Row::Waiting(connections) => format!("closed, {connections} connections, a service of 3 ms"),
        Row::Open(rate) => format!("open, {rate} requests/s"),
    };
    let figures: [(&str, Figure); 5] = [
        ("per s", |sample| Some(sample.per_s)),
        ("p50 us", |sample| Some(sample.p50_us)),
        ("p99 us", |sample| Some(sample.p99_us)),
        ("late p99 us", |sample| sample.late_p99_us),
        ("load core %", |sample| Some(sample.core_percent)),
    ];
    let mut lines =
        vec![std::iter::once("generator").chain(figures.map(|(name, _)| name)).map(str::to_owned).collect()];
    for (generator, samples) in generators.iter().zip(samples) {
        let mut line = vec![generator.name().to_owned()];
        line.extend(figures.map(|(_, figure)| {
            let spread = spread(samples.iter().filter_map(figure).collect());
            spread.map_or("-".to_owned(), |spread| {
                format!("{:.0} ({:.0}-{:.0})", spread.median, spread.least, spread.most)
            })
        }));
        lines.push(line);
    }
    let mut text = format!("\n### {title}\n\n{}\n", table(&lines));
    let Some(own) = samples.first() else { return text };
    for (generator, others) in generators.iter().zip(samples).skip(1) {
        let ratios: Vec<String> = figures[..3]
            .iter()
            .filter_map(|(name, figure)| {
                let ratio = |(own, other)| Some(figure(own)? / figure(other)?);
                let spread = spread(own.iter().zip(others).filter_map(ratio).collect())?;
                Some(format!("{name} {:.2} ({:.2}-{:.2})", spread.median, spread.least, spread.most))
            })
            .collect();
        text.push_str(&format!("- headgate / {}: {}\n", generator.name(), ratios.join("; ")));
    }
    text
}
