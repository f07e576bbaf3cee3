//! A response head, as the answer to GET and to HEAD. Promises as for requests, and: never both framing fields.

use crate::{LIMITS, check_fields, check_prefixes, filled};
use headgate_model::fault::FaultKind;
use headgate_net::h1::parse::{self, Progress};
use headgate_net::head::{Body, Known, ResponseHead};

pub const SEEDS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 9\r\n\r\n",
];

pub fn run(data: &[u8]) {
    for to_head in [false, true] {
        let mut head: ResponseHead = filled(data);
        if parse::response(&mut head, to_head, &LIMITS) == Ok(Progress::Complete) {
            check(&head, to_head);
        }
        check_prefixes(data, |bytes| verdict(bytes, to_head));
    }
}

fn check(head: &ResponseHead, to_head: bool) {
    check_fields(head);
    let line = &head.line;
    assert!((100..600).contains(&line.status));
    let framing = [Known::ContentLength, Known::TransferEncoding];
    assert!(framing.iter().map(|known| head.values(*known).count()).sum::<usize>() <= 1);
    if to_head || matches!(line.status, 100..=199 | 204 | 304) {
        assert_eq!(line.body, Body::None);
    }
    assert!(!(line.body == Body::UntilClose && line.keep_alive));
}

fn verdict(bytes: &[u8], to_head: bool) -> Option<Result<usize, FaultKind>> {
    let mut head: ResponseHead = filled(bytes);
    match parse::response(&mut head, to_head, &LIMITS) {
        Ok(Progress::Partial) => None,
        Ok(Progress::Complete) => Some(Ok(head.head_len)),
        Err(fault) => Some(Err(fault.kind)),
    }
}
