//! What makes a request malformed (RFC 9113 section 8).

use super::*;

/// A head's fields, in order.
type Fields = [(&'static str, &'static str)];

/// Sections 8.1.1, 8.2 and 8.3: what makes a request malformed.
#[test]
fn malformed_requests_are_refused_alone() {
    const M: (&str, &str) = (":method", "GET");
    const S: (&str, &str) = (":scheme", "http");
    const A: (&str, &str) = (":authority", "a.test");
    const P: (&str, &str) = (":path", "/");
    let reset: &[(&str, &Fields)] = &[
        ("an upper-case name", &[M, S, A, P, ("X-Upper", "1")]),
        ("an unknown pseudo-header field", &[M, S, A, P, (":other", "1")]),
        ("a response's pseudo-header field", &[M, S, A, P, (":status", "200")]),
        ("a pseudo-header field behind others", &[M, S, P, ("x", "1"), A]),
        ("no :method", &[S, A, P]),
        ("no :scheme", &[M, A, P]),
        ("no :path", &[M, S, A]),
        ("an empty :path", &[M, S, A, (":path", "")]),
        ("two :method", &[M, M, S, A, P]),
        ("two :scheme", &[M, S, S, A, P]),
        ("two :path", &[M, S, A, P, (":path", "/other")]),
        ("two :authority", &[M, S, A, (":authority", "b.test"), P]),
        ("Connection", &[M, S, A, P, ("connection", "keep-alive")]),
        ("Keep-Alive", &[M, S, A, P, ("keep-alive", "timeout=5")]),
        ("Proxy-Connection", &[M, S, A, P, ("proxy-connection", "keep-alive")]),
        ("Transfer-Encoding", &[M, S, A, P, ("transfer-encoding", "chunked")]),
        ("Upgrade", &[M, S, A, P, ("upgrade", "h2c")]),
        ("TE other than trailers", &[M, S, A, P, ("te", "trailers, deflate")]),
        ("a name with a blank", &[M, S, A, P, ("x y", "1")]),
        ("a name with a colon", &[M, S, A, P, ("x:y", "1")]),
        ("an empty name", &[M, S, A, P, ("", "1")]),
        ("CR LF in a value", &[M, S, A, P, ("x", "1\r\nx-evil: 1")]),
        ("NUL in a value", &[M, S, A, P, ("x", "1\x002")]),
        ("CR LF in the path", &[M, S, A, (":path", "/ HTTP/1.1\r\nx-evil: 1")]),
        ("a method with a blank", &[(":method", "GET /x"), S, A, P]),
        ("a relative :path", &[M, S, A, (":path", "x")]),
        ("an empty host", &[M, S, (":authority", ""), P]),
        ("a length that is no number", &[M, S, A, P, ("content-length", "x")]),
        ("two lengths that differ", &[M, S, A, P, ("content-length", "1"), ("content-length", "2")]),
        ("a length and no content", &[M, S, A, P, ("content-length", "5")]),
        // RFC 8441 section 4.
        ("GET with :protocol", &[M, (":protocol", "websocket"), S, A, P]),
        (":protocol without a path", &[(":method", "CONNECT"), (":protocol", "websocket"), S, A]),
    ];
    let answered: &[(&str, u16, &Fields)] = &[
        ("an asterisk for GET", 400, &[M, S, A, (":path", "*")]),
        ("a fragment, which is left out", 200, &[M, S, A, (":path", "/#x")]),
        ("dot segments", 400, &[M, S, A, (":path", "/a/../b")]),
        ("another scheme", 400, &[M, (":scheme", "ftp"), A, P]),
        ("userinfo", 400, &[M, S, (":authority", "u@a.test"), P]),
        ("no host at all", 400, &[M, S, P]),
        ("a Host that differs", 400, &[M, S, A, P, ("host", "b.test")]),
        ("two Hosts", 400, &[M, S, P, ("host", "a.test"), ("host", "a.test")]),
        ("a blank at a value's end", 400, &[M, S, A, P, ("x", "1 ")]),
        ("a tab at a value's start", 400, &[M, S, A, P, ("x", "\t1")]),
        ("CONNECT", 501, &[(":method", "CONNECT"), (":authority", "a.test:443")]),
        (
            "CONNECT with another :protocol",
            501,
            &[(":method", "CONNECT"), (":protocol", "connect-udp"), S, A, P],
        ),
        ("another expectation", 417, &[M, S, A, P, ("expect", "200-ok")]),
        ("TE: trailers", 200, &[M, S, A, P, ("te", "trailers")]),
        ("the same Host", 200, &[M, S, A, P, ("host", "a.test")]),
        ("Host alone", 200, &[M, S, P, ("host", "a.test")]),
        // It is valid, and `/*` does not mean it.
        ("an asterisk for OPTIONS", 204, &[(":method", "OPTIONS"), S, A, (":path", "*")]),
    ];
    let mut cases: Vec<(&str, Want, Vec<u8>)> = Vec::new();
    cases.extend(reset.iter().map(|(what, fields)| (*what, Either, headers(WHOLE, 1, block(fields)))));
    cases.extend(
        answered.iter().map(|(what, code, fields)| (*what, Status(*code), headers(WHOLE, 1, block(fields)))),
    );
    play(&cases);
}

/// Section 8.1.1: content that is not what Content-Length promised; and 8.1: trailers that end nothing.
#[test]
fn content_that_breaks_its_promise_is_never_a_whole_request() {
    let open = |length| headers(END_HEADERS, 1, post(&[("content-length", length)]));
    let chunked = headers(END_HEADERS, 1, post(&[]));
    for (what, bytes) in [
        ("less than promised", [open("5"), frame(DATA, END_STREAM, 1, b"four")].concat()),
        ("more than promised", [open("5"), frame(DATA, END_STREAM, 1, b"sixsix")].concat()),
        (
            "more in two pieces",
            [open("5"), frame(DATA, 0, 1, b"four"), frame(DATA, END_STREAM, 1, b"two")].concat(),
        ),
        ("nothing and trailers", [open("5"), headers(WHOLE, 1, block(&[("x", "1")]))].concat()),
        (
            "trailers that are not the end",
            [chunked.clone(), frame(DATA, 0, 1, b"x"), headers(END_HEADERS, 1, block(&[("x", "1")]))]
                .concat(),
        ),
        (
            "trailers with an upper-case name",
            [chunked, frame(DATA, 0, 1, b"x"), headers(WHOLE, 1, block(&[("X", "1")]))].concat(),
        ),
    ] {
        let (gateway, service) = start("");
        let mut client = Frames::open(&gateway);
        client.send(bytes);
        let got = client.until(|frame| match frame.kind {
            RST_STREAM | GOAWAY => Some(frame.code()),
            HEADERS => panic!("{what}: answered {}", status(&frame.payload)),
            _ => None,
        });
        assert_eq!(got, PROTOCOL_ERROR, "{what}");
        assert_eq!(service.requests(), 0, "{what}");
    }
}
