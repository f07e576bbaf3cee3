//! Interleaved rounds: the same load for every proxy in turn, with what it cost.

use super::load::Load;
use super::options::Options;
use super::peers::{Kind, LOAD_CORE, PROXY_CORE, Peer};
use super::process::CoreTime;
use super::report::{Metric, Row, Sample};
use super::stage::Peers;
use crate::Outcome;
use std::time::Instant;

/// One warm-up, then interleaved rounds whose order rotates, so that no proxy always follows the same one.
pub(crate) fn rounds(
    options: &Options,
    name: &str,
    peers: &mut Peers,
    load: impl Fn(&Peer, u64) -> Outcome<Load>,
) -> Row {
    let mut results: Vec<(Kind, Outcome<Vec<Sample>>)> =
        peers.iter_mut().map(|(kind, peer)| (*kind, ready(peer).map(|_| Vec::new()))).collect();
    for round in 0..=options.rounds {
        for turn in 0..peers.len() {
            let index = (round + turn) % peers.len();
            let (Ok(samples), Ok(peer)) = (&mut results[index].1, ready(&mut peers[index].1)) else {
                continue;
            };
            let seconds = if round == 0 { 1 } else { options.seconds };
            match measure(peer, || load(peer, seconds)) {
                Ok(sample) if round > 0 => samples.push(sample),
                Ok(_) => {}
                Err(why) => results[index].1 = Err(why),
            }
        }
    }
    for (index, (_, peer)) in peers.iter_mut().enumerate() {
        if let Err(why) = ready(peer) {
            results[index].1 = Err(why);
        }
    }
    Row { name: name.to_owned(), peers: results, goals: Vec::new(), relay_goal: None }
}

/// The peer when it runs, why not otherwise.
pub(crate) fn ready(peer: &mut Outcome<Peer>) -> Outcome<&Peer> {
    match peer {
        Ok(peer) => peer.process.alive().map(|()| &*peer),
        Err(why) => Err(why.clone()),
    }
}

/// Runs one load with the proxy's and both cores' time taken around it.
fn measure(peer: &Peer, load: impl FnOnce() -> Outcome<Load>) -> Outcome<Sample> {
    let cores = || (CoreTime::of(PROXY_CORE), CoreTime::of(LOAD_CORE));
    let (proxy_core, load_core) = cores();
    let cpu = peer.process.cpu_time();
    let start = Instant::now();
    let load = load()?;
    let wall_us = start.elapsed().as_secs_f64() * 1e6;
    let (user, kernel) = peer.process.cpu_time().micros_since(&cpu);
    let (proxy_core_end, load_core_end) = cores();
    if load.completed == 0 {
        return Err(format!("no request was answered: {}", load.errors.join(", ")));
    }
    let count = load.completed as f64;
    let own_percent = 100.0 * (user + kernel) / wall_us;
    let mut values = vec![(Metric::Rate, count / load.seconds)];
    values.extend(load.p50_us.map(|value| (Metric::P50, value)));
    values.extend(load.p99_us.map(|value| (Metric::P99, value)));
    values.extend(load.late_p99_us.map(|value| (Metric::Late, value)));
    values.extend(load.hit_percent.map(|value| (Metric::Hits, value)));
    values.extend([
        (Metric::Cpu, (user + kernel) / count),
        (Metric::CpuUser, user / count),
        (Metric::CpuKernel, kernel / count),
        (Metric::Resident, peer.process.resident_kib() as f64 / 1024.0),
        (Metric::LoadBusy, load_core_end.busy_percent_since(&load_core)),
        (Metric::Foreign, (proxy_core_end.busy_percent_since(&proxy_core) - own_percent).max(0.0)),
    ]);
    Ok(Sample { values, errors: load.errors })
}
