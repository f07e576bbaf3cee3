//! What a client may send and how long it may take: every limit has its status, and the origin is spared.

use crate::support::{Headgate, Origin, Port, Response, Service, Wire, one_service};
use std::time::Duration;

/// Sends what must be refused, expects the connection to end, and nothing at the origin.
fn refused(listen: &str, request: impl AsRef<[u8]>) -> Response {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service(listen, "", &[origin.address]));
    let mut client = gateway.connect();
    client.send(request);
    let response = client.response();
    assert_eq!(response.head.value("connection"), Some("close"), "{:?}", response.head);
    client.finish_sending();
    client.assert_ended();
    origin.assert_untouched("what was refused");
    response
}

#[test]
fn a_declared_body_beyond_the_limit_is_refused_before_it_is_read() {
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1025\r\n\r\n";
    let response = refused("limits.body = \"1KiB\"", head);
    assert_eq!(response.status(), 413);
    assert!(response.text().starts_with("413 body_too_large: "), "{}", response.text());
}

#[test]
fn a_chunked_body_beyond_the_limit_is_refused_and_never_finished() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("limits.body = 6", "", &[origin.address]));
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    assert_eq!(upstream.chunk(), b"hello");
    client.send("2\r\n!!\r\n0\r\n\r\n");
    assert_eq!(client.response().status(), 413);
    assert!(!upstream.rest().0.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_body_of_exactly_the_limit_passes() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("limits.body = 5", "", &[origin.address]));
    for framing in
        ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
    {
        let mut client = gateway.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{framing}"));
        let mut upstream = origin.accept();
        let head = upstream.head();
        assert_eq!(upstream.body(&head), b"hello");
        upstream.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(client.response().status(), 200);
    }
}

/// Closing on unread bytes would reset the connection and take the answer with it.
#[test]
fn a_client_in_the_middle_of_its_upload_still_gets_the_refusal() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("limits.body = \"1KiB\"", "", &[origin.address]));
    for _ in 0..5 {
        let mut client = gateway.connect();
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 200000\r\n\r\n");
        client.send(vec![b'x'; 200_000]);
        client.finish_sending();
        assert_eq!(client.response().status(), 413);
        client.assert_ended();
    }
}

#[test]
fn a_long_target_is_414() {
    let request = |len| format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", "a".repeat(len));
    assert_eq!(refused("", request(8_192)).status(), 414);
    assert_eq!(refused("limits.uri = 100", request(100)).status(), 414);
    assert_eq!(refused("", request(100_000)).status(), 414);
}

#[test]
fn a_long_head_is_431() {
    let field = |len| format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "a".repeat(len));
    assert_eq!(refused("", field(16_384)).status(), 431);
    assert_eq!(refused("limits.head = \"1KiB\"\nlimits.uri = 500", field(1_024)).status(), 431);
    let fields = |count| format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", "X: 1\r\n".repeat(count));
    assert_eq!(refused("", fields(100)).status(), 431);
    assert_eq!(refused("limits.headers = 5", fields(5)).status(), 431);
}

#[test]
fn a_head_just_below_every_limit_passes() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    let fields: String = (0..99).map(|index| format!("X-{index}: {}\r\n", "v".repeat(60))).collect();
    client.send(format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n", "a".repeat(8_191)));
    let head = origin.accept().head();
    assert_eq!(head.target().len(), 8_192);
    assert!(head.has("x-0") && head.has("x-98"));
}

#[test]
fn what_is_not_served_has_its_own_status() {
    for (status, request) in [
        (417, "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: magic\r\nContent-Length: 1\r\n\r\n"),
        (505, "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n"),
        (505, "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n"),
        (501, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"),
        (501, "AMETHODNAMETHATISLONGERTHANANYREALONE / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ] {
        assert_eq!(refused("", request).status(), status, "{request}");
    }
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_408() {
    let response = refused("timeouts.head = \"200ms\"", "GET / HTTP/1.1\r\nHost: a.te");
    assert_eq!(response.status(), 408, "{}", response.text());
}

#[test]
fn a_head_that_comes_byte_by_byte_for_ever_is_408() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("timeouts.head = \"300ms\"", "", &[origin.address]));
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nX: ");
    // Each byte comes well within the time, all together never end.
    client.set_patience(Duration::from_millis(20));
    while client.try_send("a").is_ok() {
        if client.try_fill().is_ok() {
            break;
        }
    }
    client.set_patience(crate::support::PATIENCE);
    client.finish_sending();
    assert_eq!(client.response().status(), 408);
    client.assert_ended();
    origin.assert_untouched("a head without an end");
}

#[test]
fn an_upload_that_pauses_too_long_is_408() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("timeouts.body = \"200ms\"", "", &[origin.address]));
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.expect("hello");
    assert_eq!(client.response().status(), 408);
    upstream.assert_ended();
}

/// The time to the first byte runs from the end of the upload, not from its beginning.
#[test]
fn a_long_upload_is_not_taken_for_a_slow_origin() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("", "timeouts.first_byte = \"400ms\"", &[origin.address]));
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 8\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.set_patience(Duration::from_millis(100));
    for _ in 0..8 {
        // Nothing comes back in the meantime; each turn takes a tenth of a second.
        assert!(upstream.try_fill().is_err());
        client.send("x");
        upstream.set_patience(crate::support::PATIENCE);
        upstream.expect("x");
        upstream.set_patience(Duration::from_millis(100));
    }
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.response().status(), 200);
}

#[test]
fn each_listener_has_its_own_limit_of_heads() {
    let listeners = "[listen.open]\nbind = \"127.0.0.1:0\"\nlimits.head = \"2KiB\"\nlimits.uri = \"1KiB\"\n\
                     [listen.inner]\nbind = \"127.0.0.1:0\"\nlimits.head = \"64KiB\"\n";
    let route = "[[route]]\nmatch = \"/*\"\nrespond = { status = 200, body = \"ok\" }\n";
    let gateway = Headgate::start(&format!("{listeners}{route}"));
    let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x".repeat(4_000));
    for (listener, status) in [("open", 431), ("inner", 200)] {
        let mut client = Wire::connect(gateway.listener(listener));
        assert_eq!(client.ask(&request).status(), status, "{listener}");
    }
}

#[test]
fn clients_leave_files_for_services_and_operators() {
    let (service, admin) = (Service::named("a"), Port::reserve());
    let config = format!("admin.bind = \"{}\"\n{}", admin.address, one_service("", "", &[service.address]));
    let gateway = Headgate::start_under("-n 128", &config);
    let mut idle: Vec<Wire> = (0..100).map(|_| gateway.connect()).collect();
    // Half of what is left beside others have a place; those behind them are closed at once.
    idle.last_mut().unwrap().assert_ended();
    for client in idle.iter_mut().take(32) {
        assert_eq!(client.get("/").status(), 200);
    }
    assert!(admin.metrics().contains("headgate_connections_refused_total"));
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_may_be() {
    let service = Service::named("a");
    let gateway = Headgate::start_under("-Sn 64", &one_service("", "", &[service.address]));
    assert_ne!(gateway.open_files_max(), "64");
}
