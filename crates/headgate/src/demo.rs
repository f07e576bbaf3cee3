//! `headgate demo`: three small real service processes, the gateway in front of them, and one line of live
//! statistics. Ctrl-C stops everything.

use crate::say::{Failure, say};
use crate::supervisor;
use headgate_control::watch::Watch;
use headgate_model::spec::{
    AdminSpec, Config, EndpointSpec, Health, ListenSpec, Profile, RouteSpec, ServiceSpec,
};
use headgate_observe::log;
use headgate_observe::top::{TopSampler, TopSnapshot};
use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Name, mean service time and its variation.
const SERVICES: [(&str, &str, &str); 3] =
    [("ada", "2ms", "0.2"), ("grace", "5ms", "0.5"), ("edsger", "9ms", "1.0")];

pub(crate) fn demo(listen: &str, admin: &str) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let mut children = Children(Vec::new());
    let mut endpoints = Vec::new();
    for (name, mean, variation) in SERVICES {
        let address = free_address()?;
        let mut command = Command::new(&program);
        command.args(["service", "--listen", &address.to_string(), "--name", name]);
        command.args(["--mean", mean, "--variation", variation, "--with-parent"]);
        // Nobody writes to it. However this process ends, its end of the pipe closes, and the service stops.
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        children.0.push(command.spawn()?);
        endpoints.push(EndpointSpec::Address(address.to_string()));
        say(&format!("service {name:<7} http://{address}  mean {mean}, variation {variation}"))?;
    }
    let mut config = Config {
        profile: Profile::Heuristic,
        admin: Some(AdminSpec { bind: admin.to_owned(), hosts: Vec::new() }),
        ..Config::default()
    };
    config
        .listeners
        .insert("web".to_owned(), ListenSpec { bind: listen.to_owned(), ..ListenSpec::default() });
    let health = Some(Health::Path("/healthz".to_owned()));
    config.services.insert("demo".to_owned(), ServiceSpec { endpoints, health, ..ServiceSpec::default() });
    config.routes.push(RouteSpec {
        pattern: "/*".to_owned(),
        service: Some("demo".to_owned()),
        ..RouteSpec::default()
    });
    log::only_troubles();
    // On a terminal the line stays where it is; in a file or a pipe each second has its own.
    let (before, after) = if std::io::stdout().is_terminal() { ("\r\x1b[K", "") } else { ("", "\n") };
    supervisor::run(None, Watch::default(), config, |running| {
        let listen =
            running.addresses().into_iter().next().map_or_else(|| listen.to_owned(), |(_, address)| address);
        say(&format!("gateway         http://{listen}  balancing by power of two choices"))?;
        say(&format!("metrics         http://{admin}/metrics"))?;
        say(&format!("\ntry             curl -i http://{listen}/\n\nCtrl-C stops everything."))?;
        let shared = running.shared();
        std::thread::Builder::new().name("statistics".to_owned()).spawn(move || {
            let mut sampler = TopSampler::default();
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let top = sampler.sample(&shared.registry, shared.now());
                let mut out = std::io::stdout().lock();
                // A closed terminal ends the statistics, not the gateway.
                if write!(out, "{before}{}{after}", line(&top)).and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        })?;
        Ok(())
    })?;
    drop(children);
    say("\nstopped")
}

/// An address that was free a moment ago.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// The service processes; stopped when dropped.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Fails only for one that has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One line of statistics that fits a terminal.
fn line(top: &TopSnapshot) -> String {
    let mut line = format!(
        "{:>7.0} req/s  {:>4.0} err/s  p50 {:>6}  p99 {:>6}  conns {:<4}",
        top.requests.per_s,
        top.requests.errors_per_s,
        milliseconds(top.requests.latency.p50_us),
        milliseconds(top.requests.latency.p99_us),
        top.connections.active,
    );
    for endpoint in &top.endpoints {
        let port = endpoint.endpoint.rsplit(':').next().unwrap_or_default();
        line.push_str(&format!("  :{port} {:.0}/s", endpoint.requests_per_s));
    }
    line
}

fn milliseconds(us: u64) -> String {
    format!("{:.1}ms", us as f64 / 1_000.0)
}
