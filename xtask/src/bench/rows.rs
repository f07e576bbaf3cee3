//! The rows of `cargo xtask bench proxy`: what is asked of every proxy, in interleaved rounds.

use super::load;
use super::machine;
use super::options::Options;
use super::paced::Plan;
use super::peers::{Kind, Peer, Setup};
use super::probe;
use super::report::{self, Metric, Row, Sample};
use super::rounds::{ready, rounds};
use super::stage::Stage;
use crate::Outcome;
use std::time::{Duration, Instant};

/// CPU per request of the better peer that the core is to stay below.
const CPU_GOAL: f64 = 0.85;
/// CPU per request of the byte relay that the core is to stay below.
const RELAY_GOAL: f64 = 1.15;
/// Everything else: level with the best peer, within what a median of rounds can tell.
const LEVEL: f64 = 1.0;

/// Measures every wanted row, prints each as it comes, and stores the report when asked to.
pub(crate) fn run(options: &Options) -> Outcome {
    let stage = Stage::set(options)?;
    let head = machine::description(options, &stage.programs.headgate);
    println!("{}\n", head.join("\n"));
    let mut rows = Vec::new();
    let mut done = |row: Row| {
        println!("{}", row.render());
        rows.push(row);
    };
    plain_rows(options, &stage, &mut done);
    tls_rows(options, &stage, &mut done);
    if options.wants("routes") {
        routes_rows(options, &stage, &mut done);
    }
    if options.write {
        let settings = "The settings of every proxy are in `xtask/src/bench/configs.rs`.";
        report::store(options, &head, "proxy", "Proxies side by side", settings, &rows)?;
    }
    Ok(())
}

fn plain_rows(options: &Options, stage: &Stage, done: &mut impl FnMut(Row)) {
    let bodies = [
        ("64k", "64 KiB body, 64 connections", "files/64k", "get.lua"),
        ("1m", "1 MiB body, 64 connections", "files/1m", "get.lua"),
        ("post", "POST 16 KiB, 64 connections", "post", "post.lua"),
    ];
    let wanted = ["small", "64k", "1m", "post", "paced", "idle"];
    if !wanted.iter().any(|row| options.wants(row)) {
        return;
    }
    let mut peers = stage.start_peers(&options.only, Setup::Plain);
    let wrk = |peer: &Peer, path: &str, script: &str, connections: usize, seconds: u64| {
        let url = format!("http://{}/{path}", peer.address);
        load::wrk(&url, connections, seconds, &stage.script(script))
    };
    let mut weakest = None;
    if options.wants("small") {
        for &connections in &options.connections {
            let name = format!("small keep-alive, {connections} connections");
            let mut row = rounds(options, &name, &mut peers, |peer, seconds| {
                wrk(peer, "", "get.lua", connections, seconds)
            });
            row.goals = vec![(Metric::Cpu, CPU_GOAL)];
            row.relay_goal = Some(RELAY_GOAL);
            if connections == 64 {
                weakest = weakest_rate(&row);
            }
            done(row);
        }
    }
    for (_, name, path, script) in bodies.into_iter().filter(|(key, ..)| options.wants(key)) {
        let mut row = rounds(options, name, &mut peers, |peer, seconds| wrk(peer, path, script, 64, seconds));
        row.goals = vec![(Metric::Cpu, LEVEL)];
        done(row);
    }
    if options.wants("paced") {
        let weakest = weakest.or_else(|| {
            let once = Options { rounds: 1, ..options.clone() };
            weakest_rate(&rounds(&once, "maximum", &mut peers, |peer, seconds| {
                wrk(peer, "", "get.lua", 64, seconds)
            }))
        });
        for percent in [50.0, 80.0] {
            let Some(weakest) = weakest else { continue };
            let rate = (weakest * percent / 100.0).round();
            let name = format!("fixed rate, {percent:.0} % of the weakest peer's maximum ({rate:.0} per s)");
            let mut row = rounds(options, &name, &mut peers, |peer, seconds| {
                let path = "/".to_owned();
                let plan = Plan { to: peer.address, path, rate, connections: 64, seconds: seconds as f64 };
                load::paced(&stage.programs.own, &plan)
            });
            row.goals = vec![(Metric::P99, LEVEL)];
            done(row);
        }
    }
    drop(peers);
    if options.wants("idle") {
        done(idle_row(options, stage));
    }
}

/// The maximum of the slower of NGINX and HAProxy, in requests per second.
fn weakest_rate(row: &Row) -> Option<f64> {
    let rates = [Kind::Nginx, Kind::Haproxy].into_iter().filter_map(|kind| row.median(kind, Metric::Rate));
    rates.min_by(f64::total_cmp)
}

fn idle_row(options: &Options, stage: &Stage) -> Row {
    // The relay holds a second socket for each connection, which is a property of relays, not a floor.
    let only: Vec<Kind> = options.only.iter().copied().filter(|&kind| kind != Kind::Relay).collect();
    let mut peers = stage.start_peers(&only, Setup::Plain);
    let measured = peers.iter_mut().map(|(kind, peer)| {
        let sample = ready(peer).and_then(|peer| {
            // The first connections pay for what every later one shares.
            drop(probe::hold(peer.address, 64)?);
            let before = peer.process.resident_kib();
            let held = probe::hold(peer.address, options.idle)?;
            let after = peer.process.resident_kib();
            let per_connection = after.saturating_sub(before) as f64 / held.len() as f64;
            let values =
                vec![(Metric::Resident, after as f64 / 1024.0), (Metric::PerConnection, per_connection)];
            Ok(vec![Sample { values, errors: Vec::new() }])
        });
        (*kind, sample)
    });
    Row {
        name: format!("{} idle connections, one request each before (one round)", options.idle),
        peers: measured.collect(),
        goals: vec![(Metric::PerConnection, LEVEL)],
        relay_goal: None,
    }
}

fn tls_rows(options: &Options, stage: &Stage, done: &mut impl FnMut(Row)) {
    if !["tls", "handshakes", "h2"].iter().any(|row| options.wants(row)) {
        return;
    }
    let mut peers = stage.start_peers(&options.only, Setup::Tls);
    if options.wants("tls") {
        done(level(rounds(
            options,
            "TLS 1.3 keep-alive, small, 64 connections",
            &mut peers,
            |peer, seconds| {
                let url = format!("https://{}/", peer.address);
                load::wrk(&url, 64, seconds, &stage.script("get.lua"))
            },
        )));
    }
    if options.wants("handshakes") {
        let name = "full TLS 1.3 handshakes (ECDSA P-256), 8 clients; figures per handshake";
        done(level(rounds(options, name, &mut peers, |peer, seconds| {
            load::handshakes(peer.address, 8, seconds)
        })));
    }
    if options.wants("h2") {
        let name = "HTTP/2 over TLS, small, 8 connections of 32 streams";
        done(level(rounds(options, name, &mut peers, |peer, seconds| {
            load::h2load(&format!("https://{}/", peer.address), 8, 32, seconds, stage.folder())
        })));
    }
}

fn routes_rows(options: &Options, stage: &Stage, done: &mut impl FnMut(Row)) {
    let mut peers = stage.start_peers(&options.only, Setup::Routes(options.routes));
    let name = format!("{} routes, requests spread over all, 64 connections", options.routes);
    let mut row = rounds(options, &name, &mut peers, |peer, seconds| {
        load::wrk(&format!("http://{}/", peer.address), 64, seconds, &stage.script("routes.lua"))
    });
    row.goals = vec![(Metric::Cpu, LEVEL), (Metric::Resident, LEVEL)];
    done(row);
    let mut reload = 0;
    let measured = peers.iter_mut().map(|(kind, peer)| {
        let samples = ready(peer).and_then(|peer| {
            (0..options.rounds)
                .map(|_| {
                    reload += 1;
                    let prefix = format!("/reload{reload}/");
                    let start = Instant::now();
                    peer.reload_with_route(&prefix)?;
                    probe::until_answered(peer.address, "host0.example", &prefix)?;
                    let took = start.elapsed().as_secs_f64() * 1e3;
                    // Old workers, where there are any, leave before the next reload.
                    std::thread::sleep(Duration::from_millis(500));
                    let resident = peer.process.resident_kib() as f64 / 1024.0;
                    let values = vec![(Metric::Resident, resident), (Metric::Reload, took)];
                    Ok(Sample { values, errors: Vec::new() })
                })
                .collect()
        });
        (*kind, samples)
    });
    let peers = measured.collect();
    let name = format!(
        "reload of {} routes: from writing the file to the first answer by a new route",
        options.routes
    );
    done(Row { name, peers, goals: vec![(Metric::Reload, LEVEL)], relay_goal: None });
}

fn level(row: Row) -> Row {
    Row { goals: vec![(Metric::Cpu, LEVEL)], ..row }
}
