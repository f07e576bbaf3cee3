//! A stop signal: what is under way finishes, what rests is told, and the process ends with success.

use crate::support::{Headgate, Origin, Service, Wire, one_service};
use rustix::process::Signal;
use std::net::TcpStream;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Waits until the gateway takes no new connections any more.
fn wait_until_refused(gateway: &Headgate) {
    let started = std::time::Instant::now();
    while TcpStream::connect(gateway.listener("web")).is_ok() {
        assert!(started.elapsed() < crate::support::PATIENCE, "still accepts connections");
    }
}

fn busy(drain: &str) -> (Headgate, Wire, Wire) {
    let origin = Origin::start();
    let gateway =
        Headgate::start(&format!("drain = \"{drain}\"\n{}", one_service("", "", &[origin.address])));
    let mut client = gateway.connect();
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    (gateway, client, upstream)
}

#[test]
fn requests_under_way_finish_and_the_exit_is_a_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut gateway, mut client, mut upstream) = busy("30s");
        gateway.signal(signal);
        wait_until_refused(&gateway);
        upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        assert_eq!(client.head().status(), 200);
        assert_eq!(client.chunk(), b"half");
        upstream.send("4\r\nrest\r\n0\r\n\r\n");
        assert_eq!(client.chunks().0, b"rest");
        drop(client);
        let (status, stderr) = gateway.wait();
        assert!(status.success(), "{status}: {stderr}");
    }
}

/// A stop finds more connections waiting than are accepted in one turn; the kernel has promised all of them.
#[test]
fn what_waits_to_be_accepted_at_a_stop_is_served() {
    let service = Service::named("app");
    let mut gateway = Headgate::start(&one_service("", "", &[service.address]));
    gateway.signal(Signal::STOP);
    let mut clients: Vec<Wire> = (0..600).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    gateway.signal(Signal::TERM);
    gateway.signal(Signal::CONT);
    for client in &mut clients {
        assert_eq!(client.response().status(), 200);
    }
    let (status, stderr) = gateway.wait();
    assert!(status.success(), "{status}: {stderr}");
}

#[test]
fn a_kept_connection_is_told_to_close_with_its_next_answer() {
    let (mut gateway, mut client, mut upstream) = busy("30s");
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    upstream.send(ok);
    assert!(!client.response().head.has("connection"));
    gateway.signal(Signal::TERM);
    wait_until_refused(&gateway);
    client.send(GET);
    upstream.head();
    upstream.send(ok);
    let response = client.response();
    assert_eq!((response.status(), response.head.value("connection")), (200, Some("close")));
    client.assert_ended();
    assert!(gateway.wait().0.success());
}

#[test]
fn the_drain_time_is_the_longest_that_a_stop_takes() {
    let (mut gateway, mut client, _upstream) = busy("200ms");
    gateway.signal(Signal::TERM);
    client.assert_ended();
    let (status, log) = gateway.wait();
    assert!(status.success());
    assert!(log.contains("stopped connections_cut=1"), "{log}");
}

#[test]
fn the_log_tells_the_start_and_the_end() {
    let origin = Origin::start();
    let mut gateway = Headgate::before(&origin);
    let start = gateway.event("started");
    let version = env!("CARGO_PKG_VERSION");
    let listens =
        format!("version={version} workers=1 listeners=\"web={}\" admin=none", gateway.listener("web"));
    assert!(start.contains("info") && start.contains(&listens), "{start}");
    gateway.signal(Signal::TERM);
    let stopping = gateway.event("stopping");
    assert!(stopping.contains("why=SIGTERM at_most_s=30"), "{stopping}");
    gateway.event("stopped connections_cut=0");
}

#[test]
fn connections_that_wait_to_be_accepted_are_served() {
    let origin = Origin::start();
    let mut gateway = Headgate::before(&origin);
    let mut clients: Vec<Wire> = (0..20).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    }
    gateway.signal(Signal::TERM);
    for _ in 0..clients.len() {
        let mut upstream = origin.accept();
        upstream.head();
        upstream.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "ok");
    }
    assert!(gateway.wait().0.success());
}

#[test]
fn who_asks_twice_does_not_wait_for_the_drain() {
    for again in [Signal::INT, Signal::TERM] {
        let (mut gateway, mut client, _upstream) = busy("10m");
        gateway.signal(Signal::INT);
        wait_until_refused(&gateway);
        gateway.signal(again);
        client.assert_ended();
        let (status, stderr) = gateway.wait();
        assert!(status.success(), "{status}: {stderr}");
    }
}
