//! Headgate's parser beside another one (`httparse`): it may refuse more, for the listed reasons, but must never
//! understand a message differently. And: the verdict does not depend on how the bytes arrive.

use crate::generate;
use crate::transcript;
use crate::wire::{LIMITS, Pieces, Wire, run};
use headgate_model::dice::Dice;
use headgate_model::fault::Fault;
use headgate_net::h1::bytes::is_value;
use headgate_net::h1::parse::{self, Progress};
use headgate_net::head::{Flat, Known, Method, RequestHead, ResponseHead};
use std::collections::BTreeMap;

const ROUNDS: u64 = 60_000;

/// What the other parser takes and Headgate refuses on purpose: by the fault's text, and where it is said why.
fn is_documented(detail: &str) -> bool {
    let reasons = [
        // How lines end: the other one takes a bare LF and any number of empty lines before the first line.
        "a line that ends in LF without CR (RFC 9112 section 2.2)",
        "the method is not a token followed by one space (RFC 9112 section 3)",
        "the request line does not end in the version and CRLF (RFC 9112 section 3)",
        "the status line is malformed (RFC 9112 section 4)",
        // Targets: the other one takes any visible byte, and does not look inside.
        "a byte that may not stand in a request target (RFC 9112 section 3.2)",
        "the request target is neither a path nor an http URL (RFC 9112 section 3.2)",
        "the request target has no host (RFC 9110 section 4.2.1)",
        "the request target's host is not a name with a port (RFC 9110 section 4.2)",
        "an absolute request target with a query needs a path, at least `/`",
        "CONNECT is not served: Headgate is a gateway, not a forward proxy",
        // Limits.
        "the method is longer than 32 bytes",
        "the request target is longer than the limit",
        "more header fields than the limit",
        "more than 32 connection options",
        // What fields mean: the other one leaves that to its caller.
        "an HTTP/1.1 request without Host (RFC 9112 section 3.2)",
        "more than one Host field (RFC 9112 section 3.2)",
        "the Host is not a name with an optional port (RFC 9110 section 7.2)",
        "the Host differs from the request target's (RFC 9112 section 3.2.2)",
        "more than one Content-Length (RFC 9110 section 8.6)",
        "the Content-Length is not a number (RFC 9110 section 8.6)",
        "a Transfer-Encoding other than exactly `chunked` (RFC 9112 section 6.1)",
        "Transfer-Encoding in an HTTP/1.0 request (RFC 9112 section 6.1)",
        "Transfer-Encoding in an HTTP/1.0 response (RFC 9112 section 6.1)",
        "both Content-Length and Transfer-Encoding (RFC 9112 section 6.1)",
        "Connection names a field that is not hop-by-hop (RFC 9110 section 7.6.1)",
        "the only expectation served is 100-continue (RFC 9110 section 10.1.1)",
        "a TRACE request with content (RFC 9110 section 9.3.8)",
        "an interim response with content (RFC 9110 section 15.2)",
        "a 101 that does not say to which protocol (RFC 9110 section 15.2.2)",
    ];
    reasons.contains(&detail)
}

fn filled<Line: Default>(bytes: &[u8]) -> Flat<Line> {
    let mut head = Flat::new(bytes.len(), LIMITS.fields);
    head.bytes[..bytes.len()].copy_from_slice(bytes);
    head.filled = bytes.len();
    head
}

fn trimmed(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

fn same_fields<Line: Default>(head: &Flat<Line>, other: &[httparse::Header<'_>]) -> bool {
    head.fields.len() == other.len()
        && head.fields.iter().zip(other).all(|(field, other)| {
            head.part(field.name) == other.name.as_bytes() && head.part(field.value) == trimmed(other.value)
        })
}

/// The target without scheme and host (RFC 9112 section 3.2).
fn origin_form(target: &[u8], method: Method) -> &[u8] {
    let Some(colon) = target.windows(3).position(|three| three == b"://") else { return target };
    if target.starts_with(b"/") {
        return target;
    }
    let behind = &target[colon + 3..];
    match behind.iter().position(|byte| *byte == b'/') {
        Some(slash) => &behind[slash..],
        None if method == Method::Options => b"",
        None => b"/",
    }
}

/// What came of the comparisons: it must not be that nothing was compared.
#[derive(Default)]
struct Tally {
    both: u32,
    neither: u32,
    stricter: BTreeMap<&'static str, u32>,
}

impl Tally {
    /// Weighs one message: `same` says whether both understand the same, where both take it.
    fn add(
        &mut self,
        text: &str,
        ours: &Result<Progress, Fault>,
        other: &httparse::Result<usize>,
        same: impl FnOnce(usize) -> bool,
    ) {
        match (ours, other) {
            (Ok(Progress::Complete), Ok(httparse::Status::Complete(len))) => {
                assert!(same(*len), "understood differently: {text}");
                self.both += 1;
            }
            (Ok(Progress::Complete), other) => panic!("only Headgate takes it ({other:?}): {text}"),
            (Ok(Progress::Partial), Ok(httparse::Status::Complete(_))) => {
                panic!("Headgate waits for more of it: {text}")
            }
            (Err(fault), Ok(httparse::Status::Complete(_))) => {
                assert!(is_documented(fault.detail), "refused without a documented reason ({fault}): {text}");
                *self.stricter.entry(fault.detail).or_default() += 1;
            }
            _ => self.neither += 1,
        }
    }
}

#[test]
fn requests_are_understood_as_another_parser_does_or_refused() {
    let mut tally = Tally::default();
    for seed in 0..ROUNDS {
        let bytes = generate::request(&mut Dice::new(seed));
        let text = format!("seed {seed}: {}", bytes.escape_ascii());
        let mut head: RequestHead = filled(&bytes);
        let ours = parse::request(&mut head, &LIMITS);
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut other = httparse::Request::new(&mut fields);
        let theirs = other.parse(&bytes);
        tally.add(&text, &ours, &theirs, |len| {
            let path = other.path.unwrap().as_bytes();
            head.head_len == len
                && head.method() == other.method.unwrap().as_bytes()
                && head.target() == origin_form(path, head.line.method)
                && same_fields(&head, other.headers)
        });
    }
    assert!(tally.both > 5_000 && tally.neither > 5_000, "{} {}", tally.both, tally.neither);
    assert!(tally.stricter.len() >= 15, "{:#?}", tally.stricter);
}

#[test]
fn responses_are_understood_as_another_parser_does_or_refused() {
    let mut tally = Tally::default();
    for seed in 0..ROUNDS {
        let bytes = generate::response(&mut Dice::new(seed));
        let text = format!("seed {seed}: {}", bytes.escape_ascii());
        let mut head: ResponseHead = filled(&bytes);
        let ours = parse::response(&mut head, false, &LIMITS);
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut other = httparse::Response::new(&mut fields);
        let theirs = other.parse(&bytes);
        tally.add(&text, &ours, &theirs, |len| {
            let reason = head.part(head.line.reason);
            head.head_len == len
                && Some(head.line.status) == other.code
                // The other one gives up on a reason that is not ASCII.
                && (!reason.is_ascii() || reason == other.reason.unwrap_or_default().as_bytes())
                && same_fields(&head, other.headers)
        });
    }
    assert!(tally.both > 5_000 && tally.neither > 5_000, "{} {}", tally.both, tally.neither);
    assert!(tally.stricter.len() >= 8, "{:#?}", tally.stricter);
}

/// A message with its body, then something else, perhaps mutated.
fn conversation(dice: &mut Dice, to_server: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + dice.below(3) {
        bytes.extend(if to_server { generate::request(dice) } else { generate::response(dice) });
        if dice.below(3) == 0 {
            bytes.extend_from_slice(b"5;a=b\r\nhello\r\n0\r\nX: 1\r\n\r\n");
        }
    }
    if dice.below(4) == 0 {
        generate::mutate(dice, &mut bytes);
    }
    if dice.below(20) == 0 {
        bytes = generate::noise(dice);
    }
    // So that no verdict is outstanding: a head that is not finished is only read when it is.
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes
}

#[test]
fn requests_are_understood_the_same_however_they_arrive() {
    for seed in 0..3_000 {
        let bytes = conversation(&mut Dice::new(seed), true);
        let read = |pieces| run(transcript::requests(&Wire::receiving(&bytes, pieces)));
        let whole = read(Pieces::Whole);
        for pieces in [Pieces::Single, Pieces::Random(seed)] {
            assert_same(seed, &bytes, &whole, &read(pieces));
        }
    }
}

#[test]
fn responses_are_understood_the_same_however_they_arrive() {
    for seed in 0..3_000 {
        let bytes = conversation(&mut Dice::new(seed), false);
        let read = |pieces| run(transcript::response(&Wire::receiving(&bytes, pieces), seed % 5 == 0));
        let whole = read(Pieces::Whole);
        for pieces in [Pieces::Single, Pieces::Random(seed)] {
            assert_same(seed, &bytes, &whole, &read(pieces));
        }
    }
}

fn assert_same(seed: u64, bytes: &[u8], whole: &[u8], pieces: &[u8]) {
    assert!(
        whole == pieces,
        "seed {seed}: {}\nwhole:  {}\npieces: {}",
        bytes.escape_ascii(),
        whole.escape_ascii(),
        pieces.escape_ascii()
    );
}

#[test]
fn no_bytes_make_the_parsers_panic_or_take_more_than_there_is() {
    for seed in 0..20_000 {
        let dice = &mut Dice::new(seed);
        let mut bytes = match dice.below(3) {
            0 => generate::noise(dice),
            1 => generate::request(dice),
            _ => generate::response(dice),
        };
        bytes.truncate(dice.below(bytes.len() as u64 + 1) as usize);
        let mut head: RequestHead = filled(&bytes);
        if parse::request(&mut head, &LIMITS) == Ok(Progress::Complete) {
            assert!(head.head_len <= bytes.len() && head.path().len() <= head.target().len(), "seed {seed}");
        }
        let mut head: ResponseHead = filled(&bytes);
        if parse::response(&mut head, seed % 2 == 0, &LIMITS) == Ok(Progress::Complete) {
            assert!(head.head_len <= bytes.len() && (100..600).contains(&head.line.status), "seed {seed}");
        }
    }
}

/// Names are compared in words, not byte by byte: every name one byte away from a known one has to stay another.
#[test]
fn known_names_are_told_from_their_neighbours() {
    let plainly = |name: &[u8]| {
        let known =
            |name: &[u8]| Known::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(name)).copied();
        let hyphened: Vec<u8> = name.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect();
        match (known(name), known(&hyphened)) {
            (Some(known), _) => known,
            (None, Some(Known::XForwardedFor | Known::XForwardedHost | Known::XForwardedProto)) => {
                Known::XForwardedTwin
            }
            (None, Some(Known::ClientCert | Known::ClientCertChain)) => Known::ClientCertTwin,
            _ => Known::Other,
        }
    };
    for known in Known::ALL {
        for at in 0..known.name().len() {
            for byte in (0..=255).filter(|&byte| is_value(byte)) {
                let mut name = known.name().to_vec();
                name[at] = byte;
                assert_eq!(Known::of(&name), plainly(&name), "{}", name.escape_ascii());
            }
        }
        for other in [&known.name()[1..], &[known.name(), b"x"].concat()] {
            assert_eq!(Known::of(other), plainly(other), "{}", other.escape_ascii());
        }
    }
}
