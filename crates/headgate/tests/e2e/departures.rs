//! Clients that go away, or seem to, while their response is awaited or on its way.

use crate::support::{Authority, End, Headgate, Origin, Wire, one_service};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn asked(gateway: &Headgate, origin: &Origin) -> (Wire, Wire) {
    let mut client = gateway.connect();
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    (client, upstream)
}

#[test]
fn a_client_that_closes_takes_its_request_back() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let (client, mut upstream) = asked(&gateway, &origin);
    drop(client);
    upstream.assert_ended();
}

#[test]
fn a_client_that_resets_takes_its_request_back() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let (client, mut upstream) = asked(&gateway, &origin);
    client.reset();
    upstream.assert_ended();
}

#[test]
fn a_client_that_leaves_after_its_upload_takes_its_request_back() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.expect("hello");
    drop(client);
    upstream.assert_ended();
}

#[test]
fn the_place_of_a_client_that_left_goes_to_the_next() {
    let origin = Origin::start();
    let service = "bulkhead = { in_flight = 1, queue = 1, queue_timeout = \"20s\" }";
    let gateway = Headgate::start(&one_service("", service, &[origin.address]));
    let (client, _upstream) = asked(&gateway, &origin);
    let mut next = gateway.connect();
    next.send(GET);
    drop(client);
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(next.response().text(), "ok");
}

#[test]
fn an_event_stream_whose_listener_left_is_ended_though_no_event_comes() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let (mut client, mut upstream) = asked(&gateway, &origin);
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
    client.head();
    assert_eq!(client.chunk(), b"one");
    drop(client);
    upstream.assert_ended();
}

#[test]
fn a_client_that_leaves_over_tls_takes_its_request_back() {
    let origin = Origin::start();
    let authority = Authority::new();
    let pair = authority.certificate("a", &["a.test"]);
    let tls = format!("tls = {{ certificates = [{}] }}", pair.entry());
    let gateway = Headgate::start(&one_service(&tls, "", &[origin.address]));
    let mut client = gateway.connect().over_tls(authority.client(None, &["http/1.1"]), "a.test");
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    drop(client);
    upstream.assert_ended();
}

/// Each piece comes well before the last one is forgotten; all together take far longer than a client that
/// has gone is waited for.
#[test]
fn a_half_closed_client_gets_all_of_a_response_that_moves() {
    let origin = Origin::start();
    // A total deadline is the same for every piece.
    let gateway = Headgate::start(&one_service("", "timeouts.total = \"20s\"", &[origin.address]));
    let (mut client, mut upstream) = asked(&gateway, &origin);
    client.finish_sending();
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    client.head();
    let until = Instant::now() + Duration::from_millis(2_500);
    client.set_patience(Duration::from_millis(20));
    while Instant::now() < until {
        assert!(client.try_fill().is_err(), "nothing was sent");
        upstream.send("3\r\none\r\n");
        client.set_patience(crate::support::PATIENCE);
        assert_eq!(client.chunk(), b"one");
        client.set_patience(Duration::from_millis(20));
    }
    client.set_patience(crate::support::PATIENCE);
    upstream.send("0\r\n\r\n");
    assert_eq!(client.chunks(), (vec![], vec![]));
    assert_eq!(client.rest().1, End::Closed);
}

#[test]
fn a_request_sent_ahead_is_no_departure() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let (mut client, mut upstream) = asked(&gateway, &origin);
    client.send(GET);
    // Longer than it takes until the client is looked after.
    upstream.set_patience(Duration::from_millis(300));
    assert!(upstream.try_fill().is_err(), "one request at a time");
    upstream.set_patience(crate::support::PATIENCE);
    for _ in 0..2 {
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(client.response().text(), "ok");
    }
    assert_eq!(upstream.head().first_line(), "GET / HTTP/1.1");
}

/// gRPC: a client that only listens on a stream, a server that only reads from one.
#[test]
fn one_direction_may_pause_while_the_other_moves() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("timeouts.body = \"300ms\"", "", &[origin.address]));
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    client.head();
    for upload_moves in [false, true] {
        let until = Instant::now() + Duration::from_millis(1_200);
        while Instant::now() < until {
            let (from, to) =
                if upload_moves { (&mut client, &mut upstream) } else { (&mut upstream, &mut client) };
            to.set_patience(Duration::from_millis(50));
            assert!(to.try_fill().is_err(), "nothing was sent");
            to.set_patience(crate::support::PATIENCE);
            from.send("3\r\none\r\n");
            assert_eq!(to.chunk(), b"one");
        }
    }
    // And when neither moves it is over.
    assert!(!client.has_more());
}
