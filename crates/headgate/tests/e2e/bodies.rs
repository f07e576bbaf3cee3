//! Content goes through byte for byte, in both directions and under both framings; framing itself is
//! written anew.

use crate::support::{Headgate, Origin, Service, assert_same, noise, one_service, response};

/// One body as chunks of uneven sizes, with extensions.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = body;
    for size in [1, 10, 4_000, 16, 70_000, 3].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min(size));
        wire.extend_from_slice(format!("{:X};name=\"a value\"\r\n", piece.len()).as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
        rest = after;
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

#[test]
fn content_of_any_length_passes_byte_for_byte() {
    let service = Service::start(|request| match request.head.target() {
        "/chunked" => {
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".as_slice(), &chunked(&request.body)]
                .concat()
        }
        _ => response(&[], &request.body),
    });
    let gateway = Headgate::start(&one_service("", "", &[service.address]));
    let mut client = gateway.connect();
    for (seed, len) in [(1, 0), (2, 1), (3, 4_095), (4, 64 * 1024), (5, 5 * 1024 * 1024)] {
        let body = noise(seed, len);
        for answer in ["/length", "/chunked"] {
            let head = format!("POST {answer} HTTP/1.1\r\nHost: a.test\r\n");
            let counted = [format!("{head}Content-Length: {len}\r\n\r\n").as_bytes(), &body].concat();
            let response = client.ask(counted);
            assert_eq!(response.head.has("transfer-encoding"), answer == "/chunked");
            assert_same(&response.body, &body, "sent with a length");
            let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
            let chunks = [head.as_bytes(), &chunked(&body)].concat();
            assert_same(&client.ask(chunks).body, &body, "sent in chunks");
        }
    }
    assert_eq!(service.connections(), 1, "a boundary between two messages was lost");
}

#[test]
fn framing_is_written_anew() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: CHUNKED\r\n\r\n\
         000003;secret=1\r\nabc\r\n00\r\n\r\n",
    );
    let mut upstream = origin.accept();
    let head = upstream.head();
    assert_eq!(head.values("transfer-encoding"), ["chunked"]);
    assert!(!head.has("content-length"));
    upstream.expect("3\r\nabc\r\n0\r\n\r\n");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 00004\r\n\r\nfour");
    let head = client.head();
    assert_eq!(head.values("content-length"), ["4"]);
    client.expect("four");
}

#[test]
fn a_request_without_content_gets_no_framing_and_an_empty_one_keeps_its_zero() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut upstream = origin.accept();
    let head = upstream.head();
    assert!(!head.has("content-length") && !head.has("transfer-encoding"), "{head:?}");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.response().head.value("content-length"), Some("0"));
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(upstream.head().value("content-length"), Some("0"));
}

#[test]
fn a_response_that_ends_with_its_connection_becomes_chunked() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut upstream = origin.accept();
        upstream.head();
        upstream.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
        drop(upstream);
        let response = client.response();
        assert_eq!(response.head.value("transfer-encoding"), Some("chunked"));
        assert_eq!(response.text(), "until the end");
    }
}

#[test]
fn an_http_1_0_origin_is_understood() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut upstream = origin.accept();
    upstream.head();
    upstream.send("HTTP/1.0 200 Fine\r\nContent-Length: 3\r\n\r\nold");
    let response = client.response();
    assert_eq!(response.head.first_line(), "HTTP/1.1 200 Fine");
    assert_eq!(response.text(), "old");
    // Without its keep-alive the connection must not be used again.
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.accept().head();
    upstream.assert_ended();
}

/// What an origin may answer to HEAD, or with a status that has no content; and the length that the client
/// is told.
#[test]
fn responses_without_content_end_at_their_head() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    let mut upstream = None;
    for (method, answer, length) in [
        ("HEAD", "200 OK\r\ncontent-length: 1234\r\n", Some("1234")),
        ("HEAD", "200 OK\r\ntransfer-encoding: chunked\r\n", None),
        ("HEAD", "200 OK\r\n", None),
        ("HEAD", "404 Not Found\r\ncontent-length: 9\r\n", Some("9")),
        ("GET", "204 No Content\r\n", None),
        ("GET", "304 Not Modified\r\ncontent-length: 77\r\netag: \"x\"\r\n", Some("77")),
        ("GET", "304 Not Modified\r\n", None),
        ("DELETE", "204 No Content\r\ncontent-length: 0\r\n", None),
        ("GET", "200 OK\r\ncontent-length: 0\r\n", Some("0")),
    ] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let upstream = upstream.get_or_insert_with(|| origin.accept());
        upstream.head();
        upstream.send(format!("HTTP/1.1 {answer}\r\n"));
        let head = client.head();
        assert_eq!(head.value("content-length"), length, "{method} {answer}");
        assert!(!head.has("connection"), "{method} {answer}");
    }
    client.assert_silent();
    assert!(origin.accept_waiting().is_none(), "a connection at a clean boundary was not used again");
}

#[test]
fn trailers_pass_in_both_directions_but_not_those_about_framing_or_routing() {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nTrailer: x-checksum\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Checksum: 17\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b.test\r\n\
         Connection: close\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
    );
    let mut upstream = origin.accept();
    let head = upstream.head();
    assert_eq!(head.value("te"), Some("trailers"));
    assert_eq!(head.value("trailer"), Some("x-checksum"));
    assert_eq!(upstream.chunks(), (b"hi".to_vec(), vec!["x-checksum: 17".to_owned()]));
    upstream.send(
        "HTTP/1.1 200 OK\r\ntrailer: grpc-status\r\ntransfer-encoding: chunked\r\n\r\n\
         3\r\nyes\r\n0\r\ngrpc-status: 0\r\ngrpc-message: \r\ncontent-length: 9\r\n\r\n",
    );
    assert_eq!(client.head().value("trailer"), Some("grpc-status"));
    let (body, trailers) = client.chunks();
    assert_eq!(body, b"yes");
    assert_eq!(trailers, ["grpc-status: 0", "grpc-message: "]);
    client.send("GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(upstream.head().target(), "/next");
}
