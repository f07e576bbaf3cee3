//! Means of long runs beside the closed forms: higher loads than the tests have time for.

use headgate_lab::sim::{Sim, SystemSpec};
use headgate_lab::workload::{Phase, Workload, WorkloadSpec, no_files};
use std::fmt::Write as _;
use std::time::Duration;

const SERVICE_MS: f64 = 10.0;
const REQUESTS: f64 = 2e7;

fn mean_ms(service: &str, rate: f64, seed: u64) -> f64 {
    let system: SystemSpec = toml::from_str(&format!(
        "network = {{ rtt_within = \"0s\" }}\nnodes = {{ vcpus = 64.0 }}\ninterval = \"10m\"\n\
         [service.only]\nqueue = 1000000\ntimeout = \"1h\"\n{service}"
    ))
    .unwrap();
    let phases = vec![
        Phase::steady("warm-up", Duration::from_secs(600), rate).warm_up(),
        Phase::steady("measured", Duration::from_secs((REQUESTS / rate) as u64), rate),
    ];
    let workload = Workload::new(&WorkloadSpec::poisson(phases), seed, &mut no_files()).unwrap();
    Sim::new(&system, workload, seed).unwrap().run().latency.mean_ns() / 1e6
}

fn erlang_c(servers: u32, load: f64) -> f64 {
    let blocked = (1..=servers).fold(1.0, |blocked, n| load * blocked / (f64::from(n) + load * blocked));
    let servers = f64::from(servers);
    servers * blocked / (servers - load * (1.0 - blocked))
}

pub(crate) fn table() -> String {
    let mut text = format!(
        "Mean latency in ms over {REQUESTS:.0} requests beside the closed form.\n\n\
         | queue | load | simulated | closed form | off by % |\n|---|---|---|---|---|\n"
    );
    let mut row = |name: &str, load: f64, simulated: f64, expected: f64| {
        let off = 100.0 * (simulated / expected - 1.0);
        writeln!(text, "| {name} | {load} | {simulated:.4} | {expected:.4} | {off:+.2} |").unwrap();
    };
    for (seed, (servers, load)) in (1..).zip([(1, 0.8), (4, 0.9), (16, 0.95)]) {
        let busy = load * f64::from(servers);
        let wait = erlang_c(servers, busy) * SERVICE_MS / (f64::from(servers) * (1.0 - load));
        let service = format!(
            "concurrency = {servers}\ncpus = {servers}\ndoes = [{{ work = {{ exponential = {{ mean = \"10ms\" }} }} }}]"
        );
        row(
            &format!("M/M/{servers}"),
            load,
            mean_ms(&service, busy * 1e3 / SERVICE_MS, seed),
            SERVICE_MS + wait,
        );
    }
    for (seed, (cv, load)) in (11..).zip([(0.0, 0.9), (1.0, 0.8), (2.0, 0.8)]) {
        let work = format!("does = [{{ work = {{ lognormal = {{ mean = \"10ms\", cv = {cv:?} }} }} }}]");
        let rate = load * 1e3 / SERVICE_MS;
        let fifo = SERVICE_MS + load * SERVICE_MS * (1.0 + cv * cv) / (2.0 * (1.0 - load));
        row(
            &format!("M/G/1-FIFO, cv {cv}"),
            load,
            mean_ms(&format!("concurrency = 1\n{work}"), rate, seed),
            fifo,
        );
        let sharing = mean_ms(&format!("concurrency = 1000000\n{work}"), rate, 10 * seed);
        row(&format!("M/G/1-PS, cv {cv}"), load, sharing, SERVICE_MS / (1.0 - load));
    }
    text
}
