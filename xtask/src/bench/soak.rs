//! `cargo xtask bench soak`: minutes of bad neighbours. Slow readers, slow writers, aborts, resets and killed
//! endpoints run beside steady requests; afterwards memory must be level and no connection left over.

use super::load;
use super::machine;
use super::options::Options;
use super::paced::Plan;
use super::peers::{Kind, LOAD_CORE, Peer, Setup};
use super::probe;
use super::process::{Process, free_address};
use super::report::table;
use super::stage::Stage;
use crate::Outcome;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const STEADY_RATE: f64 = 1_000.0;
const ENDPOINTS: usize = 3;
/// Threads of each kind of bad neighbour.
const NEIGHBOURS: usize = 10;
/// From the kill of one endpoint to the next, and how long it stays away.
const KILL_EVERY: Duration = Duration::from_secs(15);
const DOWN: Duration = Duration::from_secs(2);
/// Growth from the middle to the end that still counts as level.
const LEVEL_PERCENT: f64 = 5.0;
/// Connections may end this long after their clients.
const SETTLE: Duration = Duration::from_secs(10);

/// What the bad neighbours did, to be compared with what the proxy counted.
#[derive(Debug, Default)]
struct Deeds {
    slow_reads: AtomicU64,
    slow_reads_cut: AtomicU64,
    slow_writes: AtomicU64,
    slow_writes_cut: AtomicU64,
    aborts: AtomicU64,
    resets: AtomicU64,
    kills: AtomicU64,
}

/// Takes `--minutes N`, `--only NAME`, `--headgate PATH` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("soak", arguments)?;
    let stage = Stage::set(&options)?;
    let mut text = format!("{}\n", machine::description(&options, &stage.programs.headgate).join("\n"));
    let mut failed = Vec::new();
    for &kind in options.only.iter().filter(|kind| **kind != Kind::Relay) {
        let (report, verdict) = soak(&stage, kind, Duration::from_secs(60 * options.minutes))?;
        println!("{report}");
        text.push_str(&report);
        failed.extend(verdict);
    }
    if options.write {
        machine::store("soak", "Soak", &options.command, &text)?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("soak: {}", failed.join("; "))) }
}

fn soak(stage: &Stage, kind: Kind, length: Duration) -> Outcome<(String, Vec<String>)> {
    let addresses = [free_address()?, free_address()?, free_address()?];
    let mut endpoints = Vec::new();
    for (number, &address) in addresses.iter().enumerate() {
        endpoints.push(start_endpoint(stage, number, address)?);
    }
    let peer = stage.start_peer(kind, Setup::Several(addresses))?;
    let metrics_before = metrics(&peer);
    let deeds = Deeds::default();
    let over = AtomicBool::new(false);
    let start = Instant::now();
    let plan = Plan {
        to: peer.address,
        path: "/item".to_owned(),
        rate: STEADY_RATE,
        connections: 32,
        seconds: length.as_secs_f64(),
    };
    let mut memory = Vec::new();
    let load = std::thread::scope(|scope| {
        let load = scope.spawn(|| load::paced(&stage.programs.own, &plan));
        for number in 0..NEIGHBOURS {
            let (deeds, over, address) = (&deeds, &over, peer.address);
            for act in [slow_read, slow_write, abort, reset] {
                scope.spawn(move || {
                    while !over.load(Relaxed) {
                        // What fails is part of the deed; a pause keeps a refusing proxy from being flooded.
                        let _ = act(address, deeds, over);
                        std::thread::sleep(Duration::from_millis(20 + 7 * number as u64));
                    }
                });
            }
        }
        let mut down: Option<(usize, Instant)> = None;
        let mut last_kill = Instant::now();
        let mut next = 0;
        while start.elapsed() < length {
            std::thread::sleep(Duration::from_millis(250));
            memory.push((start.elapsed(), peer.process.resident_kib()));
            match down {
                Some((number, since)) if since.elapsed() >= DOWN => {
                    match start_endpoint(stage, number, addresses[number]) {
                        Ok(endpoint) => endpoints[number] = endpoint,
                        Err(why) => eprintln!("endpoint {number} does not come back: {why}"),
                    }
                    down = None;
                }
                None if last_kill.elapsed() >= KILL_EVERY => {
                    let _ = endpoints[next].signal(Signal::KILL);
                    deeds.kills.fetch_add(1, Relaxed);
                    down = Some((next, Instant::now()));
                    last_kill = Instant::now();
                    next = (next + 1) % ENDPOINTS;
                }
                _ => {}
            }
        }
        over.store(true, Relaxed);
        load.join().unwrap_or_else(|_| Err("the load's thread ended early".to_owned()))
    })?;
    let left_over = left_over(peer.address);
    let metrics_after = metrics(&peer);
    Ok(render(kind, &load, &deeds, &memory, left_over, &changes(&metrics_before, &metrics_after)))
}

fn start_endpoint(stage: &Stage, number: usize, address: SocketAddr) -> Outcome<Process> {
    let config = stage.endpoint_config(number, address)?;
    let arguments = ["-p".into(), stage.folder().to_owned(), "-c".into(), config];
    let name = format!("endpoint{number}");
    let mut process = Process::start(&name, LOAD_CORE, Path::new("nginx"), &arguments, stage.folder())?;
    process.wait_listening(address)?;
    Ok(process)
}

/// Reads 1 MiB in pieces of 8 KiB with pauses, so that the answer backs up through the proxy.
fn slow_read(to: SocketAddr, deeds: &Deeds, over: &AtomicBool) -> std::io::Result<()> {
    let mut stream = connect(to)?;
    stream.write_all(b"GET /files/1m HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")?;
    let mut piece = [0; 8 * 1024];
    let mut received = 0;
    deeds.slow_reads.fetch_add(1, Relaxed);
    while !over.load(Relaxed) {
        match stream.read(&mut piece) {
            Ok(0) if received >= 1024 * 1024 => return Ok(()),
            Ok(0) | Err(_) => {
                deeds.slow_reads_cut.fetch_add(1, Relaxed);
                return Ok(());
            }
            Ok(count) => received += count,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Sends a request in small pieces: the head in three, the body of 2 KiB in 64.
fn slow_write(to: SocketAddr, deeds: &Deeds, over: &AtomicBool) -> std::io::Result<()> {
    let mut stream = connect(to)?;
    deeds.slow_writes.fetch_add(1, Relaxed);
    let mut send = || -> std::io::Result<bool> {
        for piece in
            ["POST /post HTTP/1.1\r\nHo", "st: soak\r\nContent-Length: 2048\r\nConn", "ection: close\r\n\r\n"]
        {
            stream.write_all(piece.as_bytes())?;
            std::thread::sleep(Duration::from_millis(50));
        }
        for _ in 0..64 {
            if over.load(Relaxed) {
                return Ok(true);
            }
            stream.write_all(&[b'x'; 32])?;
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    if !matches!(send(), Ok(true)) {
        deeds.slow_writes_cut.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Leaves politely (FIN) in the middle of a body.
fn abort(to: SocketAddr, deeds: &Deeds, _: &AtomicBool) -> std::io::Result<()> {
    let mut stream = connect(to)?;
    stream.write_all(b"GET /files/1m HTTP/1.1\r\nHost: soak\r\n\r\n")?;
    let _ = stream.read(&mut [0; 16 * 1024])?;
    deeds.aborts.fetch_add(1, Relaxed);
    stream.shutdown(std::net::Shutdown::Both)
}

/// Leaves with a reset in the middle of a request's body.
fn reset(to: SocketAddr, deeds: &Deeds, _: &AtomicBool) -> std::io::Result<()> {
    let mut stream = connect(to)?;
    stream.write_all(b"POST /post HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\nsome of it")?;
    // Closing with zero linger sends a reset instead of what is left.
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    deeds.resets.fetch_add(1, Relaxed);
    Ok(())
}

fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Connections on the proxy's port that outlive their clients.
fn left_over(address: SocketAddr) -> usize {
    let deadline = Instant::now() + SETTLE;
    loop {
        let open = established(address.port());
        if open == 0 || Instant::now() > deadline {
            return open;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Sockets whose own port is `port` and that are neither listening nor waiting out their time.
fn established(port: u16) -> usize {
    const LISTEN: &str = "0A";
    const TIME_WAIT: &str = "06";
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let own = format!(":{port:04X}");
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.nth(1)?, words.nth(1)?))
        })
        .filter(|(local, state)| local.ends_with(&own) && ![LISTEN, TIME_WAIT].contains(state))
        .count()
}

/// Lines of the Prometheus text; empty for proxies without.
fn metrics(peer: &Peer) -> Vec<(String, f64)> {
    let Ok((200, text)) = probe::get(peer.admin, "admin", "/metrics") else { return Vec::new() };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

/// Counters of trouble that moved.
fn changes(before: &[(String, f64)], after: &[(String, f64)]) -> Vec<String> {
    let moved = after.iter().filter(|(name, _)| is_trouble(name)).filter_map(|(name, value)| {
        let was = before.iter().find(|(other, _)| other == name).map_or(0.0, |(_, value)| *value);
        (*value > was).then(|| format!("`{name}` +{}", value - was))
    });
    moved.collect()
}

/// See docs/metrics.md.
fn is_trouble(series: &str) -> bool {
    let family = series.split('{').next().unwrap_or(series);
    match family {
        "headgate_requests_total" => series.contains("code=\"4xx\"") || series.contains("code=\"5xx\""),
        "headgate_upstream_requests_total" => !series.contains("outcome=\"ok\""),
        _ => ["faults", "bad_requests", "retries", "refused", "dropped", "lost"]
            .iter()
            .any(|word| family.ends_with(&format!("{word}_total"))),
    }
}

fn render(
    kind: Kind,
    load: &load::Load,
    deeds: &Deeds,
    memory: &[(Duration, u64)],
    left_over: usize,
    counters: &[String],
) -> (String, Vec<String>) {
    // The highest level of each third, so that a moment between two requests does not pass for a low one.
    let third = memory.len().div_ceil(3).max(1);
    let levels: Vec<f64> = memory
        .chunks(third)
        .map(|part| part.iter().map(|(_, kib)| *kib).max().unwrap_or(0) as f64 / 1024.0)
        .collect();
    let count = |counter: &AtomicU64| counter.load(Relaxed).to_string();
    let lines = vec![
        vec!["what".to_owned(), "count".to_owned(), "of these cut".to_owned()],
        vec!["steady requests answered".to_owned(), load.completed.to_string(), "-".to_owned()],
        vec!["slow readers".to_owned(), count(&deeds.slow_reads), count(&deeds.slow_reads_cut)],
        vec!["slow writers".to_owned(), count(&deeds.slow_writes), count(&deeds.slow_writes_cut)],
        vec!["aborts in the answer".to_owned(), count(&deeds.aborts), "-".to_owned()],
        vec!["resets in the request".to_owned(), count(&deeds.resets), "-".to_owned()],
        vec!["endpoints killed".to_owned(), count(&deeds.kills), "-".to_owned()],
    ];
    let steady = if load.errors.is_empty() { "all answered".to_owned() } else { load.errors.join(", ") };
    let mut text = format!("\n### {}\n\n{}\n- steady requests: {steady}\n", kind.name(), table(&lines));
    let shown: Vec<String> = levels.iter().map(|mib| format!("{mib:.1}")).collect();
    text.push_str(&format!("- highest RSS of each third, MiB: {}\n", shown.join(", ")));
    text.push_str(&format!("- connections left {} s after the last client: {left_over}\n", SETTLE.as_secs()));
    for counter in counters {
        text.push_str(&format!("- counted by the proxy: {counter}\n"));
    }
    let mut failed = Vec::new();
    if let [_, middle, end] = levels[..]
        && end > middle * (1.0 + LEVEL_PERCENT / 100.0)
    {
        failed.push(format!("{}: memory grew from {middle:.1} to {end:.1} MiB", kind.name()));
    }
    if left_over > 0 {
        failed.push(format!("{}: {left_over} connections are stuck", kind.name()));
    }
    (text, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trouble_that_moved_is_shown() {
        let series = |name: &str, value| (name.to_owned(), value);
        let before = [series("headgate_faults_total{kind=\"a\"}", 2.0)];
        let after = [
            series("headgate_faults_total{kind=\"a\"}", 5.0),
            series("headgate_requests_total{code=\"2xx\"}", 9.0),
            series("headgate_requests_total{code=\"5xx\"}", 1.0),
            series("headgate_upstream_requests_total{outcome=\"ok\"}", 9.0),
            series("headgate_upstream_retries_total", 0.0),
        ];
        let expected =
            ["`headgate_faults_total{kind=\"a\"}` +3", "`headgate_requests_total{code=\"5xx\"}` +1"];
        assert_eq!(changes(&before, &after), expected);
    }
}
