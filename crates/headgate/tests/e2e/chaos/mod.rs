//! Injected faults, as clients, endpoints and operators see them.

mod bytes;
mod control;
mod exchange;

use crate::support::{Headgate, one_service};
use std::net::SocketAddr;

/// One service with these endpoints and a rule with this fault for every attempt.
fn config(service: &str, endpoints: &[SocketAddr], fault: &str) -> String {
    format!("{}\n{}", one_service("http2 = true", service, endpoints), rule("all", "", fault))
}

fn rule(name: &str, further: &str, fault: &str) -> String {
    format!("[[chaos]]\nname = \"{name}\"\n{further}\nfault = {fault}\n")
}

/// The same with a JSON access log on standard output.
fn logged(config: &str) -> Headgate {
    Headgate::start(&format!("log = {{ format = \"%status %fault %injected\" }}\n{config}"))
}
