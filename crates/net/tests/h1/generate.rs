//! Heads from a seed: sensible parts, suspicious parts, and mutations of the whole. Every one can be had again
//! from its seed.

use headgate_model::dice::Dice;

const METHODS: [&str; 10] =
    ["GET", "POST", "HEAD", "PUT", "OPTIONS", "get", "M-SEARCH", "CONNECT", "TRACE", "DELETE"];
const TARGETS: [&str; 16] = [
    "/",
    "/",
    "/",
    "/",
    "/a/b",
    "/a?",
    "/a/b?c=d",
    "/%20",
    "//x",
    "*",
    "http://a/",
    "http://b/x?y",
    "https://a:80/",
    "a:443",
    "/#f",
    "?q",
];
const VERSIONS: [&str; 8] =
    ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1", "HTTP/1.10"];
const STATUS: [&str; 12] = [
    "200 OK",
    "200 OK",
    "200 ",
    "200",
    "204 No",
    "304 ?",
    "100 Continue",
    "101 S",
    "404 \t",
    "600 x",
    "099 x",
    "500 \u{e9}",
];
const FIELDS: [&str; 24] = [
    "Content-Length: 5",
    "Content-Length: 0",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "transfer-encoding:\tChunked ",
    "Connection: close",
    "Connection: keep-alive, X-A",
    "Connection: upgrade",
    "Upgrade: websocket",
    "TE: trailers",
    "Expect: 100-continue",
    "X-A: 1",
    "x-a:",
    "X-Long: 0123456789 0123456789\t0123456789",
    "Accept: */*",
    "Cookie: a=b; c=d",
    "Date:  Tue, 15 Nov 1994 08:12:31 GMT  ",
    "X-Obs: \u{fc}\u{df}",
    "X Y: 1",
    "X-A : 1",
    " folded",
    "no-colon",
];
const HOSTS: [&str; 12] = [
    "Host: a",
    "Host: a",
    "Host: a",
    "Host: a",
    "Host: b",
    "Host: a",
    "host: a:80",
    "Host: [::1]",
    "Host:",
    "Host: a, b",
    "Host: u@a",
    "Accept: no host",
];
/// What a mutation puts in.
const BITES: [&[u8]; 14] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b"\x0b",
    b"\x7f",
    b"\xff",
    b"0",
    b"chunked",
];

fn pick<'a, T: ?Sized>(dice: &mut Dice, from: &[&'a T]) -> &'a T {
    from[dice.below(from.len() as u64) as usize]
}

/// A request head, and a few bytes behind it.
pub(crate) fn request(dice: &mut Dice) -> Vec<u8> {
    let line = [pick(dice, &METHODS), pick(dice, &TARGETS), pick(dice, &VERSIONS)].join(" ");
    let host = pick(dice, &HOSTS);
    message(dice, &line, &[host])
}

/// A response head, and a few bytes behind it.
pub(crate) fn response(dice: &mut Dice) -> Vec<u8> {
    let line = [pick(dice, &VERSIONS), pick(dice, &STATUS)].join(" ");
    message(dice, &line, &[])
}

fn message(dice: &mut Dice, line: &str, first: &[&str]) -> Vec<u8> {
    let mut lines = vec![line];
    lines.extend_from_slice(first);
    // Mostly sensible fields: else hardly any message would be accepted.
    let kinds = if dice.below(3) == 0 { FIELDS.len() } else { 20 };
    for _ in 0..dice.below(6) {
        lines.push(pick(dice, &FIELDS[..kinds]));
    }
    let mut bytes = lines.join("\r\n").into_bytes();
    bytes.extend_from_slice(b"\r\n\r\nhello");
    for _ in 0..dice.below(5).saturating_sub(2) {
        mutate(dice, &mut bytes);
    }
    bytes
}

/// Changes one place.
pub(crate) fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let len = bytes.len() as u64;
    let at = dice.below(len + 1) as usize;
    match dice.below(6) {
        0 if at < bytes.len() => bytes[at] = dice.bits() as u8,
        1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        2 => {
            let end = (at + 1 + dice.below(4) as usize).min(bytes.len());
            bytes.drain(at..end);
        }
        3 => {
            // A piece again, somewhere else.
            let from = dice.below(len + 1) as usize;
            let to = (from + dice.below(30) as usize).min(bytes.len());
            let piece = bytes[from..to].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => {
            let bite = pick(dice, &BITES);
            bytes.splice(at..at, bite.iter().copied());
        }
    }
}

/// Bytes without any sense.
pub(crate) fn noise(dice: &mut Dice) -> Vec<u8> {
    (0..dice.below(200)).map(|_| dice.bits() as u8).collect()
}
