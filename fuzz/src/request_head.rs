//! A request head. Promises: no panic; all parts lie inside the head; framing fields are said at most once; the
//! verdict does not change once it was given.

use crate::{LIMITS, check_fields, check_prefixes, filled};
use headgate_model::fault::FaultKind;
use headgate_net::h1::parse::{self, Progress};
use headgate_net::head::{Body, Known, RequestHead, Version};

pub const SEEDS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\nPOST /a?b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nX: 1\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n0\r\n\r\n",
    b"GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-A, upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
];

pub fn run(data: &[u8]) {
    let mut head: RequestHead = filled(data);
    if parse::request(&mut head, &LIMITS) == Ok(Progress::Complete) {
        check(&head);
    }
    check_prefixes(data, verdict);
}

fn check(head: &RequestHead) {
    check_fields(head);
    assert!(head.path().len() <= head.target().len() && head.target().len() <= LIMITS.target_bytes);
    assert!(head.target().starts_with(b"/") || head.target() == b"*");
    let count = |known| head.values(known).count();
    let lengths = count(Known::ContentLength);
    let codings = count(Known::TransferEncoding);
    assert_eq!(
        (lengths, codings),
        match head.line.body {
            Body::None => (0, 0),
            Body::Length(_) => (1, 0),
            Body::Chunked => (0, 1),
            Body::UntilClose => panic!("a request cannot end with its connection"),
        }
    );
    assert!(count(Known::Host) == 1 || head.line.version == Version::Http10);
    assert!(!head.host().iter().any(|byte| b"@/?#, ".contains(byte)));
}

/// `None` while the head is not all there.
fn verdict(bytes: &[u8]) -> Option<Result<usize, FaultKind>> {
    let mut head: RequestHead = filled(bytes);
    match parse::request(&mut head, &LIMITS) {
        Ok(Progress::Partial) => None,
        Ok(Progress::Complete) => Some(Ok(head.head_len)),
        Err(fault) => Some(Err(fault.kind)),
    }
}
