//! Faults of the bytes: the toxics under their own names, and corruption, over HTTP/1, HTTP/2 and TLS.

use super::{config, logged};
use crate::support::{Headgate, Origin, Service, assert_same, noise, response};
use std::time::{Duration, Instant};

const ONCE: &str = "retry = { attempts = 1 }";
const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// A service that sends back what it got, and a gateway before it with that fault on every connection.
fn echoing(fault: &str) -> (Headgate, Service) {
    let service = Service::start(|request| response(&[], &request.body));
    (Headgate::start(&config(ONCE, &[service.address], fault)), service)
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn what_shapes_the_flow_loses_nothing_and_takes_its_time() {
    let body = noise(1, 20_000);
    for (fault, at_least) in [
        ("{ latency = { latency = \"200ms\", jitter = \"0s\" } }", 200),
        ("{ latency = { latency = \"200ms\", stream = \"upstream\" } }", 200),
        ("{ bandwidth = { rate = \"40kB\" } }", 500),
        ("{ bandwidth = { rate = \"40kB\", stream = \"upstream\" } }", 500),
        ("{ slicer = { average_size = \"1kB\", size_variation = \"500B\", delay = \"5ms\" } }", 60),
        ("{ slicer = { average_size = \"1kB\", delay = \"5ms\", stream = \"upstream\" } }", 60),
    ] {
        let (gateway, _service) = echoing(fault);
        let started = Instant::now();
        let answer = gateway.connect().ask(post(&body));
        assert!(started.elapsed() >= Duration::from_millis(at_least), "{fault}: {:?}", started.elapsed());
        assert_same(&answer.body, &body, fault);
    }
}

#[test]
fn each_request_that_is_hit_has_a_connection_of_its_own() {
    let (gateway, service) = echoing("{ latency = { latency = \"1ms\" } }");
    let mut client = gateway.connect();
    for count in 1..=3 {
        assert_eq!(client.ask(post(b"hello")).body, b"hello");
        assert_eq!(service.connections(), count);
    }
}

#[test]
fn a_slow_close_delays_the_end_of_a_body() {
    let origin = Origin::start();
    let gateway = Headgate::start(&config(ONCE, &[origin.address], "{ slow_close = { delay = \"300ms\" } }"));
    let mut client = gateway.connect();
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    let started = Instant::now();
    drop(upstream);
    let response = client.response();
    assert_eq!(response.text(), "until the end");
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
}

#[test]
fn a_slow_close_upstream_keeps_the_endpoint_waiting() {
    let origin = Origin::start();
    let fault = "{ slow_close = { delay = \"300ms\", stream = \"upstream\" } }";
    let gateway = Headgate::start(&config(ONCE, &[origin.address], fault));
    let mut client = gateway.connect();
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    let started = Instant::now();
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(client.response().text(), "ok");
    upstream.assert_ended();
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
}

#[test]
fn a_timeout_swallows_everything_and_closes() {
    for stream in ["upstream", "downstream"] {
        let service = Service::named("app");
        let fault = format!("{{ timeout = {{ timeout = \"200ms\", stream = \"{stream}\" }} }}");
        let mut gateway = logged(&config(ONCE, &[service.address], &fault));
        let started = Instant::now();
        assert_eq!(gateway.connect().get("/").status(), 502);
        assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
        assert_eq!(gateway.line(), "502 upstream_reset true");
        assert_eq!(service.requests(), usize::from(stream == "downstream"));
    }
    let service = Service::named("app");
    let settings = format!("{ONCE}\ntimeouts = {{ first_byte = \"200ms\" }}");
    let mut gateway = logged(&config(&settings, &[service.address], "{ timeout = { timeout = \"0s\" } }"));
    assert_eq!(gateway.connect().get("/").status(), 504);
    assert_eq!(gateway.line(), "504 first_byte_timeout true");
}

#[test]
fn a_reset_peer_is_a_reset_and_no_end() {
    for stream in ["upstream", "downstream"] {
        let service = Service::named("app");
        let fault = format!("{{ reset_peer = {{ timeout = \"10ms\", stream = \"{stream}\" }} }}");
        let mut gateway = logged(&config(ONCE, &[service.address], &fault));
        assert_eq!(gateway.connect().get("/").status(), 502);
        assert_eq!(gateway.line(), "502 upstream_reset true");
    }
}

#[test]
fn limited_data_cuts_the_response() {
    let body = noise(2, 10_000);
    let (gateway, _service) = echoing("{ limit_data = { bytes = \"5kB\" } }");
    let mut client = gateway.connect();
    client.send(post(&body));
    let head = client.head();
    assert_eq!((head.status(), head.value("content-length")), (200, Some("10000")));
    let (rest, _) = client.rest();
    assert!((4_000..5_000).contains(&rest.len()), "{}", rest.len());
    assert_same(&rest, &body[..rest.len()], "what came of it");

    let (gateway, service) = echoing("{ limit_data = { bytes = \"5kB\", stream = \"upstream\" } }");
    assert_eq!(gateway.connect().ask(post(&body)).status(), 502);
    assert_eq!(service.requests(), 0);
}

#[test]
fn corruption_changes_content_and_no_framing() {
    let body = vec![b'a'; 5_000];
    for (stream, part) in [("downstream", "1.0"), ("upstream", "1.0"), ("downstream", "0.1")] {
        let (gateway, service) =
            echoing(&format!("{{ corrupt = {{ probability = {part}, stream = \"{stream}\" }} }}"));
        let mut client = gateway.connect();
        for _ in 0..2 {
            let answer = client.ask(post(&body));
            assert_eq!((answer.status(), answer.body.len()), (200, body.len()));
            let changed = answer.body.iter().filter(|&&byte| byte != b'a').count();
            let wanted = if part == "1.0" { 5_000..=5_000 } else { 250..=750 };
            assert!(wanted.contains(&changed), "{stream} {part}: {changed}");
        }
        let chunked =
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(client.ask(chunked).body.len(), 3, "{stream}");
        assert_eq!(service.requests(), 3);
    }
}

#[test]
fn toxics_act_on_http2_endpoints_too() {
    // A gateway in between speaks HTTP/2 to one that is plain.
    let service = Service::start(|request| response(&[], &request.body));
    let plain = Headgate::start(&crate::support::one_service("http2 = true", "", &[service.address]));
    let body = vec![b'a'; 3_000];
    let before = |fault: &str| {
        let settings = format!("{ONCE}\nprotocol = \"http2\"");
        Headgate::start(&config(&settings, &[plain.listener("web")], fault))
    };
    let gateway = before("{ latency = { latency = \"200ms\" } }");
    let mut client = gateway.connect();
    for _ in 0..2 {
        let started = Instant::now();
        assert_eq!(client.ask(post(&body)).body, body);
        assert!(started.elapsed() >= Duration::from_millis(200));
    }
    let corrupted = before("{ corrupt = { probability = 1.0 } }").connect().ask(post(&body));
    assert_eq!((corrupted.status(), corrupted.body.len()), (200, body.len()));
    assert!(corrupted.body.iter().all(|&byte| byte != b'a'));
    assert!(matches!(before("{ reset_peer = {} }").connect().ask(post(&body)).status(), 502 | 504));
}

#[test]
fn a_tunnel_goes_through_the_toxics() {
    let origin = Origin::start();
    let gateway = Headgate::start(&config(ONCE, &[origin.address], "{ latency = { latency = \"100ms\" } }"));
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
    assert_eq!(client.head().status(), 101);
    client.send("ping");
    upstream.expect("ping");
    let started = Instant::now();
    upstream.send("pong");
    client.expect("pong");
    assert!(started.elapsed() >= Duration::from_millis(100), "{:?}", started.elapsed());
}
