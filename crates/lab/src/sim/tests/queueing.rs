//! Mean latencies against the closed forms of queueing theory, within 1 %. Loads and lengths are such that the
//! standard error of a mean is about 0.3 %, and seeds are fixed, so that a failure is a change of the simulator.
//! `cargo xtask bench sim` has the higher loads, which need longer runs.

use super::run;

const SERVICE_MS: f64 = 10.0;

/// Simulated mean latency over the expected one, for one replica under a Poisson load.
fn relative_mean(service: &str, rate: f64, seconds: u64, expected_ms: f64, seed: u64) -> f64 {
    let system = format!(
        "network = {{ rtt_within = \"0s\" }}
        nodes = {{ vcpus = 64.0 }}
        [service.only]
        queue = 100000
        timeout = \"1h\"
        {service}"
    );
    let workload = format!(
        "[open]
        phases = [
            {{ lasts = \"60s\", level = {rate}, measured = false }},
            {{ lasts = \"{seconds}s\", level = {rate} }},
        ]"
    );
    let results = run(&system, &workload, seed);
    assert_eq!(results.failed(), 0);
    results.latency.mean_ns() / 1e6 / expected_ms
}

fn assert_close(name: &str, ratio: f64) {
    assert!((ratio - 1.0).abs() < 0.01, "{name}: {ratio} of the closed form");
}

/// Erlang's formula: the chance to wait with `servers` servers and an offered load in servers.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let blocked = (1..=servers).fold(1.0, |blocked, n| load * blocked / (f64::from(n) + load * blocked));
    let servers = f64::from(servers);
    servers * blocked / (servers - load * (1.0 - blocked))
}

#[test]
fn m_m_c() {
    for (servers, utilisation, seed) in [(1, 0.5, 1), (1, 0.7, 2), (4, 0.7, 3), (16, 0.8, 4)] {
        let rate = utilisation * f64::from(servers) * 1e3 / SERVICE_MS;
        let waits = erlang_c(servers, utilisation * f64::from(servers));
        let wait_ms = waits * SERVICE_MS / (f64::from(servers) * (1.0 - utilisation));
        let service = format!(
            "concurrency = {servers}\ncpus = {servers}\ndoes = [{{ work = {{ exponential = {{ mean = \"10ms\" }} }} }}]"
        );
        let seconds = 4_000_000 / rate as u64;
        let ratio = relative_mean(&service, rate, seconds, SERVICE_MS + wait_ms, seed);
        assert_close(&format!("M/M/{servers} at {utilisation}"), ratio);
    }
}

/// Pollaczek and Khinchine.
#[test]
fn m_g_1_fifo() {
    for (cv, utilisation, seed) in [(0.0, 0.8, 1), (0.5, 0.7, 2), (1.0, 0.6, 3), (1.5, 0.5, 4)] {
        let rate = utilisation * 1e3 / SERVICE_MS;
        let wait_ms = utilisation * SERVICE_MS * (1.0 + cv * cv) / (2.0 * (1.0 - utilisation));
        let service = format!(
            "concurrency = 1\ndoes = [{{ work = {{ lognormal = {{ mean = \"10ms\", cv = {cv:?} }} }} }}]"
        );
        let seconds = 4_000_000 / rate as u64;
        let ratio = relative_mean(&service, rate, seconds, SERVICE_MS + wait_ms, seed);
        assert_close(&format!("M/G/1-FIFO with cv {cv} at {utilisation}"), ratio);
    }
}

/// The mean of processor sharing depends on nothing but the mean of the work.
#[test]
fn m_g_1_ps() {
    for (cv, utilisation, seed) in [(0.0, 0.7, 1), (1.0, 0.6, 2), (2.0, 0.5, 3), (2.0, 0.7, 4)] {
        let rate = utilisation * 1e3 / SERVICE_MS;
        let service = format!(
            "concurrency = 100000\ndoes = [{{ work = {{ lognormal = {{ mean = \"10ms\", cv = {cv:?} }} }} }}]"
        );
        let seconds = 4_000_000 / rate as u64;
        let ratio = relative_mean(&service, rate, seconds, SERVICE_MS / (1.0 - utilisation), seed);
        assert_close(&format!("M/G/1-PS with cv {cv} at {utilisation}"), ratio);
    }
}

/// Two replicas on a node with one core are one server of processor sharing, whoever gets the call.
#[test]
fn a_full_node_is_shared() {
    let service = "replicas = 2\nbalance = \"random\"\nnodes = [0]\n\
                   does = [{ work = { exponential = { mean = \"10ms\" } } }]";
    let node = "nodes = { count = 1, vcpus = 1.0 }\nnetwork = { rtt_within = \"0s\" }\n";
    let system = format!("{node}[service.only]\n{service}\nconcurrency = 100000\ntimeout = \"1h\"");
    let workload = "open = { phases = [{ lasts = \"20000s\", level = 70 }] }";
    let results = run(&system, workload, 3);
    let ratio = results.latency.mean_ns() / 1e6 / (SERVICE_MS / 0.3);
    // Shares by replica differ from shares by call only while both are busy.
    assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
    let (cpu, _) = results.cpu_and_memory();
    assert!((cpu - 0.7).abs() < 0.01, "{cpu}");
}

/// The closed model: with N users, think time Z and one core, the machine repairman's throughput.
#[test]
fn a_closed_load_has_the_throughput_of_the_machine_repairman() {
    let system = "network = { rtt_within = \"0s\" }\n[service.only]\n\
                  does = [{ work = { exponential = { mean = \"10ms\" } } }]";
    let workload = "[closed]\nthink = { exponential = { mean = \"200ms\" } }\n\
                    phases = [{ lasts = \"20s\", level = 20, measured = false }, { lasts = \"6000s\", level = 20 }]";
    let results = run(system, workload, 5);
    // Probability of an empty server by the recursion of the finite-source queue.
    let (users, ratio) = (20u32, SERVICE_MS / 200.0);
    let mut term = 1.0;
    let sum: f64 = (0..=users)
        .map(|n| {
            let here = term;
            term *= f64::from(users - n) * ratio;
            here
        })
        .sum();
    let expected = (1.0 - 1.0 / sum) * 1e3 / SERVICE_MS;
    let throughput = results.ok() as f64 / 6_000.0;
    assert!((throughput / expected - 1.0).abs() < 0.01, "{throughput} instead of {expected}");
}
