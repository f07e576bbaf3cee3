//! Endpoints that break HTTP/2, or give up within it (RFC 9113 sections 5.4, 6.8, 8.1 and 8.7).

use super::*;
use crate::support::{Origin, Wire};

/// A gateway whose service speaks HTTP/2, and a client that has asked.
fn asked(request: &str) -> (Headgate, Origin, Wire) {
    let origin = Origin::start();
    let gateway = Headgate::start(&one_service("", "protocol = \"http2\"", &[origin.address]));
    let mut client = gateway.connect();
    client.send(request);
    (gateway, origin, client)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";

/// A response's head.
fn head(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    headers(END_HEADERS | flags, stream, block(fields))
}

#[test]
fn a_response_that_breaks_the_rules_is_a_502() {
    const OK: (&str, &str) = (":status", "200");
    let fields: &[(&str, &[(&str, &str)])] = &[
        ("no status", &[("x", "1")]),
        ("two statuses", &[OK, OK]),
        ("a status of two digits", &[(":status", "20")]),
        ("a status of letters", &[(":status", "abc")]),
        ("a status below 100", &[(":status", "099")]),
        ("a switch of protocols", &[(":status", "101"), ("upgrade", "x")]),
        ("a status behind fields", &[("x", "1"), OK]),
        ("Connection", &[OK, ("connection", "close")]),
        ("Transfer-Encoding", &[OK, ("transfer-encoding", "chunked")]),
        ("an upper-case name", &[OK, ("X-Upper", "1")]),
        ("a name with a blank", &[OK, ("x y", "1")]),
        ("another field in a value", &[OK, ("x", "1\r\nset-cookie: a=b")]),
        ("another response in a value", &[OK, ("x", "1\r\n\r\nHTTP/1.1 200 OK")]),
        ("NUL in a value", &[OK, ("x", "1\x002")]),
        ("a length that is no number", &[OK, ("content-length", "1x")]),
        ("lengths that differ", &[OK, ("content-length", "1"), ("content-length", "2")]),
        ("a length and no content", &[OK, ("content-length", "5")]),
    ];
    let mut cases: Vec<(&str, Vec<u8>)> =
        fields.iter().map(|(what, fields)| (*what, head(END_STREAM, 1, fields))).collect();
    cases.extend([
        ("content before the head", frame(DATA, END_STREAM, 1, b"x")),
        ("a stream that nobody opened", head(END_STREAM, 7, &[OK])),
        ("a push", frame(PUSH_PROMISE, END_HEADERS, 1, [&[0, 0, 0, 2][..], &get(&[])].concat())),
        (
            "a field block without end",
            [headers(0, 1, []), frame(CONTINUATION, 0, 1, []).repeat(20_000)].concat(),
        ),
        ("interim responses without end", head(0, 1, &[(":status", "102")]).repeat(1_000)),
        ("an interim response that is the last", head(END_STREAM, 1, &[(":status", "103")])),
        ("HTTP/1", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()),
    ]);
    let mut wrong = Vec::new();
    for (what, bytes) in cases {
        let (_gateway, origin, mut client) = asked(POST);
        let (mut upstream, stream) = Frames::accept(&origin);
        assert_eq!(stream, 1);
        upstream.send(bytes);
        let response = loop {
            let response = client.response();
            if response.status() >= 200 {
                break response;
            }
        };
        if response.status() != 502 {
            wrong.push(format!("{what}: {response:?}"));
        }
        client.assert_silent();
        origin.assert_untouched(what);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_response_that_breaks_off_never_looks_whole() {
    for (what, end) in [
        ("a reset", frame(RST_STREAM, 0, 1, [0, 0, 0, 2])),
        ("a reset without an error", frame(RST_STREAM, 0, 1, [0; 4])),
        ("less than promised", frame(DATA, END_STREAM, 1, b"")),
        ("more than promised", frame(DATA, END_STREAM, 1, b"far too much")),
        ("trailers that are not the end", head(0, 1, &[("x", "1")])),
        ("a broken frame", frame(PING, 0, 0, [0; 3])),
        ("an error of the connection", frame(GOAWAY, 0, 0, [0, 0, 0, 0, 0, 0, 0, 1])),
    ] {
        for length in [Some(("content-length", "8")), None] {
            if length.is_none() && what.ends_with("promised") {
                continue;
            }
            let (_gateway, origin, mut client) = asked(GET);
            let (mut upstream, _) = Frames::accept(&origin);
            let fields: Vec<(&str, &str)> = [(":status", "200")].into_iter().chain(length).collect();
            upstream.send([head(0, 1, &fields), frame(DATA, 0, 1, b"part")].concat());
            let begun = client.head();
            if begun.has("content-length") {
                client.expect("part");
            } else {
                assert_eq!(client.chunk(), b"part");
            }
            upstream.send(end.clone());
            drop(upstream);
            let (rest, _) = client.rest();
            assert!(!rest.ends_with(b"0\r\n\r\n") && rest.len() < 4, "{what}: {rest:?}");
        }
    }
}

/// What the endpoint says it has not processed is sent again, whatever its method; what it may have is not.
#[test]
fn what_was_not_processed_is_sent_again() {
    let refused = frame(RST_STREAM, 0, 1, REFUSED_STREAM.to_be_bytes());
    let goaway = frame(GOAWAY, 0, 0, [0; 8]);
    for (what, bytes) in [("a refused stream", refused), ("a GOAWAY", goaway)] {
        let (_gateway, origin, mut client) = asked(POST);
        let (mut upstream, _) = Frames::accept(&origin);
        upstream.send(bytes);
        // On the same connection where that goes on, on another one where it ended.
        let (mut again, stream) = if what == "a GOAWAY" {
            Frames::accept(&origin)
        } else {
            let stream = upstream.until(|frame| (frame.kind == HEADERS).then_some(frame.stream));
            (upstream, stream)
        };
        again.send(head(END_STREAM, stream, &[(":status", "204")]));
        assert_eq!(client.response().status(), 204, "{what}");
    }
    for (what, bytes) in [
        ("a reset", frame(RST_STREAM, 0, 1, [0, 0, 0, 2])),
        ("a GOAWAY that includes it", frame(GOAWAY, 0, 0, [0, 0, 0, 1, 0, 0, 0, 2])),
    ] {
        let (_gateway, origin, mut client) = asked(POST);
        let (mut upstream, _) = Frames::accept(&origin);
        upstream.send(bytes);
        drop(upstream);
        assert_eq!(client.response().status(), 502, "{what}");
        origin.assert_untouched(what);
    }
}
