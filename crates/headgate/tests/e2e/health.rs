//! Endpoints that are not fit are left out, and taken back when they are.

use crate::support::{Headgate, PATIENCE, Service, one_service, response};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A service that answers its health check as the switch says.
fn switched(name: &'static str) -> (Service, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&well);
    let service = Service::start(move |request| match request.head.target() {
        "/healthz" if !switch.load(Ordering::SeqCst) => {
            b"HTTP/1.1 500 Sick\r\ncontent-length: 0\r\n\r\n".to_vec()
        }
        _ => response(&[("x-served-by", name)], name.as_bytes()),
    });
    (service, well)
}

/// Asks until the last 20 answers come from exactly these services.
fn wait_for(gateway: &Headgate, names: &[&str]) {
    let started = Instant::now();
    let mut client = gateway.connect();
    loop {
        let seen: BTreeSet<String> = (0..20).map(|_| client.get("/").text()).collect();
        if seen.iter().map(String::as_str).eq(names.iter().copied()) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{seen:?} answer, not {names:?}");
    }
}

#[test]
fn an_endpoint_that_fails_its_checks_is_left_out_until_it_passes_them() {
    let ((a, _), (b, b_is_well)) = (switched("a"), switched("b"));
    let settings = "health = { path = \"/healthz\", interval = \"50ms\", timeout = \"5s\", \
                    healthy_after = 1, unhealthy_after = 2 }";
    let gateway = Headgate::start(&one_service("", settings, &[a.address, b.address]));
    wait_for(&gateway, &["a", "b"]);
    b_is_well.store(false, Ordering::SeqCst);
    wait_for(&gateway, &["a"]);
    b_is_well.store(true, Ordering::SeqCst);
    wait_for(&gateway, &["a", "b"]);
}

#[test]
fn an_endpoint_that_keeps_failing_requests_is_ejected() {
    let sick = Service::start(|_| b"HTTP/1.1 500 Sick\r\ncontent-length: 4\r\n\r\nsick".to_vec());
    let well = Service::named("well");
    let settings = "outlier = { consecutive_failures = 3, ejection = \"60s\" }";
    let gateway = Headgate::start(&one_service("", settings, &[sick.address, well.address]));
    wait_for(&gateway, &["well GET / HTTP/1.1"]);
}
