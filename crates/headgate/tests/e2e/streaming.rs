//! Nothing is held back: what one side sent arrives before the other side has to do anything, and nothing
//! piles up where it is not taken.

use crate::support::{Headgate, Origin, PATIENCE, Wire};
use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn asked(request: &str) -> (Headgate, Origin, Wire, Wire) {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send(request);
    let mut upstream = origin.accept();
    upstream.head();
    (gateway, origin, client, upstream)
}

#[test]
fn each_event_of_a_stream_arrives_before_the_next_is_sent() {
    let (_gateway, _origin, mut client, mut upstream) = asked(GET);
    upstream.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(client.head().value("content-type"), Some("text/event-stream"));
    for turn in 0..50 {
        let event = format!("data: {turn}\n\n");
        upstream.send(format!("{:x}\r\n{event}\r\n", event.len()));
        assert_eq!(String::from_utf8(client.chunk()).unwrap(), event);
    }
    upstream.send("0\r\n\r\n");
    assert_eq!(client.chunks(), (vec![], vec![]));
}

#[test]
fn pieces_of_a_body_with_a_length_arrive_one_by_one() {
    let (_gateway, _origin, mut client, mut upstream) = asked(GET);
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n");
    assert_eq!(client.head().value("content-length"), Some("6"));
    for piece in ["ab", "c", "def"] {
        upstream.send(piece);
        client.expect(piece);
    }
}

#[test]
fn pieces_of_a_body_that_ends_with_its_connection_arrive_one_by_one() {
    let (_gateway, _origin, mut client, mut upstream) = asked(GET);
    upstream.send("HTTP/1.1 200 OK\r\n\r\n");
    client.head();
    for piece in ["ab", "c", "def"] {
        upstream.send(piece);
        assert_eq!(client.chunk(), piece.as_bytes());
    }
    drop(upstream);
    assert_eq!(client.chunks(), (vec![], vec![]));
}

#[test]
fn pieces_of_an_upload_arrive_one_by_one() {
    let (_gateway, _origin, mut client, mut upstream) =
        asked("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in ["one", "two", "three"] {
        client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        assert_eq!(upstream.chunk(), piece.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(upstream.chunks(), (vec![], vec![]));
}

#[test]
fn both_directions_of_one_exchange_talk_in_turn() {
    let (gateway, _origin, mut client, mut upstream) =
        asked("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(client.head().value("connection"), Some("close"));
    for turn in 0..20 {
        let text = format!("turn {turn}");
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        client.send(&chunk);
        assert_eq!(upstream.chunk(), text.as_bytes());
        upstream.send(&chunk);
        assert_eq!(client.chunk(), text.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(upstream.chunks(), (vec![], vec![]));
    upstream.send("0\r\n\r\n");
    assert_eq!(client.chunks(), (vec![], vec![]));
    // Both messages are over, so the upstream connection is fit for more. The client's is not: when the
    // response began nobody knew.
    client.assert_ended();
    let mut next = gateway.connect();
    next.send(GET);
    assert_eq!(upstream.head().first_line(), "GET / HTTP/1.1");
}

#[test]
fn a_client_waits_for_100_continue_of_the_origin() {
    let (_gateway, _origin, mut client, mut upstream) = asked_with_expectation();
    client.assert_silent();
    upstream.send("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.head().first_line(), "HTTP/1.1 100 Continue");
    client.send("hello");
    upstream.expect("hello");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone");
    assert_eq!(client.response().text(), "done");
    client.send(GET);
    upstream.head();
}

#[test]
fn an_origin_may_refuse_instead_of_continue() {
    let (_gateway, origin, mut client, mut upstream) = asked_with_expectation();
    upstream.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno");
    let response = client.response();
    assert_eq!((response.status(), response.text().as_str()), (401, "no"));
    // The body may or may not follow: neither connection is at a boundary.
    assert_eq!(response.head.value("connection"), Some("close"));
    client.finish_sending();
    client.assert_ended();
    upstream.assert_ended();
    origin.assert_untouched("the body that never came");
}

fn asked_with_expectation() -> (Headgate, Origin, Wire, Wire) {
    let origin = Origin::start();
    let gateway = Headgate::before(&origin);
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let mut upstream = origin.accept();
    assert_eq!(upstream.head().value("expect"), Some("100-continue"));
    (gateway, origin, client, upstream)
}

#[test]
fn interim_responses_pass_but_not_to_http_1_0() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n";
    let (_gateway, _origin, mut client, mut upstream) = asked(GET);
    upstream.send(interim);
    let head = client.head();
    assert_eq!((head.status(), head.value("link")), (103, Some("</a.css>")));
    assert!(!head.has("x-hop") && !head.has("connection"), "{head:?}");
    upstream.send(format!("{interim}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(client.head().status(), 103);
    assert_eq!(client.response().status(), 200);

    let (_gateway, _origin, mut client, mut upstream) = asked("GET / HTTP/1.0\r\n\r\n");
    upstream.send(format!("{interim}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(client.head().status(), 200);
}

#[test]
fn an_answer_that_comes_before_the_end_of_the_upload_reaches_the_client() {
    let (_gateway, _origin, mut client, mut upstream) =
        asked("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n");
    client.send([b'x'; 10_000]);
    upstream.take(10_000);
    upstream.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 8\r\nconnection: close\r\n\r\ntoo much");
    let response = client.response();
    assert_eq!((response.status(), response.text().as_str()), (413, "too much"));
    assert_eq!(response.head.value("connection"), Some("close"));
    // The client goes on for a while and is neither served nor reset under its answer.
    client.send([b'x'; 10_000]);
    client.finish_sending();
    client.assert_ended();
}

#[test]
fn an_answer_survives_an_origin_that_closes_while_the_client_still_sends() {
    let (_gateway, _origin, mut client, mut upstream) =
        asked("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n");
    upstream.send("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nwait");
    upstream.finish_sending();
    let mut writer = client.writer();
    let sender = thread::spawn(move || {
        // Ends with an error when the gateway has had enough.
        while writer.write_all(&[b'x'; 4_096]).is_ok() {}
    });
    let response = client.response();
    assert_eq!((response.status(), response.text().as_str()), (429, "wait"));
    drop((client, upstream));
    sender.join().unwrap();
}

/// A client that does not read stops the origin, long before the gateway holds the whole response.
#[test]
fn a_slow_client_holds_the_origin_back() {
    const BODY: usize = 96 * 1024 * 1024;
    // Far above what the kernel keeps for four sockets on its own.
    const MOST_HELD: usize = 64 * 1024 * 1024;
    let (_gateway, _origin, mut client, mut upstream) = asked(GET);
    upstream.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n"));
    client.head();
    upstream.set_patience(Duration::from_millis(300));
    let mut writer = upstream.writer();
    let piece = vec![7; 64 * 1024];
    let mut sent = 0;
    let stop = loop {
        match writer.write(&piece[..piece.len().min(BODY - sent)]) {
            Ok(count) => sent += count,
            Err(error) => break error.kind(),
        }
        assert!(sent < MOST_HELD, "{sent} bytes were taken that nobody reads");
    };
    assert_eq!(stop, ErrorKind::WouldBlock);
    upstream.set_patience(PATIENCE);
    let sender = thread::spawn(move || {
        while sent < BODY {
            sent += writer.write(&piece[..piece.len().min(BODY - sent)]).unwrap();
        }
    });
    let mut left = BODY;
    while left > 0 {
        let count = left.min(1 << 20);
        assert!(client.take(count).iter().all(|&byte| byte == 7));
        left -= count;
    }
    sender.join().unwrap();
}
