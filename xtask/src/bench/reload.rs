//! `cargo xtask bench reload`: what reloads and a binary upgrade cost the clients. Paced requests and open
//! WebSockets go on while the configuration is replaced; every failed request and closed WebSocket counts.

use super::load::{self, Load};
use super::machine::{self, require};
use super::options::Options;
use super::paced::Plan;
use super::peers::{Kind, LOAD_CORE, Peer, Setup};
use super::probe;
use super::process::{Process, free_address};
use super::report::{spread, table};
use super::stage::Stage;
use super::websocket::WebSocket;
use crate::Outcome;
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Requests per second.
const RATE: f64 = 5_000.0;
const WEBSOCKETS: usize = 200;
const RELOADS: usize = 20;
/// From one reload to the next.
const PERIOD: Duration = Duration::from_millis(500);
/// How long an upgrade's phase lasts: longer than the new process needs to start and the old one to hand over.
const UPGRADE_SECONDS: u64 = 10;

/// What one phase did to its clients.
struct Phase {
    name: &'static str,
    load: Load,
    websockets_open: usize,
    websockets_closed: usize,
}

/// Takes `--only NAME`, `--headgate PATH` and `--write`. NGINX can be measured for comparison; HAProxy and the
/// relay have nothing to compare.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("reload", arguments)?;
    require("taskset", "util-linux")?;
    let stage = Stage::set(&options)?;
    let echo = free_address()?;
    let listen = ["echo".to_owned(), echo.to_string()];
    let mut server = Process::start("echo", LOAD_CORE, &stage.programs.own, &listen, stage.folder())?;
    server.wait_listening(echo)?;
    let mut text = format!("{}\n", machine::description(&options, &stage.programs.headgate).join("\n"));
    let mut lost = 0;
    for &kind in options.only.iter().filter(|kind| [Kind::Headgate, Kind::Nginx].contains(kind)) {
        let mut peer = stage.start_peer(kind, Setup::Tunnel(echo))?;
        let (phases, reloads_ms) = measure(&stage, &mut peer)?;
        let report = render(kind, &phases, reloads_ms);
        println!("{report}");
        text.push_str(&report);
        if kind == Kind::Headgate {
            // An upgrade may end tunnels: it replaces the process that holds them.
            lost += phases.iter().map(|phase| phase.load.errors.len()).sum::<usize>();
            lost += phases[0].websockets_closed;
        }
    }
    if options.write {
        machine::store("reload", "Reloads under load", &options.command, &text)?;
    }
    if lost > 0 {
        return Err("reload: requests or WebSockets were lost".to_owned());
    }
    Ok(())
}

fn measure(stage: &Stage, peer: &mut Peer) -> Outcome<(Vec<Phase>, Vec<f64>)> {
    let mut reloads_ms = Vec::new();
    let seconds = (PERIOD * RELOADS as u32).as_secs() + 2;
    let reloads = under_load(stage, peer, "20 reloads", seconds, |peer| {
        for number in 0..RELOADS {
            let start = Instant::now();
            let prefix = format!("/reload{number}/");
            peer.reload_with_route(&prefix)?;
            probe::until_answered(peer.address, "bench.example", &prefix)?;
            reloads_ms.push(start.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(PERIOD.saturating_sub(start.elapsed()));
        }
        Ok(())
    })?;
    let mut phases = vec![reloads];
    if peer.kind == Kind::Headgate {
        phases.push(under_load(stage, peer, "binary upgrade", UPGRADE_SECONDS, |peer| {
            peer.process.signal(Signal::USR2)?;
            peer.process.adopt_successor()
        })?);
    }
    Ok((phases, reloads_ms))
}

/// Runs `action` while paced requests and WebSockets are on their way.
fn under_load(
    stage: &Stage,
    peer: &mut Peer,
    name: &'static str,
    seconds: u64,
    action: impl FnOnce(&mut Peer) -> Outcome,
) -> Outcome<Phase> {
    let mut websockets =
        (0..WEBSOCKETS).map(|_| WebSocket::open(peer.address, "/ws")).collect::<Outcome<Vec<_>>>()?;
    let plan = Plan {
        to: peer.address,
        path: "/app/item".to_owned(),
        rate: RATE,
        connections: 64,
        seconds: seconds as f64,
    };
    let (over, closed) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let load = scope.spawn(|| load::paced(&stage.programs.own, &plan));
        scope.spawn(|| {
            while !over.load(Relaxed) {
                let before = websockets.len();
                websockets.retain_mut(|websocket| websocket.echoes("still there?"));
                closed.fetch_add(before - websockets.len(), Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let acted = action(peer);
        let load = load.join().unwrap_or_else(|_| Err("the load's thread ended early".to_owned()));
        over.store(true, Relaxed);
        acted?;
        load
    })
    .map(|load| Phase {
        name,
        load,
        websockets_open: WEBSOCKETS - closed.load(Relaxed),
        websockets_closed: closed.load(Relaxed),
    })
}

fn render(kind: Kind, phases: &[Phase], reloads_ms: Vec<f64>) -> String {
    let head = ["during", "answered", "p50 us", "p99 us", "WebSockets open", "closed"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    let mut notes = Vec::new();
    for phase in phases {
        let micros = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
        lines.push(vec![
            phase.name.to_owned(),
            phase.load.completed.to_string(),
            micros(phase.load.p50_us),
            micros(phase.load.p99_us),
            phase.websockets_open.to_string(),
            phase.websockets_closed.to_string(),
        ]);
        let errors =
            if phase.load.errors.is_empty() { "0 failed".to_owned() } else { phase.load.errors.join(", ") };
        notes.push(format!("- {}: requests: {errors}\n", phase.name));
    }
    if let Some(took) = spread(reloads_ms) {
        notes.push(format!(
            "- reload, from writing the file to the first answer by the new route: {:.1} ms ({:.1}-{:.1})\n",
            took.median, took.least, took.most
        ));
    }
    let title = format!("### {}: {RATE:.0} requests/s, {WEBSOCKETS} WebSockets", kind.name());
    format!("\n{title}\n\n{}\n{}", table(&lines), notes.concat())
}
