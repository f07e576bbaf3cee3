//! What a client sees when an origin is slow, broken or gone; and what an origin sees of a client that left.

use crate::support::{End, Headgate, Origin, Port, Service, Wire, one_service};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn asked(service: &str) -> (Headgate, Origin, Wire, Wire) {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("", service, &[origin.address]));
    let mut client = gateway.connect();
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    (gateway, origin, client, upstream)
}

#[test]
fn an_endpoint_that_refuses_connections_is_passed_over_for_every_method() {
    let (dead, live) = (Port::reserve(), Service::named("live"));
    let gateway = Headgate::start(&one_service("", "", &[dead.address, live.address]));
    let mut client = gateway.connect();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "live GET / HTTP/1.1");
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(client.ask(post).text(), "live POST / HTTP/1.1");
    }
    assert_eq!(live.requests(), 8);
}

#[test]
fn when_every_endpoint_is_down_the_answer_says_so() {
    let (one, two) = (Port::reserve(), Port::reserve());
    let gateway = Headgate::start(&one_service("", "", &[one.address, two.address]));
    let mut client = gateway.connect();
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!(response.status(), 502);
        assert_eq!(response.head.value("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.text(), "502 connect_failed: the upstream does not accept connections\n");
        assert!(!response.head.has("connection"), "the client may ask again");
    }
}

#[test]
fn a_service_whose_endpoints_are_all_drained_is_unavailable() {
    let port = Port::reserve();
    let service = format!("endpoints = [{{ address = \"{}\", weight = 0 }}]", port.address);
    let config = one_service("", "", &[]).replace("endpoints = []", &service);
    let response = Headgate::start(&config).connect().get("/");
    assert_eq!(response.status(), 503, "{}", response.text());
    assert!(response.text().starts_with("503 no_endpoint: "), "{}", response.text());
}

/// A socket whose queue of connections is full: further ones are neither accepted nor refused.
fn unresponsive() -> (Socket, Vec<Socket>, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap();
    let waiting = (0..4).map(|_| {
        let waiting = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        waiting.set_nonblocking(true).unwrap();
        let _ = waiting.connect(&address);
        waiting
    });
    let waiting = waiting.collect();
    let address = address.as_socket().unwrap();
    (socket, waiting, address)
}

#[test]
fn an_endpoint_that_does_not_accept_in_time_is_a_gateway_timeout() {
    let (_socket, _waiting, address) = unresponsive();
    let gateway =
        Headgate::start(&one_service("", "timeouts.connect = \"200ms\"\nretry.attempts = 1", &[address]));
    let response = gateway.connect().get("/");
    assert_eq!(response.status(), 504, "{}", response.text());
    assert!(response.text().starts_with("504 connect_timeout: "), "{}", response.text());
}

#[test]
fn a_response_that_does_not_begin_in_time_is_a_gateway_timeout() {
    for timeout in ["first_byte", "per_try", "total"] {
        let settings = format!("timeouts.{timeout} = \"200ms\"\nretry.attempts = 1");
        let (_gateway, _origin, mut client, mut upstream) = asked(&settings);
        let response = client.response();
        assert_eq!(response.status(), 504, "{timeout}: {}", response.text());
        upstream.assert_ended();
        client.send(GET);
    }
}

/// One origin that is two endpoints, so that the test need not know which of them is asked first.
fn two_endpoints(service: &str) -> (Headgate, Origin) {
    let origin = Origin::start_on(SocketAddr::from(([0, 0, 0, 0], 0))).unwrap();
    let at = |last| SocketAddr::from(([127, 0, 0, last], origin.address.port()));
    (Headgate::start(&one_service("", service, &[at(1), at(2)])), origin)
}

#[test]
fn an_attempt_that_takes_too_long_is_repeated_elsewhere() {
    let (gateway, origin) = two_endpoints("timeouts.per_try = \"200ms\"");
    let mut client = gateway.connect();
    client.send(GET);
    let mut slow = origin.accept();
    slow.head();
    let mut fast = origin.accept();
    fast.head();
    assert_ne!(slow.local_address(), fast.local_address());
    fast.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfast");
    assert_eq!(client.response().text(), "fast");
    slow.assert_ended();
}

#[test]
fn the_total_time_ends_a_response_that_goes_on_for_ever() {
    let (_gateway, _origin, mut client, mut upstream) = asked("timeouts.total = \"300ms\"");
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    client.head();
    let (rest, _) = client.rest();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a cut response looks complete");
    upstream.assert_ended();
}

#[test]
fn a_safe_request_is_repeated_elsewhere_when_its_connection_is_reset() {
    let (gateway, origin) = two_endpoints("");
    let mut client = gateway.connect();
    client.send(GET);
    let mut broken = origin.accept();
    broken.head();
    let broken_address = broken.local_address();
    broken.reset();
    let mut live = origin.accept();
    live.head();
    assert_ne!(live.local_address(), broken_address);
    live.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlive");
    assert_eq!(client.response().text(), "live");
}

#[test]
fn an_unsafe_request_whose_connection_is_reset_is_not_repeated() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.expect("hi");
    upstream.reset();
    let response = client.response();
    assert_eq!(response.status(), 502, "{}", response.text());
    origin.assert_untouched("the repeated POST");
}

#[test]
fn a_response_that_breaks_off_is_never_taken_for_a_whole_one() {
    for (head, part) in [
        ("content-length: 10\r\n\r\n", "12345"),
        ("transfer-encoding: chunked\r\n\r\n", "5\r\n12345\r\n"),
        ("transfer-encoding: chunked\r\n\r\n", "a\r\n12345"),
        ("transfer-encoding: chunked\r\n\r\n", "5\r\n12345\r\n0\r\n"),
    ] {
        for by_reset in [false, true] {
            let (_gateway, _origin, mut client, mut upstream) = asked("");
            upstream.send(format!("HTTP/1.1 200 OK\r\n{head}"));
            let head = client.head();
            upstream.send(part);
            if head.has("content-length") {
                client.expect("12345");
            } else {
                assert_eq!(client.chunk(), b"12345");
            }
            if by_reset {
                upstream.reset()
            } else {
                drop(upstream)
            }
            let (rest, _) = client.rest();
            assert_eq!(String::from_utf8_lossy(&rest), "", "{part:?}");
        }
    }
}

#[test]
fn a_reset_origin_cannot_end_a_body_that_ends_with_its_connection() {
    let (_gateway, _origin, mut client, mut upstream) = asked("");
    upstream.send("HTTP/1.1 200 OK\r\n\r\npart");
    client.head();
    assert_eq!(client.chunk(), b"part");
    upstream.reset();
    assert_eq!(client.rest().0, b"", "a cut response looks complete");
}

/// An HTTP/1.0 client knows the end of such a body by the end of the connection alone (RFC 9112 section 8).
#[test]
fn a_cut_response_to_http_1_0_ends_with_a_reset() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n");
    client.head();
    client.expect("part");
    drop(upstream);
    assert_eq!(client.rest(), (Vec::new(), End::Reset));
}

#[test]
fn a_malformed_chunk_within_a_response_cuts_it() {
    let (_gateway, _origin, mut client, mut upstream) = asked("");
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n");
    client.head();
    assert_eq!(client.chunk(), b"good");
    upstream.send("5\nwrong\r\n0\r\n\r\n");
    assert_eq!(client.rest().0, b"");
    upstream.assert_ended();
}

#[test]
fn a_pause_within_a_response_that_is_too_long_cuts_it() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("timeouts.body = \"200ms\"", "", &[origin.address]));
    let mut client = gateway.connect();
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n");
    client.head();
    assert_eq!(client.chunk(), b"part");
    assert_eq!(client.rest().0, b"");
    upstream.assert_ended();
}

#[test]
fn a_client_that_leaves_within_its_download_frees_the_upstream_connection() {
    for by_reset in [false, true] {
        let (_gateway, _origin, mut client, mut upstream) = asked("");
        upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n");
        client.head();
        assert_eq!(client.chunk(), b"part");
        if by_reset {
            client.reset()
        } else {
            drop(client)
        }
        let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while upstream.try_send(&piece).is_ok() {}
    }
}
