//! Endpoints that are not fit are left out, and taken back when they are.

use crate::support::{Headgate, PATIENCE, Port, Service, one_service, output, response};
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
fn top_shows_which_endpoint_is_left_out() {
    let ((a, _), (b, b_is_well)) = (switched("a"), switched("b"));
    let health = "health = { path = \"/healthz\", interval = \"50ms\", timeout = \"5s\" }";
    let config = one_service("", health, &[a.address, b.address]);
    let admin = Port::reserve();
    let gateway = Headgate::start(&format!("admin = {{ bind = \"{}\" }}\n{config}", admin.address));
    b_is_well.store(false, Ordering::SeqCst);
    wait_for(&gateway, &["a"]);
    let shown = output(&["top", "--once", "--admin", &admin.address.to_string()]);
    let text = String::from_utf8(shown.stdout).unwrap();
    let health_of = |service: &Service| {
        let row = text.lines().find(|line| line.starts_with(&service.address.to_string()));
        row.and_then(|row| row.split_whitespace().nth(2)).map(str::to_owned)
    };
    assert_eq!(health_of(&a).as_deref(), Some("healthy"), "{text}");
    assert_eq!(health_of(&b).as_deref(), Some("unhealthy"), "{text}");
}

#[test]
fn an_endpoint_that_keeps_failing_requests_is_ejected() {
    let sick = Service::start(|_| b"HTTP/1.1 500 Sick\r\ncontent-length: 4\r\n\r\nsick".to_vec());
    let well = Service::named("well");
    let settings = "outlier = { consecutive_failures = 3, ejection = \"60s\" }";
    let gateway = Headgate::start(&one_service("", settings, &[sick.address, well.address]));
    wait_for(&gateway, &["well GET / HTTP/1.1"]);
}
