//! Messages that two readers could understand differently. From a client: refused with a clear status, the
//! connection closed, and not one byte sent on. From an origin: the client gets an answer that is ours, and
//! the connection is not used again.

use crate::support::{Headgate, Origin, Wire};

/// What stands behind each bad request: it must never be served.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// What it tries, the status it is answered with, its bytes.
const REFUSED: &[(&str, u16, &str)] = &[
    // Which length counts (RFC 9112 section 6).
    (
        "CL.TE",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    ),
    (
        "TE.CL",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n8\r\nSMUGGLED\r\n0\r\n\r\n",
    ),
    (
        "CL.0 with TE",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("two lengths", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello"),
    (
        "the same length twice",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ),
    ("a list of lengths", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello"),
    ("a signed length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
    ("a length in hex", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello"),
    ("a length in quotes", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\nhello"),
    ("an empty length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello"),
    (
        "a length beyond 64 bits",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
    ),
    (
        "TE.TE: chunked twice",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.TE: two fields",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.TE: identity first",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    ),
    ("TE: xchunked", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (
        "TE: a vertical tab",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    ("TE in HTTP/1.0", 400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    // Where a line ends, and what a name is (RFC 9112 sections 2.2 and 5).
    ("bare LF after a field", 400, "POST / HTTP/1.1\r\nHost: a\r\nX: 1\nContent-Length: 5\r\n\r\nhello"),
    ("bare LF everywhere", 400, "GET / HTTP/1.1\nHost: a\n\n"),
    ("bare CR in a value", 400, "POST / HTTP/1.1\r\nHost: a\r\nX: 1\rTransfer-Encoding: chunked\r\n\r\n"),
    ("a folded field", 400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    ("a blank before the first field", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    ("a blank before the colon", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello"),
    (
        "a tab before the colon",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("NUL in a name", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length\0: 5\r\n\r\nhello"),
    ("NUL in a value", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\x002\r\n\r\n"),
    ("a line without a colon", 400, "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
    ("an empty name", 400, "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n"),
    // The request line and the host (RFC 9112 section 3).
    ("two spaces", 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("text behind the version", 400, "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n"),
    ("HTTP/0.9", 400, "GET /\r\n\r\n"),
    ("HTTP/2.0", 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    ("the preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("a control byte in the target", 400, "GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a fragment", 400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("no host", 400, "GET / HTTP/1.1\r\nX: 1\r\n\r\n"),
    ("two hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("userinfo in the host", 400, "GET / HTTP/1.1\r\nHost: b@a\r\n\r\n"),
    ("the target's host differs", 400, "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("CONNECT", 501, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    // What would be lost on the way (RFC 9110 section 7.6.1).
    (
        "Connection names the length",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello",
    ),
    ("Connection names the host", 400, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Host\r\n\r\n"),
    (
        "another expectation",
        417,
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 5\r\n\r\nhello",
    ),
    // Chunks (RFC 9112 section 7.1).
    (
        "a chunk size with 0x",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk size beyond 64 bits",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a blank behind the chunk size",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
    ),
    (
        "bare LF behind the chunk size",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    ),
    (
        "bare LF in a chunk extension",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n",
    ),
    (
        "data longer than its chunk",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "bare LF at the end of the chunks",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n",
    ),
    (
        "a folded trailer",
        400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n 2\r\n\r\n",
    ),
];

#[test]
fn a_request_that_can_be_read_in_two_ways_is_refused_and_nothing_of_it_goes_on() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    for (what, status, request) in REFUSED {
        let mut client = gateway.connect();
        client.send(format!("{request}{SMUGGLED}"));
        let response = client.response();
        assert_eq!(response.status(), *status, "{what}: {}", response.text());
        assert_eq!(response.head.value("connection"), Some("close"), "{what}");
        assert!(response.text().starts_with(&status.to_string()), "{what}: {}", response.text());
        client.finish_sending();
        client.assert_ended();
        origin.assert_untouched(what);
    }
}

/// The same, but the bytes trickle in: the verdict must not depend on how they are cut.
#[test]
fn a_refusal_does_not_depend_on_how_the_bytes_arrive() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    for (what, status, request) in REFUSED.iter().filter(|(.., request)| !request.contains("\r\n0\r\n")) {
        let mut client = gateway.connect();
        for byte in format!("{request}{SMUGGLED}").into_bytes() {
            // It may be refused before its last byte.
            if client.try_send([byte]).is_err() {
                break;
            }
        }
        assert_eq!(client.response().status(), *status, "{what}");
        client.finish_sending();
        client.assert_ended();
        while let Some(mut upstream) = origin.accept_waiting() {
            let (bytes, _) = upstream.rest();
            let text = String::from_utf8_lossy(&bytes);
            // Only a broken chunk may have had its head sent on, and then never a whole message.
            assert!(!text.contains("smuggled") && !text.contains("\r\n0\r\n"), "{what}: {text}");
        }
    }
}

#[test]
fn an_upload_that_breaks_after_its_head_was_sent_on_is_never_finished() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    for bad in
        ["5\nhello\r\n0\r\n\r\n", "4\r\nhello\r\n0\r\n\r\n", "0\r\nContent Length: 5\r\n\r\n", "-1\r\n"]
    {
        let mut client = gateway.connect();
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        let mut upstream = origin.accept();
        upstream.head();
        assert_eq!(upstream.chunk(), b"abc");
        client.send(format!("{bad}{SMUGGLED}"));
        assert_eq!(client.response().status(), 400, "{bad:?}");
        let (rest, _) = upstream.rest();
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(!rest.contains("0\r\n\r\n") && !rest.contains("smuggled"), "{bad:?}: {rest}");
        client.finish_sending();
        client.assert_ended();
    }
}

#[test]
fn a_client_that_leaves_within_its_upload_leaves_no_finished_request() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    for framing in ["Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Content-Length: 6\r\n\r\nabc"] {
        for by_reset in [false, true] {
            let mut client = gateway.connect();
            client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{framing}"));
            let mut upstream = origin.accept();
            upstream.head();
            if by_reset {
                client.reset()
            } else {
                drop(client)
            }
            let (rest, _) = upstream.rest();
            assert!(!rest.ends_with(b"0\r\n\r\n"), "{framing:?}");
            assert!(rest.len() < 9, "{framing:?}");
        }
    }
}

/// What an origin may answer that cannot be passed on.
const BAD_RESPONSES: &[(&str, &str)] = &[
    ("both lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello"),
    ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    ("another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("a folded field", "HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"),
    ("a blank before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
    ("NUL in a value", "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n"),
    ("bare CR in a value", "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b=c\r\nContent-Length: 0\r\n\r\n"),
    ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a status beyond 599", "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n"),
    ("another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("an interim response with content", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello"),
    ("a head cut short", "HTTP/1.1 200 OK\r\nContent-Len"),
];

#[test]
fn a_response_that_can_be_read_in_two_ways_becomes_a_502_and_its_connection_is_closed() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    for (what, answer) in BAD_RESPONSES {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut upstream = origin.accept();
        upstream.head();
        upstream.send(format!("{answer}HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsmuggled!"));
        upstream.finish_sending();
        let response = client.response();
        assert_eq!(response.status(), 502, "{what}: {}", response.text());
        assert!(!response.head.has("set-cookie"), "{what}");
        upstream.assert_ended();
    }
    client.assert_silent();
    assert!(origin.accept_waiting().is_none(), "a bad response was asked for again");
}

/// Bytes that nobody asked for are the classic way to answer the next client.
#[test]
fn bytes_behind_a_response_never_answer_the_next_request() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npoisoned";
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
    ] {
        for late in [false, true] {
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let mut upstream = origin.accept();
            upstream.head();
            if late {
                upstream.send(answer);
                assert_ne!(client.response().text(), "poisoned");
                upstream.send(POISON);
            } else {
                upstream.send(format!("{answer}{POISON}"));
                assert_ne!(client.response().text(), "poisoned");
            }
            client.send("GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let mut fresh = origin.accept();
            assert_eq!(fresh.head().target(), "/next", "{answer:?}");
            fresh.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nclean");
            assert_eq!(client.response().text(), "clean", "{answer:?}");
            upstream.assert_ended();
        }
    }
}

/// An answer to HEAD, or one without content, cannot bring content along.
#[test]
fn content_where_none_may_be_never_answers_the_next_request() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let ask = |client: &mut Wire, request: &str, answer: &str| {
        client.send(format!("{request} / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let mut upstream = origin.accept();
        upstream.head();
        upstream.send(answer);
        let head = client.head();
        client.send("GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut fresh = origin.accept();
        fresh.head();
        fresh.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nclean");
        assert_eq!(client.response().text(), "clean", "{answer:?}");
        head.status()
    };
    let mut client = gateway.connect();
    let content =
        "HTTP/1.1 200 OK\r\ncontent-length: 44\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    assert_eq!(ask(&mut client, "HEAD", content), 200);
    let content = "HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nevil";
    assert_eq!(ask(&mut client, "GET", content), 204);
    let content = "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nevil";
    assert_eq!(ask(&mut client, "GET", content), 304);
}
