//! The load generators as processes: `wrk`, `h2load`, `openssl s_time` and the paced one, each pinned to the
//! load core, each reduced to the same few figures.

use super::paced::{self, Plan, Report, quantile};
use super::peers::LOAD_CORE;
use super::process::pinned;
use crate::Outcome;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// What one measurement of any generator yields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Answers of any status, or handshakes.
    pub(crate) completed: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    /// Of the paced generator: how late it sent while a connection was free, 99th percentile.
    pub(crate) late_p99_us: Option<f64>,
    /// Of a cache: requests that the origin did not see, in percent.
    pub(crate) hit_percent: Option<f64>,
    /// What did not go well, in words; empty when everything did.
    pub(crate) errors: Vec<String>,
}

/// A wrk script's last part: prints the figures on one line that is easy to read back.
pub(crate) const WRK_DONE: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("figures %d %d %d %d %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect, e.read, e.write, e.status, e.timeout))
end
"#;

/// A closed loop of `connections` clients that ask as fast as they are answered.
pub(crate) fn wrk(url: &str, connections: usize, seconds: u64, script: &Path) -> Outcome<Load> {
    wrk_seeded(url, connections, seconds, script, 0)
}

/// The same with a script whose `init` takes a seed.
pub(crate) fn wrk_seeded(
    url: &str,
    connections: usize,
    seconds: u64,
    script: &Path,
    seed: usize,
) -> Outcome<Load> {
    let mut command = pinned(LOAD_CORE, Path::new("wrk"));
    command.args(["-t1", "--timeout", "10s"]);
    command.arg(format!("-c{connections}")).arg(format!("-d{seconds}s")).arg("-s").arg(script).arg(url);
    command.arg("--").arg(seed.to_string());
    let text = output_of(command)?;
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let figures: Vec<u64> =
        line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[completed, micros, p50, p99, connect, read, write, status, timeout] = figures.as_slice() else {
        return Err(format!("wrk gave no figures: {}", text.lines().last().unwrap_or_default()));
    };
    let errors = [
        ("connect errors", connect),
        ("read errors", read),
        ("write errors", write),
        ("answers of 4xx or 5xx", status),
        ("timeouts", timeout),
    ];
    Ok(Load {
        completed,
        seconds: micros as f64 / 1e6,
        p50_us: Some(p50 as f64),
        p99_us: Some(p99 as f64),
        late_p99_us: None,
        hit_percent: None,
        errors: counted(&errors),
    })
}

/// HTTP/2 over TLS: `clients` connections with `streams` concurrent requests each.
pub(crate) fn h2load(
    url: &str,
    clients: usize,
    streams: usize,
    seconds: u64,
    folder: &Path,
) -> Outcome<Load> {
    let log = folder.join("h2load.tsv");
    let _ = fs::remove_file(&log);
    let mut command = pinned(LOAD_CORE, Path::new("h2load"));
    command.args(["-t1", &format!("-c{clients}"), &format!("-m{streams}"), &format!("-D{seconds}")]);
    command.arg("--log-file").arg(&log).arg(url);
    let text = output_of(command)?;
    let number_before = |marker: &str| -> u64 {
        let words: Vec<&str> = text.split([' ', ',', '\n']).collect();
        words.windows(2).find(|pair| pair[1] == marker).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
    };
    let rows = fs::read_to_string(&log).unwrap_or_default();
    let mut latencies: Vec<u32> =
        rows.lines().filter_map(|line| line.split('\t').nth(2)?.trim().parse().ok()).collect();
    latencies.sort_unstable();
    let succeeded = number_before("succeeded");
    if succeeded == 0 {
        return Err(format!("h2load had no answer: {}", text.lines().next_back().unwrap_or_default()));
    }
    if !text.contains("Application protocol: h2") {
        return Err("HTTP/2 was not negotiated".to_owned());
    }
    let errors = [
        ("failed", number_before("failed")),
        ("errored", number_before("errored")),
        ("timeouts", number_before("timeout")),
        ("answers of 4xx", number_before("4xx")),
        ("answers of 5xx", number_before("5xx")),
    ];
    Ok(Load {
        completed: succeeded,
        seconds: seconds as f64,
        p50_us: Some(f64::from(quantile(&latencies, 0.5))),
        p99_us: Some(f64::from(quantile(&latencies, 0.99))),
        late_p99_us: None,
        hit_percent: None,
        errors: counted(&errors),
    })
}

/// Full TLS handshakes without a request, by `clients` processes one after the other.
pub(crate) fn handshakes(address: SocketAddr, clients: usize, seconds: u64) -> Outcome<Load> {
    let spawn = |_| {
        let mut command = pinned(LOAD_CORE, Path::new("openssl"));
        command.args(["s_time", "-new", "-connect", &address.to_string(), "-time", &seconds.to_string()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        command.spawn().map_err(|error| format!("cannot start openssl: {error}"))
    };
    let children = (0..clients).map(spawn).collect::<Outcome<Vec<_>>>()?;
    let mut load = Load::default();
    for child in children {
        let output = child.wait_with_output().map_err(|error| format!("openssl: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // "123 connections in 3 real seconds, 0 bytes read per connection"
        let line = text.lines().find(|line| line.contains("real seconds"));
        let numbers: Vec<u64> =
            line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let (Some(&connections), Some(_)) = (numbers.first(), numbers.get(1)) else {
            let words = String::from_utf8_lossy(&output.stderr);
            load.errors.push(format!("openssl: {}", words.lines().next_back().unwrap_or("no figures")));
            continue;
        };
        load.completed += connections;
        // It counts whole seconds and rounds up when the last handshake crosses the border.
        load.seconds = seconds as f64;
    }
    if load.completed == 0 {
        return Err(load.errors.pop().unwrap_or_else(|| "no handshake".to_owned()));
    }
    Ok(load)
}

/// Runs `xtask paced` as a process of its own on the load core, and reads its figures.
pub(crate) fn paced(own: &Path, plan: &Plan) -> Outcome<Load> {
    let mut command = pinned(LOAD_CORE, own);
    command.arg("paced").args(["--to", &plan.to.to_string(), "--path", &plan.path]);
    command.args(["--rate", &plan.rate.to_string(), "--connections", &plan.connections.to_string()]);
    command.args(["--seconds", &plan.seconds.to_string()]);
    let text = output_of(command)?;
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let figures: Vec<u64> =
        line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[answered, not_2xx, unanswered, sent_again, p50, p99, late] = figures.as_slice() else {
        return Err(format!("the paced generator gave no figures: {text}"));
    };
    let errors = counted(&[
        ("answers not 2xx", not_2xx),
        ("unanswered", unanswered),
        ("sent again after a close before the answer", sent_again),
    ]);
    Ok(Load {
        completed: answered,
        seconds: plan.seconds,
        p50_us: Some(p50 as f64),
        p99_us: Some(p99 as f64),
        late_p99_us: Some(late as f64),
        hit_percent: None,
        errors,
    })
}

/// The `xtask paced` command: parses a plan, runs it, prints the figures.
pub(crate) fn paced_command(arguments: &[&str]) -> Outcome {
    const HELP: &str =
        "usage: cargo xtask paced --to ADDRESS [--path /] [--rate 1000] [--connections 64] [--seconds 3]
prints: figures ANSWERED NOT_2XX UNANSWERED SENT_AGAIN P50_US P99_US LATE_P99_US";
    let mut plan = Plan {
        to: SocketAddr::from(([127, 0, 0, 1], 0)),
        path: "/".to_owned(),
        rate: 1_000.0,
        connections: 64,
        seconds: 3.0,
    };
    for pair in arguments.chunks(2) {
        let &[name, value] = pair else { return Err(HELP.to_owned()) };
        let wrong = |_| format!("{name} does not take `{value}`\n{HELP}");
        match name {
            "--to" => plan.to = value.parse().map_err(|_| wrong(()))?,
            "--path" => plan.path = value.to_owned(),
            "--rate" => plan.rate = value.parse().map_err(|_| wrong(()))?,
            "--connections" => plan.connections = value.parse().map_err(|_| wrong(()))?,
            "--seconds" => plan.seconds = value.parse().map_err(|_| wrong(()))?,
            _ => return Err(HELP.to_owned()),
        }
    }
    let report = paced::run(&plan)?;
    let (p50, p99) = (quantile(&report.latencies_us, 0.5), quantile(&report.latencies_us, 0.99));
    let late = quantile(&report.late_us, 0.99);
    let Report { answered, not_2xx, unanswered, sent_again, .. } = report;
    println!("figures {answered} {not_2xx} {unanswered} {sent_again} {p50} {p99} {late}");
    Ok(())
}

fn counted(errors: &[(&str, u64)]) -> Vec<String> {
    errors.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")).collect()
}

fn output_of(mut command: Command) -> Outcome<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().chain(text.lines()).last().unwrap_or("it printed nothing");
        let words: Vec<_> = command.get_args().take(4).map(|word| word.to_string_lossy()).collect();
        return Err(format!("{} ended with {}: {last}", words.join(" "), output.status));
    }
    Ok(text)
}
