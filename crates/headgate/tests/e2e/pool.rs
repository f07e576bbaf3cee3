//! Upstream connections kept for the next request: used again when they can be, never when they cannot.

use crate::support::{Headgate, Origin, Wire, one_service};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A gateway that keeps one upstream connection, which has served one request.
fn with_kept_connection(service: &str) -> (Headgate, Origin, Wire, Wire) {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("", service, &[origin.address]));
    let mut client = gateway.connect();
    client.send(GET);
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send(OK);
    assert_eq!(client.response().text(), "ok");
    (gateway, origin, client, upstream)
}

#[test]
fn a_connection_that_the_origin_closed_at_rest_is_not_used() {
    let (_gateway, origin, mut client, upstream) = with_kept_connection("");
    drop(upstream);
    // Not even an unsafe request is lost: it never met the old connection.
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    let mut fresh = origin.accept();
    fresh.head();
    fresh.expect("hello");
    fresh.send(OK);
    assert_eq!(client.response().text(), "ok");
}

/// The origin closes at the moment the request is on its way; a browser would see an error without a retry.
#[test]
fn a_safe_request_on_a_connection_that_went_stale_is_repeated_unnoticed() {
    for by_reset in [false, true] {
        let (_gateway, origin, mut client, mut upstream) = with_kept_connection("");
        client.send(GET);
        upstream.head();
        if by_reset {
            upstream.reset()
        } else {
            drop(upstream)
        }
        let mut fresh = origin.accept();
        fresh.head();
        fresh.send(OK);
        let response = client.response();
        assert_eq!((response.status(), response.text().as_str()), (200, "ok"));
    }
}

/// An endpoint that has sent an interim response had the request; the client knows, and waits for its answer.
#[test]
fn a_request_is_not_repeated_behind_an_interim_response() {
    for by_reset in [false, true] {
        let (_gateway, origin, mut client, mut upstream) = with_kept_connection("retry.statuses = [503]");
        client.send(GET);
        upstream.head();
        upstream.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
        assert_eq!(client.head().status(), 103);
        if by_reset {
            upstream.reset()
        } else {
            drop(upstream)
        }
        let response = client.response();
        assert_eq!(response.status(), 502);
        assert!(response.text().starts_with("502 upstream_reset: "), "{}", response.text());
        origin.assert_untouched("the repeated request");
    }
    let (_gateway, origin, mut client, mut upstream) = with_kept_connection("retry.statuses = [503]");
    client.send(GET);
    upstream.head();
    upstream.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.head().status(), 103);
    assert_eq!(client.response().status(), 503);
    origin.assert_untouched("the repeated request");
}

#[test]
fn an_idempotent_request_is_repeated_with_its_whole_body() {
    for framing in
        ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
    {
        let (_gateway, origin, mut client, mut upstream) = with_kept_connection("");
        client.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\n{framing}"));
        let head = upstream.head();
        assert_eq!(upstream.body(&head), b"hello");
        drop(upstream);
        let mut fresh = origin.accept();
        let head = fresh.head();
        assert_eq!(fresh.body(&head), b"hello");
        fresh.send(OK);
        assert_eq!(client.response().status(), 200);
    }
}

#[test]
fn a_request_that_may_have_acted_is_not_repeated() {
    let (_gateway, origin, mut client, mut upstream) = with_kept_connection("");
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    upstream.head();
    upstream.expect("hello");
    drop(upstream);
    let response = client.response();
    assert_eq!(response.status(), 502, "{}", response.text());
    origin.assert_untouched("the repeated POST");
}

#[test]
fn a_body_that_was_not_kept_is_not_repeated_in_part() {
    let (_gateway, origin, mut client, mut upstream) = with_kept_connection("");
    client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n");
    upstream.head();
    client.send("hello");
    upstream.expect("hello");
    drop(upstream);
    let response = client.response();
    assert_eq!(response.status(), 502, "{}", response.text());
    assert_eq!(response.head.value("connection"), Some("close"));
    origin.assert_untouched("half a PUT");
}

#[test]
fn an_origin_that_says_close_is_believed() {
    let (_gateway, origin, mut client, mut upstream) = with_kept_connection("");
    client.send(GET);
    upstream.head();
    upstream.send("HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 2\r\n\r\nok");
    let response = client.response();
    assert_eq!(response.text(), "ok");
    assert!(!response.head.has("connection"), "the client's connection has another end");
    upstream.assert_ended();
    client.send(GET);
    origin.accept().head();
}

#[test]
fn the_limit_of_requests_on_an_upstream_connection_is_kept() {
    let (_gateway, origin, mut client, mut upstream) = with_kept_connection("pool.requests = 2");
    client.send(GET);
    upstream.head();
    upstream.send(OK);
    client.response();
    upstream.assert_ended();
    client.send(GET);
    origin.accept().head();
}

#[test]
fn without_a_pool_every_request_has_its_own_connection() {
    let (_gateway, origin, mut client, mut upstream) = with_kept_connection("pool.idle = 0");
    upstream.assert_ended();
    client.send(GET);
    origin.accept().head();
}

#[test]
fn a_connection_that_rested_too_long_is_closed() {
    let (_gateway, _origin, _client, mut upstream) = with_kept_connection("pool.idle_timeout = \"300ms\"");
    upstream.assert_ended();
}

#[test]
fn requests_at_the_same_time_have_their_own_connections_and_the_last_is_used_first() {
    let (gateway, origin, mut client, mut first) = with_kept_connection("");
    let mut other = gateway.connect();
    client.send(GET);
    first.head();
    other.send(GET);
    let mut second = origin.accept();
    second.head();
    first.send(OK);
    assert_eq!(client.response().text(), "ok");
    second.send(OK);
    assert_eq!(other.response().text(), "ok");
    client.send("GET /third HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(second.head().target(), "/third");
    first.assert_silent();
}

/// Each request comes to a worker by chance. Were their connections their own, the origin would see four.
#[test]
fn a_connection_that_one_worker_does_not_need_serves_the_others() {
    let origin = Origin::start();
    let address = origin.address.to_string();
    let gateway = Headgate::with_flags(&["--to", &address, "--workers", "4"]);
    let mut upstream = None;
    for _ in 0..8 {
        let mut client = gateway.connect();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let upstream = upstream.get_or_insert_with(|| origin.accept());
        upstream.head();
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(client.response().text(), "ok");
        // Nothing arrives, and time passes in which the connection is not needed.
        client.set_patience(Duration::from_millis(700));
        assert!(client.try_fill().is_err());
    }
    origin.assert_untouched("another connection");
}

/// A process that is started anew leaves a stale connection, and may reset the first new one: both can meet one
/// request.
#[test]
fn a_stale_connection_is_none_of_the_attempts() {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("", "retry.attempts = 2", &[origin.address]));
    let mut client = gateway.connect();
    client.send(GET);
    let mut stale = origin.accept();
    stale.head();
    stale.send(OK);
    assert_eq!(client.response().text(), "ok");
    client.send(GET);
    stale.head();
    drop(stale);
    let mut dying = origin.accept();
    dying.head();
    dying.reset();
    let mut well = origin.accept();
    well.head();
    well.send(OK);
    assert_eq!(client.response().text(), "ok");
}
